"""Borders that are reflected further than scipy's filters of a neighbourhood can do."""

from collections.abc import Callable

import numpy as np

from cluster_worker.operations.declare import Image

# What such an operation says of itself, in `differs`.
DIFFERS = (
    "a border that is reflected four times or more is exact; scikit-image then takes some pixels "
    "from outside the image"
)
# scipy's filters read the pixel before the array, where a coordinate is a multiple of twice its
# length and lies before its first reflection: this many lengths away.
LENGTHS = 4


def reflected(apply: Callable[[Image], Image], plane: Image, reach: int, mode: str) -> Image:
    """Filter a plane; where scipy would read outside of it, extend it first.

    Parameters
    ----------
    apply : callable
        From a plane to its filtered plane, with this mode.
    plane : ndarray
        (rows, columns).
    reach : int
        Pixels that the filter reads in each direction.
    mode : str
        What lies beyond the border, in scipy's words.
    """
    if mode != "reflect" or reach < LENGTHS * min(plane.shape):
        return apply(plane)
    inner = slice(reach, -reach)
    result: Image = apply(np.pad(plane, reach, mode="symmetric"))[inner, inner]
    return result
