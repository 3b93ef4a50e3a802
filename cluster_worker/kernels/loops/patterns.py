"""Compiled loops over the points on a circle around each pixel, in scikit-image's arithmetic."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# Both are compiled when either is first met.
AROUND = "float64[:, ::1], int64, int64[:, ::1], float64[:, ::1], float64[:, ::1]"


@exactly_inlined
def interpolate(padded, top, left, offsets, below, beside, points):
    """Give the points of one row of pixels, of which each lies among four pixels.

    Parameters
    ----------
    padded : ndarray of float64
        (rows, columns), of which the pixel in the middle of the first circle is at `top` and
        `left`.
    offsets : ndarray of int64
        How far the four lie down, twice, and to the right, twice.
    below : float
        Share of the lower two.
    beside : ndarray of float64
        For each column, the share of the two on the right.
    points : ndarray of float64
        For the result.
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
    """Give each pixel a bit for each point that is at least as bright.

    Parameters
    ----------
    padded : ndarray of float64
        (rows + 2 margin, columns + 2 margin).
    margin : int
        Pixels around those whose circles are looked at.
    offsets : ndarray of int64
        (points, 4), as for `interpolate`.
    below, beside : ndarray of float64
        (points, rows) and (points, columns): see `interpolate`.
    patterns : ndarray of uint32
        (rows, columns), for the result.
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
    """Give the variance of each pixel's points, in scikit-image's order of sums.

    Parameters
    ----------
    padded, margin, offsets, below, beside
        As for `compare`.
    result : ndarray of float64
        (rows, columns).
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
