"""Colour: gray, RGB and RGBA, other colour spaces, stains, and colours for labels.

scikit-image multiplies pixels by matrices, and the last bit of such a product depends on the
pixel's position in its row. This module adds the products one by one instead, so that the result
has the same bits however the image is cut into tiles.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import color, util
from skimage.color import colorconv, colorlabel

from cluster_worker.kernels import colours, copies
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Measure,
    Number,
    Pointwise,
    Statistical,
    operation,
)
from cluster_worker.pixels.depths import to_depth

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


# Stains of microscope slides: the amount of each stain at a pixel.

Stain = Literal["all", "first", "second", "third"]
# The names of scikit-image's matrices.
Stains = Annotated[
    Literal["hed", "hdx", "fgx", "bex", "rbd", "gdx", "hax", "bro", "bpx", "ahx", "hpx"],
    "The stains of the slide: hed is hematoxylin, eosin and DAB; hdx hematoxylin and DAB; fgx "
    "Feulgen and light green; bex methyl blue and eosin (Giemsa); rbd fast red, fast blue and DAB; "
    "gdx methyl green and DAB; hax hematoxylin and AEC; bro aniline blue, azocarmine and orange G; "
    "bpx methyl blue and Ponceau fuchsin; ahx alcian blue and hematoxylin; hpx hematoxylin and "
    "PAS.",
]
# Darker colours count as this one, as in scikit-image: 0 has no logarithm.
LEAST = 1e-6


def darkness_of(image: Image) -> Image:
    """Return the darkness of each colour: from 0 for white to 1 for `LEAST` and less."""
    darkness: Image = np.log(np.maximum(as_float(image), LEAST)) / np.log(LEAST)
    return darkness


def amounts(image: Image, matrix: NDArray[Any]) -> Image:
    """Compute the amounts of three stains from the logarithms of each pixel's colours."""
    stains = mixed(darkness_of(image), matrix.T)
    np.maximum(stains, 0, out=stains)
    return stains


def colours_of(stains: Image, matrix: NDArray[Any]) -> Image:
    """Compute the RGB colours that the amounts of three stains produce."""
    rgb: Image = np.exp(mixed(stains * np.log(LEAST), matrix.T))
    np.clip(rgb, 0, 1, out=rgb)
    return rgb


@lru_cache(maxsize=2)
def darkness_table(dtype: str) -> Image:
    """Return the darkness of every level of an integer type, as float32."""
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    return darkness_of(to_depth(levels, "float32"))


def amounts_by_table(
    image: Image,
    conv_matrix: Stains = "hed",
    stain: Stain = "all",
    *,
    dtype: str,
    out: Image | None,
) -> Image:
    """Compute `separate_stains` with a table of the darkness of each level."""
    weights = getattr(color, f"{conv_matrix}_from_rgb").T
    return colours.weighed(
        image,
        table=darkness_table(str(image.dtype)),
        weights=weights if stain == "all" else weights[stain_index(stain)],
        dtype=dtype,
        out=out,
    )


def combine_by_table(
    image: Image, conv_matrix: Stains, stain: Stain, *, dtype: str, out: Image | None
) -> Image:
    """Compute `combine_stains` with a table of the darkness of each level."""
    stains = slice(None) if stain == "all" else [stain_index(stain)]
    return colours.stained(
        image,
        table=darkness_table(str(image.dtype)),
        amounts=getattr(color, f"{conv_matrix}_from_rgb").T[stains],
        colours=getattr(color, f"rgb_from_{conv_matrix}").T[:, stains] * np.log(LEAST),
        dtype=dtype,
        out=out,
    )


# Kernels for images of integers.
AMOUNTS = Kernel(amounts_by_table, takes=("uint8", "uint16"), arrays=0, cost=0.5, tolerance=1e-6)
COLOURS = Kernel(combine_by_table, takes=("uint8", "uint16"), arrays=0, cost=0.4, tolerance=1e-6)


def stain_operation(
    title: str, shows: Literal["extent"] | None, *kernels: Kernel
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an operation on stains, which computes in double precision as scikit-image does."""
    return operation(
        title,
        "Colour",
        Pointwise(),
        channels="rgb",
        floats=True,
        shows=shows,
        arrays=10,
        cost=3.0,
        tolerance=1e-6,
        kernels=kernels,
    )


@stain_operation("Stains (hematoxylin, eosin, DAB)", "extent", AMOUNTS)
def rgb2hed(image: Image) -> Image:
    """Compute the amounts of hematoxylin, eosin and DAB in the colours of a stained slide.

    References
    ----------
    skimage.color.rgb2hed
    """
    return amounts(image, color.hed_from_rgb)


@stain_operation("Stains to RGB", None)
def hed2rgb(image: Image) -> Image:
    """Convert amounts of hematoxylin, eosin and DAB back to RGB; use it after rgb2hed.

    References
    ----------
    skimage.color.hed2rgb
    """
    return colours_of(as_float(image), color.rgb_from_hed)


@stain_operation("Amount of one stain", "extent", AMOUNTS)
def separate_stains(image: Image, conv_matrix: Stains = "hed", stain: Stain = "first") -> Image:
    """Compute the amount of one stain by colour deconvolution; pixels with much of it are bright.

    Parameters
    ----------
    stain : str
        Which stain of `conv_matrix`, in its order; "all" gives an image of three channels.

    References
    ----------
    skimage.color.separate_stains
    """
    found = amounts(image, getattr(color, f"{conv_matrix}_from_rgb"))
    return found if stain == "all" else found[..., stain_index(stain)]


@stain_operation("One stain in its colour", None, COLOURS)
def combine_stains(image: Image, conv_matrix: Stains = "hed", stain: Stain = "first") -> Image:
    """Show one stain of a slide in its own colour, without the other stains.

    Parameters
    ----------
    stain : str
        Which stain of `conv_matrix`, in its order; "all" leaves the image nearly unchanged.

    References
    ----------
    skimage.color.combine_stains, after skimage.color.separate_stains
    """
    found = amounts(image, getattr(color, f"{conv_matrix}_from_rgb"))
    if stain != "all":
        others = [i for i in range(3) if i != stain_index(stain)]
        found[..., others] = 0
    return colours_of(found, getattr(color, f"rgb_from_{conv_matrix}"))


def stain_index(stain: Stain) -> int:
    """Return the channel of a stain, from 0."""
    return ("first", "second", "third").index(stain)


@operation(
    "Colours for labels",
    "Colour",
    Statistical((Measure(np.unique, np.union1d),)),
    channels="any",
    takes="labels",
    arrays=8,
    cost=2.0,
)
def label2rgb(
    image: Image,
    bg_label: Annotated[int, Number(0, 65535, slider=(0, 255), step=1)] = 0,
    *,
    statistics: tuple[NDArray[Any]],
) -> Image:
    """Colour each region of a label image with one of ten colours; the background is black.

    Parameters
    ----------
    bg_label : int
        Label of the background.

    Notes
    -----
    The colours are assigned in the order of the labels that the whole image holds.

    References
    ----------
    skimage.color.label2rgb
    """
    if image.ndim == 3:
        raise ValueError("takes labels or a mask, got colours; put a threshold before it")
    (present,) = statistics
    regions = present[present != bg_label]
    number = np.searchsorted(regions, image) % len(LABEL_COLOURS)
    result: Image = LABEL_COLOURS[number]
    result[image == bg_label] = 0
    return result


LABEL_COLOURS = np.array([color.color_dict[name] for name in colorlabel.DEFAULT_COLORS])
