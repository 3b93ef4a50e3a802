"""Functions that several references use."""

import numpy as np
from skimage import morphology


def per_colour(function, image):
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., i]) for i in range(image.shape[2])], axis=2)


def axis(image):
    return 2 if image.ndim == 3 else None


def white(image):
    return np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1


def octagon(radius):
    slanted = round((2 * radius + 1) / (2 + np.sqrt(2)))
    return morphology.octagon(2 * radius + 1 - 2 * slanted, slanted)


# Functions of the radius, and of the half width where a footprint has one.
FOOTPRINTS = {
    "disk": lambda r, w=None: morphology.disk(r),
    "diamond": lambda r, w=None: morphology.diamond(r),
    "square": lambda r, w=None: morphology.footprint_rectangle((2 * r + 1, 2 * r + 1)),
    "rectangle": lambda r, w=None: morphology.footprint_rectangle((2 * r + 1, 2 * (w or r) + 1)),
    "ellipse": lambda r, w=None: morphology.ellipse(w or r, r),
    "octagon": lambda r, w=None: octagon(r),
    "star": lambda r, w=None: morphology.star(r),
}


def reflected(apply, plane, reach, mode):
    """Filter a plane; extend it first where scipy would read a pixel outside of it.

    scipy does so where a border is reflected four times. Filters of two steps reach twice as far.
    """
    if mode != "reflect" or 2 * reach < 4 * min(plane.shape):
        return apply(plane)
    inner = slice(2 * reach, -2 * reach)
    return apply(np.pad(plane, 2 * reach, mode="symmetric"))[inner, inner]
