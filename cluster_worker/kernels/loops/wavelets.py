"""Compiled loops of the shortest wavelet, a step: to the last bit what PyWavelets computes."""

import numpy as np
from numba import types

from cluster_worker.kernels.loops.compiling import exactly


@exactly
def sums_and_differences(upper, lower, share, sums, differences):
    """Add two rows, and subtract them."""
    for x in range(sums.size):
        first, second = share * upper[x], share * lower[x]
        sums[x] = first + second
        differences[x] = first - second


@exactly
def part_pairs(row, share, sums, differences):
    """Add the values of each pair of a row, and subtract them; an odd last one is its own other."""
    pairs = row.size // 2
    left = np.uint64(0)
    for x in range(pairs):
        first, second = share * row[left], share * row[left + np.uint64(1)]
        sums[x] = first + second
        differences[x] = first - second
        left += np.uint64(2)
    if row.size % 2:
        last = share * row[-1]
        sums[-1] = last + last
        differences[-1] = last - last


@exactly
def join_pairs(sums, differences, share, row):
    """Give the values of each pair of a row back."""
    left = np.uint64(0)
    for x in range(row.size // 2):
        first, second = share * sums[x], share * differences[x]
        row[left] = first + second
        row[left + np.uint64(1)] = first - second
        left += np.uint64(2)
    if row.size % 2:
        row[-1] = share * sums[-1] + share * differences[-1]


@exactly
def part(image, share, coarse, across, down, slanted):
    """Part an image into one of half the size, and what that lacks across, down and slanted."""
    rows, columns = image.shape
    sums, differences = np.empty((2, columns), image.dtype)
    for y in range(coarse.shape[0]):
        lower = image[min(2 * y + 1, rows - 1)]
        sums_and_differences(image[2 * y], lower, share, sums, differences)
        part_pairs(sums, share, coarse[y], across[y])
        part_pairs(differences, share, down[y], slanted[y])


@exactly
def join(coarse, across, down, slanted, share, image):
    """Make an image of its parts; the inverse of `part`."""
    rows, columns = image.shape
    sums, differences, lost = np.empty((3, columns), image.dtype)
    for y in range(coarse.shape[0]):
        join_pairs(coarse[y], across[y], share, sums)
        join_pairs(down[y], slanted[y], share, differences)
        lower = image[2 * y + 1] if 2 * y + 1 < rows else lost
        sums_and_differences(sums, differences, share, image[2 * y], lower)


# Thresholds may turn single precision into double: which one is met depends on the parameters.
for kind in (types.float32, types.float64):
    join.compile((*(kind[:, ::1],) * 4, kind, kind[:, ::1]))
