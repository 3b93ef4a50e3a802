"""References of colour operations."""

import warnings

import numpy as np
from skimage import color

NUMBERS = {"first": 0, "second": 1, "third": 2}


def rgb2hsv(image):
    hsv = color.rgb2hsv(image)
    # scikit-image leaves the hue of NaN uninitialised.
    hsv[np.isnan(image).any(axis=2), 0] = 0
    return hsv


def lab2rgb(image, illuminant, observer):
    with warnings.catch_warnings(action="ignore"):
        return color.lab2rgb(image, illuminant, observer)


def ycbcr2rgb(image):
    if image.dtype == bool:
        raise ValueError("a mask has no colours")
    return color.ycbcr2rgb(image)


def separate_stains(image, conv_matrix, stain):
    amounts = color.separate_stains(image, getattr(color, f"{conv_matrix}_from_rgb"))
    return amounts if stain == "all" else amounts[..., NUMBERS[stain]]


def isolate_stain(image, conv_matrix, stain):
    amounts = separate_stains(image, conv_matrix, "all")
    if stain != "all":
        alone = amounts[..., NUMBERS[stain]].copy()
        amounts[:] = 0
        amounts[..., NUMBERS[stain]] = alone
    return color.combine_stains(amounts, getattr(color, f"rgb_from_{conv_matrix}"))


def label2rgb(image, bg_label, opacity, saturation, picture=None):
    return color.label2rgb(image, picture, alpha=opacity, bg_label=bg_label, saturation=saturation)


def take_channel(image, channel):
    channels = image if image.ndim == 3 else image[..., np.newaxis]
    return np.take(channels, channel - 1, axis=2)


REFERENCE = {
    "take_channel": take_channel,
    "rgb2hsv": rgb2hsv,
    "lab2rgb": lab2rgb,
    "ycbcr2rgb": ycbcr2rgb,
    "separate_stains": separate_stains,
    "combine_stains": lambda image, conv_matrix: color.combine_stains(
        image, getattr(color, f"rgb_from_{conv_matrix}")
    ),
    "isolate_stain": isolate_stain,
    "label2rgb": label2rgb,
}
