"""Compiled loops of adaptive histogram equalization (CLAHE).

They count the histograms of the regions of a grid, and map each pixel by the four around it.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

compiled = njit(cache=True, error_model="numpy")


@compiled
def count(image, bins, rows, down, columns, across, counts):
    """Add the pixels of some rows and columns to the histograms of their regions.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of levels.
    bins : ndarray
        (levels,): the bin of each level.
    rows, columns : ndarray
        Indices of the rows and columns to count.
    down, across : ndarray
        The region of each of these rows, and of each of these columns.
    counts : ndarray
        (rows of regions, columns of regions, bins): the histograms, which are added to.
    """
    for i in range(rows.size):
        line, regions = image[rows[i]], counts[down[i]]
        for j in range(columns.size):
            regions[across[j], bins[line[columns[j]]]] += 1


@compiled
def interpolate(image, bins, maps, above, below, before, after, shares, weights, result):
    """Map each pixel by the four regions around it, with bilinear interpolation.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of levels.
    bins : ndarray
        (levels,): the bin of each level.
    maps : ndarray
        (rows of regions, columns of regions, bins): the new level of each bin.
    above, below, before, after : ndarray
        The regions above and below each row, and to the left and right of each column.
    shares, weights : ndarray
        (2, rows) and (2, columns): their weights.
    result : ndarray of uint16
        (rows, columns): array for the result.
    """
    for y in range(result.shape[0]):
        upper, lower, line = maps[above[y]], maps[below[y]], image[y]
        share, rest = shares[0, y], shares[1, y]
        for x in range(result.shape[1]):
            level, left, right = bins[line[x]], before[x], after[x]
            near, far = weights[0, x], weights[1, x]
            # In scikit-image's order and types, so that all bits are the same.
            total = np.float32(upper[left, level] * (near * share))
            total += np.float32(upper[right, level] * (far * share))
            total += np.float32(lower[left, level] * (near * rest))
            total += np.float32(lower[right, level] * (far * rest))
            result[y, x] = np.uint16(total)
