"""Quantiles of a whole image: exactly numpy's, whatever the tiling.

The 64 bits of a float can be converted to an integer so that integers have the order of the floats.
The value of a given rank is found in four measures. Each counts the values that begin with the
bits found so far by their next 16 bits, a *digit*.
"""

from collections.abc import Sequence
from functools import partial
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Measure

Counts = NDArray[np.int64]

DIGIT_BITS = 16
DIGITS = 64 // DIGIT_BITS
SIGN = np.uint64(1 << 63)


def quantiles(shares: Sequence[float]) -> tuple[Measure, ...]:
    """Return the measures that `quantile_values` needs for some quantiles.

    Parameters
    ----------
    shares : sequence of float
        For each quantile, the share of the pixels below it, from 0 to 1.
    """
    return tuple(Measure(partial(count_digits, shares=shares), np.add) for _ in range(DIGITS))


def in_order(image: Image) -> NDArray[np.uint64]:
    """Return integers of 64 bits, one for each pixel, in the same order as the pixels' values."""
    bits = np.ascontiguousarray(image, np.float64).ravel().view(np.uint64)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def count_digits(image: Image, *earlier: Counts, shares: Sequence[float]) -> Counts:
    """Count the values that begin like the wanted ones, by their next digit.

    Returns
    -------
    ndarray of int
        (ranks, 2**16): one row of counts for each wanted rank; for the first digit, one row in all.
    """
    values = in_order(image)
    shift = np.uint64(64 - DIGIT_BITS * (len(earlier) + 1))
    digits = 1 << DIGIT_BITS
    if not earlier:
        return np.bincount((values >> shift).astype(np.intp), minlength=digits)[np.newaxis]
    begun = values >> (shift + np.uint64(DIGIT_BITS))
    # Select the values first: usually only a few begin with the prefix.
    return np.stack(
        [
            np.bincount(
                ((values[begun == prefix] >> shift) & np.uint64(digits - 1)).astype(np.intp),
                minlength=digits,
            )
            for prefix, _ in prefixes(earlier, shares)
        ]
    )


def ranks_of(count: int, shares: Sequence[float]) -> list[int]:
    """Return the two ranks on both sides of each quantile, counted from 0."""
    lower = [min(floor((count - 1) * share), count - 1) for share in shares]
    return [rank for each in lower for rank in (each, min(each + 1, count - 1))]


def prefixes(counted: Sequence[Counts], shares: Sequence[float]) -> list[tuple[np.uint64, int]]:
    """Return for each wanted rank the digits found so far, and its rank among such values."""
    found = [(np.uint64(0), rank) for rank in ranks_of(int(counted[0].sum()), shares)]
    for counts in counted:
        rows = np.broadcast_to(counts, (len(found), counts.shape[1]))
        found = [next_digit(row, *each) for row, each in zip(rows, found, strict=True)]
    return found


def next_digit(counts: Counts, prefix: np.uint64, rank: int) -> tuple[np.uint64, int]:
    """Find the next digit of the value of a rank; return the longer prefix and the new rank."""
    up_to = np.cumsum(counts)
    digit = int(np.searchsorted(up_to, rank, side="right"))
    below = int(up_to[digit - 1]) if digit else 0
    return (prefix << np.uint64(DIGIT_BITS)) | np.uint64(digit), rank - below


def quantile_values(
    counted: Sequence[Counts], shares: Sequence[float], dtype: np.dtype[Any]
) -> list[Any]:
    """Return the quantiles, with linear interpolation between two values, as numpy does.

    Parameters
    ----------
    counted : sequence of ndarray
        The counts from the measures of `quantiles`.
    shares : sequence of float
        As in `quantiles`.
    dtype : dtype
        Type of the image, in which numpy interpolates.
    """
    bits = np.array([prefix for prefix, _ in prefixes(counted, shares)], np.uint64)
    values = np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float64).astype(dtype)
    places = [(int(counted[0].sum()) - 1) * np.float64(share) for share in shares]
    return [
        between(low, high, place - floor(place))
        for low, high, place in zip(values[::2], values[1::2], places, strict=True)
    ]


def between(low: Any, high: Any, share: np.float64) -> Any:
    """Interpolate between two values at a share of the way, rounded as numpy does."""
    step = high - low
    return low + step * share if share < 0.5 else high - step * (1 - share)
