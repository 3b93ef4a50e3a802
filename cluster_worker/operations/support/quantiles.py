"""Quantiles of a whole image: exactly numpy's, whatever the tiling.

A float's 64 bits, taken as a whole number, can be put in the order of the floats. The value of a
given rank is found 16 bits at a time, from counts of how many values begin with which bits.
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
    """Measure what `quantile_values` needs for some quantiles.

    Parameters
    ----------
    shares : sequence of float
        From 0 to 1, which share of the pixels is less.
    """
    return tuple(Measure(partial(count_digits, shares=shares), np.add) for _ in range(DIGITS))


def in_order(image: Image) -> NDArray[np.uint64]:
    """Give whole numbers of 64 bits that stand in the order of the pixels' values."""
    bits = np.ascontiguousarray(image, np.float64).ravel().view(np.uint64)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def count_digits(image: Image, *earlier: Counts, shares: Sequence[float]) -> Counts:
    """Count the values that begin as those wanted do, by their next digit.

    Returns
    -------
    ndarray of int
        One row of 2**16 counts for each rank wanted; of the first digit, one row for all.
    """
    values = in_order(image)
    shift = np.uint64(64 - DIGIT_BITS * (len(earlier) + 1))
    digits = 1 << DIGIT_BITS
    if not earlier:
        return np.bincount((values >> shift).astype(np.intp), minlength=digits)[np.newaxis]
    begun = values >> (shift + np.uint64(DIGIT_BITS))
    # An image may have no more than a few values that begin so.
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
    """Give the ranks next to each quantile, two for each, from 0."""
    lower = [min(floor((count - 1) * share), count - 1) for share in shares]
    return [rank for each in lower for rank in (each, min(each + 1, count - 1))]


def prefixes(counted: Sequence[Counts], shares: Sequence[float]) -> list[tuple[np.uint64, int]]:
    """Give for each rank wanted how its value begins, and its rank among those that do."""
    found = [(np.uint64(0), rank) for rank in ranks_of(int(counted[0].sum()), shares)]
    for counts in counted:
        rows = np.broadcast_to(counts, (len(found), counts.shape[1]))
        found = [next_digit(row, *each) for row, each in zip(rows, found, strict=True)]
    return found


def next_digit(counts: Counts, prefix: np.uint64, rank: int) -> tuple[np.uint64, int]:
    """Add the digit of the value of a rank to what it begins with."""
    up_to = np.cumsum(counts)
    digit = int(np.searchsorted(up_to, rank, side="right"))
    below = int(up_to[digit - 1]) if digit else 0
    return (prefix << np.uint64(DIGIT_BITS)) | np.uint64(digit), rank - below


def quantile_values(
    counted: Sequence[Counts], shares: Sequence[float], dtype: np.dtype[Any]
) -> list[Any]:
    """Give the quantiles, between two values in a straight line, as numpy does.

    Parameters
    ----------
    counted : sequence of ndarray
        What `quantiles` has measured.
    dtype : dtype
        Of the image: between its values numpy computes in it.
    """
    bits = np.array([prefix for prefix, _ in prefixes(counted, shares)], np.uint64)
    values = np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float64).astype(dtype)
    places = [(int(counted[0].sum()) - 1) * np.float64(share) for share in shares]
    return [
        between(low, high, place - floor(place))
        for low, high, place in zip(values[::2], values[1::2], places, strict=True)
    ]


def between(low: Any, high: Any, share: np.float64) -> Any:
    """Give the value at a share of the way, rounded as numpy does."""
    step = high - low
    return low + step * share if share < 0.5 else high - step * (1 - share)
