"""Colour: gray, RGB and RGBA, and other colour spaces.

scikit-image multiplies pixels by matrices, and the last bit of such a product depends on the
pixel's position in its row. This module adds the products one by one instead, so that the result
has the same bits however the image is cut into tiles.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import color, util
from skimage.color import colorconv

from cluster_worker.kernels import colours, copies
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Pointwise,
    operation,
)

# Weights of ITU-R BT.709 for linear RGB, as in skimage.color.rgb2gray.
LUMINANCE = (0.2125, 0.7154, 0.0721)


@operation(
    "Grayscale",
    "Colour",
    Pointwise(),
    channels="any",
    floats=True,
    tolerance=1e-6,
    kernels=(Kernel(partial(colours.gray, weights=LUMINANCE), arrays=0, cost=0.03),),
)
def rgb2gray(image: Image) -> Image:
    """Convert colours to gray by their luminance; a gray image is unchanged.

    Y = 0.2125 R + 0.7154 G + 0.0721 B.

    References
    ----------
    skimage.color.rgb2gray
    """
    if image.ndim == 2:
        return image
    image = as_float(image)
    red, green, blue = (np.asarray(weight, image.dtype) for weight in LUMINANCE)
    gray: Image = image[..., 0] * red
    gray += image[..., 1] * green
    gray += image[..., 2] * blue
    return gray


@operation("Convert to RGB", "Colour", Pointwise(), channels="any")
def gray2rgb(
    image: Image,
    background: Literal["white", "black"] = "white",
    *,
    alpha: Image | None = None,
    out: Image | None = None,
) -> Image:
    """Convert a gray, palette or transparent image to RGB.

    Transparent pixels are blended with the background colour.

    Parameters
    ----------
    background : str
        Colour that shows through where the image is transparent.

    References
    ----------
    skimage.color.gray2rgb, skimage.color.rgba2rgb
    """
    if alpha is None and out is not None:
        return copies.copy_colours(image, out)
    rgb: Image = color.gray2rgb(image) if image.ndim == 2 else image
    if alpha is None:
        return rgb
    behind = (1, 1, 1) if background == "white" else (0, 0, 0)
    # Each is scaled by its own type: a mask may be bool already while its alpha is still uint8.
    opacity = as_float_like(alpha, rgb)
    result: Image = color.rgba2rgb(np.dstack([as_float_like(rgb, rgb), opacity]), behind)
    return result


def as_float(image: Image) -> Image:
    """Convert integers and masks to float64 from 0 to 1, as scikit-image does; keep floats."""
    if image.dtype.kind == "f":
        return image
    result: Image = util.img_as_float64(image)
    return result


def as_float_like(plane: Image, image: Image) -> Image:
    """Convert to floats from 0 to 1: float64 if `image` is float64, else float32."""
    convert = util.img_as_float64 if image.dtype == np.float64 else util.img_as_float32
    result: Image = convert(plane)
    return result


def white_of(image: Image) -> float:
    """Return the value of white for an image's type: 1 for masks and floats."""
    return float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0


def mixed(image: Image, matrix: NDArray[Any]) -> Image:
    """Multiply the colours of each pixel by a 3 × 3 matrix."""
    # Separate colour planes are several times faster than interleaved ones.
    first, second, third = np.ascontiguousarray(np.moveaxis(image, 2, 0))
    result = np.empty_like(image)
    for i, (a, b, c) in enumerate(matrix.astype(image.dtype)):
        plane = first * a
        plane += second * b
        plane += third * c
        result[..., i] = plane
    return result


def from_rgb(
    title: str,
    shows: tuple[float, float] | None = None,
    cost: float = 0.8,
    matrix: NDArray[Any] | None = None,
    offset: tuple[float, float, float] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a colour conversion whose last bits may differ from scikit-image's.

    Pass `matrix`, and `offset` if there is one, for a conversion that does nothing else: it then
    has a kernel.
    """
    kernels: tuple[Kernel, ...] = ()
    if matrix is not None:
        function = partial(colours.mixed, matrix=matrix, offset=offset)
        kernels = (Kernel(function, arrays=2, cost=0.1),)
    return operation(
        title,
        "Colour",
        Pointwise(),
        channels="rgb",
        floats=True,
        shows=shows,
        arrays=4,
        cost=cost,
        tolerance=1e-6,
        kernels=kernels,
    )


@operation("RGB to HSV", "Colour", Pointwise(), channels="rgb", floats=True, arrays=4, cost=11.0)
def rgb2hsv(image: Image) -> Image:
    """Convert RGB to HSV: hue, saturation and value, each from 0 to 1.

    Notes
    -----
    Where a colour is NaN, scikit-image leaves the hue uninitialised; here it is 0.

    References
    ----------
    skimage.color.rgb2hsv
    """
    result = to_hsv(image)
    if image.dtype.kind == "f":
        result[np.isnan(image).any(axis=2), 0] = 0
    return result


def to_hsv(image: Image) -> Image:
    """Convert RGB to HSV without a warning of a division by 0.

    The conversion divides by the largest colour of a pixel, which may be 0 if others are negative.
    """
    with np.errstate(divide="ignore"):
        result: Image = color.rgb2hsv(image)
    return result


@operation("HSV to RGB", "Colour", Pointwise(), channels="rgb", floats=True, arrays=14, cost=6.5)
def hsv2rgb(image: Image) -> Image:
    """Convert HSV (hue, saturation and value) back to RGB; use it after rgb2hsv.

    References
    ----------
    skimage.color.hsv2rgb
    """
    result: Image = color.hsv2rgb(image)
    return result


Illuminant = Annotated[
    Literal["A", "B", "C", "D50", "D55", "D65", "D75", "E"],
    "The light in which white is white; D65 is daylight.",
]
Observer = Annotated[
    Literal["2", "10", "R"],
    "Width of the field of view, in degrees; R is as the language R has it.",
]


@from_rgb("RGB to XYZ", (0.0, 1.09), cost=2.0)
def rgb2xyz(image: Image) -> Image:
    """Convert RGB to CIE 1931 XYZ, the standard space of perceived colours, in linear light.

    References
    ----------
    skimage.color.rgb2xyz
    """
    linear = as_float(image).copy()
    mask = linear > 0.04045
    linear[mask] = np.power((linear[mask] + 0.055) / 1.055, 2.4)
    linear[~mask] /= 12.92
    return mixed(linear, colorconv.xyz_from_rgb)


@from_rgb("XYZ to RGB", cost=2.0)
def xyz2rgb(image: Image) -> Image:
    """Convert CIE 1931 XYZ back to RGB; use it after rgb2xyz.

    References
    ----------
    skimage.color.xyz2rgb
    """
    rgb = mixed(as_float(image), colorconv.rgb_from_xyz)
    mask = rgb > 0.0031308
    rgb[mask] = 1.055 * np.power(rgb[mask], 1 / 2.4) - 0.055
    rgb[~mask] *= 12.92
    np.clip(rgb, 0, 1, out=rgb)
    return rgb


@from_rgb("RGB to Lab", (-128.0, 128.0), cost=3.0)
def rgb2lab(image: Image, illuminant: Illuminant = "D65", observer: Observer = "2") -> Image:
    """Convert RGB to CIE Lab: lightness (0 to 100), green to red, and blue to yellow.

    Equal distances in Lab look about equally different.

    References
    ----------
    skimage.color.rgb2lab
    """
    result: Image = color.xyz2lab(rgb2xyz(image), illuminant, observer)
    return result


@from_rgb("Lab to RGB", cost=2.5)
def lab2rgb(image: Image, illuminant: Illuminant = "D65", observer: Observer = "2") -> Image:
    """Convert CIE Lab back to RGB; use it after rgb2lab.

    References
    ----------
    skimage.color.lab2rgb
    """
    with warnings.catch_warnings():
        # scikit-image warns of colours with a negative Z, which it sets to 0.
        warnings.simplefilter("ignore", UserWarning)
        xyz = color.lab2xyz(image, illuminant, observer)
    result: Image = xyz2rgb(xyz)
    return result


@from_rgb("RGB to Luv", (-176.0, 176.0), cost=3.0)
def rgb2luv(image: Image) -> Image:
    """Convert RGB to CIE Luv: lightness (0 to 100), and the colour coordinates u and v.

    References
    ----------
    skimage.color.rgb2luv
    """
    result: Image = color.xyz2luv(rgb2xyz(image))
    return result


@from_rgb("RGB to YUV", (-1.0, 1.0), matrix=colorconv.yuv_from_rgb)
def rgb2yuv(image: Image) -> Image:
    """Convert RGB to YUV: brightness and two colour differences, as in analogue television.

    References
    ----------
    skimage.color.rgb2yuv
    """
    return mixed(as_float(image), colorconv.yuv_from_rgb)


@from_rgb("YUV to RGB", matrix=colorconv.rgb_from_yuv)
def yuv2rgb(image: Image) -> Image:
    """Convert YUV back to RGB; use it after rgb2yuv.

    References
    ----------
    skimage.color.yuv2rgb
    """
    return mixed(as_float(image), colorconv.rgb_from_yuv)


@from_rgb("RGB to YIQ", (-1.0, 1.0), matrix=colorconv.yiq_from_rgb)
def rgb2yiq(image: Image) -> Image:
    """Convert RGB to YIQ: brightness, orange to blue, purple to green, as in NTSC television.

    References
    ----------
    skimage.color.rgb2yiq
    """
    return mixed(as_float(image), colorconv.yiq_from_rgb)


@from_rgb("RGB to YPbPr", (-1.0, 1.0), matrix=colorconv.ypbpr_from_rgb)
def rgb2ypbpr(image: Image) -> Image:
    """Convert RGB to YPbPr: brightness and two colour differences, as in analogue video.

    References
    ----------
    skimage.color.rgb2ypbpr
    """
    return mixed(as_float(image), colorconv.ypbpr_from_rgb)


@from_rgb(
    "RGB to YCbCr",
    (0.0, 255.0),
    matrix=colorconv.ycbcr_from_rgb,
    offset=(16.0, 128.0, 128.0),
)
def rgb2ycbcr(image: Image) -> Image:
    """Convert RGB to YCbCr: brightness and two colour differences, as in digital video.

    Brightness ranges from 16 to 235, the differences from 16 to 240; gray has differences of 128.

    References
    ----------
    skimage.color.rgb2ycbcr
    """
    result = mixed(as_float(image), colorconv.ycbcr_from_rgb)
    result += np.array([16, 128, 128], result.dtype)
    return result


@from_rgb("RGB to YDbDr", (-1.333, 1.333), matrix=colorconv.ydbdr_from_rgb)
def rgb2ydbdr(image: Image) -> Image:
    """Convert RGB to YDbDr: brightness and two colour differences, as in SECAM television.

    References
    ----------
    skimage.color.rgb2ydbdr
    """
    return mixed(as_float(image), colorconv.ydbdr_from_rgb)


@from_rgb("RGB to RGB CIE", matrix=colorconv.rgbcie_from_rgb)
def rgb2rgbcie(image: Image) -> Image:
    """Convert RGB to CIE RGB, whose primaries are three monochromatic lights.

    References
    ----------
    skimage.color.rgb2rgbcie
    """
    return mixed(as_float(image), colorconv.rgbcie_from_rgb)
