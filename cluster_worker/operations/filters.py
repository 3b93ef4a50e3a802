"""Filters: blur, sharpen, smooth."""

from functools import partial
from typing import Annotated, Any

import numpy as np

from cluster_worker.kernels import derivatives, medians, orders, separable
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    Place,
    Statistical,
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
)
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.opacity import divide, weights_of
from cluster_worker.operations.support.reflections import DIFFERS, reflected
from cluster_worker.operations.support.statistics import some_negative
from cluster_worker.operations.support.valid_pixels import Valid, each_valid, median_of_valid

filters = lazily("skimage.filters")
util = lazily("skimage.util")

Sigma = Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 20), step=0.1)]
Truncate = Annotated[
    float,
    Number(0.5, 10, slider=(1, 6), step=0.5),
    "Where the kernel is cut off, in standard deviations.",
]


# Largest half width, in pixels, for which sums of 32-bit floats keep the stated tolerance.
SUM_REACH_MAX = 160


def blur_reaches(
    sigma: float, sigma_columns: float | None = None, truncate: float = 4.0, **_: Any
) -> tuple[int, int]:
    """Return the half height and the half width of a Gaussian's kernel."""
    across = sigma if sigma_columns is None else sigma_columns
    return reach(sigma, truncate), reach(across, truncate)


def blur_work(fixed: float, times: float, **given: Any) -> float:
    """Return the work of a Gaussian: `fixed`, and `times` the mean of its kernel's half sides."""
    return fixed + times * sum(blur_reaches(**given)) / 2


def blur_alike(
    image: Image,
    sigma: float,
    sigma_columns: None,  # noqa: ARG001 - that of `sigma`
    mode: str,
    cval: float,
    truncate: float,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Blur a block alike in both directions, with a kernel."""
    return separable.gaussian(image, sigma, mode, cval, truncate, dtype=dtype, place=place, out=out)


def blur_exactly_alike(
    image: Image,
    sigma: float,
    sigma_columns: None,  # noqa: ARG001 - that of `sigma`
    mode: str,
    cval: float,
    truncate: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Blur a block alike in both directions, with a kernel that has scipy's bits."""
    return derivatives.gaussian(image, sigma, mode, cval, truncate, place=place, out=out)


def is_alike(
    most: int, sigma: float, sigma_columns: float | None, truncate: float, **_: Any
) -> bool:
    """Return whether a blur is alike in both directions and reaches at most `most` pixels."""
    return sigma_columns is None and reach(sigma, truncate) <= most


@operation(
    "Blurring",
    "Filters",
    Local(lambda **given: max(blur_reaches(**given))),
    floats=True,
    cost=partial(blur_work, 0.7, 0.1),
    averages=True,
    kernels=(
        Kernel(
            blur_alike,
            when=partial(is_alike, SUM_REACH_MAX),
            arrays=0,
            cost=partial(blur_work, 0.02, 0.007),
            tolerance=1e-6,
        ),
        Kernel(
            blur_exactly_alike,
            takes=("float32", "float64"),
            when=partial(is_alike, derivatives.REACH_MAX),
            exact=True,
            arrays=1,
            cost=partial(blur_work, 0.06, 0.02),
        ),
    ),
)
def gaussian(
    image: Image,
    sigma: Sigma = 1.0,
    sigma_columns: Annotated[
        float | None, Number(0.1, 100, unit="px", slider=(0.3, 20), step=0.1)
    ] = None,
    mode: Border = "nearest",
    cval: FloatFill = 0.0,
    truncate: Truncate = 4.0,
) -> Image:
    """Blur with a Gaussian filter, which removes noise and fine detail and keeps large shapes.

    Parameters
    ----------
    sigma : float
        Standard deviation of the kernel; a higher value blurs more.
    sigma_columns : float, optional
        Standard deviation from left to right, if it differs from `sigma`, which is then that from
        top to bottom. Null means the same.

    References
    ----------
    skimage.filters.gaussian
    """
    result: Image = filters.gaussian(
        image,
        sigma if sigma_columns is None else (sigma, sigma_columns),
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


def sharpen_by_weight(
    image: Image,
    radius: float,
    amount: float,
    preserve_range: bool,
    *,
    alpha: Image,
    statistics: tuple[bool],
) -> Image:
    """Sharpen the colours of a block, with a blur in which clear pixels count for nothing.

    Parameters
    ----------
    image : ndarray
        The block, of floats.
    radius, amount, preserve_range, statistics
        As of `unsharp_mask`.
    alpha : ndarray
        (rows, columns): the block's alpha.
    """
    weights = weights_of(alpha, image)
    blur = partial(filters.gaussian, sigma=radius, mode="reflect", preserve_range=True)
    share = blur(weights.reshape(alpha.shape))
    blurred = divide(blur(image * weights, channel_axis=channel_axis(image)), share, image)
    result: Image = image + (image - blurred) * amount
    if preserve_range:
        return result
    return np.clip(result, -1.0 if statistics[0] else 0.0, 1.0)


# Sharpening multiplies the error of the blur by `amount`; up to this one it keeps the tolerance.
AMOUNT_MAX = 4

SHARPEN = partial(
    Kernel,
    when=lambda radius, amount, preserve_range: (
        reach(radius) <= SUM_REACH_MAX and amount <= AMOUNT_MAX and not preserve_range
    ),
    arrays=0,
    cost=lambda radius, **_: 0.03 + 0.007 * reach(radius),
    tolerance=1e-6,
)


@operation(
    "Sharpening",
    "Filters",
    Statistical(
        (Measure(some_negative, either),),
        halo=lambda radius, **_: reach(radius),
    ),
    floats=True,
    cost=lambda radius, **_: 0.85 + 0.035 * reach(radius),
    unclipped_by={"preserve_range": True},
    weighted=sharpen_by_weight,
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
    preserve_range: bool = False,
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
    preserve_range : bool
        Whether floats keep values beyond black and white, as measurements need; if not, such an
        image is refused, and what the sharpening adds beyond them is cut off.

    Notes
    -----
    scikit-image clips to -1…1 if any pixel of the image is negative, else to 0…1. Given a tile, it
    looks at the pixels of that tile alone. Therefore a statistic measures whether the whole image
    has negative pixels; if so, tiles without any are clipped to -1…1 here.

    References
    ----------
    skimage.filters.unsharp_mask
    """
    result: Image = filters.unsharp_mask(
        image, radius, amount, preserve_range, channel_axis=channel_axis(image)
    )
    (negative_somewhere,) = statistics
    if negative_somewhere and not preserve_range and not some_negative(image):
        return sharpen_to_minus_one(image, radius, amount)
    return result


def sharpen_to_minus_one(image: Image, radius: float, amount: float) -> Image:
    """Sharpen a tile without negative pixels, from an image that has some."""
    kind = np.float64 if image.dtype.kind != "f" else np.result_type(image.dtype, np.float32)
    image = util.img_as_float(image).astype(kind, copy=False)
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
    reach = max(neighbourhood.shape) // 2

    def apply(plane: Image) -> Image:
        result: Image = filters.median(plane, neighbourhood, mode=mode)
        return result

    return each_channel(lambda plane: reflected(apply, plane, reach, mode), image)


def ordered(dtype: str, nanoseconds: float) -> Kernel:
    """Declare the kernel of medians of any neighbourhood, for images of one type.

    Parameters
    ----------
    dtype : str
        The type.
    nanoseconds : float
        How long a unit of cost takes, by the median's rate.
    """
    return Kernel(
        partial(orders.ordered_median, model=smoothed),
        takes=(dtype,),
        when=lambda mode, **shape: not medians.is_sorted(**shape),
        exact=True,
        arrays=2,
        cost=lambda mode, **shape: orders.nanoseconds(**shape, dtype=dtype) / nanoseconds,
    )


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
    differs=DIFFERS,
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
        ordered("uint8", 7.7),
        ordered("uint16", 7.7),
        ordered("float32", 50),
    ),
    keeps_units=True,
)
def median(
    image: Image,
    footprint: Footprint = "square",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "nearest",
    *,
    valid: Valid = None,
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
    if valid is None:
        return smoothed(image, footprint, radius, half_width, mode)
    neighbourhood = footprint_of(footprint, radius, half_width)
    median_of = partial(median_of_valid, neighbourhood=neighbourhood, mode=mode)
    return each_valid(median_of, image, valid)
