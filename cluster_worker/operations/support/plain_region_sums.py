"""The functions of `kernels.region_sums` without compiled loops: the same numbers, more slowly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels.region_sums import (
    NEIGHBOURS,
    REACH,
    FloatSums,
    Integers,
    Runs,
    perimeter_table,
    quad_table,
)
from cluster_worker.operations.declare import Image, Place

HALF_BITS, HALF = 27, (1 << 27) - 1
DIGIT = 0xFFFFFFFF


def find_runs(labels: Image) -> Runs:
    """Find the runs of positive labels."""
    changes = np.ones(labels.shape, np.bool_)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=changes[:, 1:])
    firsts = np.flatnonzero(changes)
    lengths = np.diff(firsts, append=labels.size)
    values = labels.ravel()[firsts]
    wanted = values > 0
    found, slots = np.unique(values[wanted].astype(np.int64), return_inverse=True)
    rows, starts = np.divmod(firsts[wanted], labels.shape[1])
    return Runs(found, slots.astype(np.int64), rows, starts, starts + lengths[wanted])


def per_region(function: np.ufunc, values: NDArray[Any], runs: Runs) -> NDArray[Any]:
    """Reduce the values of runs to one for each region."""
    order = np.argsort(runs.slots, kind="stable")
    firsts = np.searchsorted(runs.slots[order], np.arange(runs.labels.size))
    if firsts.size == 0:
        return values[:0]
    result: NDArray[Any] = function.reduceat(values[order], firsts)
    return result


def boxes(runs: Runs) -> Integers:
    """Return (regions, 5): pixels, first row and column, and the row and column after the last."""
    columns = (
        per_region(np.add, runs.stops - runs.starts, runs),
        per_region(np.minimum, runs.rows, runs),
        per_region(np.minimum, runs.starts, runs),
        per_region(np.maximum, runs.rows + 1, runs),
        per_region(np.maximum, runs.stops, runs),
    )
    return np.stack(columns, axis=1)


def low_moments(runs: Runs, top: int, left: int) -> Integers:
    """Return (regions, 5): sums of r, c, r², r·c and c² of the rows r and columns c of pixels."""
    n, y, first = runs.stops - runs.starts, runs.rows + top, runs.starts + left
    m = n - 1
    across = (2 * first + m) * n // 2
    squares = n * first * first + first * m * n + m * n * (2 * n - 1) // 6
    columns = (n * y, across, n * y * y, y * across, squares)
    return np.stack([per_region(np.add, each, runs) for each in columns], axis=1)


def borders(labels: Image, place: Place, runs: Runs) -> Integers:
    """Count what makes perimeters and Euler numbers."""
    framed = in_a_frame(labels, place)
    height, width = place.core.shape

    def seen(image: Image, dy: int, dx: int, ring: int = 0) -> Image:
        """Return what lies (dy, dx) away from each pixel of the core, grown by a ring."""
        top, left = REACH + dy - ring, REACH + dx - ring
        return image[top : top + height + 2 * ring, left : left + width + 2 * ring]

    around = seen(framed, 0, 0, 1)
    marks = np.zeros(framed.shape, np.bool_)
    for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
        seen(marks, 0, 0, 1)[...] |= seen(framed, dy, dx, 1) != around
    own = seen(framed, 0, 0)
    code, beside, corner = (np.zeros(own.shape, np.int64) for _ in range(3))
    for i, (dy, dx) in enumerate(NEIGHBOURS):
        same = seen(framed, dy, dx) == own
        code |= same.astype(np.int64) << i
        counts = beside if dy == 0 or dx == 0 else corner
        counts += same & seen(marks, dy, dx)
    slots = slots_of(runs, own.shape)
    inside = slots >= 0
    found = np.where(seen(marks, 0, 0), perimeter_table()[1 + 2 * beside + 10 * corner], -1)
    result = np.zeros((runs.labels.size, 6), np.int64)
    counted = inside & (found >= 0)
    np.add.at(result, (slots[counted], found[counted]), 1)
    open_ones = inside & (code != 255)
    np.add.at(result[:, 3:], slots[open_ones], quad_table()[code[open_ones]])
    return result


def in_a_frame(labels: Image, place: Place) -> Image:
    """Return the core of a block in a frame of `REACH` pixels, which are 0 outside the image."""
    core, window = place.core, place.window
    wanted = core.grown(REACH)
    if wanted == window:
        return labels
    there = wanted.intersection(window)
    framed = np.zeros(wanted.shape, labels.dtype)
    framed[there.relative_to(wanted).slices] = labels[there.relative_to(window).slices]
    return framed


def slots_of(runs: Runs, shape: tuple[int, int]) -> Integers:
    """Return the slot of each pixel of a core, or -1."""
    slots = np.full(shape, -1)
    slots[mask_of(runs, shape)] = np.repeat(runs.slots, runs.stops - runs.starts)
    return slots


def mask_of(runs: Runs, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of the pixels of runs, whose order is that of the runs."""
    steps = np.zeros((shape[0], shape[1] + 1), np.int8)
    np.add.at(steps, (runs.rows, runs.starts), 1)
    np.add.at(steps, (runs.rows, runs.stops), -1)
    return steps[:, :-1].cumsum(axis=1, dtype=np.int8).view(np.bool_)


def integer_sums(values: Image, runs: Runs) -> Integers:
    """Return (regions, 4): the sum of values, that of their squares, the least and the greatest."""
    found = values[mask_of(runs, values.shape)].astype(np.int64)
    firsts = first_pixels(runs)
    if firsts.size == 0:
        return np.zeros((0, 4), np.int64)
    columns = ((np.add, found), (np.add, found * found), (np.minimum, found), (np.maximum, found))
    return np.stack(
        [per_region(each, each.reduceat(of, firsts), runs) for each, of in columns], axis=1
    )


def first_pixels(runs: Runs) -> Integers:
    """Return for each run the index of its first pixel among the pixels of all runs."""
    lengths = runs.stops - runs.starts
    result: Integers = np.cumsum(lengths) - lengths
    return result


def float_sums(
    values: Image, runs: Runs, low: int, digits: int, low_square: int, digits_square: int
) -> FloatSums:
    """Return the exact sums of the floats of each region."""
    count = runs.labels.size
    found = values[mask_of(runs, values.shape)].astype(np.float64)
    slots = np.repeat(runs.slots, runs.stops - runs.starts)
    least, greatest = np.full(count, np.inf), np.full(count, -np.inf)
    odd = np.zeros(count, np.uint8)
    for bit, those in ((1, np.isnan(found)), (2, found == np.inf), (4, found == -np.inf)):
        np.bitwise_or.at(odd, slots[those], np.uint8(bit))
    known = ~np.isnan(found)
    np.minimum.at(least, slots[known], found[known])
    np.maximum.at(greatest, slots[known], found[known])
    finite = np.isfinite(found)
    sizes, positions, signs = parts_of(found[finite])
    slots = slots[finite]
    sums = np.zeros((count, digits), np.int64)
    add_digits(sums, slots, sizes, positions - 32 * low, signs)
    squares = np.zeros((count, digits_square), np.int64)
    if digits_square:
        high, below = sizes >> HALF_BITS, sizes & HALF
        positions = 2 * positions - 32 * low_square
        add_digits(squares, slots, below * below, positions, 1)
        add_digits(squares, slots, 2 * high * below, positions + HALF_BITS, 1)
        add_digits(squares, slots, high * high, positions + 2 * HALF_BITS, 1)
    return FloatSums(least, greatest, odd, sums, squares)


def parts_of(values: NDArray[np.float64]) -> tuple[Integers, Integers, Integers]:
    """Return floats as integers of 53 bits, exponents of 2, and signs of 1 or -1.

    The exponent is that of the float's last bit: at least -1074. Zero has that of the smallest.
    """
    words = np.ascontiguousarray(values).view(np.int64)
    fields = words >> 52 & 0x7FF
    sizes = (words & (1 << 52) - 1) | (fields > 0).astype(np.int64) << 52
    return sizes, np.maximum(fields - 1, 0) - 1074, np.where(words < 0, -1, 1)


def add_digits(
    digits: Integers, slots: Integers, sizes: Integers, positions: Integers, signs: Any
) -> None:
    """Add integers of up to 55 bits times powers of 2, split into digits of 32 bits."""
    some = sizes != 0
    slots, sizes, positions = slots[some], sizes[some], positions[some]
    signs = signs[some] if isinstance(signs, np.ndarray) else signs
    first, by = positions >> 5, positions & 31
    low = (sizes & DIGIT).astype(np.uint64) << by.astype(np.uint64)
    rest = (low >> np.uint64(32)).astype(np.int64) + (sizes >> 32 << by)
    np.add.at(digits, (slots, first), signs * (low & np.uint64(DIGIT)).astype(np.int64))
    np.add.at(digits, (slots, first + 1), signs * (rest & DIGIT))
    np.add.at(digits, (slots, first + 2), signs * (rest >> 32))
