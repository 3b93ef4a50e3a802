"""Compiled loops of the Haar wavelet transform, with the same bits as PyWavelets."""

import numpy as np
from numba import types

from cluster_worker.kernels.loops.compiling import exactly


@exactly
def sums_and_differences(upper, lower, share, sums, differences):
    """Compute the weighted sums and differences of two rows; `share` is the weight."""
    for x in range(sums.size):
        first, second = share * upper[x], share * lower[x]
        sums[x] = first + second
        differences[x] = first - second


@exactly
def split_pairs(row, share, sums, differences):
    """Compute the weighted sum and difference of each pair of a row.

    In a row of odd length, the last value makes a pair with itself.
    """
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
    """Compute the values of each pair of a row from its sum and difference."""
    left = np.uint64(0)
    for x in range(row.size // 2):
        first, second = share * sums[x], share * differences[x]
        row[left] = first + second
        row[left + np.uint64(1)] = first - second
        left += np.uint64(2)
    if row.size % 2:
        row[-1] = share * sums[-1] + share * differences[-1]


@exactly
def split(image, share, coarse, across, down, diagonal):
    """Split an image into one of half the size and its details: across, down and diagonal.

    All results are ((rows + 1) // 2, (columns + 1) // 2), of the image's type.
    """
    rows, columns = image.shape
    sums, differences = np.empty((2, columns), image.dtype)
    for y in range(coarse.shape[0]):
        lower = image[min(2 * y + 1, rows - 1)]
        sums_and_differences(image[2 * y], lower, share, sums, differences)
        split_pairs(sums, share, coarse[y], across[y])
        split_pairs(differences, share, down[y], diagonal[y])


@exactly
def join(coarse, across, down, diagonal, share, image):
    """Join an image of half the size and its details; the inverse of `split`."""
    rows, columns = image.shape
    sums, differences, lost = np.empty((3, columns), image.dtype)
    for y in range(coarse.shape[0]):
        join_pairs(coarse[y], across[y], share, sums)
        join_pairs(down[y], diagonal[y], share, differences)
        lower = image[2 * y + 1] if 2 * y + 1 < rows else lost
        sums_and_differences(sums, differences, share, image[2 * y], lower)


# Both types are compiled now: whether a threshold turns single precision into double depends on the
# parameters, so that the warm-up may not meet both.
for kind in (types.float32, types.float64):
    join.compile((*(kind[:, ::1],) * 4, kind, kind[:, ::1]))
