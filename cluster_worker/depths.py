"""Convert images between types. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import util

Image = NDArray[Any]


def to_depth(image: Image, dtype: str) -> Image:
    """Convert between types as scikit-image does, but clip floats to 0…1 instead of refusing."""
    target = np.dtype(dtype)
    if image.dtype == target:
        return image
    if target.kind == "f":
        if image.dtype.kind == "f":
            return image.astype(target)
        convert = util.img_as_float64 if dtype == "float64" else util.img_as_float32
        result: Image = convert(image)
        return result
    if target.kind == "b":
        half = np.iinfo(image.dtype).max / 2 if image.dtype.kind == "u" else 0.5
        mask: Image = image > half
        return mask
    white = np.iinfo(target).max
    if image.dtype.kind == "b":
        levels: Image = image.astype(target) * target.type(white)
    elif image.dtype.kind == "u":
        levels = util.img_as_ubyte(image) if dtype == "uint8" else util.img_as_uint(image)
    else:
        scaled = np.clip(image, 0, 1) * image.dtype.type(white)
        levels = np.rint(scaled, out=scaled).astype(target)
    return levels
