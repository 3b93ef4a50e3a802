"""Compiled loops of gradients: differences along one axis, smoothed along the other."""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, multiply_add
from cluster_worker.kernels.loops.separable import aligned, extend, load_row, store

# Values of a row in a strip: with the rows around them they fit the L1 cache.
STRIP = 1536


@compiled
def begin(weight, middle, total):
    """Start a sum with the weighted middle value."""
    for x in range(total.size):
        total[x] = weight * middle[x]


@compiled
def add_pair(weight, before, after, total):
    """Add the weighted values at the same distance before and after the middle."""
    for x in range(total.size):
        total[x] = multiply_add(weight, before[x] + after[x], total[x])


@compiled
def subtract(weight, before, after, total):
    """Start a sum with a weighted difference."""
    for x in range(total.size):
        total[x] = weight * (after[x] - before[x])


@compiled
def add_difference(weight, before, after, total):
    """Add a weighted difference."""
    for x in range(total.size):
        total[x] = multiply_add(weight, after[x] - before[x], total[x])


@compiled
def steepness(down, across):
    """Compute the magnitude of the gradient from its two components, in place of `down`.

    As in scikit-image, it is divided by the square root of 2.
    """
    for x in range(down.size):
        squares = multiply_add(across[x], across[x], down[x] * down[x])
        down[x] = np.sqrt(squares * np.float32(0.5))


@compiled
def map_range(line, gain, offset):
    """Map values by a factor and an offset, in place."""
    for x in range(line.size):
        line[x] = multiply_add(line[x], gain, offset)


@compiled
def smooth_down(ring, y, count, weights, total):
    """Smooth along columns around row `y`; `ring` holds each row at its index modulo length."""
    begin(weights[0], ring[y % len(ring), :count], total)
    for k in range(1, weights.size):
        before, after = ring[(y - k) % len(ring), :count], ring[(y + k) % len(ring), :count]
        add_pair(weights[k], before, after, total)


@compiled
def differ_down(ring, y, count, weights, total):
    """Sum the weighted differences along columns."""
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
    """Sum the weighted differences along a row."""
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
    """Compute the slope along columns, along rows, or the magnitude of the gradient.

    Parameters
    ----------
    rows : ndarray
        (rows, columns × channels) of any type: the block.
    smooth, differ : ndarray of float32
        Half of the weights of smoothing and of differences, from the centre outwards; of one
        length.
    downwards, sideways : bool
        Whether the slope along columns, and along rows, is wanted; both give the magnitude.
    channels : int
        Number of channels.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float32
        Value beyond the border if the border mode is constant.
    gain, offset : float32
        The result is the slope × `gain` + `offset`.
    white : float32
        White of the result: 1 for floats; otherwise values are clipped to it and rounded.
    top, left : int
        Row of the block, and value in a row, at which the result begins.
    result : ndarray
        (rows, columns × channels): array for the result.
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
    """Compute the difference of two lines."""
    for x in range(total.size):
        total[x] = high[x] - low[x]


@compiled
def curvature(above, before, middle, after, below, total):
    """Compute the Laplacian: four times a pixel minus its four neighbours."""
    for x in range(total.size):
        neighbours = (above[x] + below[x]) + (before[x] + after[x])
        total[x] = np.float32(4) * middle[x] - neighbours


@compiled
def crosses(rows, falling, rising, channels, gain, offset, white, top, left, result):
    """Compute differences along the diagonals of 2 × 2 pixels, or the Laplacian.

    `falling` and `rising` choose a diagonal; both give the magnitude of the gradient, neither the
    Laplacian. The border mode is "reflect". The other parameters are as in `slopes`.
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
