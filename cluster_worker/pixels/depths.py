"""Convert images between dtypes as scikit-image's ``img_as_*`` functions do. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]


def to_depth(image: Image, dtype: str) -> Image:
    """Convert an image to another dtype as scikit-image does, but clip floats outside 0…1.

    scikit-image raises an error for such floats.

    Parameters
    ----------
    image : ndarray
        Bool, integers or floats; any shape.
    dtype : str
        "bool", "uint8", "uint16", "float32" or "float64".

    Returns
    -------
    ndarray
        Same shape. The image itself, not a copy, if it has this dtype already.

    References
    ----------
    skimage.util.dtype._convert of scikit-image 0.26.0.
    """
    target = np.dtype(dtype)
    if image.dtype == target:
        return image
    if target.kind == "f":
        return to_floats(image, target)
    if target.kind == "b":
        half = np.iinfo(image.dtype).max / 2 if image.dtype.kind == "u" else 0.5
        mask: Image = image > half
        return mask
    white = np.iinfo(target).max
    if image.dtype.kind == "b":
        levels: Image = image.astype(target) * target.type(white)
    elif image.dtype.kind == "u":
        levels = to_levels(image, target)
    else:
        scaled = np.clip(image, 0, 1) * image.dtype.type(white)
        levels = np.rint(scaled, out=scaled).astype(target)
    return levels


def to_floats(image: Image, target: np.dtype[Any]) -> Image:
    """Convert to floats; the greatest integer of the image's dtype becomes 1."""
    if image.dtype.kind in "fb":
        return image.astype(target)
    # Compute in a float type at least as wide as the image's: float32 cannot hold 64 bits.
    exact = target if target.itemsize >= image.dtype.itemsize else np.dtype(np.float64)
    floats = np.multiply(image, 1.0 / np.iinfo(image.dtype).max, dtype=exact)
    if image.dtype.kind == "i":
        np.maximum(floats, -1.0, out=floats)
    return np.asarray(floats, target)


def to_levels(image: Image, target: np.dtype[Any]) -> Image:
    """Convert unsigned integers of one width to another, so that white stays white."""
    if target.itemsize < image.dtype.itemsize:
        return (image >> 8 * (image.dtype.itemsize - target.itemsize)).astype(target)
    factor = np.iinfo(target).max // np.iinfo(image.dtype).max
    levels: Image = np.multiply(image, factor, dtype=target)
    return levels
