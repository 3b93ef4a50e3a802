"""Intensities: curves, ranges and equal histograms."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels import tables
from cluster_worker.lazy import lazily
from cluster_worker.operations.color import white_of
from cluster_worker.operations.declare import (
    Image,
    Input,
    Measure,
    Number,
    Pointwise,
    Statistical,
    operation,
)
from cluster_worker.operations.support.by_levels import by_histogram, by_table
from cluster_worker.operations.support.histograms import Bins
from cluster_worker.operations.support.quantiles import (
    DIGITS,
    Counts,
    count_digits,
    digits_of_levels,
    quantile_values,
)
from cluster_worker.operations.support.statistics import (
    EXTENT_OF_NUMBERS,
    Extent,
    bin_centers,
    counts,
    extent_of_numbers,
    join_extents_of_numbers,
    numbers,
)

exposure = lazily("skimage.exposure")

Gain = Annotated[
    float, Number(0, 10, slider=(0, 4), step=0.05), "What the result is multiplied by."
]


def by_level(image: Image, curve: Callable[[Image], Image]) -> Image:
    """Apply a curve to the level of every pixel; for integers, through a table of all levels.

    Parameters
    ----------
    image : ndarray
        Of any type.
    curve : callable
        From levels to floats of the same range; for integers, results brighter than white become
        white.

    Raises
    ------
    Rejected
        If the image holds negative values.
    """
    if image.dtype in (np.uint8, np.uint16):
        white = np.iinfo(image.dtype).max
        table = np.clip(curve(np.arange(white + 1, dtype=image.dtype)), 0, white)
        return table.astype(image.dtype)[image]
    if image.dtype.kind in "if" and (image < 0).any():
        raise Rejected("the image holds values below 0; put rescale_intensity before it")
    levels = curve(image)
    if image.dtype.kind in "iu":
        white = np.iinfo(image.dtype).max
        # The greatest number of 64 bits is no float.
        over = levels >= white
        return np.where(over, white, np.where(over, 0, levels).astype(image.dtype))
    return levels.astype(image.dtype)


@operation(
    "Gamma",
    "Intensity",
    Pointwise(),
    channels="any",
    exponential=True,
    arrays=3,
    kernels=(by_table(),),
    differs=(
        "results of 16 bits brighter than white become white; scikit-image's wrap around to black"
    ),
)
def adjust_gamma(
    image: Image,
    gamma: Annotated[float, Number(0, 10, slider=(0.1, 4), step=0.05)] = 1.0,
    gain: Gain = 1.0,
) -> Image:
    """Brighten or darken the middle tones with a gamma curve; black and white are unchanged.

    Each intensity, as a share of white, is raised to the power `gamma`.

    Parameters
    ----------
    gamma : float
        Exponent; values below 1 brighten, values above 1 darken.

    Notes
    -----
    Results brighter than white become white; in scikit-image, those of 16 bits wrap around to
    black.

    References
    ----------
    skimage.exposure.adjust_gamma
    """
    if image.dtype == np.uint8:
        result: Image = exposure.adjust_gamma(image, gamma, gain)
        return result
    white = white_of(image)
    return by_level(image, lambda levels: (levels / white) ** gamma * white * gain)


@operation(
    "Logarithm",
    "Intensity",
    Pointwise(),
    channels="any",
    exponential=True,
    arrays=3,
    kernels=(by_table(),),
    differs="results brighter than white become white; scikit-image's wrap around to black",
)
def adjust_log(image: Image, gain: Gain = 1.0, inv: bool = False) -> Image:
    """Bring out dark detail with a logarithmic curve, or bright detail with its inverse.

    Parameters
    ----------
    inv : bool
        Whether to use the inverse, powers of two, which darkens.

    Notes
    -----
    Results brighter than white become white; in scikit-image they wrap around to black.

    References
    ----------
    skimage.exposure.adjust_log
    """
    white = white_of(image)
    if inv:
        # The powers of values far above white overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            return by_level(image, lambda levels: (2 ** (levels / white) - 1) * white * gain)
    return by_level(image, lambda levels: np.log2(1 + levels / white) * white * gain)


@operation(
    "Contrast (sigmoid)",
    "Intensity",
    Pointwise(),
    channels="any",
    arrays=3,
    exponential=True,
    kernels=(by_table(),),
)
def adjust_sigmoid(
    image: Image,
    cutoff: Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)] = 0.5,
    gain: Annotated[float, Number(0, 50, slider=(1, 20), step=0.5)] = 10.0,
    inv: bool = False,
) -> Image:
    """Raise the contrast around one level with a sigmoid curve; other levels go to black or white.

    Parameters
    ----------
    cutoff : float
        The level that becomes mid gray, as a share of white.
    gain : float
        Steepness of the curve at that level.
    inv : bool
        Whether to invert the result.

    References
    ----------
    skimage.exposure.adjust_sigmoid
    """
    white = white_of(image)

    def curve(levels: Image) -> Image:
        rising: Image = 1 / (1 + np.exp(gain * (cutoff - levels / white)))
        return (1 - rising) * white if inv else rising * white

    return by_level(image, curve)


InRange = Literal["image", "percentiles", "dtype", "values"]
# Values beyond white are those of floats, as measurements have them.
Value = Number(-1_000_000, 1_000_000, slider=(0, 1), step=0.01)
Percent = Annotated[float, Number(0, 100, unit="%", slider=(0, 100), step=0.1)]


def range_measures(
    in_range: InRange, lower_percentile: float, upper_percentile: float, **_: Any
) -> tuple[Measure, ...]:
    """Return the measures that find the range to stretch."""
    if in_range in ("dtype", "values"):
        return ()
    if in_range == "image":
        return EXTENT_OF_NUMBERS
    shares = shares_of(lower_percentile, upper_percentile)
    return (Measure(partial(count_numbers, shares=shares), np.add),) * DIGITS


def shares_of(lower_percentile: float, upper_percentile: float) -> tuple[float, float]:
    """Return two percentiles as shares."""
    return lower_percentile / 100, upper_percentile / 100


def count_numbers(image: Image, *earlier: Counts, shares: tuple[float, float]) -> Counts:
    """Count the digits of an image's numbers for two percentiles."""
    return count_digits(numbers(image), *earlier, shares=shares)


@operation(
    "Stretch contrast",
    "Intensity",
    Statistical(range_measures),
    channels="any",
    arrays=3,
    kernels=(
        by_histogram(tables.extent_alone, when=lambda in_range, **_: in_range == "image"),
        by_histogram(digits_of_levels, when=lambda in_range, **_: in_range == "percentiles"),
    ),
)
def rescale_intensity(
    image: Image,
    in_range: InRange = "image",
    lower_percentile: Percent = 2.0,
    upper_percentile: Percent = 98.0,
    in_low: Annotated[float, Value] = 0.0,
    in_high: Annotated[float, Value] = 1.0,
    out_range: Literal["dtype", "values"] = "dtype",
    out_low: Annotated[float, Value] = 0.0,
    out_high: Annotated[float, Value] = 1.0,
    *,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Stretch the contrast linearly: the darkest pixels become black, the brightest white.

    Parameters
    ----------
    in_range : str
        Which values become black and white: the image's minimum and maximum, two percentiles (so
        that a few outliers have no effect), the limits of its type, which leaves integers
        unchanged, or two values.
    lower_percentile : float
        Share of the pixels that become black, if `in_range` is "percentiles".
    upper_percentile : float
        Share of the pixels that do not become white, if `in_range` is "percentiles". Below
        `lower_percentile` all pixels become white.
    in_low : float
        Value that becomes black, if `in_range` is "values": for integers a share of white.
    in_high : float
        Value that becomes white, if `in_range` is "values": for integers a share of white.
    out_range : str
        What they become: black and white, or two values.
    out_low : float
        What becomes of black, if `out_range` is "values": 0 is black, 1 is white.
    out_high : float
        What becomes of white, if `out_range` is "values": 0 is black, 1 is white.

    Notes
    -----
    NaN is counted nowhere, and stays. All colours share one range. The percentiles are those of
    numpy.percentile, exactly, as in the examples of scikit-image.

    References
    ----------
    skimage.exposure.rescale_intensity
    """
    becomes = "dtype" if out_range == "dtype" else (out_low, out_high)
    if in_range in ("dtype", "values"):
        white = white_of(image)
        between = "dtype" if in_range == "dtype" else (in_low * white, in_high * white)
        result: Image = exposure.rescale_intensity(image, between, becomes)
        return result
    if in_range == "image":
        low, high = map(float, statistics[0])
    else:
        if not statistics[0].sum():
            raise Rejected("the image holds NaN only, which leaves no range to stretch")
        shares = shares_of(lower_percentile, upper_percentile)
        low, high = map(float, quantile_values(statistics, shares, image.dtype))
    if not np.isfinite([low, high]).all():
        raise Rejected("the image holds NaN or infinity, which leave no range to stretch")
    if image.dtype.kind == "f" and image.dtype.type(high - low) == 0:
        # Two percentiles may differ by less than the image's type can tell.
        high = low
    stretched: Image = exposure.rescale_intensity(image, (low, high), becomes)
    return stretched


def extent_in(image: Image, *, mask: Image | None = None) -> Extent:
    """Return the least and the greatest number within a mask; NaN for both if there is none."""
    values = image if mask is None else image[mask]
    if values.size == 0:
        nothing = image.dtype.type(np.nan) if image.dtype.kind == "f" else np.nan
        return nothing, nothing
    return extent_of_numbers(values)


def counts_in(
    image: Image, between: Extent, bins: int, *, mask: Image | None = None
) -> NDArray[np.intp]:
    """Count the pixels within a mask, as `counts` does.

    Raises
    ------
    Rejected
        If no pixel of the whole image is within the mask.
    """
    if mask is None:
        return counts(image, between, bins)
    if np.isnan(between[0]):
        raise Rejected("mask: holds no pixel with a number")
    return counts(image[mask], between, bins)


def histogram_in(nbins: int) -> tuple[Measure, ...]:
    """Return the measures of `histogram`, within a mask if there is one."""
    extent = Measure(extent_in, join_extents_of_numbers)
    return extent, Measure(partial(counts_in, bins=nbins), np.add)


@operation(
    "Equalise histogram",
    "Intensity",
    Statistical(histogram_in),
    counts_levels=True,
    channels="any",
    arrays=4,
    cost=2.0,
    kernels=(by_histogram(tables.extent_and_counts),),
)
def equalize_hist(
    image: Image,
    nbins: Bins = 256,
    *,
    mask: Annotated[Image | None, Input("mask")] = None,
    statistics: tuple[Extent, NDArray[np.intp]],
) -> Image:
    """Equalise the histogram: spread intensities so that all are about equally frequent.

    Parameters
    ----------
    mask : ndarray, optional
        Which pixels are counted; all are changed.

    Notes
    -----
    All colours share one histogram. NaN is counted nowhere, and stays.

    References
    ----------
    skimage.exposure.equalize_hist
    """
    between, counted = statistics
    dtype = image.dtype
    if dtype.kind == "u":
        values: NDArray[Any] = np.arange(int(between[0]), int(between[1]) + 1)
        counted = counted[values]
    else:
        values = bin_centers(str(dtype), between, nbins)
    share = counted.cumsum() / float(counted.sum())
    if dtype.kind == "f":
        brighter: Image = np.interp(image, values, share.astype(dtype))
        return brighter.astype(dtype, copy=False)
    # Outside of a mask other levels may occur.
    highest = int(between[1]) if mask is None else 1 if dtype.kind == "b" else np.iinfo(dtype).max
    table: Image = np.interp(np.arange(highest + 1), values, share)
    flatter: Image = table[image.view(np.uint8) if dtype.kind == "b" else image]
    return flatter
