"""Measures of a whole image that several operations share; sums over tiles are exact."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations.declare import Image, Measure

Extent = tuple[Any, Any]


def some_negative(image: Image) -> bool:
    """Return whether any pixel lies below 0; NaN does not."""
    return bool(np.fmin.reduce(image, axis=None) < 0)


def extent(image: Image) -> Extent:
    """Return the least and the greatest value; both are NaN if the image holds NaN."""
    return image.min(), image.max()


def join_extents(a: Extent, b: Extent) -> Extent:
    """Join the extents of two sets of tiles; NaN in either gives NaN."""
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


EXTENT = (Measure(extent, join_extents),)


def numbers(image: Image) -> Image:
    """Return the pixels that are numbers: NaN says that there is no data."""
    if image.dtype.kind != "f" or not np.isnan(image).any():
        return image
    return image[~np.isnan(image)]


def extent_of_numbers(image: Image) -> Extent:
    """Return the least and the greatest number; both are NaN if there is none."""
    return np.fmin.reduce(image, axis=None), np.fmax.reduce(image, axis=None)


def join_extents_of_numbers(a: Extent, b: Extent) -> Extent:
    """Join the extents of two sets of tiles, whose NaN count for nothing."""
    return np.fmin(a[0], b[0]), np.fmax(a[1], b[1])


EXTENT_OF_NUMBERS = (Measure(extent_of_numbers, join_extents_of_numbers),)


def counts(image: Image, between: Extent, bins: int = 256) -> NDArray[np.intp]:
    """Count the pixels of each value, or for floats and masks those in each bin.

    The bins are numpy's for the whole image, so that the sum over tiles is its histogram. NaN is in
    no bin.

    Parameters
    ----------
    image : ndarray
        Of bool, unsigned integers or floats.
    between : tuple
        Least and greatest value of the whole image.
    bins : int
        Number of bins between these values, for floats and masks.

    Raises
    ------
    Rejected
        If the image holds infinity, or no number.
    """
    if image.dtype.kind == "u":
        levels = 2 ** (8 * image.dtype.itemsize)
        values: NDArray[np.intp] = np.bincount(image.astype(np.intp).ravel(), minlength=levels)
        return values
    refuse_not_finite(between)
    if image.dtype.kind == "b":
        true = np.count_nonzero(image)
        share, _ = np.histogram(
            [0, 1], bins, (int(between[0]), int(between[1])), weights=[image.size - true, true]
        )
        return share.astype(np.intp)
    counted: NDArray[np.intp] = np.histogram(numbers(image), bins=bins, range=between)[0]
    return counted


def bin_centers(dtype: str, between: Extent, bins: int) -> NDArray[Any]:
    """Return the values at the centres of the bins of `counts`, as scikit-image computes them.

    Parameters
    ----------
    dtype : str
        Type of the image: bool or floats.
    between, bins
        As in `counts`.
    """
    if dtype == "bool":
        # numpy converts masks to 8 bits.
        dtype, between = "uint8", (int(between[0]), int(between[1]))
    edges = np.histogram_bin_edges(np.empty(0, dtype), bins, between)
    values: NDArray[Any] = (edges[:-1] + edges[1:]) / 2.0
    return values


def refuse_not_finite(between: Extent) -> None:
    """Check that the least and the greatest value of an image are finite.

    Raises
    ------
    Rejected
        If one of them is NaN or infinite.
    """
    if not np.isfinite(between).all():
        raise Rejected("the image holds NaN or infinity, which have no histogram")


# How far a step may carry black or white beyond its value by rounding in single precision.
ROUNDING = 1e-5


def within_one(image: Image, *, statistics: tuple[Extent], remedy: str) -> Image:
    """Return floats unchanged, after a check that they lie within -1…1.

    Raises
    ------
    Rejected
        If others are there, which the next operation would cut off; `remedy` says what to set.
    """
    ((least, greatest),) = statistics
    if least < -1 - ROUNDING or greatest > 1 + ROUNDING:
        raise Rejected(
            f"cuts off values beyond -1 and 1, and this image holds {least:.6g} to {greatest:.6g}; "
            f"{remedy}, or put rescale_intensity before it"
        )
    return image


def exact_sum(values: NDArray[Any]) -> int:
    """Return the sum of floats without rounding, as an integer in units of 2**-1126.

    The sum of floats depends on the order of the terms, and so on the tiling; that of integers
    does not. `rounded_sum` converts the integer to a float.

    Parameters
    ----------
    values : ndarray
        Finite floats of 32 or 64 bits.
    """
    mantissas, exponents = np.frexp(values.astype(np.float64).ravel())
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    shifts = exponents.astype(np.intp) - EXPONENT_MIN
    total = 0
    # In halves of 27 bits, so that sums of fewer than 2**26 of them are exact in floats as well.
    for half, shift in ((whole >> 27, 27), (whole & 0x7FFFFFF, 0)):
        sums = np.bincount(shifts, half)
        total += sum(int(sums[i]) << (int(i) + shift) for i in np.flatnonzero(sums))
    return total


def exact_sum_of(values: NDArray[Any], counted: NDArray[np.intp]) -> int:
    """Return the exact sum, as `exact_sum` does, of values that occur `counted` times each."""
    mantissas, exponents = np.frexp(values.astype(np.float64))
    whole = np.ldexp(mantissas, 53).astype(np.int64).tolist()
    shifts = (exponents.astype(np.intp) - EXPONENT_MIN).tolist()
    terms = zip(whole, counted.tolist(), shifts, strict=True)
    return sum(each * times << shift for each, times, shift in terms)


# Exponent of the smallest positive double, as frexp returns it.
EXPONENT_MIN = -1073


def rounded_sum(total: int) -> float:
    """Convert an exact sum to the nearest float."""
    shift = 53 - EXPONENT_MIN
    return total / (1 << shift) if total else 0.0


def scale(image: Image, low: float, high: float) -> Image:
    """Map a range of floats to 0…1."""
    result: Image = (image - image.dtype.type(low)) / image.dtype.type(high - low)
    return result


def stretch(image: Image, *, statistics: tuple[Extent]) -> Image:
    """Map the range of the whole image to 0…1; a constant image becomes black."""
    ((low, high),) = statistics
    if not high > low:
        return np.zeros_like(image)
    return scale(image, low, high)
