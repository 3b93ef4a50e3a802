"""Compiled loops that compare a place with those around it."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined

# Columns that are worked on at a time: with the rows around them they fit the L1 cache.
STRIP = 1024


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
