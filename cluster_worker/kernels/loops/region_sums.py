"""Compiled loops that find the regions of a tile of labels, and sum over their pixels.

All loops but the first take the runs of the tile: for each run its region's slot, its row, its
first column, and the column after its last.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, njit

# Multiplier of the hash of a label: 2**64 divided by the golden ratio, odd.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# First number of places for labels, as a power of 2; it doubles when half of them are taken.
PLACES_BITS = 10
DIGIT = np.int64(0xFFFFFFFF)
# Of a float64: its bits of fraction, and the exponent of its lowest bit when its field is 1.
FRACTION_BITS, EXPONENT_OF_ONE = 52, -1074
FRACTION, FIELD = np.int64((1 << 52) - 1), np.int64(0x7FF)
HALF_BITS = 27
HALF = np.int64((1 << HALF_BITS) - 1)
# The runs: slots, rows, starts and stops.
RUNS_OF = ", ".join(["int64[::1]"] * 4)
TABLE = "int64[:, ::1]"
LABELS = ("int32", "int64")
VALUES = ("uint8", "uint16", "int8", "int16")


@exactly_inlined
def place_of(label, table, bits):
    """Return where a label is in a hash table, or the free place where it belongs.

    Labels that differ in their last three bits only share a line of the cache: neighbouring
    regions often have neighbouring labels.
    """
    mask = len(table) - 1
    group = np.uint64(label >> 3) * GOLDEN >> np.uint64(67 - bits)
    place = np.int64(group) << 3 | label & 7
    while table[place, 0] != 0 and table[place, 0] != label:
        place = (place + 1) & mask
    return place


@exactly
def doubled(table, bits):
    """Return the same hash table with twice as many places."""
    result = np.zeros((2 * len(table), 2), np.int64)
    for i in range(len(table)):
        if table[i, 0]:
            place = place_of(table[i, 0], result, bits + 1)
            result[place, 0], result[place, 1] = table[i, 0], table[i, 1]
    return result


@exactly
def longer(values):
    """Return an array twice as long that begins with the same values."""
    result = np.empty(2 * values.size, np.int64)
    result[: values.size] = values
    return result


@njit([f"int64({kind}[:, ::1])" for kind in LABELS], cache=True, error_model="numpy")
def count_runs(labels):
    """Count the runs of positive labels."""
    total = np.int64(0)
    for y in range(labels.shape[0]):
        line = labels[y]
        before = line[0]
        total += np.int64(before > 0)
        for x in range(1, line.size):
            label = line[x]
            total += np.int64((label != before) & (label > 0))
            before = label
    return total


@exactly_inlined
def find_changes(line, changes):
    """Write the columns where the label changes, and the number of columns; return how many."""
    count, before = np.int64(0), line[0]
    for x in range(1, line.size):
        label = line[x]
        changes[count] = x
        count += np.int64(label != before)
        before = label
    changes[count] = line.size
    return count + 1


@njit(
    [f"int64[::1]({kind}[:, ::1], {RUNS_OF})" for kind in LABELS],
    cache=True,
    error_model="numpy",
)
def find_runs(labels, slots, rows, starts, stops):
    """Find the runs of positive labels, and return the labels in the order in which they are met.

    For each run the arrays get the index of its label, its row, its first column, and the column
    after its last.
    """
    bits = PLACES_BITS
    # Each label with its index.
    table = np.zeros((1 << bits, 2), np.int64)
    found, known, count = np.empty(1 << bits, np.int64), 0, 0
    changes = np.empty(labels.shape[1], np.int64)
    for y in range(labels.shape[0]):
        line, start = labels[y], 0
        for i in range(find_changes(line, changes)):
            stop, label = changes[i], np.int64(line[start])
            if label > 0:
                place = place_of(label, table, bits)
                if table[place, 0] == 0:
                    if 2 * known >= len(table):
                        table = doubled(table, bits)
                        bits += 1
                        place = place_of(label, table, bits)
                    if known == found.size:
                        found = longer(found)
                    table[place, 0], table[place, 1], found[known] = label, known, label
                    known += 1
                slots[count], rows[count] = table[place, 1], y
                starts[count], stops[count] = start, stop
                count += 1
            start = stop
    return found[:known].copy()


@njit(f"void({RUNS_OF}, {TABLE})", cache=True, error_model="numpy")
def add_boxes(slots, rows, starts, stops, result):
    """Count pixels, and find first row and column and the row and column after the last.

    `result` is (regions, 5), and 0 at first.
    """
    for i in range(slots.size):
        box = result[slots[i]]
        if box[0] == 0:
            box[1], box[2], box[4] = rows[i], starts[i], stops[i]
        box[0] += stops[i] - starts[i]
        box[2] = min(box[2], starts[i])
        box[3] = rows[i] + 1
        box[4] = max(box[4], stops[i])


@njit(f"void({RUNS_OF}, int64, int64, {TABLE})", cache=True, error_model="numpy")
def add_moments(slots, rows, starts, stops, top, left, result):
    """Add the sums of r, c, r², r·c and c² of all pixels to `result`, (regions, 5)."""
    for i in range(slots.size):
        n, y, first, last = (
            stops[i] - starts[i],
            rows[i] + top,
            starts[i] + left,
            stops[i] + left - 1,
        )
        across = (first + last) * n // 2
        # The squares from `first` to `last`, about the first column.
        m = n - 1
        squares = n * first * first + first * m * n + m * n * (2 * n - 1) // 6
        line = result[slots[i]]
        line[0] += n * y
        line[1] += across
        line[2] += n * y * y
        line[3] += y * across
        line[4] += squares


@exactly_inlined
def mark_border(before, line, after, marks):
    """Mark the pixels of a row, but its first and last, that have another label beside them."""
    for x in range(1, line.size - 1):
        label = line[x]
        same = (before[x] == label) & (after[x] == label)
        same &= (line[x - 1] == label) & (line[x + 1] == label)
        marks[x] = not same


@exactly_inlined
def frame_row(block, y, left, line):
    """Copy row y of a block, from column `left` on; what lies outside the block is 0."""
    line[:] = 0
    if 0 <= y < block.shape[0]:
        start, stop = max(-left, 0), min(block.shape[1] - left, line.size)
        line[start:stop] = block[y, left + start : left + stop]


@njit(
    [
        f"void({kind}[:, ::1], int64, int64, int64, int64, {RUNS_OF}, int64[::1], {TABLE}, {TABLE})"
        for kind in LABELS
    ],
    cache=True,
    error_model="numpy",
)
def add_borders(
    block, top, left, height, width, slots, rows, starts, stops, classes, quads, result
):
    """Count pixels of borders by class, and what their squares of 2 × 2 pixels add.

    The runs are those of a core of `height` × `width` pixels, which begins in row `top` and column
    `left` of the block.
    """
    # Rows of the core and two beyond, each with two columns more on both sides; and the marks of
    # rows of the core and one beyond.
    frame = np.zeros((5, width + 4), block.dtype)
    marks = np.zeros((3, width + 4), np.uint8)
    run = 0
    for y in range(-4, height):
        frame_row(block, top + y + 2, left - 2, frame[(y + 5) % 5])
        if y >= -2:
            around = frame[(y + 3) % 5], frame[(y + 4) % 5], frame[(y + 5) % 5]
            mark_border(around[0], around[1], around[2], marks[(y + 3) % 3])
        if y < 0:
            continue
        up, line, down = frame[(y + 2) % 5], frame[(y + 3) % 5], frame[(y + 4) % 5]
        over, own, under = marks[(y + 1) % 3], marks[(y + 2) % 3], marks[(y + 3) % 3]
        while run < rows.size and rows[run] == y:
            counts, label = result[slots[run]], line[starts[run] + 2]
            for x in range(starts[run] + 2, stops[run] + 2):
                nw, n, ne = up[x - 1] == label, up[x] == label, up[x + 1] == label
                w, e = line[x - 1] == label, line[x + 1] == label
                sw, s, se = down[x - 1] == label, down[x] == label, down[x + 1] == label
                code = nw | n << 1 | ne << 2 | w << 3 | e << 4 | sw << 5 | s << 6 | se << 7
                if code != 255:
                    counts[3] += quads[code, 0]
                    counts[4] += quads[code, 1]
                    counts[5] += quads[code, 2]
                if own[x]:
                    beside = (n & over[x]) + (w & own[x - 1]) + (e & own[x + 1]) + (s & under[x])
                    corner = (nw & over[x - 1]) + (ne & over[x + 1])
                    corner += (sw & under[x - 1]) + (se & under[x + 1])
                    found = classes[1 + 2 * beside + 10 * corner]
                    if found >= 0:
                        counts[found] += 1
            run += 1


@njit(
    [f"void({kind}[:, ::1], {RUNS_OF}, {TABLE})" for kind in VALUES],
    cache=True,
    error_model="numpy",
)
def add_integers(values, slots, rows, starts, stops, result):
    """Sum values and their squares, and find the least and the greatest, in (regions, 4)."""
    for i in range(slots.size):
        line = values[rows[i], starts[i] : stops[i]]
        total, squares = np.int64(0), np.int64(0)
        least = greatest = np.int64(line[0])
        for x in range(line.size):
            value = np.int64(line[x])
            total += value
            squares += value * value
            least = min(least, value)
            greatest = max(greatest, value)
        found = result[slots[i]]
        found[0] += total
        found[1] += squares
        found[2] = min(found[2], least)
        found[3] = max(found[3], greatest)


@exactly_inlined
def add_digits(size, position, negative, digits):
    """Add an integer of up to 55 bits times 2**position, split into digits of 32 bits."""
    first, by = position >> 5, position & 31
    low = (size & DIGIT) << by
    rest = (np.int64(np.uint64(low) >> np.uint64(32))) + ((size >> 32) << by)
    sign = -1 if negative else 1
    digits[first] += sign * (low & DIGIT)
    digits[first + 1] += sign * (rest & DIGIT)
    digits[first + 2] += sign * (rest >> 32)


@exactly_inlined
def add_square(size, position, digits):
    """Add the square of an integer of 53 bits times 2**position."""
    high, low = size >> HALF_BITS, size & HALF
    add_digits(low * low, position, False, digits)
    add_digits(2 * high * low, position + HALF_BITS, False, digits)
    add_digits(high * high, position + 2 * HALF_BITS, False, digits)


@njit(
    f"void({TABLE}, float64[:, ::1], {RUNS_OF}, int64, int64,"
    f" float64[::1], float64[::1], uint8[::1], {TABLE}, {TABLE})",
    cache=True,
    error_model="numpy",
)
def add_floats(
    bits, values, slots, rows, starts, stops, low, low_square, least, greatest, odd, sums, squares
):
    """Sum the digits of floats and of their squares, and find the least and the greatest.

    `bits` are the same values as integers. The arrays from `least` on are those of `FloatSums`.
    """
    for i in range(slots.size):
        slot, y = slots[i], rows[i]
        digits, square = sums[slot], squares[slot]
        for x in range(starts[i], stops[i]):
            value, word = values[y, x], bits[y, x]
            field = (word >> FRACTION_BITS) & FIELD
            size = word & FRACTION
            if field == FIELD:
                odd[slot] |= 1 if size else 4 if word < 0 else 2
                if size:
                    continue
            least[slot] = min(least[slot], value)
            greatest[slot] = max(greatest[slot], value)
            if field == FIELD or word << 1 == 0:
                continue
            if field:
                size |= np.int64(1) << FRACTION_BITS
            position = EXPONENT_OF_ONE + max(field - 1, 0)
            add_digits(size, position - 32 * low, word < 0, digits)
            if square.size:
                add_square(size, 2 * position - 32 * low_square, square)
