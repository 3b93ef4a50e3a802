"""Compiled loops of corner detectors, which compare a pixel with those around it."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, njit

# Columns of a strip: with the rows around it, it fits the L1 cache.
STRIP = 1024
# The circle around a pixel: rows down, and columns to the right.
DOWN = np.array([0, 1, 2, 3, 3, 3, 2, 1, 0, -1, -2, -3, -3, -3, -2, -1])
RIGHT = np.array([3, 3, 2, 1, 0, -1, -2, -3, -3, -3, -2, -1, 0, 1, 2, 3])
# A run of at least this many of the 16 points contains three of the points 0, 4, 8 and 12.
PRETEST_COUNT = 12
FAST = [
    f"void({each}[:, ::1], int64, {each}, int64, int64, {each}[:, ::1])"
    for each in ("float32", "float64")
]


@exactly_inlined
def add_squares(here, there, total):
    """Add the squared differences of two rows to their sums."""
    for x in range(total.size):
        difference = here[x] - there[x]
        total[x] += difference * difference


@exactly_inlined
def keep_least(total, least):
    """Update `least` with the smaller of two values, or with `total` if one of them is NaN."""
    for x in range(least.size):
        least[x] = least[x] if least[x] < total[x] else total[x]


@exactly
def moravec(image, size, top, left, result):
    """Compute how much each pixel's surroundings differ from the most similar ones nearby.

    The result is the least sum of squared differences over all shifts that move both rows and
    columns.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns) of the block.
    size : int
        How far the surroundings of a pixel reach, and how far they are shifted, in pixels.
    top, left : int
        Row and column of the block at which the result begins. The block holds twice `size` pixels
        around it.
    result : ndarray of float32
        (rows, columns).
    """
    least, total = np.empty((2, STRIP), np.float32)
    for start in range(0, result.shape[1], STRIP):
        stop = min(start + STRIP, result.shape[1])
        count, x = stop - start, left + start
        for y in range(result.shape[0]):
            found = least[:count]
            found[:] = np.inf
            for down in range(-size, size + 1):
                for right in range(-size, size + 1):
                    if down == 0 or right == 0:
                        continue
                    sums = total[:count]
                    sums[:] = 0
                    for r in range(-size, size + 1):
                        here = image[top + y + r]
                        there = image[top + y + r + down]
                        for c in range(-size, size + 1):
                            add_squares(here[x + c :], there[x + c + right :], sums)
                    keep_least(sums, found)
            result[y, start:stop] = found


@exactly_inlined
def count_others(here, there, threshold, brighter, darker):
    """Count for each pixel whether another one is brighter, or darker, by a threshold."""
    for x in range(here.size):
        brighter[x] += there[x] > here[x] + threshold
        darker[x] += there[x] < here[x] - threshold


@exactly_inlined
def differs(there, here, threshold, sign):
    """Return whether a pixel is brighter by a threshold, or darker if the sign is -1."""
    if sign > 0:
        return there > here + threshold
    return there < here - threshold


@exactly
def response(image, y, x, count, threshold, sign):
    """Return the sum of a circle's absolute differences if `count` consecutive points differ.

    The points must all be brighter by the threshold, or all darker if the sign is -1. Otherwise
    the result is 0.
    """
    here, run, none = image[y, x], 0, image.dtype.type(0)
    for i in range(15 + count):
        there = image[y + DOWN[i % 16], x + RIGHT[i % 16]]
        run = run + 1 if differs(there, here, threshold, sign) else 0
        if run == count:
            total = none
            for k in range(16):
                total += abs(image[y + DOWN[k], x + RIGHT[k]] - here)
            return total
    return none


@njit(FAST, cache=True, error_model="numpy")
def fast(image, count, threshold, top, left, result):
    """Compute the response of each pixel to the FAST test of the circle around it.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of the block.
    count : int
        How many consecutive points of the circle must be brighter, or darker.
    threshold : scalar
        By how much they must differ, in the image's type.
    top, left : int
        Row and column of the block at which the result begins. The block holds 3 pixels around it.
    result : ndarray
        (rows, columns), of the image's type.
    """
    # A cheap first test: most pixels have too few such points even among every fourth point.
    step, least = (4, 3) if count >= PRETEST_COUNT else (1, count)
    counts = np.empty((2, STRIP), np.int32)
    for start in range(0, result.shape[1], STRIP):
        stop = min(start + STRIP, result.shape[1])
        brighter, darker = counts[0, : stop - start], counts[1, : stop - start]
        for y in range(len(result)):
            brighter[:], darker[:] = 0, 0
            here = image[top + y, left + start : left + stop]
            for k in range(0, 16, step):
                there = image[top + y + DOWN[k], left + start + RIGHT[k] :]
                count_others(here, there, threshold, brighter, darker)
            for x in range(stop - start):
                found = result.dtype.type(0)
                if brighter[x] >= least:
                    found = response(image, top + y, left + start + x, count, threshold, 1)
                if found == 0 and darker[x] >= least:
                    found = response(image, top + y, left + start + x, count, threshold, -1)
                result[y, start + x] = found
