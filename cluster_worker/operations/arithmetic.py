"""Arithmetic of two images, pixel by pixel.

Natively these are the functions of numpy and scikit-image, in the numbers of the images. With depth
"input" black is 0 and white is 1. Results beyond that are kept for the next steps, and become black
or white only when the last image is written in whole numbers.
"""

from typing import Annotated, Literal

import numpy as np

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Input,
    Measure,
    Number,
    Pointwise,
    Statistical,
    operation,
)
from cluster_worker.operations.support.statistics import exact_sum, numbers, rounded_sum

util = lazily("skimage.util")

GROUP = "Two images"
Picture = Annotated[Image, Input("picture")]


def beside(image: Image, other: Image) -> Image:
    """Return a second image with a channel axis, if it is gray and the image has colours."""
    return other[..., np.newaxis] if other.ndim < image.ndim else other


@operation("Add", GROUP, Pointwise(), channels="any", floats=True, arrays=3, cost=0.2)
def add(image: Image, *, other: Picture) -> Image:
    """Add another image.

    Parameters
    ----------
    other : ndarray
        What is added.

    References
    ----------
    numpy.add
    """
    result: Image = np.add(image, beside(image, other))
    return result


@operation("Subtract", GROUP, Pointwise(), channels="any", floats=True, arrays=3, cost=0.2)
def subtract(image: Image, *, other: Picture) -> Image:
    """Subtract another image, such as a background; what is darker than that becomes black.

    Parameters
    ----------
    other : ndarray
        What is subtracted.

    References
    ----------
    numpy.subtract
    """
    other = beside(image, other)
    if image.dtype == other.dtype == np.bool_:
        raise ValueError("takes numbers, got two masks; use compare_images for what differs")
    result: Image = np.subtract(image, other)
    return result


@operation("Multiply", GROUP, Pointwise(), channels="any", floats=True, arrays=3, cost=0.2)
def multiply(image: Image, *, other: Picture) -> Image:
    """Multiply by another image: where that is white nothing changes, where it is black all is.

    Parameters
    ----------
    other : ndarray
        The factors. A mask keeps what it covers and blackens the rest.

    References
    ----------
    numpy.multiply
    """
    result: Image = np.multiply(image, beside(image, other))
    return result


@operation(
    "Divide",
    GROUP,
    Pointwise(),
    channels="any",
    floats=True,
    arrays=4,
    cost=0.3,
    differs="the result is 0 where the divisor is 0; numpy's is infinite or NaN",
)
def divide(image: Image, *, other: Picture) -> Image:
    """Divide by another image; the result is 0 where that is 0.

    Parameters
    ----------
    other : ndarray
        The divisors.

    References
    ----------
    numpy.divide
    """
    return quotient(image, beside(image, other))


def quotient(image: Image, divisor: Image) -> Image:
    """Divide; the result is 0 where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = np.divide(image, divisor)
    return np.where(divisor == 0, result.dtype.type(0), result)


@operation("Darker of two", GROUP, Pointwise(), channels="any", arrays=3, cost=0.2)
def minimum(image: Image, *, other: Picture) -> Image:
    """Take the darker one of two images at each pixel.

    Parameters
    ----------
    other : ndarray
        The other image.

    References
    ----------
    numpy.minimum
    """
    result: Image = np.minimum(image, beside(image, other))
    return result


@operation("Brighter of two", GROUP, Pointwise(), channels="any", arrays=3, cost=0.2)
def maximum(image: Image, *, other: Picture) -> Image:
    """Take the brighter one of two images at each pixel.

    Parameters
    ----------
    other : ndarray
        The other image.

    References
    ----------
    numpy.maximum
    """
    result: Image = np.maximum(image, beside(image, other))
    return result


@operation("Blend", GROUP, Pointwise(), channels="any", floats=True, arrays=4, cost=0.3)
def blend(
    image: Image,
    share: Annotated[float, Number(0, 1, slider=(0, 1), step=0.05)] = 0.5,
    *,
    other: Picture,
) -> Image:
    """Blend two images.

    Parameters
    ----------
    share : float
        Share of the other image: 0 leaves the image as it is, 1 gives the other one.
    other : ndarray
        The other image.

    Notes
    -----
    With a share of 0.5 it is the method "blend" of `skimage.util.compare_images`.

    References
    ----------
    skimage.util.compare_images
    """
    image, other = in_floats(image), in_floats(other)
    result: Image = image * (1 - share) + beside(image, other) * share
    return result


def in_floats(image: Image) -> Image:
    """Return an image as floats in which white is 1; floats stay as they are."""
    floats: Image = image if image.dtype.kind == "f" else util.img_as_float(image)
    return floats


@operation("Compare", GROUP, Pointwise(), channels="any", floats=True, arrays=4, cost=0.3)
def compare_images(
    image: Image, method: Literal["diff", "blend"] = "diff", *, other: Picture
) -> Image:
    """Show where two images differ: black where they are equal.

    Parameters
    ----------
    method : str
        The size of the difference ("diff"), or the mean of both ("blend").
    other : ndarray
        The image to compare with.

    References
    ----------
    skimage.util.compare_images
    """
    image, other = in_floats(image), in_floats(other)
    other = beside(image, other)
    result: Image = np.abs(other - image) if method == "diff" else 0.5 * (other + image)
    return result


@operation("Choose by a mask", GROUP, Pointwise(), channels="any", arrays=3, cost=0.2)
def where(image: Image, *, mask: Annotated[Image, Input("mask")], other: Picture) -> Image:
    """Take the image inside of a mask, and another image outside of it.

    Parameters
    ----------
    mask : ndarray
        Where the image is taken.
    other : ndarray
        What is taken elsewhere.

    References
    ----------
    numpy.where
    """
    result: Image = np.where(beside(image, mask), image, beside(image, other))
    return result


# For each channel, the exact sum of the light and the number of its pixels.
Lit = tuple[tuple[int, int], ...]


def unscaled(image: Image) -> Image:
    """Return the numbers of an image as floats."""
    floats: Image = image if image.dtype.kind == "f" else image.astype(np.float64)
    return floats


def less_dark(image: Image, dark: Image | None) -> Image:
    """Return the numbers of an image less those of the dark one, as floats."""
    floats = unscaled(image)
    return floats if dark is None else floats - beside(floats, unscaled(dark))


def lit(_: Image, *, flat: Image, dark: Image | None = None) -> Lit:
    """Sum the light of a block of the flat image; pixels without data are left out."""
    light = less_dark(flat, dark).astype(np.float64)
    channels = np.moveaxis(light, -1, 0) if light.ndim == 3 else light[np.newaxis]
    there = [numbers(each).ravel() for each in channels]
    return tuple((exact_sum(each), each.size) for each in there)


def join_lit(a: Lit, b: Lit) -> Lit:
    """Join the light of two sets of tiles."""
    return tuple((x[0] + y[0], x[1] + y[1]) for x, y in zip(a, b, strict=True))


@operation(
    "Flat-field correction",
    GROUP,
    Statistical((Measure(lit, join_lit),)),
    channels="any",
    floats=True,
    arrays=8,
    cost=1.0,
)
def flat_field(
    image: Image,
    *,
    flat: Picture,
    dark: Annotated[Image | None, Input("picture")] = None,
    statistics: tuple[Lit],
) -> Image:
    """Correct uneven light: divide by the image of an even, empty field, and keep the brightness.

    The result is (image - dark) / (flat - dark) · mean(flat - dark), with a mean for each channel.
    It is 0 where flat and dark are equal.

    Parameters
    ----------
    flat : ndarray
        The image of the empty field, with the same light and exposure.
    dark : ndarray, optional
        An image without light, which is subtracted from both.

    References
    ----------
    numpy.divide
    """
    means = [rounded_sum(total) / count if count else 0.0 for total, count in statistics[0]]
    light = beside(image, less_dark(flat, dark))
    scale = np.array(means, light.dtype)
    result: Image = quotient(less_dark(image, dark), light) * (
        scale if len(means) > 1 else scale[0]
    )
    return result
