"""Arrays of integers that cannot overflow: sums and products are exact, whatever their order.

An integer is a row of *words* of 32 bits, the lowest first, in two's complement: the last axis of
an array of uint32. How many words there are is fixed before anything is computed, from a bound of
the result. Arithmetic is modulo the range of the words, so that intermediate values may exceed it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
Integers = NDArray[np.int64]

WORD_BITS = 32
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(WORD_BITS)


def word_count(bits: int) -> int:
    """Return the number of words for integers of this many bits and a sign; at least two."""
    return max(2, -(-(bits + 1) // WORD_BITS))


def words_of(values: Integers, count: int) -> Words:
    """Return integers of 64 bits as words.

    Parameters
    ----------
    values : ndarray of int64
        Of any shape.
    count : int
        Number of words, at least two.
    """
    two = np.ascontiguousarray(values, np.int64).view(np.uint32).reshape(*values.shape, 2)
    return widened(two, count)


def widened(words: Words, count: int) -> Words:
    """Return the same integers in more words."""
    more = count - words.shape[-1]
    if more == 0:
        return words
    sign = np.where(words[..., -1:] >> np.uint32(31), np.uint32(LOW), np.uint32(0))
    return np.concatenate([words, np.repeat(sign, more, axis=-1)], axis=-1)


def carried(sums: NDArray[Any]) -> Words:
    """Return words from sums of words: carry what exceeds 32 bits to the next word.

    Parameters
    ----------
    sums : ndarray of int64 or uint64
        The last axis has the words.
    """
    words = np.empty(sums.shape, np.uint32)
    carry = np.zeros(sums.shape[:-1], sums.dtype)
    bits = sums.dtype.type(WORD_BITS)
    for i in range(sums.shape[-1]):
        total = sums[..., i] + carry
        words[..., i] = total & sums.dtype.type(LOW)
        carry = total >> bits
    return words


def as_int64(words: Words) -> Integers | None:
    """Return integers of two words as integers of 64 bits, which are much faster; else None."""
    if words.shape[-1] != 2:
        return None
    return np.ascontiguousarray(words).view(np.int64)[..., 0]


def added(one: Words, other: Words) -> Words:
    """Return sums of integers of equally many words."""
    first, second = as_int64(one), as_int64(other)
    if first is not None and second is not None:
        return words_of(first + second, 2)
    return carried(one.astype(np.uint64) + other)


def negated(words: Words) -> Words:
    """Return integers with the opposite sign."""
    if (short := as_int64(words)) is not None:
        return words_of(-short, 2)
    flipped = (~words).astype(np.uint64)
    flipped[..., 0] += np.uint64(1)
    return carried(flipped)


def times(words: Words, factors: Integers) -> Words:
    """Return products with integers of less than 32 bits, in as many words.

    Parameters
    ----------
    words : ndarray of uint32
        (..., words).
    factors : ndarray of int64
        (...), between -2**32 and 2**32.
    """
    if (short := as_int64(words)) is not None:
        return words_of(short * factors, 2)
    sizes = np.abs(factors).astype(np.uint64)
    shape = np.broadcast_shapes(words.shape[:-1], sizes.shape)
    result = np.empty((*shape, words.shape[-1]), np.uint32)
    carry = np.zeros(shape, np.uint64)
    for i in range(words.shape[-1]):
        # At most (2**32 - 1)**2 + 2**32 - 1, which is less than 2**64.
        total = words[..., i] * sizes + carry
        result[..., i] = total & LOW
        carry = total >> SHIFT
    return np.where((factors < 0)[..., np.newaxis], negated(result), result)


def product(one: Words, other: Words, count: int) -> Words:
    """Return products of integers in a number of words that holds them."""
    one, other = widened(one, count), widened(other, count)
    total = np.zeros((*np.broadcast_shapes(one.shape, other.shape)[:-1], count), np.uint32)
    for i in range(count):
        part = times(one[..., : count - i], other[..., i].astype(np.int64))
        total[..., i:] = added(total[..., i:], part)
    return total


def moved(words: Words, places: int, count: int) -> Words:
    """Return integers times 2**(32 × places), in a number of words that holds them."""
    below = np.zeros((*words.shape[:-1], places), np.uint32)
    return widened(np.concatenate([below, words], axis=-1), count)


def shifted(words: Words, offsets: Integers, axis: int) -> Words:
    """Return moments about another origin: sums of (x + offset)**p from sums of x**p.

    Parameters
    ----------
    words : ndarray of uint32
        (n, powers, powers, words).
    offsets : ndarray of int64
        (n,): what is added to each coordinate.
    axis : int
        1 for powers of the row, 2 for those of the column.
    """
    # Horner's scheme for a polynomial about another point.
    factors = offsets[:, np.newaxis]
    if (short := as_int64(words)) is not None:
        return words_of(about(short.copy(), factors, axis), 2)
    lines = np.moveaxis(words, axis, 0).copy()
    for k in range(1, len(lines)):
        for p in range(len(lines) - 1, k - 1, -1):
            lines[p] = added(lines[p], times(lines[p - 1], factors))
    return np.moveaxis(lines, 0, axis)


def about(moments: NDArray[Any], factors: NDArray[Any], axis: int) -> NDArray[Any]:
    """Move moments to another origin in place, as `shifted`; integers of 64 bits or floats."""
    lines = np.moveaxis(moments, axis, 0)
    for k in range(1, len(lines)):
        for p in range(len(lines) - 1, k - 1, -1):
            lines[p] += lines[p - 1] * factors
    return moments


def as_floats(words: Words, exponent: int = 0) -> NDArray[np.float64]:
    """Return integers times 2**exponent as floats.

    The result depends on the values alone, not on the number of words.
    """
    if (short := as_int64(words)) is not None:
        # Rounded once, as the sum of two words below.
        total = short.astype(np.float64)
        return np.ldexp(total, exponent) if exponent else total
    negative = words[..., -1] >> np.uint32(31) != 0
    sizes = np.where(negative[..., np.newaxis], negated(words), words)
    total = np.zeros(words.shape[:-1])
    for i in range(words.shape[-1] - 1, -1, -1):
        total += np.ldexp(sizes[..., i].astype(np.float64), WORD_BITS * i + exponent)
    return np.where(negative, -total, total)
