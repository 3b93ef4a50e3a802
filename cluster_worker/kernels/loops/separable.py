"""Compiled loops of weighted sums along columns and along rows.

Each sum adds its taps in one order, whichever loop adds them, so that no bit depends on where a
tile or a strip was cut.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, inlined, multiply_add, named

# Values of a row in a strip: with the rows around them they fit the L2 cache.
STRIP = 3072
# Values from one buffered row to the next. It is no multiple of a page, because rows would then
# evict each other from the cache. A row has room for the halo of the widest Gaussian with three
# channels.
STRIDE = 10512
# Rows that are summed together, so that each row that is loaded serves several sums.
GROUP = 4
# Values that fit the L1 cache.
NEAR = 10240
# What `convolve` does with the blur.
BLUR, SHARPEN, COMPARE = range(3)


@inlined
def load(values, line):
    """Convert values to float32, without scaling."""
    for x in range(line.size):
        line[x] = np.float32(values[x])


@inlined
def store(line, white, values):
    """Store floats as values of a result.

    If `white` is 1, the result has floats. Otherwise values are clipped to 0…white and rounded.
    """
    if white == np.float32(1):
        for x in range(values.size):
            values[x] = line[x]
    else:
        for x in range(values.size):
            values[x] = np.rint(min(max(line[x], np.float32(0)), white))


@compiled
def beyond(i, length, border):
    """Return the index that the border mode gives for index i; -1 stands for a constant value."""
    if border == 0:
        return min(max(i, 0), length - 1)
    if border == 3:
        return i if 0 <= i < length else -1
    if length == 1:
        return 0
    if border == 1:
        i %= 2 * length
        return i if i < length else 2 * length - 1 - i
    i %= 2 * length - 2
    return i if i < length else 2 * length - 2 - i


@compiled
def load_row(rows, y, first, last, border, edge, line):
    """Load values `first` to `last` of a row as float32; the row may lie beyond the border."""
    inside = beyond(y, rows.shape[0], border)
    if inside < 0:
        line[:] = edge
    else:
        load(rows[inside, first:last], line)


@compiled
def extend(line, first, last, origin, columns, channels, border, edge):
    """Fill the values `first` to `last` of a line, which lie beyond the left or right border.

    The line begins at value `origin` of its row.
    """
    for x in range(first, last):
        value = origin + x
        column = beyond(value // channels, columns, border)
        line[x] = edge if column < 0 else line[column * channels + value % channels - origin]


@inlined
def begin_group(lines, weight, totals, count):
    """Start the sums of a group of rows with one tap."""
    for x in range(count):
        totals[x] = weight * lines[x]
        totals[x + STRIDE] = weight * lines[x + STRIDE]
        totals[x + 2 * STRIDE] = weight * lines[x + 2 * STRIDE]
        totals[x + 3 * STRIDE] = weight * lines[x + 3 * STRIDE]


@inlined
def add_tap(lines, weight, totals, count):
    """Add one tap to the sums of a group of rows."""
    for x in range(count):
        a, b, c, d = x, x + STRIDE, x + 2 * STRIDE, x + 3 * STRIDE
        totals[a] = multiply_add(weight, lines[a], totals[a])
        totals[b] = multiply_add(weight, lines[b], totals[b])
        totals[c] = multiply_add(weight, lines[c], totals[c])
        totals[d] = multiply_add(weight, lines[d], totals[d])


@inlined
def four_taps(p, q, r, s, first, second, third, fourth, total):
    """Add four products to a sum."""
    total = multiply_add(p, first, total)
    total = multiply_add(q, second, total)
    total = multiply_add(r, third, total)
    return multiply_add(s, fourth, total)


@inlined
def add_four_taps(lines, p, q, r, s, totals, count):
    """Add four taps to the sums of a group of rows. Seven rows are loaded for sixteen products."""
    for x in range(count):
        a, b, c, d = x, x + STRIDE, x + 2 * STRIDE, x + 3 * STRIDE
        second, third, fourth = lines[b], lines[c], lines[d]
        fifth, sixth = lines[x + 4 * STRIDE], lines[x + 5 * STRIDE]
        seventh = lines[x + 6 * STRIDE]
        totals[a] = four_taps(p, q, r, s, lines[a], second, third, fourth, totals[a])
        totals[b] = four_taps(p, q, r, s, second, third, fourth, fifth, totals[b])
        totals[c] = four_taps(p, q, r, s, third, fourth, fifth, sixth, totals[c])
        totals[d] = four_taps(p, q, r, s, fourth, fifth, sixth, seventh, totals[d])


@compiled
def weigh_group(lines, weights, totals, count):
    """Compute weighted sums of rows for the four rows of a group, from the first of `lines` on."""
    taps = weights.size
    block = max(NEAR // (taps + 2 * GROUP) // 64, 2) * 64
    for x in range(0, count, block):
        size = min(block, count - x)
        begin_group(lines[x:], weights[0], totals[x:], size)
        for k in range(1, taps - 3, 4):
            p, q, r, s = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
            add_four_taps(lines[x + k * STRIDE :], p, q, r, s, totals[x:], size)
        for k in range(taps - (taps - 1) % 4, taps):
            add_tap(lines[x + k * STRIDE :], weights[k], totals[x:], size)


def weighing(channels):
    """Make a loop of weighted sums along a line of pixels with this number of channels.

    The compiler knows the distance of the taps, which are then fixed offsets from one address.
    """

    @inlined
    def begin(line, p, total):
        for x in range(total.size):
            total[x] = p * line[x]

    @inlined
    def add_one(line, p, total):
        for x in range(total.size):
            total[x] = multiply_add(p, line[x], total[x])

    @inlined
    def add_eight(line, p, q, r, s, t, u, v, w, total):
        c, d, e = channels, 2 * channels, 3 * channels
        for x in range(total.size):
            y = x + 4 * channels
            half = four_taps(p, q, r, s, line[x], line[x + c], line[x + d], line[x + e], total[x])
            total[x] = four_taps(t, u, v, w, line[y], line[y + c], line[y + d], line[y + e], half)

    @compiled
    @named(channels)
    def weigh(line, weights, total):
        taps = weights.size
        begin(line, weights[0], total)
        for k in range(1, taps - 7, 8):
            p, q, r, s = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
            t, u, v, w = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
            add_eight(line[k * channels :], p, q, r, s, t, u, v, w, total)
        for k in range(taps - (taps - 1) % 8, taps):
            add_one(line[k * channels :], weights[k], total)

    return weigh


weigh_gray = weighing(1)
weigh_colours = weighing(3)


@compiled
def weigh_line(line, weights, channels, total):
    """Compute weighted sums along a line, of values of the same channel."""
    if channels == 1:
        weigh_gray(line, weights, total)
    else:
        weigh_colours(line, weights, total)


@compiled
def aligned(count):
    """Return an array of `count` float32 at a multiple of 64 bytes, where vectors load fastest."""
    room = np.empty(count + 16, np.float32)
    start = -(room.ctypes.data // 4) % 16
    return room[start : start + count]


@inlined
def sharpen(values, gain, amount, low, white, blurred):
    """Add to values `amount` times their difference from a blur. The result replaces the blur.

    It is clipped to `low` and `white`.
    """
    for x in range(blurred.size):
        value = values[x] * gain
        sharp = multiply_add(value - blurred[x], amount, value)
        # In this form NaN stays NaN.
        sharp = low if sharp < low else sharp
        blurred[x] = white if sharp > white else sharp


@inlined
def compare(values, offset, doubt, blurred):
    """Compare values with a blur minus an offset. The result replaces the blur.

    It is 1 where the value is greater, 0 where it is not, and 2 where the difference is at most
    `doubt`.
    """
    for x in range(blurred.size):
        above = values[x] - blurred[x] + offset
        clear = np.float32(1) if above > 0 else np.float32(0)
        blurred[x] = np.float32(2) if abs(above) <= doubt else clear


@compiled
def convolve(
    rows,
    down,
    across,
    channels,
    border,
    edge,
    ending,
    gain,
    amount,
    low,
    white,
    top,
    left,
    result,
):
    """Compute weighted sums along columns, then along rows, and end with one of three steps.

    Parameters
    ----------
    rows : ndarray
        (rows, columns × channels) of any type: the block.
    down, across : ndarray of float32
        Weights along columns and along rows, of the same odd length.
    channels : int
        Number of channels.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float32
        Value beyond the border if the border mode is constant.
    ending : int
        BLUR stores the blur. SHARPEN adds `amount` times the difference from the blur, and clips to
        `low` and `white`. COMPARE compares with the blur, with `amount` as the offset and `low` as
        the bound of the doubt.
    gain : float32
        Factor from values of the block to those of the result, for SHARPEN.
    amount, low : float32
        See `ending`.
    white : float32
        White of the result: 1 for floats; otherwise values are clipped to it and rounded.
    top, left : int
        Row of the block, and value in a row, at which the result begins.
    result : ndarray
        (rows, columns × channels): array for the result.
    """
    width = rows.shape[1]
    radius = down.size // 2
    margin = radius * channels
    columns = width // channels
    kept = 2 * radius
    held = kept + max(kept // 2 // GROUP, 16) * GROUP
    strip = min(STRIP, STRIDE - 16 - 2 * margin)
    lines = aligned(held * STRIDE)
    totals = aligned(GROUP * STRIDE)
    done = aligned(strip)
    for start in range(left, left + result.shape[1], strip):
        stop = min(start + strip, left + result.shape[1])
        first, last = max(start - margin, 0), min(stop + margin, width)
        before, count = first - (start - margin), last - first
        origin = start - margin
        end = stop - start + 2 * margin
        filled = 0
        begun = 0
        for y in range(0, result.shape[0], GROUP):
            if begun + kept + GROUP > held:
                for i in range(kept):
                    old = (begun + i) * STRIDE
                    lines[i * STRIDE : i * STRIDE + count] = lines[old : old + count]
                filled, begun = kept, 0
            while filled < begun + kept + GROUP:
                here = filled * STRIDE
                source = top + y - radius + filled - begun
                load_row(rows, source, first, last, border, edge, lines[here : here + count])
                filled += 1
            weigh_group(lines[begun * STRIDE :], down, totals[before:], count)
            for i in range(min(GROUP, result.shape[0] - y)):
                line = totals[i * STRIDE : i * STRIDE + end]
                extend(line, 0, before, origin, columns, channels, border, edge)
                extend(line, before + count, end, origin, columns, channels, border, edge)
                total = done[: stop - start]
                weigh_line(line, across, channels, total)
                middle = (begun + radius + i) * STRIDE + start - first
                if ending == SHARPEN:
                    sharpen(lines[middle:], gain, amount, low, white, total)
                elif ending == COMPARE:
                    compare(lines[middle:], amount, low, total)
                store(total, white, result[y + i, start - left : stop - left])
            begun += GROUP
