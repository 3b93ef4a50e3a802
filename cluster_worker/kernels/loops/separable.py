"""Compiled loops of a symmetric kernel along rows and along columns."""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled

# Values of a row that are worked on at a time: with the rows around them they fit the cache.
STRIP = 3072


@compiled
def load(values, scale, line):
    """Make floats of values."""
    for x in range(line.size):
        line[x] = np.float32(values[x]) * scale


@compiled
def store(line, white, rounds, values):
    """Make values of floats: whole numbers are cut to their range and rounded."""
    for x in range(values.size):
        value = line[x]
        if rounds:
            value = np.rint(min(max(value, np.float32(0)), np.float32(1)) * white)
        values[x] = value


@compiled
def weigh(weight, middle, total):
    """Begin a sum with the weight's share of the middle."""
    for x in range(total.size):
        total[x] = weight * middle[x]


@compiled
def add_pair(weight, before, after, total):
    """Add what lies as far before the middle as after it."""
    for x in range(total.size):
        total[x] += weight * (before[x] + after[x])


@compiled
def beyond(i, length, border):
    """Give the index of what lies at i: -1 is a value of its own."""
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
def load_row(rows, y, first, last, border, edge, scale, line):
    """Load a strip of a row, which may lie beyond the border."""
    inside = beyond(y, rows.shape[0], border)
    if inside < 0:
        line[:] = edge
    else:
        load(rows[inside, first:last], scale, line)


@compiled
def extend(line, first, last, origin, columns, channels, border, edge):
    """Fill what lies beyond the border, in a line that begins at value `origin` of its row."""
    for x in range(first, last):
        value = origin + x
        column = beyond(value // channels, columns, border)
        line[x] = edge if column < 0 else line[column * channels + value % channels - origin]


@compiled
def convolve(rows, weights, channels, border, edge, scale, white, top, left, result):
    """Weigh rows with those above and below, then values with those to the left and right.

    `rows` are (rows, columns × channels) of any type; `weights` go from the centre outwards; the
    result begins at row `top` and value `left`.
    """
    width = rows.shape[1]
    radius = weights.size - 1
    taps = 2 * radius + 1
    margin = radius * channels
    columns = width // channels
    rounds = white != np.float32(1)
    line = np.empty(STRIP + 2 * margin, np.float32)
    done = np.empty(STRIP, np.float32)
    ring = np.empty((taps, STRIP + 2 * margin), np.float32)
    for start in range(left, left + result.shape[1], STRIP):
        stop = min(start + STRIP, left + result.shape[1])
        first, last = max(start - margin, 0), min(stop + margin, width)
        before, count = first - (start - margin), last - first
        within = line[before : before + count]
        total = done[: stop - start]
        for y in range(top - radius, top + radius):
            load_row(rows, y, first, last, border, edge, scale, ring[y % taps, :count])
        for y in range(top, top + result.shape[0]):
            newest = ring[(y + radius) % taps, :count]
            load_row(rows, y + radius, first, last, border, edge, scale, newest)
            weigh(weights[0], ring[y % taps], within)
            for k in range(1, radius + 1):
                add_pair(weights[k], ring[(y - k) % taps], ring[(y + k) % taps], within)
            origin = start - margin
            extend(line, 0, before, origin, columns, channels, border, edge)
            end = total.size + 2 * margin
            extend(line, before + count, end, origin, columns, channels, border, edge)
            weigh(weights[0], line[margin:], total)
            for k in range(1, radius + 1):
                add_pair(
                    weights[k], line[margin - k * channels :], line[margin + k * channels :], total
                )
            store(total, white, rounds, result[y - top, start - left : stop - left])
