"""The medial axis, with compiled loops."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cluster_worker.kernels import Image, lazily

loops = lazily("cluster_worker.kernels.loops.axes")


@cache
def stays() -> bytes:
    """Tell by the code of 3 × 3 pixels whether the one in their middle belongs to an axis.

    It does if what is set falls into other pieces without it, or if it ends a line.
    """
    codes = np.arange(512)
    patterns = (codes[:, np.newaxis] >> np.arange(9) & 1).reshape(-1, 3, 3)
    pieces = np.array([ndimage.label(each, np.ones((3, 3)))[1] for each in patterns])
    kept = (pieces != pieces[codes & ~16]) | (patterns.sum(axis=(1, 2)) < 3)
    table: NDArray[np.uint8] = (kept & (codes & 16 > 0)).astype(np.uint8)
    return table.tobytes()


def medial_axis(mask: Image, ties: NDArray[np.int64]) -> Image:
    """Thin a mask to the pixels that are as far as any from its edges.

    Parameters
    ----------
    mask : ndarray of bool
        (rows, columns), not all of which is set.
    ties : ndarray of int64
        The whole numbers from 0 in any order, one for each pixel that is set: which of two equals
        goes first.
    """
    framed = np.pad(mask, 1).view(np.uint8)
    distances = np.empty(mask.shape, np.int64)
    loops.squared_distances(framed[1:-1, 1:-1].copy(), distances)
    loops.thin_in_order(framed, distances, ties, np.frombuffer(stays(), np.uint8).copy())
    result: Image = framed[1:-1, 1:-1].view(np.bool_)
    return result
