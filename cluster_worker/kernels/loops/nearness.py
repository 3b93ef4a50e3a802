"""Compiled loops that look for the nearest set pixel, or label, within a radius.

First they look along columns, then along rows. Distances are whole numbers, or squares of them.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# A square and the index of a column are kept in one number, which has room for radii up to 255.
COLUMN_BITS = np.uint32(9)
COLUMN_MASK = np.uint32((1 << 9) - 1)
# Greater than the square of any distance that is looked for, with its column.
FAR = np.uint32(1 << 30)


@exactly_inlined
def one_more(before, most, is_set, result):
    """Add 1 to the distances of the row before, up to `most`; pixels that are set have 0."""
    for x in range(result.size):
        farther = np.minimum(before[x] + np.uint8(1), most)
        result[x] = np.uint8(0) if is_set[x] else np.uint8(farther)


@exactly_inlined
def nearer_below(below, result):
    """Take the distances of the row below plus 1 where they are less."""
    for x in range(result.size):
        result[x] = np.minimum(result[x], np.uint8(below[x] + np.uint8(1)))


@exactly_inlined
def within(line, far, found):
    """Mark the pixels of a row whose distances are at most `far`, beside those marked before."""
    for x in range(found.size):
        found[x] |= np.uint8(line[x] <= far)


@njit("void(uint8[:, ::1], uint8[::1], uint8[:, ::1])", cache=True, error_model="numpy")
def near(mask, heights, result):
    """Mark the pixels near a pixel that is set.

    Parameters
    ----------
    mask : ndarray of uint8
        (rows, columns).
    heights : ndarray of uint8
        (2 · reach + 1,): for each column of a disk, how far it reaches up and down. A reach is at
        most 253.
    result : ndarray of uint8
        (rows, columns): 1 if a pixel of the disk is set, else 0.
    """
    height, width = mask.shape
    reach = heights.size // 2
    most = np.uint8(heights[reach] + 1)
    for y in range(height):
        if y == 0:
            for x in range(width):
                result[y, x] = np.uint8(0) if mask[y, x] else most
        else:
            one_more(result[y - 1], most, mask[y], result[y])
    # The image goes on with no pixel that is set.
    line = np.full(width + 2 * reach, most, np.uint8)
    below = np.full(width, most, np.uint8)
    inner = line[reach : reach + width]
    for y in range(height - 1, -1, -1):
        found = result[y]
        nearer_below(below, found)
        below[:] = found
        inner[:] = found
        found[:] = 0
        if below.min() == most:
            continue
        for k in range(heights.size):
            within(line[k : k + width], heights[k], found)


@exactly_inlined
def least(line, add, best):
    """Replace numbers by those of another row plus `add` where these are less."""
    for x in range(best.size):
        best[x] = np.minimum(best[x], line[x] + add)


@exactly_inlined
def square_row(distances, most, result):
    """Square the distances of a row below `most`; the others are far. Columns are added later."""
    for x in range(result.size):
        distance = np.uint32(distances[x])
        result[x] = distance * distance << COLUMN_BITS if distance < most else FAR


EXPANDED = [
    f"void({each}[:, ::1], int64, int64, {each}[:, ::1])" for each in ("uint8", "uint16", "uint32")
]


@njit(EXPANDED, cache=True, error_model="numpy")
def expand(labels, reach, square, result):
    """Give each pixel the label of the nearest labelled pixel, unless it is too far.

    Of several nearest pixels, the one in the leftmost column is taken, the upper one of two there.

    Parameters
    ----------
    labels : ndarray
        (rows, columns); 0 is no label.
    reach : int
        The greatest distance in pixels, rounded down; at most 253.
    square : int
        The square of the greatest distance.
    result : ndarray
        (rows, columns), of the labels' type.
    """
    height, width = labels.shape
    most = np.uint8(reach + 1)
    distances = np.full((height, width), most, np.uint8)
    # The nearest label of each column, first that above.
    for y in range(height):
        for x in range(width):
            if labels[y, x] != 0:
                result[y, x] = labels[y, x]
                distances[y, x] = 0
            elif y > 0:
                result[y, x] = result[y - 1, x]
                distances[y, x] = min(distances[y - 1, x] + np.uint8(1), most)
            else:
                result[y, x] = 0
    below, labels_below = np.full(width, most, np.uint8), np.zeros(width, labels.dtype)
    squares = np.full(width + 2 * reach, FAR, np.uint32)
    inner = squares[reach : reach + width]
    best, nearest = np.empty(width, np.uint32), np.empty(width, labels.dtype)
    for y in range(height - 1, -1, -1):
        line, found = distances[y], result[y]
        for x in range(width):
            below[x] = min(below[x] + np.uint8(1), most)
            if below[x] < line[x]:
                line[x], found[x] = below[x], labels_below[x]
            if labels[y, x] != 0:
                below[x], labels_below[x] = 0, labels[y, x]
        nearest[:] = found
        square_row(line, most, inner)
        best[:] = FAR
        for k in range(2 * reach + 1):
            across = k - reach
            least(squares[k : k + width], np.uint32(across * across << 9 | k), best)
        for x in range(width):
            found[x] = 0
            if best[x] >> COLUMN_BITS <= square:
                found[x] = nearest[x + np.int64(best[x] & COLUMN_MASK) - reach]
