"""Compiled loops of means over squares. Sums of integers are exact in any order."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined
from cluster_worker.kernels.loops.separable import beyond, extend

# Columns of a strip: with the sums of its columns it fits the L1 cache.
STRIP = 2048
# Rules for the level, which is computed from the sums of a square.
MEAN, NIBLACK, SAUVOLA = range(3)


@exactly_inlined
def add(values, sums):
    """Add a row to the sums of columns."""
    for x in range(sums.size):
        sums[x] += np.int64(values[x])


@exactly_inlined
def subtract(values, sums):
    """Subtract a row from the sums of columns."""
    for x in range(sums.size):
        sums[x] -= np.int64(values[x])


@exactly_inlined
def add_squares(values, sums):
    """Add the squares of a row to the sums of columns."""
    for x in range(sums.size):
        value = np.int64(values[x])
        sums[x] += value * value


@exactly_inlined
def subtract_squares(values, sums):
    """Subtract the squares of a row from the sums of columns."""
    for x in range(sums.size):
        value = np.int64(values[x])
        sums[x] -= value * value


@exactly
def enter(rows, y, first, last, border, edge, squared, sums):
    """Add a row, or its squares, to the sums of columns; the row may lie beyond the border."""
    inside = beyond(y, rows.shape[0], border)
    if inside < 0:
        sums += edge * edge if squared else edge
    elif squared:
        add_squares(rows[inside, first:last], sums)
    else:
        add(rows[inside, first:last], sums)


@exactly
def leave(rows, y, first, last, border, edge, squared, sums):
    """Subtract a row, or its squares, from the sums of columns; it may lie beyond the border."""
    inside = beyond(y, rows.shape[0], border)
    if inside < 0:
        sums -= edge * edge if squared else edge
    elif squared:
        subtract_squares(rows[inside, first:last], sums)
    else:
        subtract(rows[inside, first:last], sums)


@exactly_inlined
def run(sums, size, total):
    """Compute the sums of `size` neighbours along a row."""
    found = np.int64(0)
    for x in range(size - 1):
        found += sums[x]
    for x in range(total.size):
        found += sums[x + size - 1]
        total[x] = found
        found -= sums[x]


@exactly_inlined
def above_mean(values, sums, area, offset, result):
    """Compute which values exceed the mean minus an offset."""
    for x in range(result.size):
        result[x] = np.float64(values[x]) > np.float64(sums[x]) / area - offset


@exactly_inlined
def above_niblack(values, sums, squares, area, k, result):
    """Compute which values exceed Niblack's level."""
    for x in range(result.size):
        mean = np.float64(sums[x]) / area
        deviation = np.sqrt(max(np.float64(squares[x]) / area - mean * mean, 0.0))
        result[x] = np.float64(values[x]) > mean - k * deviation


@exactly_inlined
def above_sauvola(values, sums, squares, area, k, greatest, result):
    """Compute which values exceed Sauvola's level."""
    for x in range(result.size):
        mean = np.float64(sums[x]) / area
        deviation = np.sqrt(max(np.float64(squares[x]) / area - mean * mean, 0.0))
        level = mean * (1 + k * ((deviation / greatest) - 1))
        result[x] = np.float64(values[x]) > level


@exactly
def above(rows, size, rule, border, edge, parameter, greatest, top, left, result):
    """Compute which pixels exceed a level that depends on the sums of the square around them.

    Parameters
    ----------
    rows : ndarray
        (rows, columns) of unsigned integers.
    size : int
        Rows and columns of a square; odd.
    rule : int
        MEAN, NIBLACK or SAUVOLA.
    border, edge : int
        Number of the border mode, as in `BORDERS`, and the value beyond a constant border.
    parameter, greatest : float64
        The offset from the mean, in levels, or the factor k; and Sauvola's r, in levels.
    top, left : int
        Row and column of `rows` at which the result begins.
    result : ndarray of bool
        (rows, columns).
    """
    width, radius, area = rows.shape[1], size // 2, np.float64(size * size)
    edge = np.int64(edge)
    columns = np.zeros((2, STRIP + 2 * radius), np.int64)
    sums = np.empty((2, STRIP), np.int64)
    for start in range(left, left + result.shape[1], STRIP):
        stop = min(start + STRIP, left + result.shape[1])
        first, last = max(start - radius, 0), min(stop + radius, width)
        origin, end = start - radius, stop - start + 2 * radius
        before, after = first - origin, last - origin
        columns[:] = 0
        for n in range(2 if rule != MEAN else 1):
            for y in range(top - radius, top + radius):
                enter(rows, y, first, last, border, edge, n == 1, columns[n, before:after])
        for y in range(top, top + result.shape[0]):
            for n in range(2 if rule != MEAN else 1):
                line = columns[n, :end]
                enter(rows, y + radius, first, last, border, edge, n == 1, line[before:after])
                beside = (edge * edge if n == 1 else edge) * size
                extend(line, 0, before, origin, width, 1, border, beside)
                extend(line, after, end, origin, width, 1, border, beside)
                run(line, size, sums[n, : stop - start])
                leave(rows, y - radius, first, last, border, edge, n == 1, line[before:after])
            values, found = rows[y, start:stop], result[y - top, start - left : stop - left]
            if rule == MEAN:
                above_mean(values, sums[0], area, parameter, found)
            elif rule == NIBLACK:
                above_niblack(values, sums[0], sums[1], area, parameter, found)
            else:
                above_sauvola(values, sums[0], sums[1], area, parameter, greatest, found)
