"""Compiled loops of correlation with a neighbourhood, with scipy's sums: doubles in its order."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined
from cluster_worker.kernels.loops.separable import beyond, extend

# Columns of a strip: with the rows around it, it fits the cache.
STRIP = 256


@exactly_inlined
def add_tap(line, weight, total):
    """Add one tap to the sums of a row."""
    for x in range(total.size):
        total[x] += weight * line[x]


@exactly_inlined
def add_four_taps(a, b, c, d, p, q, r, s, total):
    """Add four taps to the sums of a row, one after the other."""
    for x in range(total.size):
        total[x] = total[x] + p * a[x] + q * b[x] + r * c[x] + s * d[x]


@exactly
def add_row(line, columns, weights, total):
    """Add the taps of one row of a neighbourhood; `columns` are their columns in the line."""
    four = columns.size - columns.size % 4
    for k in range(0, four, 4):
        a, b = line[columns[k] :], line[columns[k + 1] :]
        c, d = line[columns[k + 2] :], line[columns[k + 3] :]
        p, q, r, s = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        add_four_taps(a, b, c, d, p, q, r, s, total)
    for k in range(four, columns.size):
        add_tap(line[columns[k] :], weights[k], total)


@exactly
def correlate(rows, reach, starts, columns, weights, border, edge, top, left, result):
    """Compute the weighted sum of the pixels around each pixel.

    Parameters
    ----------
    rows : ndarray
        (rows, columns) of the block.
    reach : tuple of int
        Rows and columns that the neighbourhood reaches on every side.
    starts, columns, weights : ndarray
        The taps in row order: the first tap of each row of the neighbourhood and the number of
        taps, the column of each tap in the neighbourhood, and its weight.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float64
        Value beyond the border if the border mode is constant.
    top, left : int
        Row and column of `rows` at which the result begins.
    result : ndarray of float32
        (rows, columns).
    """
    height, width = rows.shape
    down, across = reach
    held = np.empty((2 * down + 1, STRIP + 2 * across))
    total = np.empty(STRIP)
    for start in range(left, left + result.shape[1], STRIP):
        stop = min(start + STRIP, left + result.shape[1])
        origin, end = start - across, stop - start + 2 * across
        first, last = max(origin, 0), min(stop + across, width)
        sums = total[: stop - start]
        for y in range(top - 2 * down, top + result.shape[0]):
            line = held[(y + down) % len(held), :end]
            inside = beyond(y + down, height, border)
            if inside < 0:
                line[:] = edge
            else:
                line[first - origin : last - origin] = rows[inside, first:last]
                extend(line, 0, first - origin, origin, width, 1, border, edge)
                extend(line, last - origin, end, origin, width, 1, border, edge)
            if y < top:
                continue
            sums[:] = 0
            for k in range(2 * down + 1):
                taps = slice(starts[k], starts[k + 1])
                around = held[(y - down + k) % len(held), :end]
                add_row(around, columns[taps], weights[taps], sums)
            found = result[y - top, start - left : stop - left]
            for x in range(found.size):
                found[x] = np.float32(sums[x])
