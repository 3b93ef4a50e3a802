"""Distances in a mask."""

from functools import partial

import numpy as np

from cluster_worker.kernels import distances
from cluster_worker.operations.declare import Composed, Image, Place, Stage, Stages, operation


@operation(
    "Distance to the background",
    "Morphology",
    Composed("propagating"),
    channels="gray",
    takes="mask",
    shows="extent",
    arrays=3,
    cost=2,
)
def distance_transform_edt() -> Stages:
    """Measure how far each pixel of a mask lies from the nearest pixel that is not set.

    The result has distances in pixels, as the crow flies: 0 outside of the mask, and most in the
    middle of large regions. Strips of whole columns are measured first, then strips of whole rows.

    Notes
    -----
    If all pixels are set, distances lead to a point above the first pixel of the image.

    References
    ----------
    scipy.ndimage.distance_transform_edt
    """
    return (
        Stage(is_set),
        Stage(distances.along_columns, strips="columns", like=partial(np.asarray, dtype=np.int32)),
        Stage(along_rows, strips="rows", like=partial(np.asarray, dtype=np.float64)),
    )


def is_set(image: Image) -> Image:
    """Return the mask of the pixels that are not 0."""
    mask: Image = image if image.dtype.kind == "b" else image != 0
    return mask


def along_rows(columns: Image, *, place: Place) -> Image:
    """Return the distances of a strip of rows, from those along its columns."""
    return distances.along_rows(columns, place.window.top)
