"""Compiled loops of the bilateral filter: scikit-image's sums in its order, to the last bit.

They take planes, (channels, rows, columns), so that the columns of a row are worked on side by
side.
"""

import numpy as np

# Unlike other loops, without products that are added unrounded: scikit-image's are not.
from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined


@exactly_inlined
def bins_of_gray(here, there, scale, last, bins):
    """Find the bin of each difference in the table of colours."""
    for x in range(bins.size):
        # The root of a square, which is rounded to the same.
        distance = abs(here[x] - there[x])
        place = distance * scale
        bins[x] = np.int32(place if place < last else last)


@exactly_inlined
def bins_of_colours(first, second, third, fourth, fifth, sixth, scale, last, bins):
    """Find the bin of each distance between colours in their table."""
    for x in range(bins.size):
        red, green, blue = first[x] - fourth[x], second[x] - fifth[x], third[x] - sixth[x]
        distance = np.sqrt(red * red + green * green + blue * blue)
        place = distance * scale
        bins[x] = np.int32(place if place < last else last)


@exactly_inlined
def look_up(bins, table, share, weights):
    """Weigh by colour and by place."""
    for x in range(bins.size):
        weights[x] = share * table[np.uint32(bins[x])]


@exactly_inlined
def add(weights, total):
    """Add weights to their sum."""
    for x in range(weights.size):
        total[x] += weights[x]


@exactly_inlined
def add_weighed(weights, values, total):
    """Add weighed values to their sum."""
    for x in range(weights.size):
        total[x] += values[x] * weights[x]


@exactly_inlined
def average_row(planes, y, side, scale, table, places, bins, weights, totals):
    """Sum what lies around each pixel of a row, and last the weights."""
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
            look_up(bins, table, places[(i - y) * side + j], weights)
            add(weights, totals[channels])
            for channel in range(channels):
                add_weighed(weights, planes[channel, i, j:], totals[channel])


@exactly
def bilateral(planes, side, scale, table, places, lift, result):
    """Average each pixel with those around it that are of similar colour.

    Parameters
    ----------
    planes : ndarray
        (1 or 3 channels, rows, columns) of float32, with half a window around those of interest.
    side : int
        Of the window; an even one reaches no further than that of one less.
    scale : float32
        What distances between colours are multiplied with, for their bin.
    table, places : ndarray
        Weights of bins, and of places as scikit-image reads them, float32.
    lift : float32
        What was taken from the image.
    result : ndarray
        (rows, columns × channels) of float32.
    """
    channels, reach = planes.shape[0], (side - 1) // 2
    count = planes.shape[2] - 2 * reach
    bins, weights = np.empty(count, np.int32), np.empty(count, np.float32)
    totals = np.empty((channels + 1, count), np.float32)
    for y in range(result.shape[0]):
        average_row(planes, y, side, scale, table, places, bins, weights, totals)
        for channel in range(channels):
            own, line = planes[channel, y + reach, reach:], result[y, channel:]
            for x in range(count):
                found = totals[channel, x] / totals[channels, x]
                # Where nothing weighs anything, not even the pixel itself.
                found = own[x] if np.isnan(found) else found
                line[x * channels] = found + lift
