"""Compiled loops that slide a neighbourhood along a row and keep its histogram.

One bit for each level marks the levels that occur, so that only these are looked at. The arguments
that most loops share:

- `plane` is (rows + 2 · reach, columns + 2 · reach). Pixels outside the image have the level after
  the last one, for which its type has room.
- `runs` are those of `loops.ranks`.
- `counts` is (rows, columns), the number of pixels of each neighbourhood within the image, or a
  single row if all rows are alike.
- `levels` is a pair: the number of levels, and the number of words of bits to look at.
"""

from math import log

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, njit

# Levels whose bits one word holds.
WORD = 64
# scikit-image divides natural logarithms by this value.
LOG_2 = 0.6931471805599453


@intrinsic
def lowest_bit(_, word):  # noqa: ARG001 - numba reads the name
    """Return the index of the lowest set bit of a word that is not 0."""

    def generate(_context, builder, _signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def highest_bit(_, word):  # noqa: ARG001 - numba reads the name
    """Return the index of the highest set bit of a word that is not 0."""

    def generate(_context, builder, _signature, values):
        leading = builder.ctlz(values[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(ir.IntType(64), 63), leading)

    return types.uint64(types.uint64), generate


@exactly_inlined
def put(histogram, bits, level):
    """Add a level to a histogram."""
    histogram[level] += 1
    bits[level // WORD] |= np.uint64(1) << np.uint64(level % WORD)


@exactly_inlined
def take(histogram, bits, level):
    """Remove a level from a histogram."""
    left = histogram[level] - 1
    histogram[level] = left
    bits[level // WORD] &= ~(np.uint64(left == 0) << np.uint64(level % WORD))


@exactly
def put_all(plane, runs, y, x, histogram, bits):
    """Add the pixels of a neighbourhood to a histogram."""
    for k in range(runs.shape[0]):
        for i in range(runs[k, 1], runs[k, 2]):
            put(histogram, bits, np.uint64(plane[y + runs[k, 0], x + i]))


@exactly
def take_all(plane, runs, y, x, histogram, bits):
    """Remove the pixels of a neighbourhood from a histogram."""
    for k in range(runs.shape[0]):
        for i in range(runs[k, 1], runs[k, 2]):
            take(histogram, bits, np.uint64(plane[y + runs[k, 0], x + i]))


@exactly
def find_edges(plane, runs, y, leaving, entering):
    """Find the pixels that leave and enter as the neighbourhood moves on from a row's first pixel.

    `leaving` and `entering` get an index into the flat plane for each run.
    """
    for k in range(runs.shape[0]):
        start = (y + runs[k, 0]) * plane.shape[1]
        leaving[k] = start + runs[k, 1]
        entering[k] = start + runs[k, 2]


@exactly_inlined
def move(flat, leaving, entering, x, histogram, bits):
    """Move the histogram of a neighbourhood from pixel x - 1 to pixel x."""
    before = np.uint64(x - 1)
    for k in range(leaving.size):
        take(histogram, bits, np.uint64(flat[leaving[k] + before]))
        put(histogram, bits, np.uint64(flat[entering[k] + before]))


@exactly
def scratch(plane, runs, levels):
    """Make a histogram, its bits, the indices of leaving and entering pixels, and a flat plane."""
    return (
        np.zeros(levels + 1, np.int32),
        np.zeros(levels // WORD + 1, np.uint64),
        np.empty(len(runs), np.uint64),
        np.empty(len(runs), np.uint64),
        plane.reshape(-1),
    )


@exactly_inlined
def least_above(histogram, bits, words, amount):
    """Return the lowest level up to which there are more than `amount` pixels."""
    total, level = 0, np.uint64(0)
    for i in range(words):
        word = bits[i]
        while word:
            level = np.uint64(i * WORD) + lowest_bit(word)
            word &= word - np.uint64(1)
            total += histogram[level]
            if total > amount:
                return level
    return level


@exactly_inlined
def greatest_below(histogram, bits, words, amount):
    """Return the highest level down to which there are more than `amount` pixels."""
    total, level = 0, np.uint64(0)
    for i in range(words - 1, -1, -1):
        word = bits[i]
        while word:
            bit = highest_bit(word)
            level = np.uint64(i * WORD) + bit
            word ^= np.uint64(1) << bit
            total += histogram[level]
            if total > amount:
                return level
    return level


@exactly_inlined
def most_frequent(histogram, bits, words):
    """Return the level that occurs most often, the darkest of several."""
    most, found = 0, np.uint64(0)
    for i in range(words):
        word = bits[i]
        while word:
            level = np.uint64(i * WORD) + lowest_bit(word)
            word &= word - np.uint64(1)
            if histogram[level] > most:
                most, found = histogram[level], level
    return found


@exactly_inlined
def entropy(histogram, bits, words, terms):
    """Return the entropy of a full neighbourhood, in bits; for `terms` see `entropies`."""
    total = 0.0
    for i in range(words):
        word = bits[i]
        while word:
            level = np.uint64(i * WORD) + lowest_bit(word)
            word &= word - np.uint64(1)
            total -= terms[np.uint64(histogram[level])]
    return total


@exactly
def entropy_at_border(histogram, bits, words, population):
    """Return the entropy of `population` pixels, in bits."""
    total = 0.0
    for i in range(words):
        word = bits[i]
        while word:
            level = np.uint64(i * WORD) + lowest_bit(word)
            word &= word - np.uint64(1)
            share = histogram[level] / population
            total -= share * log(share) / LOG_2
    return total


@exactly_inlined
def sum_of(histogram, bits, words):
    """Return the sum of the levels of all pixels."""
    total = 0
    for i in range(words):
        word = bits[i]
        while word:
            level = np.uint64(i * WORD) + lowest_bit(word)
            word &= word - np.uint64(1)
            total += histogram[level] * np.int64(level)
    return total


@exactly_inlined
def best_otsu_level(histogram, bits, words, population):
    """Return Otsu's threshold: the level that best separates dark from bright pixels."""
    total = sum_of(histogram, bits, words)
    best, found = 0.0, np.uint64(0)
    dark, dark_total = int(histogram[0]), 0
    for i in range(words):
        word = bits[i] & ~np.uint64(i == 0)
        while word:
            level = np.uint64(i * WORD) + lowest_bit(word)
            word &= word - np.uint64(1)
            count = int(histogram[level])
            dark += count
            if dark == population:
                return found
            dark_total += count * int(level)
            bright = population - dark
            apart = bright * dark_total - np.float64((total - dark_total) * dark)
            between = (apart * apart) / (dark * bright)
            if between > best:
                best, found = between, level
    return found


@exactly_inlined
def mean_between(histogram, low, high):
    """Return the mean of the pixels with levels from `low` to `high`, rounded down; 0 if none."""
    total, count = 0, 0
    numbers = histogram[low : high + 1]
    for i in range(numbers.size):
        count += numbers[i]
        total += numbers[i] * i
    return total // max(count, 1) + low if count else 0


@exactly
def similar_means(plane, own, runs, levels, darker, brighter, result):
    """Compute the mean of the neighbours that are about as bright as each pixel, rounded down.

    They are less than `darker` levels brighter, and less than `brighter` levels darker.
    """
    histogram, bits, leaving, entering, flat = scratch(plane, runs, levels[0])
    width, last = result.shape[1], levels[0] - 1
    for y in range(result.shape[0]):
        find_edges(plane, runs, y, leaving, entering)
        put_all(plane, runs, y, 0, histogram, bits)
        for x in range(width):
            if x:
                move(flat, leaving, entering, x, histogram, bits)
            level = np.int64(own[y, x])
            low, high = max(level - brighter + 1, 0), min(level + darker - 1, last)
            result[y, x] = mean_between(histogram, low, high)
        take_all(plane, runs, y, width - 1, histogram, bits)


# Large neighbourhoods are not among those that a process calls to get warm, so that these loops are
# compiled when the module is loaded. The types of a plane may be one larger than those of results.
TYPES = (("uint8", "uint8"), ("uint16", "uint8"), ("uint16", "uint16"), ("uint32", "uint16"))
PERCENTILES = [
    f"void({plane}[:, ::1], int64[:, ::1], uint32[:, ::1], UniTuple(int64, 2), float64,"
    f" {result}[:, ::1])"
    for plane, result in TYPES
]
BETWEEN = [
    f"void({plane}[:, ::1], {plane}[:, :], int64[:, ::1], uint32[:, ::1], UniTuple(int64, 2),"
    f" float64, float64, int64, {result}[:, ::1])"
    for plane, result in TYPES
]


@njit(PERCENTILES, cache=True, error_model="numpy")
def percentiles(plane, runs, counts, levels, share, result):
    """Compute the level below which a share of each neighbourhood lies."""
    histogram, bits, leaving, entering, flat = scratch(plane, runs, levels[0])
    words, width = levels[1], result.shape[1]
    for y in range(result.shape[0]):
        find_edges(plane, runs, y, leaving, entering)
        put_all(plane, runs, y, 0, histogram, bits)
        for x in range(width):
            if x:
                move(flat, leaving, entering, x, histogram, bits)
            amount = share * np.float64(counts[y % counts.shape[0], x])
            result[y, x] = least_above(histogram, bits, words, amount)
        take_all(plane, runs, y, width - 1, histogram, bits)


@njit(BETWEEN, cache=True, error_model="numpy")
def between_percentiles(plane, own, runs, counts, levels, low, high, white, result):
    """Stretch each pixel between two percentiles of its neighbourhood."""
    histogram, bits, leaving, entering, flat = scratch(plane, runs, levels[0])
    words, width = levels[1], result.shape[1]
    from_top = 1.0 - high
    for y in range(result.shape[0]):
        find_edges(plane, runs, y, leaving, entering)
        put_all(plane, runs, y, 0, histogram, bits)
        for x in range(width):
            if x:
                move(flat, leaving, entering, x, histogram, bits)
            population = np.float64(counts[y % counts.shape[0], x])
            least = np.int64(least_above(histogram, bits, words, low * population))
            most = np.int64(greatest_below(histogram, bits, words, from_top * population))
            if most > least:
                level = min(max(least, np.int64(own[y, x])), most)
                result[y, x] = white * (level - least) // (most - least)
            else:
                result[y, x] = most - least
        take_all(plane, runs, y, width - 1, histogram, bits)


@exactly
def modes(plane, runs, levels, result):
    """Compute the most frequent level of each neighbourhood."""
    histogram, bits, leaving, entering, flat = scratch(plane, runs, levels[0])
    words, width = levels[1], result.shape[1]
    for y in range(result.shape[0]):
        find_edges(plane, runs, y, leaving, entering)
        put_all(plane, runs, y, 0, histogram, bits)
        for x in range(width):
            if x:
                move(flat, leaving, entering, x, histogram, bits)
            result[y, x] = most_frequent(histogram, bits, words)
        take_all(plane, runs, y, width - 1, histogram, bits)


@exactly
def entropies(plane, runs, counts, levels, terms, result):
    """Compute the entropy of each neighbourhood, in bits.

    `terms` has p · log2(p) for each count of a level in a full neighbourhood.
    """
    histogram, bits, leaving, entering, flat = scratch(plane, runs, levels[0])
    words, width = levels[1], result.shape[1]
    for y in range(result.shape[0]):
        find_edges(plane, runs, y, leaving, entering)
        put_all(plane, runs, y, 0, histogram, bits)
        for x in range(width):
            if x:
                move(flat, leaving, entering, x, histogram, bits)
            population = counts[y % counts.shape[0], x]
            if population == terms.size - 1:
                result[y, x] = entropy(histogram, bits, words, terms)
            else:
                result[y, x] = entropy_at_border(histogram, bits, words, np.float64(population))
        take_all(plane, runs, y, width - 1, histogram, bits)


@exactly
def otsu_levels(plane, runs, counts, levels, result):
    """Compute Otsu's threshold of each neighbourhood."""
    histogram, bits, leaving, entering, flat = scratch(plane, runs, levels[0])
    words, width = levels[1], result.shape[1]
    for y in range(result.shape[0]):
        find_edges(plane, runs, y, leaving, entering)
        put_all(plane, runs, y, 0, histogram, bits)
        for x in range(width):
            if x:
                move(flat, leaving, entering, x, histogram, bits)
            population = np.float64(counts[y % counts.shape[0], x])
            result[y, x] = best_otsu_level(histogram, bits, words, population)
        take_all(plane, runs, y, width - 1, histogram, bits)
