"""Histograms of the whole image, and the thresholds that are found in them."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Measure, Number, Stage
from cluster_worker.operations.support.statistics import (
    EXTENT,
    EXTENT_OF_NUMBERS,
    Extent,
    bin_centers,
    counts,
)

Bins = Annotated[
    int,
    Number(2, 65536, slider=(16, 1024), step=1),
    "Bins of the histogram for floats and masks; integers have one bin for each value.",
]
Histogram = tuple[Extent, NDArray[np.intp]]
# Most levels that are counted one by one.
LEVELS_MAX = 1 << 16
# From the counts of a histogram and the values of its bins to a level.
Level = Callable[..., Any]


def histogram(nbins: int) -> tuple[Measure, ...]:
    """Return the measures of least and greatest value, and of a histogram.

    Floats and masks are counted in `nbins` bins; integers have one bin for each value.
    """
    return (*EXTENT_OF_NUMBERS, Measure(partial(counts, bins=nbins), np.add))


def binned(nbins: int) -> tuple[Measure, ...]:
    """Return the measures of `histogram`, with 16-bit images counted in `nbins` bins as well."""
    return (*EXTENT_OF_NUMBERS, Measure(partial(counts_in_bins, bins=nbins), np.add))


def counts_in_bins(image: Image, between: Extent, bins: int) -> NDArray[np.intp]:
    """Count the pixels of each value for 8-bit images, or in `bins` bins for others."""
    dtype = binned_type(image)
    if dtype == "float64":
        between = (float(between[0]), float(between[1]))
    return counts(image.astype(dtype, copy=False), between, bins)


def binned_type(image: Image) -> str:
    """Return the type as which an image is counted: 16-bit images are counted as floats."""
    return "float64" if image.dtype == np.uint16 else str(image.dtype)


def from_zero(image: Image) -> Image:
    """Return whole numbers of 8 or 16 bits with sign as the same levels without it."""
    kind = np.dtype(f"u{image.itemsize}")
    levels: Image = image.view(kind) ^ kind.type(1 << (8 * image.itemsize - 1))
    return levels


def from_least(image: Image, *, statistics: tuple[Extent]) -> Image:
    """Return whole numbers of 32 or 64 bits as 16 bits that count from the least of them.

    Raises
    ------
    Rejected
        If the image has too many levels to count.
    """
    ((least, greatest),) = statistics
    if int(greatest) - int(least) >= LEVELS_MAX:
        raise Rejected(
            f"counts at most {LEVELS_MAX} levels, and this image holds {least} to {greatest}; put "
            "rescale_intensity before it, or give the image as floats"
        )
    shifted: Image = (image - image.dtype.type(least)).astype(np.uint16)
    return shifted


def levels_from_zero(dtype: str, name: str) -> Stage | None:
    """Return the stage that shifts the levels of an image to start at 0; None if they do.

    Parameters
    ----------
    dtype : str
        Of the image.
    name : str
        Of the operation, for the error.
    """
    given = np.dtype(dtype)
    if given.kind not in "iu" or dtype in ("uint8", "uint16"):
        return None
    if given.itemsize <= 2:
        return Stage(from_zero, name=name)
    like = partial(np.asarray, dtype=np.uint16)
    return Stage(from_least, measures=EXTENT, like=like, name=name)


def above(
    image: Image,
    method: Level,
    nbins: int,
    found: Histogram,
    *more: Any,
    dtype: str | None = None,
) -> Image:
    """Return the mask of the pixels above the level that a method finds in a histogram.

    The level of a constant image is its value, so that its mask is empty.

    Parameters
    ----------
    image : ndarray
        A core.
    method : callable
        ``method(counts, values, *more)`` returns the level.
    nbins : int
        Bins for floats.
    found : tuple
        Least and greatest value of the whole image, and its histogram.
    *more
        Further arguments of the method.
    dtype : str, optional
        Type as which pixels were counted, if it is not the image's own.
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
    """Find a level. The result is cached, since every tile of an image needs the same one."""
    histogram = np.frombuffer(counted, np.intp)
    # Some methods divide by empty classes, and then ignore the result.
    with np.errstate(all="ignore"):
        return method(*trimmed(histogram, centers(dtype, between, nbins, histogram)), *more)


def centers(dtype: str, between: Extent, nbins: int, histogram: NDArray[np.intp]) -> NDArray[Any]:
    """Return the values at the centres of a histogram's bins, as scikit-image computes them."""
    if np.dtype(dtype).kind == "u":
        return np.arange(histogram.size)
    return bin_centers(dtype, between, nbins)


def trimmed(histogram: NDArray[np.intp], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut empty bins off both ends of a histogram."""
    first, last = np.flatnonzero(histogram)[[0, -1]]
    return histogram[first : last + 1], values[first : last + 1]
