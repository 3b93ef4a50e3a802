"""What spreads within a block, with compiled loops."""

from typing import Any

import numpy as np

from cluster_worker.kernels import Image, lazily

loops = lazily("cluster_worker.kernels.loops.floods")


def framed(image: Image, dtype: np.dtype[Any]) -> Image:
    """Copy an image as floats, with a frame of minus infinity, which nothing spreads from."""
    rows, columns = image.shape
    result: Image = np.empty((rows + 2, columns + 2), dtype)
    result[[0, -1]] = -np.inf
    result[:, [0, -1]] = -np.inf
    result[1:-1, 1:-1] = image
    return result


def reconstructed(state: Image, mask: Image, method: str) -> Image:
    """Reconstruct by dilation or erosion within a mask, as scikit-image does.

    Parameters
    ----------
    state : ndarray
        (rows, columns), of float32 or float64.
    mask : ndarray
        Of the same shape, and of any type whose values the state's can hold.
    method : {"dilation", "erosion"}
        Whether the state, which must lie below the mask, grows; or lies above it, and shrinks.
    """
    grows = method == "dilation"
    # An erosion is the dilation of the negative, to the last bit.
    grown = framed(state if grows else -state, state.dtype)
    limit = framed(mask, state.dtype)
    if not grows:
        np.negative(limit[1:-1, 1:-1], out=limit[1:-1, 1:-1])
    loops.reconstruct(grown, limit, np.empty(grown.size, np.int32), np.zeros(grown.size, np.uint8))
    result = grown[1:-1, 1:-1]
    return result if grows else -result
