"""Conversions between types of pixels, in one pass over the pixels."""

import numpy as np

from cluster_worker.kernels import WHITE, Image, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.depths")

# The integer types that are converted to float32 and back.
WHOLE = ("uint8", "uint16")


def converts(source: str, target: str) -> bool:
    """Return whether `to_depth` converts from one type to another."""
    return (source in WHOLE and target == "float32") or (source == "float32" and target in WHOLE)


def to_depth(image: Image, *, dtype: str, place: Place, out: Image | None) -> Image:
    """Convert a block with the same bits as `pixels.depths.to_depth`.

    Parameters
    ----------
    image : ndarray
        The block, of a type that it `converts`.
    dtype : str
        Type of the result.
    place : Place
        Where the block lies in the whole image.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    values = rows_of(image[core.slices]).reshape(-1)
    with core_of(image, core, dtype, out) as result:
        if dtype == "float32":
            share = np.float32(1 / WHITE[str(image.dtype)])
            loops.to_floats(values, share, result.reshape(-1))
        else:
            loops.to_levels(values, np.float32(WHITE[dtype]), result.reshape(-1))
    return result if out is None else out
