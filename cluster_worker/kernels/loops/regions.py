"""Compiled loops of local histogram equalization: count regions, and map pixels by four of them."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

compiled = njit(cache=True, error_model="numpy")


@compiled
def count(image, bins, rows, down, columns, across, counts):
    """Count the bins of the pixels of some rows and columns, in the regions that they belong to.

    `bins` names the bin of each level; `down` and `across` the regions of rows and columns.
    """
    for i in range(rows.size):
        line, regions = image[rows[i]], counts[down[i]]
        for j in range(columns.size):
            regions[across[j], bins[line[columns[j]]]] += 1


@compiled
def interpolate(image, bins, maps, above, below, before, after, shares, weights, result):
    """Map pixels by the four regions around them.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of levels.
    bins : ndarray
        The bin of each level.
    maps : ndarray
        (rows of regions, columns of regions, bins).
    above, below, before, after : ndarray
        The regions around each row, and each column.
    shares, weights : ndarray
        (2, rows) and (2, columns): what each of them counts.
    result : ndarray
        (rows, columns).
    """
    for y in range(result.shape[0]):
        upper, lower, line = maps[above[y]], maps[below[y]], image[y]
        share, rest = shares[0, y], shares[1, y]
        for x in range(result.shape[1]):
            level, left, right = bins[line[x]], before[x], after[x]
            near, far = weights[0, x], weights[1, x]
            # In scikit-image's order and types, so that it is the same to the last bit.
            total = np.float32(upper[left, level] * (near * share))
            total += np.float32(upper[right, level] * (far * share))
            total += np.float32(lower[left, level] * (near * rest))
            total += np.float32(lower[right, level] * (far * rest))
            result[y, x] = np.uint16(total)
