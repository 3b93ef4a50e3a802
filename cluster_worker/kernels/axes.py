"""The medial axis, with compiled loops."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

ndimage = lazily("scipy.ndimage")
loops = lazily("cluster_worker.kernels.loops.axes")


@cache
def keep_table() -> bytes:
    """Return for each code of 3 × 3 pixels whether the pixel in the middle belongs to an axis.

    It does if the number of connected pieces changes without it, or if it ends a line. The code has
    one bit for each pixel in row order, the lowest bit first; the table has 512 bytes, 0 or 1.
    """
    codes = np.arange(512)
    patterns = (codes[:, np.newaxis] >> np.arange(9) & 1).reshape(-1, 3, 3)
    pieces = np.array([ndimage.label(each, np.ones((3, 3)))[1] for each in patterns])
    kept = (pieces != pieces[codes & ~16]) | (patterns.sum(axis=(1, 2)) < 3)
    table: NDArray[np.uint8] = (kept & (codes & 16 > 0)).astype(np.uint8)
    return table.tobytes()


def medial_axis(mask: Image, ties: NDArray[np.int64]) -> Image:
    """Thin a mask to its medial axis: the pixels that lie in the middle between its edges.

    Parameters
    ----------
    mask : ndarray of bool
        (rows, columns); at least one pixel is not set.
    ties : ndarray of int64
        A permutation of the integers from 0, one for each pixel that is set, in row order. It
        decides which of two equal pixels is removed first.

    Returns
    -------
    ndarray of bool
        (rows, columns).
    """
    framed = np.pad(mask, 1).view(np.uint8)
    distances = np.empty(mask.shape, np.int64)
    loops.squared_distances(framed[1:-1, 1:-1].copy(), distances)
    loops.thin_in_order(framed, distances, ties, np.frombuffer(keep_table(), np.uint8).copy())
    result: Image = framed[1:-1, 1:-1].view(np.bool_)
    return result
