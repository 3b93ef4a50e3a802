"""Histograms of a whole image, and the levels that thresholding finds in them."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Measure
from cluster_worker.operations.support.statistics import EXTENT, Extent, counts

Histogram = tuple[Extent, NDArray[np.intp]]


# From counts and the values that they belong to.
Level = Callable[..., Any]


def histogram(nbins: int) -> tuple[Measure, ...]:
    """Measure least and greatest value, and a histogram of so many bins if pixels are floats."""
    return (*EXTENT, Measure(partial(counts, bins=nbins), np.add))


def binned(nbins: int) -> tuple[Measure, ...]:
    """Measure the same, with bins for 16 bits too."""
    return (*EXTENT, Measure(partial(counts_in_bins, bins=nbins), np.add))


def counts_in_bins(image: Image, between: Extent, bins: int) -> NDArray[np.intp]:
    """Count pixels per value of 8 bits, or in bins."""
    low, high = between
    return counts(image.astype(binned_type(image), copy=False), (low + 0.0, high + 0.0), bins)


def binned_type(image: Image) -> str:
    """Name the type that an image has for its bins: 16 bits are counted as floats are."""
    return "float64" if image.dtype == np.uint16 else str(image.dtype)


def above(
    image: Image,
    method: Level,
    nbins: int,
    found: Histogram,
    *more: Any,
    dtype: str | None = None,
) -> Image:
    """Give the mask of what is brighter than the level that a method finds in a histogram.

    In a constant image nothing is. The histogram is one of `dtype`, if not of the image's own.
    """
    (least, greatest), histogram = found
    level = least
    if least != greatest:
        between, counted = (least, greatest), histogram.tobytes()
        level = level_of(method, dtype or str(image.dtype), between, counted, nbins, *more)
    mask: Image = image > level
    return mask


@lru_cache(maxsize=8)
def level_of(
    method: Level, dtype: str, between: Extent, counted: bytes, nbins: int, *more: Any
) -> Any:
    """Find a level; every tile of an image asks for the same one."""
    histogram = np.frombuffer(counted, np.intp)
    # Methods divide by what may be nothing, and leave out what comes of it.
    with np.errstate(all="ignore"):
        return method(*trimmed(histogram, centers(dtype, between, nbins, histogram)), *more)


def centers(dtype: str, between: Extent, nbins: int, histogram: NDArray[np.intp]) -> NDArray[Any]:
    """Give the values that the bins of a histogram stand for, as scikit-image has them."""
    if np.dtype(dtype).kind in "bu":
        return np.arange(histogram.size)
    edges = np.histogram_bin_edges(np.empty(0, dtype), nbins, between)
    values: NDArray[Any] = (edges[:-1] + edges[1:]) / 2.0
    return values


def trimmed(histogram: NDArray[np.intp], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut empty bins off both ends."""
    first, last = np.flatnonzero(histogram)[[0, -1]]
    return histogram[first : last + 1], values[first : last + 1]
