"""Compiled loops of the bilateral filter: scikit-image's sums in its order, with the same bits.

They take planes, (channels, rows, columns), so that the compiler can process adjacent columns of a
row in one vector.
"""

import numpy as np

# Products are rounded before they are added, as in scikit-image.
from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined


@exactly_inlined
def bins_of_gray(here, there, scale, last, bins):
    """Find the bin of each difference in the table of colours."""
    for x in range(bins.size):
        # scikit-image takes the root of the square, which rounds to the same value.
        distance = abs(here[x] - there[x])
        position = distance * scale
        bins[x] = np.int32(position if position < last else last)


@exactly_inlined
def bins_of_colours(first, second, third, fourth, fifth, sixth, scale, last, bins):
    """Find the bin of each distance between two colours in the table of colours."""
    for x in range(bins.size):
        red, green, blue = first[x] - fourth[x], second[x] - fifth[x], third[x] - sixth[x]
        distance = np.sqrt(red * red + green * green + blue * blue)
        position = distance * scale
        bins[x] = np.int32(position if position < last else last)


@exactly_inlined
def look_up(bins, table, share, weights):
    """Compute weights: the weight of each bin times that of the position, `share`."""
    for x in range(bins.size):
        weights[x] = share * table[np.uint32(bins[x])]


@exactly_inlined
def add(weights, total):
    """Add the weights of a row to their sums."""
    for x in range(weights.size):
        total[x] += weights[x]


@exactly_inlined
def add_weighed(weights, values, total):
    """Add the weighted values of a row to their sums."""
    for x in range(weights.size):
        total[x] += values[x] * weights[x]


@exactly_inlined
def average_row(planes, y, side, scale, table, spatial, bins, weights, totals):
    """Sum the weighted values around each pixel of a row, by channel, and the weights last."""
    channels, reach = planes.shape[0], (side - 1) // 2
    last = np.float32(table.size - 1)
    totals[:] = 0
    centre = y + reach
    for i in range(y, y + 2 * reach + 1):
        for j in range(2 * reach + 1):
            if channels == 1:
                here, there = planes[0, centre, reach:], planes[0, i, j:]
                bins_of_gray(here, there, scale, last, bins)
            else:
                bins_of_colours(
                    planes[0, centre, reach:],
                    planes[1, centre, reach:],
                    planes[2, centre, reach:],
                    planes[0, i, j:],
                    planes[1, i, j:],
                    planes[2, i, j:],
                    scale,
                    last,
                    bins,
                )
            look_up(bins, table, spatial[(i - y) * side + j], weights)
            add(weights, totals[channels])
            for channel in range(channels):
                add_weighed(weights, planes[channel, i, j:], totals[channel])


@exactly
def bilateral(planes, side, scale, table, spatial, lift, result):
    """Average each pixel with the pixels around it that have a similar colour.

    Parameters
    ----------
    planes : ndarray of float32
        (1 or 3 channels, rows, columns), with half a window on every side of the result.
    side : int
        Side of the window, in pixels; an even side reaches as far as one less.
    scale : float32
        Factor from a distance between colours to its bin.
    table, spatial : ndarray of float32
        Weights of the bins, and of the positions in the window, which are read with `side` values
        in a row, as in scikit-image.
    lift : float32
        What was subtracted from the image; it is added to the result.
    result : ndarray of float32
        (rows, columns × channels).
    """
    channels, reach = planes.shape[0], (side - 1) // 2
    count = planes.shape[2] - 2 * reach
    bins, weights = np.empty(count, np.int32), np.empty(count, np.float32)
    totals = np.empty((channels + 1, count), np.float32)
    for y in range(result.shape[0]):
        average_row(planes, y, side, scale, table, spatial, bins, weights, totals)
        for channel in range(channels):
            own, line = planes[channel, y + reach, reach:], result[y, channel:]
            for x in range(count):
                found = totals[channel, x] / totals[channels, x]
                # All weights are 0, even that of the pixel itself.
                found = own[x] if np.isnan(found) else found
                line[x * channels] = found + lift
