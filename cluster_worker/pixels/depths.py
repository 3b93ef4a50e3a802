"""Convert images between dtypes as scikit-image's ``img_as_*`` functions do. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

# Whole numbers that float32 cannot hold exactly.
WIDE_BYTES = 4


def floats_for(dtype: str) -> str:
    """Return the float type that pictures of a dtype are computed in."""
    given = np.dtype(dtype)
    wide = given.kind in "iu" and given.itemsize >= WIDE_BYTES
    return "float64" if wide or dtype == "float64" else "float32"


def to_depth(image: Image, dtype: str) -> Image:
    """Convert an image to another dtype as scikit-image does, but clip floats outside 0…1.

    scikit-image raises an error for such floats. Whole numbers with sign come back as they were:
    floats from -1 to 1 are scaled by the greatest number, as in the conversion to floats.

    Parameters
    ----------
    image : ndarray
        Bool, integers or floats; any shape.
    dtype : str
        "bool", a dtype of whole numbers, or one of floats.

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
        half = np.iinfo(image.dtype).max / 2 if image.dtype.kind in "iu" else 0.5
        mask: Image = image > half
        return mask
    if image.dtype.kind == "b":
        levels: Image = image.astype(target) * target.type(np.iinfo(target).max)
        return levels
    if image.dtype.kind == target.kind == "u":
        return to_levels(image, target)
    if image.dtype.kind in "iu":
        image = to_floats(image, np.dtype(np.float64))
    return rounded(image, target)


def rounded(image: Image, target: np.dtype[Any]) -> Image:
    """Scale floats to whole numbers and round them; 1 becomes the greatest number."""
    limits = np.iinfo(target)
    if target.itemsize >= WIDE_BYTES:
        image = image.astype(np.float64, copy=False)
    scaled = np.clip(image, -1 if limits.min else 0, 1) * image.dtype.type(limits.max)
    np.rint(scaled, out=scaled)
    if target.itemsize < image.dtype.itemsize or target.itemsize < WIDE_BYTES:
        narrow: Image = scaled.astype(target)
        return narrow
    # The greatest number of 64 bits is no float: the next float is one more.
    over = scaled >= image.dtype.type(limits.max)
    levels: Image = np.where(over, 0, scaled).astype(target)
    levels[over] = limits.max
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
