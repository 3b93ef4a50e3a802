"""Quantiles of a whole image: exactly numpy's, whatever the tiling.

The bits of a pixel can be converted to an unsigned integer, its *key*, so that the keys have the
order of the pixels. The pixel of a given rank is found in several measures. Each counts the keys
that begin with the bits found so far by their next 16 bits, a *digit*.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Measure

Counts = NDArray[np.intp]

DIGIT_BITS = 16
# Digits of the longest type, 64 bits. A measure is declared for each; shorter types leave the last
# ones empty.
DIGITS = 4
NO_DIGIT = np.zeros(1, np.intp)


def quantiles(shares: Sequence[float]) -> tuple[Measure, ...]:
    """Return the measures that `quantile_values` needs for some quantiles.

    Parameters
    ----------
    shares : sequence of float
        For each quantile, the share of the pixels below it, from 0 to 1.
    """
    return (Measure(partial(count_digits, shares=shares), np.add),) * DIGITS


def keys_of(image: Image) -> NDArray[Any]:
    """Return unsigned integers of the pixels' size, one for each pixel, in the pixels' order."""
    kind = image.dtype.kind
    if kind in "bu":
        return image.view(np.uint8) if kind == "b" else image
    unsigned = np.dtype(f"u{image.dtype.itemsize}")
    bits = image.view(unsigned) if image.flags.c_contiguous else image.copy().view(unsigned)
    sign = unsigned.type(1 << (8 * unsigned.itemsize - 1))
    keys: NDArray[Any] = bits ^ sign
    return keys if kind == "i" else np.where(bits & sign, ~bits, bits | sign)


def value_of(key: int, dtype: np.dtype[Any]) -> Any:
    """Return the pixel that has a key."""
    if dtype.kind in "bu":
        # numpy has no quantiles of masks.
        return np.uint8(key) if dtype.kind == "b" else dtype.type(key)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    sign = 1 << (8 * dtype.itemsize - 1)
    bits = key ^ sign if dtype.kind == "i" or key & sign else key ^ (2 * sign - 1)
    return np.array(bits, unsigned).view(dtype)[()]


def count_digits(image: Image, *earlier: Counts, shares: Sequence[float]) -> Counts:
    """Count the keys that begin like the wanted ones, by their next digit.

    Returns
    -------
    ndarray of int
        (ranks, digits): one row of counts for each rank of `ranks_of`; for the first digit, one row
        in all. `NO_DIGIT` after a key's last digit.
    """
    bits = 8 * image.dtype.itemsize
    if earlier and DIGIT_BITS * len(earlier) >= bits:
        return NO_DIGIT
    keys = keys_of(image).ravel()
    shift = max(bits - DIGIT_BITS * (len(earlier) + 1), 0)
    size = 1 << min(bits, DIGIT_BITS)
    digits = (keys >> shift) & (size - 1)
    if not earlier:
        return np.bincount(digits, minlength=size)[np.newaxis]
    begun = keys >> (shift + DIGIT_BITS)
    return np.stack(
        [
            np.bincount(digits[begun == prefix], minlength=size)
            for prefix, _ in prefixes(earlier, shares)
        ]
    )


def digits_of_levels(histogram: Counts) -> tuple[Counts, ...]:
    """Return what `quantiles` measures of integers with this histogram: they have one digit."""
    return histogram[np.newaxis], *(NO_DIGIT,) * (DIGITS - 1)


def prefixes(counted: Sequence[Counts], shares: Sequence[float]) -> list[tuple[int, int]]:
    """Return for each wanted rank the digits found so far, and its rank among such keys."""
    found = [(0, rank) for rank in ranks_of(int(counted[0].sum()), shares)]
    for counts in counted:
        if counts.ndim == 1:
            break
        rows = np.broadcast_to(counts, (len(found), counts.shape[1]))
        found = [next_digit(row, *each) for row, each in zip(rows, found, strict=True)]
    return found


def next_digit(counts: Counts, prefix: int, rank: int) -> tuple[int, int]:
    """Find the next digit of the key of a rank; return the longer prefix and the new rank."""
    up_to = np.cumsum(counts)
    digit = int(np.searchsorted(up_to, rank, side="right"))
    return prefix << DIGIT_BITS | digit, rank - (int(up_to[digit - 1]) if digit else 0)


def ranks_of(count: int, shares: Sequence[float]) -> list[int]:
    """Return the two ranks on both sides of each quantile, counted from 0."""
    lower = [int(place_of(count, share)) for share in shares]
    return [rank for each in lower for rank in (each, min(each + 1, count - 1))]


def place_of(count: int, share: float) -> np.float64:
    """Return the place of a quantile among ranks from 0, between two ranks, as numpy does."""
    return (count - 1) * np.float64(share)


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
        Type of the image.
    """
    values = [value_of(key, dtype) for key, _ in prefixes(counted, shares)]
    places = [place_of(int(counted[0].sum()), share) for share in shares]
    return [
        between(low, high, place - int(place))
        for low, high, place in zip(values[::2], values[1::2], places, strict=True)
    ]


def between(low: Any, high: Any, share: np.float64) -> Any:
    """Interpolate between two values at a share of the way, rounded as numpy does."""
    step = high - low
    return low + step * share if share < 0.5 else high - step * (1 - share)
