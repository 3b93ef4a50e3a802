"""What scikit-image itself says: plain calls on the whole image, nothing of the engine's."""

import numpy as np
from skimage import color, feature, filters, morphology, util

FOOTPRINTS = {
    "disk": morphology.disk,
    "diamond": morphology.diamond,
    "square": lambda r: morphology.footprint_rectangle((2 * r + 1, 2 * r + 1)),
}


def per_colour(function, image):
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., i]) for i in range(image.shape[2])], axis=2)


def gray(image):
    return color.rgb2gray(image) if image.ndim == 3 else image


def axis(image):
    return 2 if image.ndim == 3 else None


def white(image):
    return np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1


def otsu(image):
    if image.dtype.kind == "b":  # scikit-image has no histogram of masks
        return image & ~image.all()
    return image > filters.threshold_otsu(image)


# By operation: a function of the image and the parameters.
REFERENCE = {
    "rgb2gray": lambda image: gray(image),
    "gray2rgb": lambda image, background: color.gray2rgb(image) if image.ndim == 2 else image,
    "canny": lambda image, sigma, low_threshold, high_threshold: feature.canny(
        image, sigma, low_threshold, high_threshold
    ),
    "dilation": lambda image, footprint, radius: per_colour(
        lambda x: morphology.dilation(x, FOOTPRINTS[footprint](radius)), image
    ),
    "erosion": lambda image, footprint, radius: per_colour(
        lambda x: morphology.erosion(x, FOOTPRINTS[footprint](radius)), image
    ),
    "gaussian": lambda image, sigma, mode: filters.gaussian(
        image, sigma, mode=mode, channel_axis=axis(image)
    ),
    "unsharp_mask": lambda image, radius, amount: filters.unsharp_mask(
        image, radius, amount, channel_axis=axis(image)
    ),
    "median": lambda image, footprint, radius: per_colour(
        lambda x: filters.median(x, FOOTPRINTS[footprint](radius)), image
    ),
    "threshold": lambda image, level: image > level * white(image),
    "threshold_otsu": otsu,
    "invert": lambda image: util.invert(image),
}
NEEDS_GRAY = ("canny", "threshold", "threshold_otsu")
NEEDS_FLOAT = ("rgb2gray", "canny", "gaussian", "unsharp_mask")


def run(image, steps, depth):
    """Run a chain as DESIGN's promise reads: floats from the first float step, rounded once."""
    has_alpha = image.ndim == 3 and image.shape[2] in (2, 4)
    alpha = image[..., -1] if has_alpha else None
    result = image[..., :-1] if has_alpha else image
    result = result[..., 0] if result.ndim == 3 and result.shape[2] == 1 else result
    for step in steps:
        name = step["operation"]
        parameters = {key: value for key, value in step.items() if key != "operation"}
        to_gray = name in NEEDS_GRAY and result.ndim == 3
        if (name in NEEDS_FLOAT or to_gray) and depth == "input" and result.dtype.kind != "f":
            result = util.img_as_float32(result)
        if to_gray:
            result = gray(result)
        if name == "gray2rgb" and alpha is not None:
            result = flatten(result, alpha, parameters["background"])
            alpha = None
        else:
            result = REFERENCE[name](result, **parameters)
    return result, alpha


def flatten(image, alpha, background):
    rgb = color.gray2rgb(image) if image.ndim == 2 else image
    convert = util.img_as_float64 if rgb.dtype == np.float64 else util.img_as_float32
    behind = (1, 1, 1) if background == "white" else (0, 0, 0)
    return color.rgba2rgb(np.dstack([convert(rgb), convert(alpha)]), behind)
