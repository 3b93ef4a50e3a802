"""Colour: gray, RGB and RGBA, and other colour spaces.

scikit-image multiplies pixels by matrices, and the last bit of such a product depends on the
pixel's place in its row. The functions here are scikit-image's own, called on whole groups of
columns (`IN_GROUPS`), so that they give its bits for any tiling. The kernels add the products one
by one: their bits do not depend on the place.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import colours, copies
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Pointwise,
    operation,
)

color = lazily("skimage.color")
util = lazily("skimage.util")
colorconv = lazily("skimage.color.colorconv")

# Weights of ITU-R BT.709 for linear RGB, as in skimage.color.rgb2gray.
LUMINANCE = (0.2125, 0.7154, 0.0721)
# Libraries of linear algebra multiply by up to 16 columns at once, and round those that are left
# over at the end of a row otherwise.
IN_GROUPS = Pointwise(grid=16)
# Columns that are turned to gray at once.
COLUMNS = 1 << 14


@operation(
    "Grayscale",
    "Colour",
    IN_GROUPS,
    channels="any",
    floats=True,
    kernels=(
        Kernel(partial(colours.gray, weights=LUMINANCE), arrays=0, cost=0.03, tolerance=1e-6),
    ),
    differs="rows of more than 30 000 pixels of float32 are summed in the order of shorter rows",
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
    if image.shape[2] != 3:
        raise ValueError(channels_refusal(image.shape[2]))
    # In rows of more than 30 000 pixels of float32 the library sums in another order.
    parts = [image[:, left : left + COLUMNS] for left in range(0, image.shape[1], COLUMNS)]
    gray = [color.rgb2gray(np.ascontiguousarray(part)) for part in parts]
    return gray[0] if len(gray) == 1 else np.concatenate(gray, axis=1)


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


def channels_refusal(channels: int) -> str:
    """Return the sentence for an image that is neither gray nor RGB, without alpha."""
    return (
        f"takes gray or RGB images, got {channels} channels without alpha (with depth native no "
        "channel is alpha); choose one or three by channels, as 1..3, or use depth input"
    )


def as_float(image: Image) -> Image:
    """Convert integers and masks to float64 from 0 to 1, as scikit-image does; keep floats."""
    if image.dtype.kind == "f":
        return image
    result: Image = util.img_as_float64(image)
    return result


def as_float_like(plane: Image, image: Image) -> Image:
    """Convert to floats from 0 to 1: float32 if `image` is float32, else float64."""
    convert = util.img_as_float32 if image.dtype == np.float32 else util.img_as_float64
    result: Image = convert(plane)
    return result


def white_of(image: Image) -> float:
    """Return the value of white for an image's type: 1 for masks and floats."""
    return float(np.iinfo(image.dtype).max) if image.dtype.kind in "iu" else 1.0


def from_rgb(
    title: str,
    kernel: Callable[..., Image],
    shows: tuple[float, float] | None = None,
    cost: float = 0.1,
    takes: tuple[str, ...] = ("uint8", "uint16", "float32"),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a colour conversion by a matrix, with its kernel.

    Parameters
    ----------
    title, shows
        As in `operation`.
    kernel : callable
        From kernels.colours.
    cost, takes
        Of the kernel, as in `Kernel`.
    """
    return operation(
        title,
        "Colour",
        IN_GROUPS,
        channels="rgb",
        floats=True,
        shows=shows,
        arrays=4,
        cost=max(cost, 0.8),
        kernels=(Kernel(kernel, takes=takes, arrays=4, cost=cost, tolerance=1e-6),),
    )


def by_matrix(
    matrix: str, offset: tuple[float, float, float] | None = None
) -> Callable[..., Image]:
    """Return the kernel that multiplies the colours by a matrix of scikit-image, named as there."""
    return partial(colours.mixed, matrix=matrix, offset=offset)


def converted(function: Callable[..., Image], image: Image, *parameters: Any) -> Image:
    """Call a conversion of scikit-image on a contiguous copy of a block.

    It warns of colours with a negative Z, which it sets to 0.
    """
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return function(np.ascontiguousarray(image), *parameters)


@operation(
    "RGB to HSV",
    "Colour",
    Pointwise(),
    channels="rgb",
    floats=True,
    arrays=4,
    cost=11.0,
    differs="where a colour is NaN the hue is 0; scikit-image leaves it uninitialised",
)
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


@from_rgb("RGB to XYZ", colours.rgb_to_xyz, (0.0, 1.09), cost=2.0, takes=("float32",))
def rgb2xyz(image: Image) -> Image:
    """Convert RGB to CIE 1931 XYZ, the standard space of perceived colours, in linear light.

    References
    ----------
    skimage.color.rgb2xyz
    """
    return converted(color.rgb2xyz, image)


@from_rgb("XYZ to RGB", colours.xyz_to_rgb, cost=2.0, takes=("float32",))
def xyz2rgb(image: Image) -> Image:
    """Convert CIE 1931 XYZ back to RGB; use it after rgb2xyz.

    References
    ----------
    skimage.color.xyz2rgb
    """
    return converted(color.xyz2rgb, image)


@from_rgb("RGB to Lab", colours.rgb_to_lab, (-128.0, 128.0), cost=3.0, takes=("float32",))
def rgb2lab(image: Image, illuminant: Illuminant = "D65", observer: Observer = "2") -> Image:
    """Convert RGB to CIE Lab: lightness (0 to 100), green to red, and blue to yellow.

    Equal distances in Lab look about equally different.

    References
    ----------
    skimage.color.rgb2lab
    """
    return converted(color.rgb2lab, image, illuminant, observer)


@from_rgb("Lab to RGB", colours.lab_to_rgb, cost=2.5, takes=("float32",))
def lab2rgb(image: Image, illuminant: Illuminant = "D65", observer: Observer = "2") -> Image:
    """Convert CIE Lab back to RGB; use it after rgb2lab.

    References
    ----------
    skimage.color.lab2rgb
    """
    return converted(color.lab2rgb, image, illuminant, observer)


@from_rgb("RGB to Luv", colours.rgb_to_luv, (-176.0, 176.0), cost=3.0, takes=("float32",))
def rgb2luv(image: Image) -> Image:
    """Convert RGB to CIE Luv: lightness (0 to 100), and the colour coordinates u and v.

    References
    ----------
    skimage.color.rgb2luv
    """
    return converted(color.rgb2luv, image)


@from_rgb("RGB to YUV", by_matrix("yuv_from_rgb"), (-1.0, 1.0))
def rgb2yuv(image: Image) -> Image:
    """Convert RGB to YUV: brightness and two colour differences, as in analogue television.

    References
    ----------
    skimage.color.rgb2yuv
    """
    return converted(color.rgb2yuv, image)


@from_rgb("YUV to RGB", by_matrix("rgb_from_yuv"))
def yuv2rgb(image: Image) -> Image:
    """Convert YUV back to RGB; use it after rgb2yuv.

    References
    ----------
    skimage.color.yuv2rgb
    """
    return converted(color.yuv2rgb, image)


@from_rgb("RGB to YIQ", by_matrix("yiq_from_rgb"), (-1.0, 1.0))
def rgb2yiq(image: Image) -> Image:
    """Convert RGB to YIQ: brightness, orange to blue, purple to green, as in NTSC television.

    References
    ----------
    skimage.color.rgb2yiq
    """
    return converted(color.rgb2yiq, image)


@from_rgb("RGB to YPbPr", by_matrix("ypbpr_from_rgb"), (-1.0, 1.0))
def rgb2ypbpr(image: Image) -> Image:
    """Convert RGB to YPbPr: brightness and two colour differences, as in analogue video.

    References
    ----------
    skimage.color.rgb2ypbpr
    """
    return converted(color.rgb2ypbpr, image)


@from_rgb(
    "RGB to YCbCr",
    by_matrix("ycbcr_from_rgb", (16.0, 128.0, 128.0)),
    (0.0, 255.0),
)
def rgb2ycbcr(image: Image) -> Image:
    """Convert RGB to YCbCr: brightness and two colour differences, as in digital video.

    Brightness ranges from 16 to 235, the differences from 16 to 240; gray has differences of 128.

    References
    ----------
    skimage.color.rgb2ycbcr
    """
    return converted(color.rgb2ycbcr, image)


@from_rgb("RGB to YDbDr", by_matrix("ydbdr_from_rgb"), (-1.333, 1.333))
def rgb2ydbdr(image: Image) -> Image:
    """Convert RGB to YDbDr: brightness and two colour differences, as in SECAM television.

    References
    ----------
    skimage.color.rgb2ydbdr
    """
    return converted(color.rgb2ydbdr, image)


@from_rgb("RGB to RGB CIE", by_matrix("rgbcie_from_rgb"))
def rgb2rgbcie(image: Image) -> Image:
    """Convert RGB to CIE RGB, whose primaries are three monochromatic lights.

    References
    ----------
    skimage.color.rgb2rgbcie
    """
    return converted(color.rgb2rgbcie, image)
