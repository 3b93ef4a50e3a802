"""References of arithmetic: numpy and scikit-image on whole images."""

import numpy as np
from skimage import util


def beside(function):
    """Return a function that counts a gray second image for each colour."""

    def of(image, other, **more):
        return function(image, other[..., None] if other.ndim < image.ndim else other, **more)

    return of


def divided(image, other):
    with np.errstate(all="ignore"):
        result = np.divide(image, other)
    return np.where(other == 0, 0, result).astype(result.dtype)


def floats(image):
    return image if image.dtype.kind == "f" else util.img_as_float(image)


def blended(image, other, share):
    return floats(image) * (1 - share) + floats(other) * share


def compared(image, other, method):
    image, other = floats(image), floats(other)
    return np.abs(image - other) if method == "diff" else (image + other) / 2


def chosen(image, mask, other):
    mask = mask[..., None] if image.ndim == 3 else mask
    other = other[..., None] if other.ndim < image.ndim else other
    return np.where(mask, image, other)


def corrected(image, flat, dark=None):
    numbers = [each if each.dtype.kind == "f" else each * 1.0 for each in (image, flat)]
    if dark is not None:
        dark = dark if dark.dtype.kind == "f" else dark * 1.0
        numbers = [each - dark for each in numbers]
    lit, light = numbers
    mean = light.astype(np.float64).mean(axis=(0, 1)).astype(light.dtype)
    with np.errstate(all="ignore"):
        return np.where(light == 0, 0, lit / light * mean).astype(lit.dtype)


REFERENCE = {
    "add": beside(np.add),
    "subtract": beside(np.subtract),
    "multiply": beside(np.multiply),
    "divide": beside(divided),
    "minimum": beside(np.minimum),
    "maximum": beside(np.maximum),
    "blend": beside(blended),
    "compare_images": beside(compared),
    "where": chosen,
    "flat_field": corrected,
}
