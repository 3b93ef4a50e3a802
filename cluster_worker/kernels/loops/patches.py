"""Compiled loops of non-local means: compare the surroundings of two pixels, shift by shift.

They take planes, (channels, rows, columns), so that the compiler can process adjacent columns of a
row in one vector. Each sum has one order, wherever a tile was cut.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, inlined

# Schraudolph's exponential, as in scikit-image: the upper half of a double is a linear function of
# the exponent. scikit-image converts the double to single precision afterwards. Here the bits of a
# float32 are computed directly, whose exponent has a bias of 127 instead of 1023.
START = 1072632447 - ((1023 - 127) << 20)
SHIFT = 3


@inlined
def differ(here, there, line):
    """Compute the squared differences of two rows."""
    for x in range(line.size):
        difference = here[x] - there[x]
        line[x] = difference * difference


@inlined
def differ_more(here, there, line):
    """Add the squared differences of two rows of another channel."""
    for x in range(line.size):
        difference = here[x] - there[x]
        line[x] += difference * difference


@inlined
def begin_pair(first, second, total):
    """Start a sum with two terms."""
    for x in range(total.size):
        total[x] = first[x] + second[x]


@inlined
def add_pair(first, second, total):
    """Add two terms to a sum."""
    for x in range(total.size):
        total[x] += first[x] + second[x]


@inlined
def sum_across(planes, y, other, left, shifted, offset, line, total):
    """Sum the squared differences of two rows along each patch."""
    for channel in range(planes.shape[0]):
        here, there = planes[channel, y, left:], planes[channel, other, shifted:]
        if channel == 0:
            differ(here, there, line)
        else:
            differ_more(here, there, line)
    begin_pair(line, line[1:], total)
    for k in range(2, 2 * offset, 2):
        add_pair(line[k:], line[k + 1 :], total)


@inlined
def sum_down(sums, y, offset, total):
    """Sum the rows of each patch from row `y` on; `sums` is a ring buffer of that many rows."""
    rows = 2 * offset
    begin_pair(sums[y % rows], sums[(y + 1) % rows], total)
    for k in range(2, rows, 2):
        add_pair(sums[(y + k) % rows], sums[(y + k + 1) % rows], total)


@inlined
def weigh(sums, noise, slope, limit, bits):
    """Compute the weight of each patch from its sum of squared differences, as bits of float32."""
    for x in range(bits.size):
        distance = max(sums[x] - noise, sums.dtype.type(0))
        weight = (START - np.int32(distance * slope)) << SHIFT
        # NaN has a weight of 0.
        bits[x] = weight if sums[x] <= limit else 0


@inlined
def add(weights, total):
    """Add the weights of a row to their sums."""
    for x in range(weights.size):
        total[x] += weights[x]


@inlined
def pull(weights, here, there, near):
    """Add the weighted differences of another row from a row to that row's sums."""
    for x in range(weights.size):
        near[x] += weights[x] * (there[x] - here[x])


@inlined
def spread(planes, weights, y, other, left, shifted, totals):
    """Add a row of weights and the weighted differences to the sums at both ends of a shift.

    In `totals` the sums of the weights follow those of the channels.
    """
    channels = planes.shape[0]
    add(weights, totals[channels, y, left:])
    add(weights, totals[channels, other, shifted:])
    for channel in range(channels):
        here, there = planes[channel, y, left:], planes[channel, other, shifted:]
        pull(weights, here, there, totals[channel, y, left:])
        pull(weights, there, here, totals[channel, other, shifted:])


@compiled
def average(planes, offset, reach, noise, slope, limit, totals):
    """Sum the differences of nearby pixels from each pixel, weighted by the likeness of patches.

    Parameters
    ----------
    planes : ndarray
        (channels, rows, columns) of float32 or float64, with `offset + reach` pixels on every side
        of the result.
    offset, reach : int
        How far a patch reaches from its centre, and how far patches are compared, in pixels.
    noise, slope, limit : float
        The number that is subtracted from a sum of squares, the factor that then makes it an
        exponent, and the largest sum that is counted. They have the type of `planes`.
    totals : ndarray
        (channels + 1, rows, columns), of the type of `planes`: array for the sums of weighted
        differences, and last for the sums of weights.
    """
    channels, rows, columns = planes.shape
    around = offset + reach
    line = np.empty(columns + 1, planes.dtype)
    sums = np.empty((2 * offset, columns), planes.dtype)
    total = np.empty(columns, planes.dtype)
    bits = np.empty(columns, np.int32)
    weights = bits.view(np.float32)
    totals[:channels] = 0
    # The weight of a pixel's own patch.
    bits[:1] = START << SHIFT
    totals[channels] = weights[0]
    for down in range(-reach, reach + 1):
        top, bottom = around - max(down, 0), rows - around - min(down, 0)
        # A shift and its opposite are computed once, for both ends.
        for across in range(1 if down <= 0 else 0, reach + 1):
            left = around - across
            count = columns - around - left
            # scikit-image's patches lack their first row and their first column.
            start = left - offset + 1
            row = line[: count + 2 * offset - 1]
            for y in range(top - offset + 1, bottom + offset):
                sum_across(
                    planes,
                    y,
                    y + down,
                    start,
                    start + across,
                    offset,
                    row,
                    sums[y % (2 * offset), :count],
                )
                centre = y - offset
                if centre < top:
                    continue
                sum_down(sums, centre - offset + 1, offset, total[:count])
                weigh(total, noise, slope, limit, bits[:count])
                spread(planes, weights[:count], centre, centre + down, left, left + across, totals)


@compiled
def finish(planes, totals, around, white, result):
    """Add the weighted mean difference to each pixel, and divide by white.

    `result` is (rows, columns × channels) of float32. In `planes` and `totals`, `around` pixels lie
    on every side of it.
    """
    channels = planes.shape[0]
    for y in range(result.shape[0]):
        weights = totals[channels, y + around, around:]
        for channel in range(channels):
            own, total = planes[channel, y + around, around:], totals[channel, y + around, around:]
            line = result[y, channel:]
            for x in range(result.shape[1] // channels):
                line[x * channels] = (own[x] + total[x] / weights[x]) / white
