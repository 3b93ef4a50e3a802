"""Openings and closings by the size of regions, with compiled loops."""

import numpy as np
from skimage import util

from cluster_worker.kernels import Image, lazily

loops = lazily("cluster_worker.kernels.loops.trees")


def opened(image: Image, least: int, connectivity: int, *, by_extent: bool) -> Image:
    """Lower each pixel until it lies in a region of such pixels that is as large as a limit.

    Parameters
    ----------
    image : ndarray
        (rows, columns), of uint8, uint16 or floats.
    least : int
        The limit, in pixels.
    connectivity : int
        1 if regions touch at the sides of pixels, 2 if at their corners as well.
    by_extent : bool
        Whether a region is as large as it has rows or columns, and not pixels.
    """
    framed = np.pad(image, 1)
    parents = np.full(framed.size, -1, np.int32)
    boxes = np.empty((framed.size if by_extent else 0, 4), np.int32)
    scratch = boxes, parents, np.empty(framed.size, np.int32)
    loops.leave_large(framed, rising(image), connectivity == 2, least, *scratch)
    return framed[1:-1, 1:-1]


def rising(image: Image) -> Image:
    """Give the places of an image's pixels in rising order, equal ones in row order."""
    flat = np.require(image, requirements=["C", "W"]).reshape(-1)
    if image.dtype.kind == "f":
        return np.argsort(flat, kind="stable").astype(np.int32)
    order: Image = loops.counted_order(flat, np.iinfo(image.dtype).max + 1)
    return order


def closed(image: Image, least: int, connectivity: int, *, by_extent: bool) -> Image:
    """Raise each pixel until it lies in a region of such pixels that is as large as a limit.

    It takes what `opened` takes.
    """
    result: Image = util.invert(
        opened(util.invert(image), least, connectivity, by_extent=by_extent)
    )
    return result
