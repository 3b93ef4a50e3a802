"""Colour."""

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


def separate_stains(image, conv_matrix, stain):
    amounts = color.separate_stains(image, getattr(color, f"{conv_matrix}_from_rgb"))
    return amounts if stain == "all" else amounts[..., NUMBERS[stain]]


def combine_stains(image, conv_matrix, stain):
    amounts = separate_stains(image, conv_matrix, "all")
    if stain != "all":
        alone = amounts[..., NUMBERS[stain]].copy()
        amounts[:] = 0
        amounts[..., NUMBERS[stain]] = alone
    return color.combine_stains(amounts, getattr(color, f"rgb_from_{conv_matrix}"))


REFERENCE = {
    "rgb2hsv": rgb2hsv,
    "hsv2rgb": lambda image: color.hsv2rgb(image),
    "rgb2xyz": lambda image: color.rgb2xyz(image),
    "xyz2rgb": lambda image: color.xyz2rgb(image),
    "rgb2lab": lambda image, illuminant, observer: color.rgb2lab(image, illuminant, observer),
    "lab2rgb": lab2rgb,
    "rgb2luv": lambda image: color.rgb2luv(image),
    "rgb2yuv": lambda image: color.rgb2yuv(image),
    "yuv2rgb": lambda image: color.yuv2rgb(image),
    "rgb2yiq": lambda image: color.rgb2yiq(image),
    "rgb2ypbpr": lambda image: color.rgb2ypbpr(image),
    "rgb2ycbcr": lambda image: color.rgb2ycbcr(image),
    "rgb2ydbdr": lambda image: color.rgb2ydbdr(image),
    "rgb2rgbcie": lambda image: color.rgb2rgbcie(image),
    "rgb2hed": lambda image: color.rgb2hed(image),
    "hed2rgb": lambda image: color.hed2rgb(image),
    "separate_stains": separate_stains,
    "combine_stains": combine_stains,
    "label2rgb": lambda image, bg_label: color.label2rgb(image, bg_label=bg_label),
}
