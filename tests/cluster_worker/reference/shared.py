"""What several references need."""

import numpy as np
from skimage import morphology


def per_colour(function, image):
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., i]) for i in range(image.shape[2])], axis=2)


def axis(image):
    return 2 if image.ndim == 3 else None


def white(image):
    return np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1


FOOTPRINTS = {
    "disk": morphology.disk,
    "diamond": morphology.diamond,
    "square": lambda r: morphology.footprint_rectangle((2 * r + 1, 2 * r + 1)),
}
