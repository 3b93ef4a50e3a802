"""Convolution with a two-dimensional kernel of weights, with the same float32 bits as scipy."""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, Image, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.correlation")


def convolved(
    image: Image, kernel: NDArray[np.floating], mode: str, cval: float, place: Place
) -> Image:
    """Convolve the core of a block with a kernel of weights.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of float32.
    kernel : ndarray
        The weights, with odd numbers of rows and columns.
    mode, cval
        As in ``scipy.ndimage.convolve``.
    place : Place
        Where the block lies in the whole image.

    Returns
    -------
    ndarray of float32
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    weights = kernel[::-1, ::-1].astype(np.float64)
    # scipy leaves out weights that are nearly zero.
    there = abs(weights) > np.finfo(np.float64).eps
    starts = np.append(0, there.sum(axis=1).cumsum())
    result = np.empty(core.shape, np.float32)
    loops.correlate(
        rows_of(image),
        (weights.shape[0] // 2, weights.shape[1] // 2),
        starts,
        # Of a single weight they would be contiguous, of others not, and each is compiled apart.
        np.ascontiguousarray(np.nonzero(there)[1]),
        weights[there],
        BORDERS[mode],
        float(cval),
        core.top,
        core.left,
        result,
    )
    return result
