"""Compiled loops of connected regions: runs of equal pixels, joined where they touch.

The *number* of a pixel is its index in the whole image in row order, from 1. A *code* is the number
of a region's first pixel in its upper bits, and a fact in its `FACT_BITS` lower bits. *Seats* are
defined in `kernels.components`.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit
from cluster_worker.kernels.loops.vectors import value_at

FACT_BITS = np.uint64(24)
FACT_MAX = np.uint64((1 << 24) - 1)

compiled = njit(cache=True, error_model="numpy")
# Eight bytes are compared at once. An array of the type of such a word, for `value_at`.
WORD = np.empty(0, np.uint64)
BYTE_IN_EACH = np.uint64(0x0101010101010101)
# Types of masks and of labels; the loops for all of them are compiled when this module is loaded.
VALUES = ("uint8", "uint16", "uint32", "int64")
COUNTED = [f"int64({each}[:, ::1])" for each in VALUES]
FOUND = [
    f"void({each}[:, ::1], {each}, int64, int32[::1], int32[::1], int32[::1], int32[::1])"
    for each in VALUES
]
# Seats of a mask, and of labels, which have the label in their upper half.
SEATED = [
    f"boolean({each}[:, ::1], boolean, int32[::1], int32[::1], int32[::1], int32[::1],"
    f" uint64[::1], {seats}[:, ::1])"
    for each, seats in (("uint8", "uint32"), *((each, "uint64") for each in VALUES[:3]))
]
LOOKED_UP = [
    f"void({seats}[:, :], boolean[::1], {each}, {each}[:, :])"
    for seats, count in (("uint32", 2), ("uint64", 3))
    for each in VALUES[:count]
]


@njit(COUNTED, cache=True, error_model="numpy")
def count_runs(values):
    """Count the runs of equal pixels in all rows."""
    total = 0
    for y in range(len(values)):
        line = values[y]
        before, after = line[:-1], line[1:]
        changes = 1
        for x in range(before.size):
            changes += before[x] != after[x]
        total += changes
    return total


@compiled
def root_of(parents, run):
    """Return the first known run of a run's region, and shorten the path to it."""
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@compiled
def end_of_run(line, x, value):
    """Return the column after the last value from x on that equals `value`, without a gap."""
    if line.itemsize == 1:
        # The caller keeps the line alive while its address is used.
        start, eight = line.ctypes.data, np.uint64(value) * BYTE_IN_EACH
        while x + 8 <= line.size and value_at(WORD, start + x) == eight:
            x += 8
    while x < line.size and line[x] == value:
        x += 1
    return x


@njit(FOUND, cache=True, error_model="numpy")
def find_runs(values, background, reach, starts, stops, parents, rows):
    """Find the runs that are not background, and join touching runs of equal value.

    Parameters
    ----------
    values : ndarray
        (rows, columns).
    background : scalar
        The value that belongs to no region.
    reach : int
        1 if pixels touch by corners, 0 if not.
    starts, stops, parents : ndarray of int32
        Arrays for the results, with room for all runs: the first column of each run, the column
        after its last, and the first run of its region.
    rows : ndarray of int32
        (rows + 1,): array for the first run of each row, and the number of runs.
    """
    count, width = 0, values.shape[1]
    for y in range(len(values)):
        line, above, rows[y] = values[y], values[y - 1], count
        other, last = (rows[y - 1] if y > 0 else 0), count
        x = 0
        while x < width:
            value, start = line[x], x
            x = end_of_run(line, x + 1, value)
            if value == background:
                continue
            starts[count], stops[count], parents[count] = start, x, count
            while other < last and stops[other] + reach <= start:
                other += 1
            each = other
            while each < last and starts[each] < x + reach:
                if above[starts[each]] == value:
                    a, b = root_of(parents, each), root_of(parents, count)
                    parents[max(a, b)] = min(a, b)
                each += 1
            count += 1
    rows[len(values)] = count
    for run in range(count):
        parents[run] = parents[parents[run]]


@compiled
def add_sizes(starts, stops, parents, facts):
    """Add the number of pixels of each region to the fact of its first run."""
    for run in range(parents.size):
        facts[parents[run]] += np.uint64(stops[run] - starts[run])


@compiled
def add_marks(marks, starts, stops, parents, rows, facts):
    """Add the number of marked pixels of each region to the fact of its first run."""
    for y in range(len(marks)):
        line = marks[y]
        for run in range(rows[y], rows[y + 1]):
            found = 0
            for x in range(starts[run], stops[run]):
                found += line[x]
            facts[parents[run]] += np.uint64(found)


@compiled
def write_codes(starts, stops, parents, rows, facts, first, columns, codes):
    """Fill an array with the codes of the regions, and with 0 where there is none.

    Parameters
    ----------
    starts, stops, parents, rows : ndarray of int32
        As `find_runs` makes them.
    facts : ndarray of uint64
        (runs,): the fact of each region, at its first run. It is overwritten with the codes.
    first, columns : int
        The number of the block's first pixel, and the columns of the whole image.
    codes : ndarray of uint64
        (rows, columns).
    """
    for y in range(len(codes)):
        line, x = codes[y], 0
        for run in range(rows[y], rows[y + 1]):
            if parents[run] == run:
                number = np.uint64(first + y * columns + starts[run])
                facts[run] = number << FACT_BITS | min(facts[run], FACT_MAX)
            else:
                facts[run] = facts[parents[run]]
            line[x : starts[run]] = 0
            line[starts[run] : stops[run]] = facts[run]
            x = stops[run]
        line[x:] = 0


@njit("uint64[:, ::1](uint64[:, ::1], uint64[:, ::1], int64)", cache=True, error_model="numpy")
def side_by_side(one, other, reach):
    """Return the pairs of regions of equal labels that touch along two adjacent lines.

    Parameters
    ----------
    one, other : ndarray of uint64
        (2, pixels): the regions along a line, 0 where there is none, and their labels.
    reach : int
        1 if pixels also touch by corners, 0 if not.

    Returns
    -------
    ndarray of uint64
        (pairs, 2). Consecutive equal pairs are returned once for each shift of one line against
        the other, so that a pair may occur several times.
    """
    pairs, count = np.empty((64, 2), np.uint64), 0
    for shift in range(-reach, reach + 1):
        last, beside = np.uint64(0), np.uint64(0)
        for x in range(max(-shift, 0), one.shape[1] - max(shift, 0)):
            a, b = one[0, x], other[0, x + shift]
            if a == 0 or b == 0 or (a == last and b == beside) or one[1, x] != other[1, x + shift]:
                continue
            if count == len(pairs):
                longer = np.empty((2 * count, 2), np.uint64)
                longer[:count] = pairs
                pairs = longer
            last, beside = a, b
            pairs[count, 0], pairs[count, 1] = a, b
            count += 1
    return pairs[:count]


@compiled
def position_of(code, known):
    """Return the index at which a code is, or would be inserted, in sorted codes."""
    low, high = 0, known.size
    while low < high:
        middle = (low + high) // 2
        if known[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def choose(codes, top, left, columns, known, totals, limit, above, result):
    """Compute the mask of the regions whose fact exceeds a limit, or the mask of all other pixels.

    Parameters
    ----------
    codes : ndarray of uint64
        (rows, columns).
    top, left, columns : int
        First row and column of the codes in the whole image, and the columns of that image.
    known : ndarray of uint64
        The codes that touch codes of other tiles, in rising order.
    totals : ndarray of int64
        For each code in `known`, the sum of facts of its region.
    limit : int
        The limit of the facts.
    above : bool
        True for the regions above the limit, False for all other pixels.
    result : ndarray of bool
        (rows, columns).
    """
    height, width = codes.shape
    for y in range(height):
        line, chosen = codes[y], result[y]
        last, value = np.uint64(0), not above
        for x in range(width):
            code = line[x]
            if code != last:
                last, value = code, not above
                if code != 0:
                    pixel = np.int64(code >> FACT_BITS) - 1
                    row = pixel // columns - top
                    column = pixel - (row + top) * columns - left
                    if 0 <= row <= y and 0 <= column < width and (row < y or column < x):
                        value = result[row, column]
                    else:
                        total = np.int64(code & FACT_MAX)
                        position = position_of(code, known)
                        if position < known.size and known[position] == code:
                            total = totals[position]
                        value = (total > limit) == above
            chosen[x] = value


@compiled
def reach_edges(starts, stops, parents, rows, width, reaches):
    """Mark the first run of each region that touches the block's edges."""
    for y in range(rows.size - 1):
        outermost = y in (0, rows.size - 2)
        for run in range(rows[y], rows[y + 1]):
            if outermost or starts[run] == 0 or stops[run] == width:
                reaches[parents[run]] = 1


@njit(SEATED, cache=True, error_model="numpy")
def write_seats(values, wanted, starts, stops, parents, rows, facts, seats):
    """Fill an array with the seats of the regions, and with 0 where there is none.

    Parameters
    ----------
    values : ndarray
        (rows, columns): the labels, which seats of 64 bits have in their upper half.
    wanted : bool
        Whether the regions with marks are wanted, or those without.
    starts, stops, parents, rows : ndarray of int32
        As `find_runs` makes them.
    facts : ndarray of uint64
        (runs,): the number of marks of each region, at its first run. It is overwritten with the
        seats.
    seats : ndarray of uint32 or uint64
        (rows, columns).

    Returns
    -------
    bool
        Whether there is any seat. If not, nothing has been written to `seats`.
    """
    width = values.shape[1]
    reaches = np.zeros(parents.size, np.uint8)
    reach_edges(starts, stops, parents, rows, width, reaches)
    waiting, some = np.uint64(1), False
    for run in range(parents.size):
        if parents[run] != run:
            facts[run] = facts[parents[run]]
            continue
        has_marks = np.uint64(facts[run] > 0)
        if reaches[run]:
            facts[run] = np.uint64(2) * waiting + has_marks
            waiting += np.uint64(1)
        else:
            facts[run] = np.uint64((has_marks == 1) == wanted)
        some |= facts[run] > 0
    if not some:
        return False
    above = np.uint64(32 if seats.itemsize == 8 else 64)
    for y in range(len(seats)):
        line, x = seats[y], 0
        for run in range(rows[y], rows[y + 1]):
            seat = facts[run]
            if above < 64 and seat > 0:
                seat |= np.uint64(values[y, starts[run]]) << above
            line[x : starts[run]] = 0
            line[starts[run] : stops[run]] = seat
            x = stops[run]
        line[x:] = 0
    return True


@njit(LOOKED_UP, cache=True, error_model="numpy")
def look_up(seats, table, white, result):
    """Fill a result with the wanted pixels, and with 0 elsewhere.

    Parameters
    ----------
    seats : ndarray of uint32 or uint64
        (rows, columns).
    table : ndarray of bool
        For each seat, whether it is wanted.
    white : scalar
        The value of wanted pixels for seats of 32 bits. For seats of 64 bits it is their label.
    result : ndarray
        (rows, columns).
    """
    for y in range(len(seats)):
        line, found = seats[y], result[y]
        last, value = line[0] - line[0], white - white
        for x in range(line.size):
            seat = line[x]
            if seat != last:
                last, value = seat, white - white
                if table[np.uint64(seat) & np.uint64(0xFFFFFFFF)]:
                    value = (seat >> 32) if seats.itemsize == 8 else white
            found[x] = value
