"""Compiled loops of the rolling ball: the least height of the image above the points of a ball."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# Columns of a strip: it stays in the L1 cache.
STRIP = 2048
# Types of results, and the types in which their sums are computed.
SUMMED = {"uint8": "float32", "uint16": "float32", "float32": "float32", "float64": "float64"}
ROLLED = [
    f"void({each}[:, ::1], int32[:, ::1], {each}[::1], {result}[:, ::1])"
    for result, each in SUMMED.items()
]


@exactly_inlined
def keep_least(line, depth, other, other_depth, least):
    """Update `least` with the smaller of two sums for each pixel; NaN is ignored."""
    for x in range(least.size):
        one, two = line[x] + depth, other[x] + other_depth
        found = least[x]
        found = one if one < found else found
        least[x] = two if two < found else found


@njit(ROLLED, cache=True, error_model="numpy")
def roll(plane, points, depths, result):
    """Compute how high a ball below the image can rise at each pixel.

    Parameters
    ----------
    plane : ndarray
        (rows + 2 · radius, columns + 2 · radius): the image around the result, infinite beyond the
        image.
    points : ndarray of int32
        (n, 2): row and column of each point of the ball, from the corner of the square around it;
        n is even.
    depths : ndarray
        (n,), of the plane's type: how far each point lies below the ball's top.
    result : ndarray
        (rows, columns) of the image's type.
    """
    least = np.empty(STRIP, plane.dtype)
    for start in range(0, result.shape[1], STRIP):
        count = min(STRIP, result.shape[1] - start)
        found = least[:count]
        for y in range(len(result)):
            found[:] = np.inf
            for i in range(0, len(points), 2):
                line = plane[y + points[i, 0], start + points[i, 1] :]
                other = plane[y + points[i + 1, 0], start + points[i + 1, 1] :]
                keep_least(line, depths[i], other, depths[i + 1], found)
            for x in range(count):
                result[y, start + x] = found[x]
