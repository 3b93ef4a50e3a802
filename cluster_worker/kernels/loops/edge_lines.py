"""Compiled loops of Canny's method up to its edge lines, rounded where scikit-image rounds."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined
from cluster_worker.kernels.loops.doubles import STRIDE, weigh_across, weigh_down
from cluster_worker.kernels.loops.separable import beyond, extend

# Columns of a strip: with the rows around it, it fits the cache.
STRIP = 256
# Values of a line: a strip, and the pixels beside it that the gradient and the thinning read.
LINE = STRIP + 16


@exactly_inlined
def load(values, share, line):
    """Convert values to floats in single precision, stored as doubles; `share` is 1 / white."""
    for x in range(line.size):
        line[x] = np.float64(np.float32(values[x]) * share)


@exactly_inlined
def round_to_single(line):
    """Round doubles to single precision, as scipy does between two axes."""
    for x in range(line.size):
        line[x] = np.float64(np.float32(line[x]))


@exactly_inlined
def divide(total, inside, smooth):
    """Divide sums by the share of their weights that lies inside the image."""
    for x in range(smooth.size):
        smooth[x] = np.float32(total[x]) / inside[x]


@exactly_inlined
def steepness(above, middle, below, down, across, steep):
    """Compute the slopes down and across a row, and the magnitude of the gradient.

    `above`, `middle` and `below` are three smoothed rows, which reach one pixel further on each
    side. A difference of two values in single precision is rounded to the same bits in single or
    double precision; a sum is not. Values with a weight of 0 are added as in scipy: the result is
    NaN where they are infinite.
    """
    for x in range(steep.size):
        y, z = x + 1, x + 2
        none = np.float32(0)
        a = (below[x] - above[x]) + middle[x] * none
        b = (below[y] - above[y]) + middle[y] * none
        c = (below[z] - above[z]) + middle[z] * none
        i = np.float32(np.float64(b) * 2.0 + (np.float64(a) + np.float64(c)))
        a = (above[z] - above[x]) + above[y] * none
        b = (middle[z] - middle[x]) + middle[y] * none
        c = (below[z] - below[x]) + below[y] * none
        j = np.float32(np.float64(b) * 2.0 + (np.float64(a) + np.float64(c)))
        down[x], across[x] = i, j
        steep[x] = np.sqrt(i * i + j * j)


@exactly_inlined
def any_reaches(steep, low):
    """Return whether any gradient of a row reaches the low threshold."""
    found = 0
    for x in range(steep.size):
        found += steep[x] >= low
    return found > 0


@exactly_inlined
def thin(above, middle, below, down, across, low, high, result):
    """Keep the pixels whose gradient is largest along its own direction (non-maximum suppression).

    The result is 1 where an edge line may continue, 2 where one begins, and 0 elsewhere. `above`,
    `middle` and `below` are rows of the gradient's magnitude, which reach one pixel further on each
    side than the other arrays.
    """
    for x in range(result.size):
        y, z = x + 1, x + 2
        i, j, m = down[x], across[x], middle[y]
        size_i, size_j = abs(i), abs(j)
        falling = ((i >= 0) & (j >= 0)) | ((i <= 0) & (j <= 0))
        steep_down = size_i > size_j if falling else not (size_i < size_j)
        share = size_j / size_i if steep_down else size_i / size_j
        rest = 1.0 - np.float64(share)
        after = below[z] if falling else above[z]
        before = above[x] if falling else below[x]
        next_one = (below[y] if falling else above[y]) if steep_down else middle[z]
        last_one = (above[y] if falling else below[y]) if steep_down else middle[x]
        forwards = np.float64(after * share) + np.float64(next_one) * rest
        backwards = np.float64(before * share) + np.float64(last_one) * rest
        kept = (m >= low) & (m > 0) & (forwards <= np.float64(m)) & (backwards <= np.float64(m))
        result[x] = np.uint8(kept) + np.uint8(kept & (m >= high))


@exactly
def smooth_row(held, weights, first, last, start, stop, width, border, edge, total, level):
    """Smooth along columns, then along the row from column `start` to `stop`, as scipy does."""
    radius = weights.size - 1
    origin = start - radius
    line = total[: stop - start + 2 * radius]
    inner = line[first - origin : last - origin]
    weigh_down(held, weights, inner)
    round_to_single(inner)
    extend(line, 0, first - origin, origin, width, 1, border, edge)
    extend(line, last - origin, line.size, origin, width, 1, border, edge)
    weigh_across(line, weights, level[: stop - start])


@exactly
def inside_row(y, height, weights, start, stop, width, edge, total, inside):
    """Compute the share of the weights around each pixel of row `y` that lies inside the image."""
    radius = weights.size - 1
    line = total[: stop - start + 2 * radius]
    share = weights[radius] if 0 <= y < height else edge * weights[radius]
    for k in range(radius):
        before = 1.0 if y - radius + k >= 0 else edge
        after = 1.0 if y + radius - k < height else edge
        share += (before + after) * weights[k]
    for x in range(line.size):
        column = start - radius + x
        line[x] = np.float64(np.float32(share)) if 0 <= column < width else edge
    level = np.empty(stop - start)
    weigh_across(line, weights, level)
    for x in range(level.size):
        inside[x] = np.float32(level[x]) + np.float32(2.0**-23)


@exactly
def find_lines(rows, share, weights, border, edge, low, high, bounds, top, left, result):
    """Find the edge lines of a block: 1 where a line may continue, 2 where a line begins.

    Parameters
    ----------
    rows : ndarray
        (rows, columns) of the block.
    share : float32
        1 / white: the factor that converts values to floats in 0…1.
    weights : ndarray of float64
        The first half of a Gaussian, from its end to its middle.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float64
        Value beyond the border if the border mode is constant.
    low, high : float32
        Magnitudes of the gradient at which a line continues, and begins.
    bounds : tuple of int
        The rows and columns of the block that lie in the image: top, bottom, left, right.
    top, left : int
        Row and column of `rows` at which the result begins.
    result : ndarray of uint8
        (rows, columns).
    """
    height, width = rows.shape
    upper, lower, leftmost, rightmost = bounds
    radius = weights.size - 1
    taps = 2 * radius + 1
    bottom = top + result.shape[0]
    held = np.empty(2 * taps * STRIDE)
    total, level = np.empty(STRIDE), np.empty(LINE)
    inside = np.ones((2, LINE), np.float32)
    smooth = np.empty((3, LINE), np.float32)
    steep = np.zeros((3, LINE), np.float32)
    down, across = np.empty((2, LINE), np.float32), np.empty((2, LINE), np.float32)
    for left_one in range(left, left + result.shape[1], STRIP):
        right_one = min(left_one + STRIP, left + result.shape[1])
        # The gradient is needed one pixel further than the result, the smooth image two pixels.
        start, stop = max(left_one - 2, leftmost), min(right_one + 2, rightmost)
        shift, count = start - (left_one - 2), stop - start
        first, last = max(start - radius, 0), min(stop + radius, width)
        if border == 3:
            inside_row(radius, taps, weights, start, stop, width, edge, total, inside[0])
        filled = max(top - 2, upper) - radius
        for y in range(top - 2, bottom + 2):
            # Rows beyond the image are copies of its nearest row.
            if upper <= y < lower:
                while filled <= y + radius:
                    source = beyond(filled, height, border)
                    slot = (filled + taps) % taps * STRIDE
                    line = held[slot : slot + last - first]
                    if source < 0:
                        line[:] = edge
                    else:
                        load(rows[source, first:last], share, line)
                    again = slot + taps * STRIDE
                    held[again : again + last - first] = line
                    filled += 1
                around = held[(y - radius + taps) % taps * STRIDE :]
                smooth_row(
                    around, weights, first, last, start, stop, width, border, edge, total, level
                )
                ours = smooth[y % 3, shift : shift + count]
                if border == 3:
                    way = 0
                    if y < radius or y >= height - radius:
                        way = 1
                        inside_row(y, height, weights, start, stop, width, edge, total, inside[1])
                    divide(level, inside[way], ours)
                else:
                    divide(level, inside[0], ours)
                row = smooth[y % 3]
                for x in range(shift):
                    row[x] = row[shift]
                for x in range(shift + count, right_one - left_one + 4):
                    row[x] = row[shift + count - 1]
            elif y >= lower:
                smooth[y % 3] = smooth[(y - 1) % 3]
            if y == upper:
                smooth[(y - 1) % 3] = smooth[y % 3]
            if y < top or y < upper + 1:
                continue
            # Both neighbours of the row before are now known.
            size = right_one - left_one + 2
            here, newest = (y - 1) % 3, y % 3
            steepness(
                smooth[(y - 2) % 3],
                smooth[here],
                smooth[newest],
                down[(y - 1) % 2, :size],
                across[(y - 1) % 2, :size],
                steep[here, :size],
            )
            done = y - 2
            if done < top:
                continue
            found = result[done - top, left_one - left : right_one - left]
            outermost = done <= upper or done >= lower - 1
            if outermost or not any_reaches(steep[done % 3, 1 : size - 1], low):
                found[:] = 0
                continue
            thin(
                steep[(done - 1) % 3],
                steep[done % 3],
                steep[here],
                down[done % 2, 1:],
                across[done % 2, 1:],
                low,
                high,
                found,
            )
            if left_one == leftmost:
                found[0] = 0
            if right_one == rightmost:
                found[found.size - 1] = 0
