"""Compiled loops that find the regions of a tile of labels, and sum over their pixels.

All loops but the first take the runs of the tile: for each run its region's slot, its row, its
first column, and the column after its last.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, njit

# Multiplier of the hash of a label: 2**64 divided by the golden ratio, odd.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# First number of runs and of places for labels; both double when they are full.
RUNS, PLACES_BITS = 4096, 10
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
FOUND = f"Tuple(({', '.join(['int64[::1]'] * 5)}))"


@exactly_inlined
def place_of(label, keys, bits):
    """Return where a label is in a hash table, or the free place where it belongs."""
    mask = keys.size - 1
    place = np.int64(np.uint64(label) * GOLDEN >> np.uint64(64 - bits))
    while keys[place] != 0 and keys[place] != label:
        place = (place + 1) & mask
    return place


@exactly
def doubled(keys, slots, bits):
    """Return the same hash table with twice as many places."""
    new_keys, new_slots = np.zeros(2 * keys.size, np.int64), np.empty(2 * keys.size, np.int64)
    for i in range(keys.size):
        if keys[i]:
            place = place_of(keys[i], new_keys, bits + 1)
            new_keys[place], new_slots[place] = keys[i], slots[i]
    return new_keys, new_slots


@exactly
def longer(values):
    """Return an array twice as long that begins with the same values."""
    result = np.empty(2 * values.size, np.int64)
    result[: values.size] = values
    return result


@njit([f"{FOUND}({kind}[:, ::1])" for kind in LABELS], cache=True, error_model="numpy")
def find_runs(labels):
    """Find the runs of positive labels.

    Returns the labels in the order in which they are met, and for each run the index of its label,
    its row, its first column, and the column after its last.
    """
    rows, starts = np.empty(RUNS, np.int64), np.empty(RUNS, np.int64)
    stops, slots = np.empty(RUNS, np.int64), np.empty(RUNS, np.int64)
    bits = PLACES_BITS
    keys, indices = np.zeros(1 << bits, np.int64), np.empty(1 << bits, np.int64)
    found, known, count = np.empty(RUNS, np.int64), 0, 0
    above, above_stop = 0, 0
    for y in range(labels.shape[0]):
        line = labels[y]
        first, x = count, 0
        while x < line.size:
            label = line[x]
            if label <= 0:
                x += 1
                continue
            start = x
            x += 1
            while x < line.size and line[x] == label:
                x += 1
            if count == rows.size:
                rows, starts, stops, slots = (
                    longer(rows),
                    longer(starts),
                    longer(stops),
                    longer(slots),
                )
            while above < above_stop and stops[above] <= start:
                above += 1
            if above < above_stop and starts[above] < x and found[slots[above]] == label:
                slot = slots[above]
            else:
                place = place_of(np.int64(label), keys, bits)
                if keys[place] == 0:
                    if 2 * known >= keys.size:
                        keys, indices = doubled(keys, indices, bits)
                        bits += 1
                        place = place_of(np.int64(label), keys, bits)
                    if known == found.size:
                        found = longer(found)
                    keys[place], indices[place], found[known] = label, known, label
                    known += 1
                slot = indices[place]
            rows[count], starts[count], stops[count], slots[count] = y, start, x, slot
            count += 1
        above, above_stop = first, count
    return found[:known].copy(), slots[:count], rows[:count], starts[:count], stops[:count]


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


@njit(
    [f"void({kind}[:, ::1], {RUNS_OF}, int64[::1], {TABLE}, {TABLE})" for kind in LABELS],
    cache=True,
    error_model="numpy",
)
def add_borders(labels, slots, rows, starts, stops, classes, quads, result):
    """Count pixels of borders by class, and what their squares of 2 × 2 pixels add.

    `labels` has a frame of two pixels around the core that the runs are of.
    """
    marks = np.zeros((3, labels.shape[1]), np.uint8)
    marked, run = 1, 0
    for y in range(2, labels.shape[0] - 2):
        up, line, down = labels[y - 1], labels[y], labels[y + 1]
        while marked <= y + 1:
            mark_border(labels[marked - 1], labels[marked], labels[marked + 1], marks[marked % 3])
            marked += 1
        over, own, under = marks[(y - 1) % 3], marks[y % 3], marks[(y + 1) % 3]
        while run < rows.size and rows[run] == y - 2:
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
