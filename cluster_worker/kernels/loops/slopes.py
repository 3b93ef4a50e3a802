"""Compiled loops of slopes: differences along one axis, smoothed along the other."""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, multiply_add
from cluster_worker.kernels.loops.separable import aligned, extend, load_row, store

# Values of a row that are worked on at a time: with the rows around them they fit the L1 cache.
STRIP = 1536


@compiled
def begin(weight, middle, total):
    """Begin a sum with the middle."""
    for x in range(total.size):
        total[x] = weight * middle[x]


@compiled
def add_pair(weight, before, after, total):
    """Add what lies as far before the middle as after it."""
    for x in range(total.size):
        total[x] = multiply_add(weight, before[x] + after[x], total[x])


@compiled
def subtract(weight, before, after, total):
    """Begin a sum of differences."""
    for x in range(total.size):
        total[x] = weight * (after[x] - before[x])


@compiled
def add_difference(weight, before, after, total):
    """Add a difference."""
    for x in range(total.size):
        total[x] = multiply_add(weight, after[x] - before[x], total[x])


@compiled
def steepness(down, across):
    """Leave in `down` how steep it is along both axes."""
    for x in range(down.size):
        squares = multiply_add(across[x], across[x], down[x] * down[x])
        down[x] = np.sqrt(squares * np.float32(0.5))


@compiled
def map_range(line, gain, offset):
    """Map a range to black and white."""
    for x in range(line.size):
        line[x] = multiply_add(line[x], gain, offset)


@compiled
def smooth_down(ring, y, count, weights, total):
    """Smooth along columns; row `y` is the middle of a ring of rows."""
    begin(weights[0], ring[y % len(ring), :count], total)
    for k in range(1, weights.size):
        before, after = ring[(y - k) % len(ring), :count], ring[(y + k) % len(ring), :count]
        add_pair(weights[k], before, after, total)


@compiled
def differ_down(ring, y, count, weights, total):
    """Sum up differences along columns."""
    for k in range(1, weights.size):
        before, after = ring[(y - k) % len(ring), :count], ring[(y + k) % len(ring), :count]
        if k == 1:
            subtract(weights[k], before, after, total)
        else:
            add_difference(weights[k], before, after, total)


@compiled
def smooth_across(line, weights, channels, total):
    """Smooth along a row."""
    margin = (weights.size - 1) * channels
    begin(weights[0], line[margin:], total)
    for k in range(1, weights.size):
        add_pair(weights[k], line[margin - k * channels :], line[margin + k * channels :], total)


@compiled
def differ_across(line, weights, channels, total):
    """Sum up differences along a row."""
    margin = (weights.size - 1) * channels
    for k in range(1, weights.size):
        before, after = line[margin - k * channels :], line[margin + k * channels :]
        if k == 1:
            subtract(weights[k], before, after, total)
        else:
            add_difference(weights[k], before, after, total)


@compiled
def slopes(
    rows,
    smooth,
    differ,
    downwards,
    sideways,
    channels,
    border,
    edge,
    gain,
    offset,
    white,
    top,
    left,
    result,
):
    """Find the slopes along columns, along rows, or how steep both are.

    `rows` are (rows, columns × channels) of any type; `smooth` and `differ` go from the centre
    outwards, as far as each other; `edge` is what lies beyond a constant border; the result, which
    begins at row `top` and value `left`, is a slope × `gain` + `offset`.
    """
    width = rows.shape[1]
    radius = smooth.size - 1
    margin = radius * channels
    columns = width // channels
    long = STRIP + 32
    ring = aligned((2 * radius + 1) * long).reshape(2 * radius + 1, long)
    smoothed, differences = aligned(long), aligned(long)
    down, across = aligned(STRIP), aligned(STRIP)
    for start in range(left, left + result.shape[1], STRIP):
        stop = min(start + STRIP, left + result.shape[1])
        first, last = max(start - margin, 0), min(stop + margin, width)
        origin = start - margin
        before, count = first - origin, last - first
        after, end = before + count, stop + margin - origin
        for y in range(top - radius, top + radius):
            load_row(rows, y, first, last, border, edge, ring[y % len(ring), :count])
        for y in range(top, top + result.shape[0]):
            newest = ring[(y + radius) % len(ring), :count]
            load_row(rows, y + radius, first, last, border, edge, newest)
            if downwards:
                line = differences[:end]
                differ_down(ring, y, count, differ, line[before:after])
                extend(line, 0, before, origin, columns, channels, border, np.float32(0))
                extend(line, after, end, origin, columns, channels, border, np.float32(0))
                smooth_across(line, smooth, channels, down[: stop - start])
            if sideways:
                line = smoothed[:end]
                smooth_down(ring, y, count, smooth, line[before:after])
                extend(line, 0, before, origin, columns, channels, border, edge)
                extend(line, after, end, origin, columns, channels, border, edge)
                differ_across(line, differ, channels, across[: stop - start])
            found = down[: stop - start] if downwards else across[: stop - start]
            if downwards and sideways:
                steepness(found, across[: stop - start])
            map_range(found, gain, offset)
            store(found, white, result[y - top, start - left : stop - left])


@compiled
def difference(low, high, total):
    """Give how much higher one line is than another."""
    for x in range(total.size):
        total[x] = high[x] - low[x]


@compiled
def curvature(above, before, middle, after, below, total):
    """Give how much a pixel differs from its four neighbours."""
    for x in range(total.size):
        neighbours = (above[x] + below[x]) + (before[x] + after[x])
        total[x] = np.float32(4) * middle[x] - neighbours


@compiled
def crosses(rows, falling, rising, channels, gain, offset, white, top, left, result):
    """Find differences along diagonals of 2 × 2 pixels, how steep both are, or the curvature.

    Beyond the border lies the mirror image, with the last pixel twice. The rest is as in `slopes`;
    neither diagonal stands for the curvature.
    """
    width = rows.shape[1]
    columns = width // channels
    long = STRIP + 32
    ring = aligned(3 * long).reshape(3, long)
    found, other = aligned(STRIP), aligned(STRIP)
    for start in range(left, left + result.shape[1], STRIP):
        stop = min(start + STRIP, left + result.shape[1])
        first, last = max(start - channels, 0), min(stop + channels, width)
        origin = start - channels
        before, size = first - origin, stop - start
        after, end = before + last - first, size + 2 * channels
        for y in range(top - 2, top + result.shape[0]):
            newest = ring[(y + 1) % 3, :end]
            load_row(rows, y + 1, first, last, 1, np.float32(0), newest[before:after])
            extend(newest, 0, before, origin, columns, channels, 1, np.float32(0))
            extend(newest, after, end, origin, columns, channels, 1, np.float32(0))
            if y < top:
                continue
            here, total = ring[y % 3], found[:size]
            middle, right = here[channels:], here[2 * channels :]
            below, diagonal = newest[channels:], newest[2 * channels :]
            if falling:
                difference(middle, diagonal, total)
            elif rising:
                difference(right, below, total)
            else:
                curvature(ring[(y - 1) % 3, channels:], here, middle, right, below, total)
            if falling and rising:
                difference(right, below, other[:size])
                steepness(total, other[:size])
            map_range(total, gain, offset)
            store(total, white, result[y - top, start - left : stop - left])
