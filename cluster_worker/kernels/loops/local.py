"""Compiled loops that decide whether pixels exceed a level of their surroundings, as scipy would.

A Gaussian in double precision takes three times as long as one in single precision, which decides
nearly all pixels. `separable` marks the pixels in doubt; they are decided here, with sums like
scipy's.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly
from cluster_worker.kernels.loops.doubles import STRIDE, weigh_across, weigh_down
from cluster_worker.kernels.loops.separable import beyond, extend

# The value that `separable` writes for pixels in doubt.
DOUBT = 2
# Rows and columns of a cell: all pixels of a cell are decided if one of them is in doubt. Up to
# TOGETHER columns of adjacent cells are decided together.
ROWS = 8
COLUMNS = 64
TOGETHER = 4 * COLUMNS
# Columns that are summed at a time, so that the rows that they are summed over fit the L1 cache.
BLOCK = 96


@exactly
def load(rows, top, first, last, border, edge, lines):
    """Load rows as doubles, from row `top` on; some may lie beyond the border."""
    for i in range(lines.size // STRIDE):
        line = lines[i * STRIDE : i * STRIDE + last - first]
        y = beyond(top + i, rows.shape[0], border)
        if y < 0:
            line[:] = edge
        else:
            values = rows[y, first:last]
            for x in range(line.size):
                line[x] = np.float64(values[x])


@exactly
def decide(values, level, offset, result):
    """Compute which values exceed a level minus an offset."""
    for x in range(result.size):
        result[x] = np.float64(values[x]) > level[x] - offset


@exactly
def doubtful(result):
    """Return whether any pixel is in doubt."""
    found = 0
    for y in range(result.shape[0]):
        line = result[y]
        for x in range(line.size):
            found += line[x] == DOUBT
    return found > 0


@exactly
def settle(rows, weights, border, edge, offset, top, left, result):
    """Decide all pixels of the cells that hold a pixel in doubt.

    Parameters
    ----------
    rows : ndarray
        (rows, columns) of unsigned integers.
    weights : ndarray of float64
        The first half of a Gaussian, from its end to its middle.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float64
        Value beyond the border if the border mode is constant.
    offset : float64
        How far the level lies below the blurred image.
    top, left : int
        Row and column of `rows` at which the result begins.
    result : ndarray of uint8
        (rows, columns): 0, 1, or DOUBT; afterwards 0 or 1.
    """
    height, width = result.shape
    radius = weights.size - 1
    held = np.empty((ROWS + 2 * radius) * STRIDE)
    totals = np.empty(STRIDE)
    levels = np.empty(TOGETHER)
    for y in range(0, height, ROWS):
        bottom = min(y + ROWS, height)
        x = 0
        while x < width:
            right = x
            while right < min(x + TOGETHER, width):
                if not doubtful(result[y:bottom, right : min(right + COLUMNS, width)]):
                    break
                right = min(right + COLUMNS, width)
            if right == x:
                x += COLUMNS
                continue
            start, stop = left + x, left + right
            first, last = max(start - radius, 0), min(stop + radius, rows.shape[1])
            origin = start - radius
            before, count, end = first - origin, last - first, stop - start + 2 * radius
            lines = held[: (bottom - y + 2 * radius) * STRIDE]
            load(rows, top + y - radius, first, last, border, edge, lines)
            for i in range(bottom - y):
                for a in range(0, count, BLOCK):
                    size = min(BLOCK, count - a)
                    total = totals[before + a : before + a + size]
                    weigh_down(lines[i * STRIDE + a :], weights, total)
                line = totals[:end]
                extend(line, 0, before, origin, rows.shape[1], 1, border, edge)
                extend(line, before + count, end, origin, rows.shape[1], 1, border, edge)
                level = levels[: stop - start]
                weigh_across(line, weights, level)
                values = rows[top + y + i, start:stop]
                decide(values, level, offset, result[y + i, x:right])
            x = right
