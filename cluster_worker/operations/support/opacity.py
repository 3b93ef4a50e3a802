"""Weights of colours: alpha as floats, and the division of weighted sums by their weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image
from cluster_worker.pixels.depths import to_depth

# Pixels of at most this opacity count as clear: less than half a level of 16 bits.
CLEAR = 5e-6


def weights_of(alpha: Image, image: Image) -> NDArray[Any]:
    """Return alpha as weights of an image's colours.

    Parameters
    ----------
    alpha : ndarray
        (rows, columns) of any type of picture.
    image : ndarray
        (rows, columns) or (rows, columns, channels) of floats.

    Returns
    -------
    ndarray
        From 0 to 1, of the image's type; (rows, columns, 1) if the image has channels.
    """
    weights = to_depth(alpha, str(image.dtype))
    return weights[..., np.newaxis] if image.ndim == 3 else weights


def divide(sums: Image, share: NDArray[Any], otherwise: Image) -> Image:
    """Divide weighted sums by the sum of their weights; take `otherwise` where that is nothing."""
    share = share[..., np.newaxis] if sums.ndim == 3 else share
    seen = share > CLEAR
    result: Image = np.where(seen, sums / np.where(seen, share, 1), otherwise)
    return result
