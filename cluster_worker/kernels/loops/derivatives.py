"""Compiled loops of second derivatives, in double precision, with the same bits as scipy."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, njit
from cluster_worker.kernels.loops.doubles import subtracted, weigh_across, weighing
from cluster_worker.kernels.loops.separable import beyond, extend

# Values from one buffered row to the next. It is no multiple of a page, because rows would then
# evict each other from the cache. A row has room for the halo of the widest kernel, 283 pixels on
# each side.
STRIDE = 1552
# Rows and columns that are summed together: with the rows around them they fit the L1 cache.
ROWS = 8
BLOCK = 64

# Most weights in half a kernel, with its middle.
WEIGHTS_MAX = 284
CORRELATED = [
    f"void({each}[:, ::1], float64[::1], float64[::1], boolean, boolean, "
    f"int64, float64, int64, int64, {each}[:, ::1])"
    for each in ("float32", "float64")
]

weigh_down = weighing(STRIDE)
differ_down = weighing(STRIDE, subtracted)
differ_across = weighing(1, subtracted)


@exactly_inlined
def load(values, line):
    """Copy values to another type."""
    for x in range(line.size):
        line[x] = values[x]


@exactly
def sum_rows(lines, weights, odd, count, totals):
    """Compute weighted sums along columns, for each row of `totals`."""
    for a in range(0, count, BLOCK):
        size = min(BLOCK, count - a)
        for i in range(totals.size // STRIDE):
            here = i * STRIDE + a
            if odd:
                differ_down(lines[here:], weights, totals[here : here + size])
            else:
                weigh_down(lines[here:], weights, totals[here : here + size])


@njit(CORRELATED, cache=True, error_model="numpy")
def correlate(rows, down, across, odd_down, odd_across, border, edge, top, left, result):
    """Correlate with weights along columns, then along rows.

    Parameters
    ----------
    rows : ndarray
        (rows, columns) of float32 or float64.
    down, across : ndarray of float64
        The first half of each kernel, from its end to its middle. Both have the same length, at
        most `WEIGHTS_MAX`.
    odd_down, odd_across : bool
        Whether the second half of the kernel is the negative mirror image of the first; otherwise
        it is the mirror image.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float64
        Value beyond the border if the border mode is constant.
    top, left : int
        Row and column of `rows` at which the result begins.
    result : ndarray
        (rows, columns) of the type of `rows`.
    """
    height, width = rows.shape
    radius = down.size - 1
    kept = 2 * radius
    held = kept + max(kept // ROWS, 8) * ROWS
    lines = np.empty(held * STRIDE)
    totals = np.empty(ROWS * STRIDE)
    rounded = np.empty(STRIDE, rows.dtype)
    done = np.empty(STRIDE)
    strip = STRIDE - 16 - 2 * radius
    for start in range(left, left + result.shape[1], strip):
        stop = min(start + strip, left + result.shape[1])
        first, last = max(start - radius, 0), min(stop + radius, width)
        origin = start - radius
        before, count, end = first - origin, last - first, stop - start + 2 * radius
        filled, begun = 0, 0
        for y in range(0, result.shape[0], ROWS):
            group_rows = min(ROWS, result.shape[0] - y)
            if begun + kept + group_rows > held:
                lines[: kept * STRIDE] = lines[begun * STRIDE : (begun + kept) * STRIDE]
                filled, begun = kept, 0
            while filled < begun + kept + group_rows:
                line = lines[filled * STRIDE : filled * STRIDE + count]
                inside = beyond(top + y - radius + filled - begun, height, border)
                if inside < 0:
                    line[:] = edge
                else:
                    load(rows[inside, first:last], line)
                filled += 1
            sum_rows(lines[begun * STRIDE :], down, odd_down, count, totals[: group_rows * STRIDE])
            for i in range(group_rows):
                # scipy stores the result of the first axis in the image's type.
                load(totals[i * STRIDE : i * STRIDE + count], rounded[before : before + count])
                line = totals[i * STRIDE : i * STRIDE + end]
                load(rounded[before : before + count], line[before : before + count])
                extend(line, 0, before, origin, width, 1, border, edge)
                extend(line, before + count, end, origin, width, 1, border, edge)
                total = done[: stop - start]
                if odd_across:
                    differ_across(line, across, total)
                else:
                    weigh_across(line, across, total)
                load(total, result[y + i, start - left : stop - left])
            begun += ROWS
