"""Filters: blur, sharpen, smooth."""

import math
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters, util

from cluster_worker.kernels import correlation, medians, separable, waves
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    Place,
    Statistical,
    Whole,
    channel_axis,
    each_channel,
    either,
    operation,
)
from cluster_worker.operations.support.borders import Border, FloatFill
from cluster_worker.operations.support.footprints import (
    Footprint,
    HalfWidth,
    Radius,
    footprint_of,
    footprint_reach,
    footprint_table,
    square_table,
)
from cluster_worker.operations.support.statistics import some_negative

Sigma = Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 20), step=0.1)]
Truncate = Annotated[
    float,
    Number(0.5, 10, slider=(1, 6), step=0.5),
    "Where the kernel is cut off, in standard deviations.",
]


# Largest half width, in pixels, for which sums of 32-bit floats keep the stated tolerance.
SUM_REACH_MAX = 160


def reach(sigma: float, truncate: float = 4.0) -> int:
    """Return a Gaussian's half width, cut off at `truncate` standard deviations as in scipy."""
    return int(truncate * sigma + 0.5)


@operation(
    "Blurring",
    "Filters",
    Local(lambda sigma, truncate=4.0, **_: reach(sigma, truncate)),
    floats=True,
    cost=lambda sigma, truncate=4.0, **_: 0.7 + 0.1 * reach(sigma, truncate),
    kernels=(
        Kernel(
            separable.gaussian,
            when=lambda sigma, truncate, **_: reach(sigma, truncate) <= SUM_REACH_MAX,
            arrays=0,
            cost=lambda sigma, truncate, **_: 0.02 + 0.007 * reach(sigma, truncate),
            tolerance=1e-6,
        ),
    ),
)
def gaussian(
    image: Image,
    sigma: Sigma = 1.0,
    mode: Border = "nearest",
    cval: FloatFill = 0.0,
    truncate: Truncate = 4.0,
) -> Image:
    """Blur with a Gaussian filter, which removes noise and fine detail and keeps large shapes.

    Parameters
    ----------
    sigma : float
        Standard deviation of the kernel; a higher value blurs more.

    References
    ----------
    skimage.filters.gaussian
    """
    result: Image = filters.gaussian(
        image,
        sigma,
        mode=mode,
        cval=cval,
        truncate=truncate,
        channel_axis=channel_axis(image),
    )
    return result


def band_reach(low_sigma: float, high_sigma: float | None, truncate: float, **_: Any) -> int:
    """Return the half width of the wider of two kernels, by default 1.6 times the narrower."""
    return reach(low_sigma * 1.6 if high_sigma is None else high_sigma, truncate)


def check_band(low_sigma: float, high_sigma: float | None) -> float:
    """Return the standard deviation of the wider of two kernels.

    Raises
    ------
    ValueError
        If it is less than that of the narrower one.
    """
    if high_sigma is not None and high_sigma < low_sigma:
        raise ValueError(f"high_sigma must be at least low_sigma, {low_sigma} px, got {high_sigma}")
    return low_sigma * 1.6 if high_sigma is None else high_sigma


def keeps_tolerance(mode: Border, cval: float, **given: Any) -> bool:
    """Return whether a difference of two blurs in single precision keeps the stated tolerance."""
    return band_reach(**given) <= SUM_REACH_MAX and (mode != "constant" or 0 <= cval <= 1)


def difference_by_rows(
    image: Image,
    low_sigma: float,
    high_sigma: float | None,
    mode: Border,
    cval: float,
    truncate: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Compute the difference of two blurs of a block in single precision."""
    sigmas = (low_sigma, check_band(low_sigma, high_sigma))
    return separable.difference(image, sigmas, mode, cval, truncate, place=place, out=out)


@operation(
    "Band of detail (difference of Gaussians)",
    "Filters",
    Local(band_reach),
    floats=True,
    shows=(-1, 1),
    arrays=5,
    cost=lambda **given: 2 + 0.2 * band_reach(**given),
    kernels=(
        Kernel(
            difference_by_rows,
            takes=("float32",),
            when=keeps_tolerance,
            arrays=2,
            cost=lambda **given: 0.5 + 0.05 * band_reach(**given),
            tolerance=1e-6,
        ),
    ),
)
def difference_of_gaussians(
    image: Image,
    low_sigma: Sigma = 1.0,
    high_sigma: Annotated[
        float | None, Number(0.1, 160, unit="px", slider=(0.5, 32), step=0.1)
    ] = None,
    mode: Border = "nearest",
    cval: FloatFill = 0.0,
    truncate: Truncate = 4.0,
) -> Image:
    """Keep detail of one size with a difference of Gaussians: a blur minus a stronger blur.

    Areas without detail of that size are gray.

    Parameters
    ----------
    low_sigma : float
        Standard deviation of the weaker blur; much smaller detail is removed.
    high_sigma : float, optional
        Standard deviation of the stronger blur; much larger shapes are removed. Automatic is 1.6
        times the weaker one, which finds edges and blobs.

    Raises
    ------
    ValueError
        If `high_sigma` is less than `low_sigma`.

    References
    ----------
    skimage.filters.difference_of_gaussians
    """
    check_band(low_sigma, high_sigma)
    result: Image = filters.difference_of_gaussians(
        image,
        low_sigma,
        high_sigma,
        mode=mode,
        cval=cval,
        truncate=truncate,
        channel_axis=channel_axis(image),
    )
    return result


# Sharpening multiplies the error of the blur by `amount`; up to this one it keeps the tolerance.
AMOUNT_MAX = 4

SHARPEN = partial(
    Kernel,
    when=lambda radius, amount: reach(radius) <= SUM_REACH_MAX and amount <= AMOUNT_MAX,
    arrays=0,
    cost=lambda radius, **_: 0.03 + 0.007 * reach(radius),
    tolerance=1e-6,
)


@operation(
    "Sharpening",
    "Filters",
    Statistical(
        (Measure(some_negative, either),),
        halo=lambda radius, amount: reach(radius),
    ),
    floats=True,
    kernels=(
        # Unsigned integers are never negative: there is nothing to measure.
        SHARPEN(
            partial(separable.unsharp_mask, statistics=(False,)),
            takes=("uint8", "uint16"),
            measures=(),
        ),
        SHARPEN(separable.unsharp_mask, takes=("float32",)),
    ),
)
def unsharp_mask(
    image: Image,
    radius: Sigma = 1.0,
    amount: Annotated[float, Number(0, 20, slider=(0, 5), step=0.1)] = 1.0,
    *,
    statistics: tuple[bool],
) -> Image:
    """Sharpen with an unsharp mask: add the difference between the image and its blur.

    Parameters
    ----------
    radius : float
        Standard deviation of the blur; more sharpens coarser detail.
    amount : float
        How much of the difference is added; 0 leaves the image as it is.

    Notes
    -----
    scikit-image clips to -1…1 if any pixel of the image is negative, else to 0…1. Given a tile, it
    looks at the pixels of that tile alone. Therefore a statistic measures whether the whole image
    has negative pixels; if so, tiles without any are clipped to -1…1 here.

    References
    ----------
    skimage.filters.unsharp_mask
    """
    result: Image = filters.unsharp_mask(image, radius, amount, channel_axis=channel_axis(image))
    (negative_somewhere,) = statistics
    if negative_somewhere and not some_negative(image):
        return sharpen_to_minus_one(image, radius, amount)
    return result


def sharpen_to_minus_one(image: Image, radius: float, amount: float) -> Image:
    """Sharpen a tile of floats without negative pixels, from an image that has some."""
    blurred = filters.gaussian(
        image, radius, mode="reflect", preserve_range=True, channel_axis=channel_axis(image)
    )
    result: Image = np.clip(image + (image - blurred) * amount, -1.0, 1.0)
    return result


def smoothed(
    image: Image, footprint: Footprint, radius: int, half_width: int | None, mode: Border
) -> Image:
    """Return the median of each pixel's neighbourhood, for every colour."""
    neighbourhood = footprint_of(footprint, radius, half_width)
    return each_channel(lambda plane: filters.median(plane, neighbourhood, mode=mode), image)


@operation(
    "Smoothing",
    "Filters",
    Local(
        lambda footprint, radius, half_width=None, **_: footprint_reach(
            footprint, radius, half_width
        )
    ),
    arrays=3,
    cost=lambda footprint, radius, half_width=None, **_: (
        0.7 * (2 * footprint_reach(footprint, radius, half_width) + 1) ** 2
    ),
    table=footprint_table,
    kernels=(
        Kernel(
            partial(medians.sorted_median, model=smoothed),
            when=lambda mode, **square: medians.is_sorted(**square),
            exact=True,
            arrays=0,
            cost=lambda radius, **_: 0.02 * radius**1.5,
        ),
        Kernel(
            medians.counted_median,
            takes=("uint8",),
            when=lambda mode, **square: medians.is_square(**square),
            exact=True,
            arrays=2,
            cost=1.0,
        ),
    ),
)
def median(
    image: Image,
    footprint: Footprint = "square",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "nearest",
) -> Image:
    """Smooth with a median filter, which removes specks and keeps edges sharp.

    Parameters
    ----------
    mode : str
        What lies beyond the image's border: its last pixel (nearest), its mirror image with the
        last pixel twice (reflect) or once (mirror), black (constant), or its opposite edge
        (wrap).

    References
    ----------
    skimage.filters.median
    """
    return smoothed(image, footprint, radius, half_width, mode)


def gabor_reach(
    frequency: float,
    theta: float,
    bandwidth: float,
    sigma_x: float | None,
    sigma_y: float | None,
    n_stds: float,
    **_: Any,
) -> int:
    """Return half the longer side of a Gabor kernel in pixels, as scikit-image cuts it off."""
    octaves = 2.0**bandwidth
    automatic = math.sqrt(math.log(2) / 2) / math.pi * (octaves + 1) / (octaves - 1) / frequency
    along = n_stds * (sigma_x or automatic)
    across = n_stds * (sigma_y or automatic)
    cosine, sine = abs(math.cos(theta)), abs(math.sin(theta))
    return math.ceil(max(along * cosine, across * sine, across * cosine, along * sine, 1))


Response = Literal["magnitude", "real", "imaginary"]


def gabor_by_loops(
    image: Image,
    mode: Border,
    cval: float,
    response: Response,
    *,
    place: Place,
    out: Image | None,
    **shape: Any,
) -> Image:
    """Compute the Gabor filter of a block in single precision."""
    kernel = filters.gabor_kernel(**shape, dtype=np.complex64)
    weights = {"real": (kernel.real,), "imaginary": (kernel.imag,)}
    found = [
        correlation.convolved(image, each, mode, cval, place)
        for each in weights.get(response, (kernel.real, kernel.imag))
    ]
    if response == "magnitude":
        real, imaginary = found
        found = [np.sqrt(real**2 + imaginary**2)]
    if out is None:
        return found[0]
    out[...] = found[0]
    return out


@operation(
    "Stripes of one direction (Gabor)",
    "Filters",
    Local(gabor_reach),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=5,
    # For the conversion of a colour image to gray.
    tolerance=1e-6,
    cost=lambda **given: 0.1 * (2 * gabor_reach(**given) + 1) ** 2,
    table=lambda **given: square_table(2 * gabor_reach(**given) + 1),
    kernels=(
        Kernel(
            gabor_by_loops,
            # Not for integers: the function's own result may be integers for them.
            exact=True,
            takes=("float32",),
            gray=True,
            arrays=4,
            cost=lambda **given: 0.01 * (2 * gabor_reach(**given) + 1) ** 2,
        ),
    ),
)
def gabor(
    image: Image,
    frequency: Annotated[float, Number(0.05, 1, unit="1/px", slider=(0.05, 0.5), step=0.01)] = 0.2,
    theta: Annotated[float, Number(0, 6.2832, unit="rad", slider=(0, 3.1416), step=0.01)] = 0.0,
    bandwidth: Annotated[float, Number(0.5, 4, unit="octaves", step=0.1)] = 1.0,
    sigma_x: Annotated[float | None, Number(0.5, 20, unit="px", step=0.1)] = None,
    sigma_y: Annotated[float | None, Number(0.5, 20, unit="px", step=0.1)] = None,
    n_stds: Annotated[float, Number(1, 5, step=0.5)] = 3.0,
    offset: Annotated[float, Number(0, 6.2832, unit="rad", step=0.01)] = 0.0,
    mode: Border = "reflect",
    cval: FloatFill = 0.0,
    response: Response = "magnitude",
) -> Image:
    """Find stripes and textures of one direction and spacing with a Gabor filter.

    Parameters
    ----------
    frequency : float
        Stripes per pixel: 1 divided by their spacing.
    theta : float
        Direction across the stripes; 0 finds vertical stripes.
    bandwidth : float
        How much the spacing may vary; a lower value needs more stripes side by side.
    sigma_x : float, optional
        Standard deviation of the kernel across the stripes; automatic follows from frequency and
        bandwidth.
    sigma_y : float, optional
        Standard deviation of the kernel along the stripes; automatic follows from frequency and
        bandwidth.
    n_stds : float
        Where the kernel is cut off, in standard deviations.
    offset : float
        Phase of the stripe at the kernel's centre; the magnitude hardly depends on it.
    response : str
        What is shown: the strength of the stripes (magnitude), or the filtered image itself, with
        bright and dark stripes, by the kernel's even part (real) or its odd part (imaginary).

    Notes
    -----
    For an image of integers, scikit-image returns integers: with depth "native" the real and
    imaginary responses of an 8-bit image are cut to 8 bits, and negative ones wrap around. The
    magnitude is always computed in floating point.

    References
    ----------
    skimage.filters.gabor
    """
    if response == "magnitude":
        image = util.img_as_float(image)
    double = image.dtype.kind != "f" or image.dtype.itemsize == 8
    kernel = filters.gabor_kernel(
        frequency,
        theta,
        bandwidth,
        sigma_x,
        sigma_y,
        n_stds,
        offset,
        dtype=np.complex128 if double else np.complex64,
    )
    if response == "real":
        return convolved(image, kernel.real, mode, cval)
    imaginary = convolved(image, kernel.imag, mode, cval)
    if response == "imaginary":
        return imaginary
    real = convolved(image, kernel.real, mode, cval)
    result: Image = np.sqrt(real**2 + imaginary**2)
    return result


def convolved(image: Image, kernel: NDArray[Any], mode: str, cval: float) -> Image:
    """Convolve as scikit-image does; the result has the image's type."""
    result: Image = ndimage.convolve(image, kernel, mode=mode, cval=cval)
    return result


def by_waves(image: Image, **given: Any) -> Image:
    """Apply a Butterworth filter to every colour."""
    return each_channel(lambda plane: waves.butterworth(plane, **given), image)


@operation(
    "Coarse or fine detail (Butterworth)",
    "Filters",
    Whole("It weighs the waves that the whole image is made of, and each wave crosses all of it."),
    floats=True,
    shows="extent",
    arrays=8,
    cost=2,
    kernels=(Kernel(by_waves, ("float32", "float64"), exact=True, cost=1.4),),
)
def butterworth(
    image: Image,
    cutoff_frequency_ratio: Annotated[
        float, Number(0.001, 0.5, unit="1/px", slider=(0.001, 0.2), step=0.001)
    ] = 0.005,
    high_pass: bool = True,
    order: Annotated[float, Number(0.5, 6, step=0.5)] = 2.0,
    squared_butterworth: bool = True,
    npad: Annotated[int, Number(0, 1000, unit="px", slider=(0, 100), step=1)] = 0,
) -> Image:
    """Keep fine detail and remove slow changes of brightness, or the reverse (Butterworth filter).

    Parameters
    ----------
    cutoff_frequency_ratio : float
        Lowest frequency of fine detail, in waves per pixel: 0.01 is a wave of 100 pixels.
    high_pass : bool
        Whether fine detail is kept; otherwise coarse detail is.
    order : float
        How sharply fine detail is separated from coarse; a high value makes ripples.
    squared_butterworth : bool
        Whether the gain at the cutoff is 0.5, rather than 0.7.
    npad : int
        Pixels by which the image is first extended beyond its borders, so that opposite edges do
        not affect each other.

    References
    ----------
    skimage.filters.butterworth
    """
    return each_channel(
        lambda plane: filters.butterworth(
            plane,
            cutoff_frequency_ratio,
            high_pass,
            order,
            squared_butterworth=squared_butterworth,
            npad=npad,
        ),
        image,
    )
