"""A compiled loop that looks for the least of what lies above the points of a ball."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# Columns that are worked on at a time, which stay in the L1 cache.
STRIP = 2048
# Results, and what they are summed as.
SUMMED = {"uint8": "float32", "uint16": "float32", "float32": "float32", "float64": "float64"}
ROLLED = [
    f"void({each}[:, ::1], int32[:, ::1], {each}[::1], {result}[:, ::1])"
    for result, each in SUMMED.items()
]


@exactly_inlined
def keep_least(line, depth, other, other_depth, least):
    """Keep the least of three; what is no number is passed over."""
    for x in range(least.size):
        one, two = line[x] + depth, other[x] + other_depth
        found = least[x]
        found = one if one < found else found
        least[x] = two if two < found else found


@njit(ROLLED, cache=True, error_model="numpy")
def roll(plane, points, depths, result):
    """Give how far a ball can be lifted under each pixel.

    Parameters
    ----------
    plane : ndarray
        (rows, columns) with the ball's reach around the result, infinite beyond the image.
    points : ndarray of int32
        n × 2: rows and columns of the ball's points, from the first of the plane that a pixel's
        ball reaches; n is even.
    depths : ndarray
        Of the plane's type: how far each point lies below the ball's top.
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
