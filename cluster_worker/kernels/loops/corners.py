"""Compiled loops that compare a place with those around it."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, njit

# Columns that are worked on at a time: with the rows around them they fit the L1 cache.
STRIP = 1024
# The circle around a place: rows down, and columns to the right.
DOWN = np.array([0, 1, 2, 3, 3, 3, 2, 1, 0, -1, -2, -3, -3, -3, -2, -1])
RIGHT = np.array([3, 3, 2, 1, 0, -1, -2, -3, -3, -3, -2, -1, 0, 1, 2, 3])
# So many in a row hold three of every fourth.
MANY = 12
FAST = [
    f"void({each}[:, ::1], int64, {each}, int64, int64, {each}[:, ::1])"
    for each in ("float32", "float64")
]


@exactly_inlined
def add_squares(here, there, total):
    """Add the squares of differences."""
    for x in range(total.size):
        difference = here[x] - there[x]
        total[x] += difference * difference


@exactly_inlined
def keep_least(total, least):
    """Keep the lesser of two, or the later if one is no number."""
    for x in range(least.size):
        least[x] = least[x] if least[x] < total[x] else total[x]


@exactly
def moravec(image, size, top, left, result):
    """Give how much each place differs from the least different one around, on the diagonals.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns) of the block.
    size : int
        How far a place and its surroundings reach.
    top, left : int
        Where the result begins; the block holds twice `size` around it.
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
    """Count what is brighter than each place by a threshold, and what is darker."""
    for x in range(here.size):
        brighter[x] += there[x] > here[x] + threshold
        darker[x] += there[x] < here[x] - threshold


@exactly_inlined
def differs(there, here, threshold, sign):
    """Tell whether a place is brighter by a threshold, or darker if the sign is -1."""
    if sign > 0:
        return there > here + threshold
    return there < here - threshold


@exactly
def response(image, y, x, count, threshold, sign):
    """Sum up the differences of a circle, if so many in a row are brighter, or darker; else 0."""
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
    """Give the response of each place to the test of a circle.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of the block.
    count : int
        How many in a row must be brighter, or darker.
    threshold : scalar
        By how much.
    top, left : int
        Where the result begins; the block holds 3 pixels around it.
    result : ndarray
        (rows, columns).
    """
    # Most places have too few even among every fourth.
    step, least = (4, 3) if count >= MANY else (1, count)
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
