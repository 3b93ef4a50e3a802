"""Compiled loops of rank filters that need sums, counts or distances, but no histogram.

The arguments that most loops share:

- `plane` is (rows + 2 · reach, columns + 2 · reach) of one colour; `own` is the plane without the
  reach.
- `runs` is (runs, 3), the horizontal runs of a neighbourhood: row, first column, column after the
  last. `offsets` is (pixels, 2), the row and column of its pixels. Both count from the corner of
  the square around the neighbourhood.
- `counts` is (rows, columns), the number of pixels of each neighbourhood within the image, or a
  single row if all rows are alike.

Loops along a row get slices: the compiler then knows that no index is negative.
"""

from math import exp, floor

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly

# A value that is nearer than this to the point where rounding changes is in doubt.
DOUBT = 1e-6


@exactly
def running_sums(values, weights, sums):
    """Compute the running sums of the weights of a row's levels."""
    total = sums[0]
    total = 0 * total
    sums[0] = total
    index = np.uint64(1)
    for x in range(values.size):
        total += weights[values[x]]
        sums[index] = total
        index += np.uint64(1)


@exactly
def add_between(first, last, totals):
    """Add the difference of two running sums for each pixel."""
    for x in range(totals.size):
        totals[x] += last[x] - first[x]


@exactly
def sums(plane, weights, runs, totals):
    """Sum the weights of the levels of each neighbourhood.

    `weights` has an unsigned integer for each level, and `totals` has its type. Running sums may
    overflow and wrap around; their differences are right all the same.
    """
    height = totals.shape[0]
    along = np.empty((plane.shape[0], plane.shape[1] + 1), totals.dtype)
    for y in range(plane.shape[0]):
        running_sums(plane[y], weights, along[y])
    for y in range(height):
        totals[y, :] = 0
        for k in range(runs.shape[0]):
            line = along[y + runs[k, 0]]
            add_between(line[runs[k, 1] :], line[runs[k, 2] :], totals[y])


@exactly
def mean_of_row(totals, counts, result):
    """Divide the sums of a row by the counts, and round down."""
    for x in range(result.size):
        result[x] = np.float64(totals[x]) / np.float64(counts[x])


@exactly
def means(totals, counts, result):
    """Compute the mean of each neighbourhood, rounded down."""
    for y in range(result.shape[0]):
        mean_of_row(totals[y], counts[y % counts.shape[0]], result[y])


@exactly
def row_from_mean(own, totals, counts, middle, result):
    """Halve the difference from the mean, and add the middle, for each pixel of a row."""
    for x in range(result.size):
        mean = np.float64(totals[x]) / np.float64(counts[x])
        result[x] = (np.float64(own[x]) - mean) * 0.5 + middle


@exactly
def from_means(own, totals, counts, middle, result):
    """Compute half the difference of each pixel from its neighbourhood's mean, plus `middle`."""
    for y in range(result.shape[0]):
        row_from_mean(own[y], totals[y], counts[y % counts.shape[0]], middle, result[y])


@exactly
def row_above_mean(own, totals, counts, result):
    """Compare each pixel of a row with the mean."""
    for x in range(result.size):
        result[x] = np.float64(own[x]) > np.float64(totals[x]) / np.float64(counts[x])


@exactly
def above_means(own, totals, counts, result):
    """Compute the mask of the pixels that are brighter than the mean of their neighbourhood."""
    for y in range(result.shape[0]):
        row_above_mean(own[y], totals[y], counts[y % counts.shape[0]], result[y])


@exactly
def neighbours(plane, runs, y, x, outside, found):
    """Collect the levels of one neighbourhood within the image in `found`; return their number."""
    count = 0
    for k in range(runs.shape[0]):
        for i in range(runs[k, 1], runs[k, 2]):
            level = plane[y + runs[k, 0], x + i]
            if level != outside:
                found[count] = level
                count += 1
    return count


@exactly
def mean_logarithm(levels, logarithms):
    """Return the mean logarithm of some levels, summed as scikit-image does.

    Equal levels are added together, and levels in rising order.
    """
    ordered = np.sort(levels)
    total, count = 0.0, 1
    for i in range(ordered.size):
        if i + 1 < ordered.size and ordered[i + 1] == ordered[i]:
            count += 1
        else:
            total += count * logarithms[ordered[i]]
            count = 1
    return total / ordered.size


@exactly
def geometric_means(plane, runs, totals, unit, counts, logarithms, outside, result):
    """Compute the geometric mean of each neighbourhood, rounded.

    `totals` are sums of logarithms in units of 1 / `unit`. Where rounding is in doubt, the exact
    `logarithms` are summed as scikit-image does.
    """
    found = np.empty((runs[:, 2] - runs[:, 1]).sum(), plane.dtype)
    for y in range(result.shape[0]):
        for x in range(result.shape[1]):
            population = counts[y % counts.shape[0], x]
            value = exp(np.float64(totals[y, x]) / (unit * population)) - 1 + 0.5
            if abs(value - floor(value + 0.5)) < DOUBT:
                count = neighbours(plane, runs, y, x, outside, found)
                value = exp(mean_logarithm(found[:count], logarithms)) - 1 + 0.5
            result[y, x] = np.int64(value)


@exactly
def count_not_above(values, own, counted):
    """Count the values of a row that are not above the pixel's own value."""
    for x in range(own.size):
        counted[x] += np.uint16(values[x] <= own[x])


@exactly
def share_of_row(counted, counts, white, result):
    """Compute the share of the counted neighbours, times white, for each pixel of a row."""
    for x in range(result.size):
        # Pixels outside the image are white. A pixel that is white too has counted all of them.
        most = np.float64(counts[x])
        share = white * min(np.float64(counted[x]), most) / most
        result[x] = share


@exactly
def equalized(plane, own, offsets, counts, white, result):
    """Compute the share of each neighbourhood that is not above its pixel, times white.

    Pixels outside the image must have the greatest level of the type.
    """
    counted = np.empty(result.shape[1], np.uint16)
    for y in range(result.shape[0]):
        counted[:] = 0
        for k in range(offsets.shape[0]):
            count_not_above(plane[y + offsets[k, 0], offsets[k, 1] :], own[y], counted)
        share_of_row(counted, counts[y % counts.shape[0]], white, result[y])


@exactly
def begin_distances(own, white, nearest):
    """Start the least distances of a row with the distance to black or white."""
    for x in range(nearest.size):
        nearest[x] = min(own[x], white - own[x])


@exactly
def nearer(values, own, nearest):
    """Update the least distances of a row with the distance to another row."""
    for x in range(nearest.size):
        # numpy's functions keep the small type, of which more values fit into a vector.
        distance = np.subtract(np.maximum(values[x], own[x]), np.minimum(values[x], own[x]))
        nearest[x] = np.minimum(nearest[x], distance)


@exactly
def distances(plane, own, offsets, white, result):
    """Compute the distance of each pixel's level to the nearest of its neighbours, black and white.

    Pixels outside the image must be black. All arrays and `white` have the same type.
    """
    for y in range(result.shape[0]):
        begin_distances(own[y], white, result[y])
        for k in range(offsets.shape[0]):
            nearer(plane[y + offsets[k, 0], offsets[k, 1] :], own[y], result[y])


@exactly
def stretch_row(own, least, greatest, whites, result):
    """Stretch the pixels of a row."""
    for x in range(result.size):
        low, high = np.int32(least[x]), np.int32(greatest[x])
        share = whites[x] * np.float64(np.int32(own[x]) - low)
        result[x] = share / np.float64(max(high - low, np.int32(1)))


@exactly
def stretched(own, least, greatest, whites, result):
    """Stretch each pixel between the least and the greatest level of its neighbourhood.

    `whites` has white for each value of a row. `result` may be one of the other arrays.
    """
    for y in range(result.shape[0]):
        stretch_row(own[y], least[y], greatest[y], whites, result[y])


@exactly
def nearer_end_of_row(own, least, greatest, result):
    """Choose the nearer end for the pixels of a row."""
    for x in range(result.size):
        level, low, high = np.int32(own[x]), np.int32(least[x]), np.int32(greatest[x])
        result[x] = high if high - level < level - low else low


@exactly
def nearer_end(own, least, greatest, result):
    """Replace each pixel by the least or the greatest level around it, whichever is nearer."""
    for y in range(result.shape[0]):
        nearer_end_of_row(own[y], least[y], greatest[y], result[y])
