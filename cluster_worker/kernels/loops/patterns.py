"""Compiled loops over the points on a circle around each pixel, in scikit-image's arithmetic."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# Types of the first five arguments of both loops.
AROUND = "float64[:, ::1], int64, int64[:, ::1], float64[:, ::1], float64[:, ::1]"


@exactly_inlined
def interpolate(padded, top, left, offsets, below, beside, points):
    """Interpolate one point of the circle around each pixel of a row, from four pixels.

    Parameters
    ----------
    padded : ndarray of float64
        (rows, columns): the image with its margin.
    top, left : int
        Row and column of the row's first pixel in `padded`.
    offsets : ndarray of int64
        (4,): the rows of the upper and the lower two pixels, and the columns of the left and the
        right two, as offsets from the pixel in the middle.
    below : float
        Weight of the lower two pixels.
    beside : ndarray of float64
        (columns,): weight of the two pixels on the right.
    points : ndarray of float64
        (columns,): array for the result.
    """
    above, under = padded[top + offsets[0]], padded[top + offsets[1]]
    near, far = left + offsets[2], left + offsets[3]
    for x in range(points.size):
        share = beside[x]
        over = (1.0 - share) * above[near + x] + share * above[far + x]
        beneath = (1.0 - share) * under[near + x] + share * under[far + x]
        points[x] = (1.0 - below) * over + below * beneath


@njit(f"void({AROUND}, uint32[:, ::1])", cache=True, error_model="numpy")
def compare(padded, margin, offsets, below, beside, patterns):
    """Set a bit for each point on the circle around a pixel that is at least as bright.

    Parameters
    ----------
    padded : ndarray of float64
        (rows + 2 · margin, columns + 2 · margin): the image with its margin.
    margin : int
        Pixels on every side of the image.
    offsets : ndarray of int64
        (points, 4), as in `interpolate`.
    below, beside : ndarray of float64
        (points, rows) and (points, columns), as in `interpolate`.
    patterns : ndarray of uint32
        (rows, columns): array for the result; the lowest bit is the first point.
    """
    rows, columns = patterns.shape
    points = np.empty(columns)
    for y in range(rows):
        middle, found = padded[margin + y, margin : margin + columns], patterns[y]
        found[:] = 0
        for i in range(len(offsets)):
            interpolate(padded, margin + y, margin, offsets[i], below[i, y], beside[i], points)
            bit = np.uint32(1 << i)
            for x in range(columns):
                found[x] |= bit if points[x] - middle[x] >= 0 else np.uint32(0)


@njit(f"void({AROUND}, float64[:, ::1])", cache=True, error_model="numpy")
def variances(padded, margin, offsets, below, beside, result):
    """Compute the variance of the points around each pixel, summed in scikit-image's order.

    Parameters
    ----------
    padded, margin, offsets, below, beside
        As in `compare`.
    result : ndarray of float64
        (rows, columns): array for the result.
    """
    rows, columns = result.shape
    count = len(offsets)
    points, squares = np.empty(columns), np.empty(columns)
    for y in range(rows):
        total = result[y]
        total[:] = 0
        squares[:] = 0
        for i in range(count):
            interpolate(padded, margin + y, margin, offsets[i], below[i, y], beside[i], points)
            for x in range(columns):
                total[x] += points[x]
                squares[x] += points[x] * points[x]
        for x in range(columns):
            total[x] = (squares[x] - total[x] * total[x] / count) / count
