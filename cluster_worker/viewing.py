"""Images as a screen shows them: eight bits, with contrast where the depth is another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

# So much of either end is cut off: a hot pixel must not leave all else black.
TAIL_PERCENT = 0.5


def viewable(image: Image) -> Image:
    """Turn an image into uint8.

    Masks become black and white; other depths than eight bits are stretched from their darkest to
    their brightest pixels, all channels alike.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of any depth.

    Returns
    -------
    ndarray
        The same shape, of uint8.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(values, (TAIL_PERCENT, 100 - TAIL_PERCENT))
    if low == high:
        low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low or 1))
    shown: Image = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return shown
