"""Colour: from other colour spaces back to RGB, and Lab in polar coordinates."""

import numpy as np

from cluster_worker.lazy import lazily
from cluster_worker.operations.color import IN_GROUPS, by_matrix, converted, from_rgb
from cluster_worker.operations.declare import Image, Pointwise, operation

color = lazily("skimage.color")


@from_rgb("YIQ to RGB", by_matrix("rgb_from_yiq"))
def yiq2rgb(image: Image) -> Image:
    """Convert YIQ back to RGB; use it after rgb2yiq.

    References
    ----------
    skimage.color.yiq2rgb
    """
    return converted(color.yiq2rgb, image)


@from_rgb("YPbPr to RGB", by_matrix("rgb_from_ypbpr"))
def ypbpr2rgb(image: Image) -> Image:
    """Convert YPbPr back to RGB; use it after rgb2ypbpr.

    References
    ----------
    skimage.color.ypbpr2rgb
    """
    return converted(color.ypbpr2rgb, image)


@operation("YCbCr to RGB", "Colour", IN_GROUPS, channels="rgb", floats=True, arrays=6)
def ycbcr2rgb(image: Image) -> Image:
    """Convert YCbCr back to RGB; use it after rgb2ycbcr.

    References
    ----------
    skimage.color.ycbcr2rgb
    """
    if image.dtype.kind == "b":
        raise ValueError("takes colours as numbers, and this image is a mask")
    if image.dtype == np.int8:
        raise ValueError("takes numbers up to 255, got int8; use depth input, or another type")
    return converted(color.ycbcr2rgb, image)


@from_rgb("YDbDr to RGB", by_matrix("rgb_from_ydbdr"))
def ydbdr2rgb(image: Image) -> Image:
    """Convert YDbDr back to RGB; use it after rgb2ydbdr.

    References
    ----------
    skimage.color.ydbdr2rgb
    """
    return converted(color.ydbdr2rgb, image)


@from_rgb("RGB CIE to RGB", by_matrix("rgb_from_rgbcie"))
def rgbcie2rgb(image: Image) -> Image:
    """Convert CIE RGB back to RGB; use it after rgb2rgbcie.

    References
    ----------
    skimage.color.rgbcie2rgb
    """
    return converted(color.rgbcie2rgb, image)


@operation("Luv to RGB", "Colour", IN_GROUPS, channels="rgb", floats=True, arrays=8, cost=2)
def luv2rgb(image: Image) -> Image:
    """Convert CIE Luv back to RGB; use it after rgb2luv.

    References
    ----------
    skimage.color.luv2rgb
    """
    return converted(color.luv2rgb, image)


@operation(
    "Lab to LCh", "Colour", Pointwise(), channels="rgb", floats=True, shows=(0.0, 128.0), arrays=6
)
def lab2lch(image: Image) -> Image:
    """Convert CIE Lab to LCh: lightness, chroma, and hue as an angle from 0 to 2π; after rgb2lab.

    References
    ----------
    skimage.color.lab2lch
    """
    return converted(color.lab2lch, image)


@operation(
    "LCh to Lab",
    "Colour",
    Pointwise(),
    channels="rgb",
    floats=True,
    shows=(-128.0, 128.0),
    arrays=6,
)
def lch2lab(image: Image) -> Image:
    """Convert CIE LCh back to Lab; use it after lab2lch.

    References
    ----------
    skimage.color.lch2lab
    """
    return converted(color.lch2lab, image)
