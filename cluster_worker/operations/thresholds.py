"""Thresholds: separate bright pixels from dark ones by a level, given or found in the image.

The result is the mask of the pixels above the level, or class numbers for several levels. What
depends on the whole image (a histogram, a mean) is measured over all tiles first.
"""

import math
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels import tables
from cluster_worker.lazy import lazily
from cluster_worker.operations.color import white_of
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Measure,
    Number,
    Pointwise,
    Stage,
    Statistical,
    operation,
)
from cluster_worker.operations.support.by_levels import by_histogram, by_table
from cluster_worker.operations.support.cross_entropy import join_levels, levels, li_level
from cluster_worker.operations.support.histograms import (
    Bins,
    Histogram,
    above,
    binned,
    binned_type,
    histogram,
    level_of,
)
from cluster_worker.operations.support.statistics import (
    EXTENT_OF_NUMBERS,
    Extent,
    exact_sum,
    numbers,
    rounded_sum,
)

ndimage = lazily("scipy.ndimage")
filters = lazily("skimage.filters")

Share = Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)]


BY_HISTOGRAM = (by_histogram(tables.extent_and_counts),)


@operation(
    "Thresholding (fixed level)",
    "Thresholds",
    Pointwise(),
    channels="gray",
    arrays=1,
    kernels=(by_table(),),
)
def threshold(image: Image, level: Share = 0.5) -> Image:
    """Turn pixels brighter than a level white and all others black.

    Parameters
    ----------
    level : float
        The level, as a share of white: 0 is black, 1 is white.

    References
    ----------
    numpy.greater, as in the examples of skimage.filters
    """
    result: Image = image > level * white_of(image)
    return result


@operation(
    "Thresholding (Otsu)",
    "Thresholds",
    Statistical(histogram),
    counts_levels=True,
    channels="gray",
    arrays=3,
    kernels=BY_HISTOGRAM,
)
def threshold_otsu(image: Image, nbins: Bins = 256, *, statistics: Histogram) -> Image:
    """Turn pixels above Otsu's threshold white and all others black.

    Otsu's method finds the level with the greatest variance between the two classes.

    References
    ----------
    skimage.filters.threshold_otsu
    """
    return above(image, otsu, nbins, statistics)


def otsu(pixels: NDArray[Any], values: NDArray[Any]) -> Any:
    """Find the level with the greatest variance between the pixels below and above it."""
    return filters.threshold_otsu(hist=(pixels, values))


@operation(
    "Thresholding (isodata)",
    "Thresholds",
    Statistical(histogram),
    counts_levels=True,
    channels="gray",
    arrays=3,
    kernels=BY_HISTOGRAM,
    differs=(
        "of floats of one value none is above the level; scikit-image finds no level and raises "
        "an error"
    ),
)
def threshold_isodata(image: Image, nbins: Bins = 256, *, statistics: Histogram) -> Image:
    """Turn pixels above the isodata threshold white and all others black.

    Ridler and Calvard's method finds the lowest level midway between the mean of the pixels below
    it and the mean of those above it.

    References
    ----------
    skimage.filters.threshold_isodata
    """
    return above(image, isodata, nbins, statistics)


def isodata(pixels: NDArray[Any], values: NDArray[Any]) -> Any:
    """Find the lowest level midway between the means of the pixels below and above it.

    Raises
    ------
    Rejected
        If there is no such level, to within the width of a bin.
    """
    levels = filters.threshold_isodata(hist=(pixels, values), return_all=True)
    if len(levels) == 0:
        raise Rejected("no level of the image lies midway between the means below and above it")
    return levels[0]


@operation(
    "Thresholding (Yen)",
    "Thresholds",
    Statistical(histogram),
    counts_levels=True,
    channels="gray",
    arrays=3,
    kernels=BY_HISTOGRAM,
    exponential=True,
)
def threshold_yen(image: Image, nbins: Bins = 256, *, statistics: Histogram) -> Image:
    """Turn pixels above Yen's threshold white and all others black.

    Yen's method finds the level with the greatest correlation of the two classes. It keeps small
    bright objects that Otsu's method may miss.

    References
    ----------
    skimage.filters.threshold_yen
    """
    (least, greatest), _ = statistics
    if least == greatest and image.dtype.kind != "u":
        # The bins of a constant image lie around its value. None but one has pixels, and the method
        # takes the first bin, which lies below the value.
        return np.ones(image.shape, np.bool_)
    return above(image, yen, nbins, statistics)


def yen(pixels: NDArray[Any], values: NDArray[Any]) -> Any:
    """Find the level with the greatest correlation of the two classes."""
    return filters.threshold_yen(hist=(pixels, values))


@operation(
    "Thresholding (triangle)",
    "Thresholds",
    Statistical(histogram),
    counts_levels=True,
    channels="gray",
    arrays=3,
    kernels=BY_HISTOGRAM,
)
def threshold_triangle(image: Image, nbins: Bins = 256, *, statistics: Histogram) -> Image:
    """Turn pixels above the triangle threshold white and all others black.

    A line connects the peak of the histogram with the end of its longer tail. The level is where
    the histogram lies farthest below the line. Suits images that are mostly background.

    Notes
    -----
    The arithmetic is that of scikit-image, whose function takes no histogram.

    References
    ----------
    skimage.filters.threshold_triangle
    """
    return above(image, triangle, nbins, statistics)


def triangle(pixels: NDArray[Any], values: NDArray[Any]) -> Any:
    """Find the level farthest below the line from the peak to the end of the longer tail.

    The first and the last bin must not be empty.
    """
    peak = int(np.argmax(pixels))
    tail_is_right = peak < pixels.size - 1 - peak
    if tail_is_right:
        pixels, values, peak = pixels[::-1], values[::-1], pixels.size - 1 - peak
    height, width = pixels[peak], peak
    along = np.arange(width)
    norm = np.sqrt(height**2 + width**2)
    distance = height / norm * along - width / norm * pixels[along]
    return values[np.argmax(distance)]


@operation(
    "Thresholding (minimum)",
    "Thresholds",
    Composed("statistical"),
    counts_levels=True,
    channels="gray",
    arrays=3,
    differs=(
        "16 bits are counted in bins, as floats are; scikit-image takes minutes for 65 536 levels"
    ),
)
def threshold_minimum(
    nbins: Bins = 256,
    max_num_iter: Annotated[int, Number(2, 100_000, slider=(100, 10_000), step=100)] = 10_000,
) -> tuple[Stage]:
    """Turn pixels above the valley between the histogram's two peaks white and all others black.

    The histogram is smoothed until it has two peaks. Images for which this fails are refused.

    Parameters
    ----------
    nbins : int
        Bins of the histogram for an image of floats or 16 bits; 8 bits have one bin for each
        value.
    max_num_iter : int
        Most rounds of smoothing; an image that needs more is refused.

    Notes
    -----
    scikit-image keeps all 65 536 levels of 16 bits apart, which takes minutes and finds two peaks
    in hardly any image. Here 16-bit images are counted in bins, as floats are.

    References
    ----------
    skimage.filters.threshold_minimum
    """
    function = partial(above_valley, nbins=nbins, max_num_iter=max_num_iter)
    return (Stage(function, measures=binned(nbins), like=partial(np.asarray, dtype=bool)),)


def above_valley(image: Image, nbins: int, max_num_iter: int, *, statistics: Histogram) -> Image:
    """Return the mask of the pixels above the valley between two peaks of the histogram.

    Raises
    ------
    Rejected
        If there are no two peaks.
    """
    (least, greatest), _ = statistics
    if least == greatest:
        raise Rejected("the image is constant; its histogram has no two peaks")
    return above(image, valley, nbins, statistics, max_num_iter, dtype=binned_type(image))


def valley(pixels: NDArray[Any], values: NDArray[Any], max_num_iter: int) -> Any:
    """Smooth a histogram until it has two peaks, and find its lowest level between them.

    The arithmetic is that of scikit-image, which however loops over the levels in Python.

    Raises
    ------
    Rejected
        If two peaks do not appear.
    """
    smooth = pixels.astype(np.float32)
    found, rounds = peaks(smooth), 0
    while rounds == 0 or (len(found) > 2 and rounds < max_num_iter):
        smooth = ndimage.uniform_filter1d(smooth, 3)
        found, rounds = peaks(smooth), rounds + 1
    if len(found) != 2 or rounds == max_num_iter:
        raise Rejected(
            "the image must have two peaks in its histogram, "
            f"got {len(found)} after {rounds} rounds of smoothing; use another threshold"
        )
    low, high = found
    return values[low + np.argmin(smooth[low : high + 1])]


def peaks(smooth: NDArray[Any]) -> NDArray[np.intp]:
    """Return the last level of each peak: where a histogram begins to fall."""
    steps = np.sign(np.diff(smooth))
    moving = np.flatnonzero(steps)
    falls = steps[moving] < 0
    last: NDArray[np.intp] = moving[falls & ~np.concatenate([[False], falls[:-1]])]
    return last


@operation(
    "Thresholding (Li)",
    "Thresholds",
    Statistical((*EXTENT_OF_NUMBERS, Measure(levels, join_levels))),
    counts_levels=True,
    channels="gray",
    arrays=6,
    cost=2.0,
    kernels=BY_HISTOGRAM,
    differs=(
        "floats are summed in 65 536 bins, so that the level may differ in its last digits; "
        "numbers with sign are exact where scikit-image's differences of them wrap around"
    ),
    exponential=True,
)
def threshold_li(image: Image, *, statistics: tuple[Extent, NDArray[np.int64]]) -> Image:
    """Turn pixels above Li's threshold white and all others black.

    Li's method finds the level of least cross entropy: there, an image of only two values, the
    means of both classes, is closest to the original.

    Notes
    -----
    Integers are counted value by value, as in scikit-image. Floats are summed in 65 536 bins, so
    that the level may differ in its last digits.

    References
    ----------
    skimage.filters.threshold_li
    """
    (least, greatest), found = statistics
    level = least
    if least != greatest:
        between = float(least), float(greatest)
        level = li_level(found.tobytes(), between if image.dtype.kind == "f" else None)
        level = image.dtype.type(level + least) if image.dtype.kind == "f" else level
    mask: Image = image > level
    return mask


def whole_sum(image: Image) -> int:
    """Sum whole numbers of any type, with sign or without, without overflow."""
    if image.dtype.itemsize < 8:
        return int(image.sum(dtype=np.int64))
    halves = (image >> 32, image & 0xFFFFFFFF)
    high, low = (int(each.sum(dtype=np.int64)) for each in halves)
    return (high << 32) + low


def total(image: Image) -> tuple[int, int]:
    """Sum the numbers of an image without rounding, and count them.

    Raises
    ------
    Rejected
        If the image holds infinity.
    """
    if image.dtype.kind != "f":
        return whole_sum(image), image.size
    values = numbers(image)
    if np.isinf(values).any():
        raise Rejected("the image holds infinity, which has no mean")
    return exact_sum(values), values.size


def join_totals(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Add the sums and the pixel counts of two tiles."""
    return a[0] + b[0], a[1] + b[1]


def total_counted(histogram: NDArray[np.intp]) -> tuple[tuple[int, int]]:
    """Compute the sum and the pixel count of an integer image from its histogram."""
    return ((int(histogram @ np.arange(histogram.size)), int(histogram.sum())),)


@operation(
    "Thresholding (mean)",
    "Thresholds",
    Statistical((Measure(total, join_totals),)),
    channels="gray",
    arrays=4,
    kernels=(by_histogram(total_counted),),
    differs=(
        "the sum of floats is exact, so that the level may differ in its last digits; NaN "
        "counts nowhere"
    ),
)
def threshold_mean(image: Image, *, statistics: tuple[tuple[int, int]]) -> Image:
    """Turn pixels brighter than the image's mean white and all others black.

    Notes
    -----
    The sum of floats is exact and rounded once. That of scikit-image depends on the order of its
    additions, and its last digits may differ.

    References
    ----------
    skimage.filters.threshold_mean
    """
    ((summed, pixels),) = statistics
    if pixels == 0:
        raise Rejected("the image holds NaN only, which has no mean")
    if image.dtype.kind == "f":
        level: Any = image.dtype.type(rounded_sum(summed) / pixels)
    else:
        level = np.float64(summed / pixels)
    result: Image = image > level
    return result


@operation(
    "Thresholding (several levels)",
    "Thresholds",
    # `like`: planning must not run the method itself, which can take seconds for many classes.
    Statistical(lambda classes, nbins: binned(nbins), like=partial(np.zeros_like, dtype=np.int64)),
    counts_levels=True,
    channels="gray",
    arrays=3,
    # All choices of levels between classes are tried.
    cost_once=lambda classes, nbins, dtype: math.comb(
        (256 if dtype == "uint8" else nbins) - 1, classes - 1
    ),
    kernels=(by_histogram(tables.extent_and_counts, takes=("uint8",)),),
    differs=(
        "16 bits are counted in bins, as floats are; scikit-image needs 8.6 GB for 65 536 "
        "levels; pixels that are NaN are of class 0"
    ),
)
def threshold_multiotsu(
    image: Image,
    classes: Annotated[int, Number(2, 5, slider=(2, 5), step=1)] = 3,
    nbins: Annotated[int, Number(8, 256, slider=(16, 256), step=1)] = 256,
    *,
    statistics: Histogram,
) -> Image:
    """Split an image into classes of brightness; return their numbers, from 0 for the darkest.

    Otsu's method for several classes finds the levels with the greatest variance between classes.

    Parameters
    ----------
    classes : int
        Number of classes.
    nbins : int
        Bins of the histogram for an image of floats or 16 bits; 8 bits have one bin for each
        value.

    Notes
    -----
    scikit-image keeps all 65 536 levels of 16 bits apart, for which it needs 8.6 GB with three
    classes and days with four. Here 16-bit images are counted in bins, as floats are.

    References
    ----------
    skimage.filters.threshold_multiotsu
    """
    (least, greatest), histogram = statistics
    if least == greatest:
        raise Rejected(f"the image has 1 level, which cannot make {classes} regions")
    counted = histogram.tobytes()
    found = level_of(multiotsu_levels, binned_type(image), statistics[0], counted, nbins, classes)
    result: Image = np.digitize(image, found)
    if image.dtype.kind == "f":
        # NaN belongs to no class.
        result[np.isnan(image)] = 0
    return result


def multiotsu_levels(pixels: NDArray[Any], values: NDArray[Any], classes: int) -> NDArray[Any]:
    """Find the levels with the greatest variance between `classes` classes.

    Raises
    ------
    Rejected
        If there are fewer levels than classes.
    """
    there = np.count_nonzero(pixels)
    if there < classes:
        raise Rejected(f"the image has {there} levels, which cannot make {classes} regions")
    levels: NDArray[Any] = filters.threshold_multiotsu(
        hist=(pixels / pixels.sum(), values), classes=classes
    )
    return levels
