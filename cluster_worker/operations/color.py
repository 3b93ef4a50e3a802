"""Colour: between gray, RGB and RGBA."""

from typing import Literal

import numpy as np
from skimage import color, util

from cluster_worker.operations.declare import Image, Pointwise, operation

# Weights of ITU-R BT.709 for linear RGB, as in skimage.color.rgb2gray.
LUMINANCE = (0.2125, 0.7154, 0.0721)


@operation("Grayscale", "Colour", Pointwise(), channels="any", floats=True, tolerance=1e-6)
def rgb2gray(image: Image) -> Image:
    """Turn colours into their luminance; a gray image stays as it is.

    Y = 0.2125 R + 0.7154 G + 0.0721 B.

    Notes
    -----
    scikit-image multiplies matrices, whose last bit depends on a pixel's place in its row. Plain
    sums give the same bits wherever a tile is cut.

    References
    ----------
    skimage.color.rgb2gray
    """
    if image.ndim == 2:
        return image
    if image.dtype.kind != "f":
        image = util.img_as_float64(image)
    red, green, blue = (np.asarray(weight, image.dtype) for weight in LUMINANCE)
    gray: Image = image[..., 0] * red
    gray += image[..., 1] * green
    gray += image[..., 2] * blue
    return gray


@operation("Convert to RGB", "Colour", Pointwise(), channels="any")
def gray2rgb(
    image: Image, background: Literal["white", "black"] = "white", *, alpha: Image | None = None
) -> Image:
    """Make an image of three colours, from gray, palette or transparent ones.

    Transparent pixels are laid over the background.

    Parameters
    ----------
    background : str
        Colour that shows through where the image is transparent.

    References
    ----------
    skimage.color.gray2rgb, skimage.color.rgba2rgb
    """
    rgb: Image = color.gray2rgb(image) if image.ndim == 2 else image
    if alpha is None:
        return rgb
    behind = (1, 1, 1) if background == "white" else (0, 0, 0)
    # Each to its own range: a mask may have become bool while its alpha is still uint8.
    opacity = as_float_like(alpha, rgb)
    result: Image = color.rgba2rgb(np.dstack([as_float_like(rgb, rgb), opacity]), behind)
    return result


def as_float_like(plane: Image, image: Image) -> Image:
    """Convert to floating point of range 0 to 1, double only if `image` is double."""
    convert = util.img_as_float64 if image.dtype == np.float64 else util.img_as_float32
    result: Image = convert(plane)
    return result


def white_of(image: Image) -> float:
    """Give the value of white in an image of this type."""
    return float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0
