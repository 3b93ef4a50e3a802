"""Area and diameter openings and closings, with compiled loops."""

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

util = lazily("skimage.util")
loops = lazily("cluster_worker.kernels.loops.trees")


def opened(image: Image, least: int, connectivity: int, *, by_extent: bool) -> Image:
    """Lower each pixel to the highest level at which its region reaches a minimum size.

    The region at a level is the connected set of pixels that are at least as bright.

    Parameters
    ----------
    image : ndarray
        (rows, columns), of uint8, uint16 or floats.
    least : int
        The minimum size, in pixels.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    by_extent : bool
        Whether the size of a region is its number of rows or of columns, whichever is larger.
        Otherwise it is its number of pixels.

    Returns
    -------
    ndarray
        Same shape and type as the image. If the whole image is too small, it is 0.
    """
    framed = np.pad(image, 1)
    parents = np.full(framed.size, -1, np.int32)
    boxes = np.empty((framed.size if by_extent else 0, 4), np.int32)
    scratch = boxes, parents, np.empty(framed.size, np.int32)
    loops.open_regions(framed, rising_order(image), connectivity == 2, least, *scratch)
    return framed[1:-1, 1:-1]


def rising_order(image: Image) -> Image:
    """Return the indices of an image's pixels, sorted by value, and in row order if equal."""
    flat = np.require(image, requirements=["C", "W"]).reshape(-1)
    if image.dtype.kind == "f":
        return np.argsort(flat, kind="stable").astype(np.int32)
    order: Image = loops.counted_order(flat, np.iinfo(image.dtype).max + 1)
    return order


def closed(image: Image, least: int, connectivity: int, *, by_extent: bool) -> Image:
    """Raise each pixel to the lowest level at which its region reaches a minimum size.

    The region at a level is the connected set of pixels that are at least as dark. The parameters
    are those of `opened`.
    """
    result: Image = util.invert(
        opened(util.invert(image), least, connectivity, by_extent=by_extent)
    )
    return result
