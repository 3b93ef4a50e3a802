"""Compiled loops over neighbourhoods: what needs sums, counts or distances, but no histogram.

Planes are (rows + 2 · reach, columns + 2 · reach) of one colour. A neighbourhood is given by the
places of its pixels, or by its runs: (row, first column, column after the last), each counted from
the corner of the square around it. Loops along a row take slices, of which the compiler knows that
they do not wrap around.
"""

from math import exp, floor

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly

# How far a value may be off for which rounding is not yet in doubt.
DOUBT = 1e-6


@exactly
def running_sums(values, worth, sums):
    """Sum what levels are worth up to each place of a row."""
    total = sums[0]
    total = 0 * total
    sums[0] = total
    place = np.uint64(1)
    for x in range(values.size):
        total += worth[values[x]]
        sums[place] = total
        place += np.uint64(1)


@exactly
def add_between(first, last, totals):
    """Add what lies between two places of a row."""
    for x in range(totals.size):
        totals[x] += last[x] - first[x]


@exactly
def sums(plane, worth, runs, totals):
    """Sum what the levels of each neighbourhood are worth.

    `worth` has a whole number without sign for each level, as have the totals: what wraps around
    between two places is right again in their difference.
    """
    height = totals.shape[0]
    along = np.empty((plane.shape[0], plane.shape[1] + 1), totals.dtype)
    for y in range(plane.shape[0]):
        running_sums(plane[y], worth, along[y])
    for y in range(height):
        totals[y, :] = 0
        for k in range(runs.shape[0]):
            line = along[y + runs[k, 0]]
            add_between(line[runs[k, 1] :], line[runs[k, 2] :], totals[y])


@exactly
def mean_of_row(totals, counts, result):
    """Divide, and round down."""
    for x in range(result.size):
        result[x] = np.float64(totals[x]) / np.float64(counts[x])


@exactly
def means(totals, counts, result):
    """Give the mean of each neighbourhood, rounded down; `counts` are one row if all are alike."""
    for y in range(result.shape[0]):
        mean_of_row(totals[y], counts[y % counts.shape[0]], result[y])


@exactly
def row_from_mean(own, totals, counts, middle, result):
    """Halve the distance from the mean, and add the middle."""
    for x in range(result.size):
        mean = np.float64(totals[x]) / np.float64(counts[x])
        result[x] = (np.float64(own[x]) - mean) * 0.5 + middle


@exactly
def from_means(own, totals, counts, middle, result):
    """Give how far each pixel is from the mean of its neighbourhood."""
    for y in range(result.shape[0]):
        row_from_mean(own[y], totals[y], counts[y % counts.shape[0]], middle, result[y])


@exactly
def row_above_mean(own, totals, counts, result):
    """Compare with the mean."""
    for x in range(result.size):
        result[x] = np.float64(own[x]) > np.float64(totals[x]) / np.float64(counts[x])


@exactly
def above_means(own, totals, counts, result):
    """Tell whether each pixel is brighter than the mean of its neighbourhood."""
    for y in range(result.shape[0]):
        row_above_mean(own[y], totals[y], counts[y % counts.shape[0]], result[y])


@exactly
def neighbours(plane, runs, y, x, outside, found):
    """Collect the levels of one neighbourhood that lie within the image; give how many."""
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
    """Sum the logarithms of some levels as scikit-image does: equal ones together, in order."""
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
    """Give the geometric mean of each neighbourhood, rounded.

    `totals` sum the logarithms in parts of 1 / `unit`. Where they leave rounding in doubt, the
    logarithms themselves decide.
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
    """Count where values are not above a pixel's own."""
    for x in range(own.size):
        counted[x] += np.uint16(values[x] <= own[x])


@exactly
def share_of_row(counted, counts, white, result):
    """Give shares of the neighbours, as levels up to white."""
    for x in range(result.size):
        # What lies outside is white: for a pixel that is so as well, all has been counted.
        most = np.float64(counts[x])
        share = white * min(np.float64(counted[x]), most) / most
        result[x] = share


@exactly
def equalized(plane, own, places, counts, white, result):
    """Give the share of each neighbourhood that is not above its pixel, up to white.

    What lies outside is as bright as the type allows.
    """
    counted = np.empty(result.shape[1], np.uint16)
    for y in range(result.shape[0]):
        counted[:] = 0
        for k in range(places.shape[0]):
            count_not_above(plane[y + places[k, 0], places[k, 1] :], own[y], counted)
        share_of_row(counted, counts[y % counts.shape[0]], white, result[y])


@exactly
def begin_distances(own, white, nearest):
    """Give the distance to black or white, whichever is nearer."""
    for x in range(nearest.size):
        nearest[x] = min(own[x], white - own[x])


@exactly
def nearer(values, own, nearest):
    """Keep the least distance."""
    for x in range(nearest.size):
        # numpy's functions keep the type, of which the more fit into a vector the smaller it is.
        distance = np.subtract(np.maximum(values[x], own[x]), np.minimum(values[x], own[x]))
        nearest[x] = np.minimum(nearest[x], distance)


@exactly
def distances(plane, own, places, white, result):
    """Give how far each pixel is from the nearest of its neighbours, black and white among them.

    What lies outside is black. All are of one type, as is white.
    """
    for y in range(result.shape[0]):
        begin_distances(own[y], white, result[y])
        for k in range(places.shape[0]):
            nearer(plane[y + places[k, 0], places[k, 1] :], own[y], result[y])


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

    `whites` are one for each value of a row. The result may be one of the others.
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
    """Give the least or the greatest level of each neighbourhood, whichever is nearer."""
    for y in range(result.shape[0]):
        nearer_end_of_row(own[y], least[y], greatest[y], result[y])
