"""Compiled loops that compute weighted sums of neighbouring rows, then of neighbouring columns."""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, inlined, multiply_add, named
from cluster_worker.kernels.loops.separable import store

# Most rows that are summed one after the other; longer sums are sums of such partial sums.
FEW = 18
# Terms that are added in one step, so that a sum is loaded and stored once for all of them.
AT_ONCE = 6
# Values of a row that are summed at a time: they stay in the L1 cache.
NEAR = 2048


@inlined
def add_one(weight, values, total):
    """Add weighted values to the sums of a row."""
    for x in range(total.size):
        total[x] = multiply_add(weight, np.float32(values[x]), total[x])


@inlined
def add_six(weights, one, two, three, four, five, six, total):
    """Add six rows of weighted values to the sums of a row."""
    p, q, r = weights[0], weights[1], weights[2]
    s, t, u = weights[3], weights[4], weights[5]
    for x in range(total.size):
        found = multiply_add(p, np.float32(one[x]), total[x])
        found = multiply_add(q, np.float32(two[x]), found)
        found = multiply_add(r, np.float32(three[x]), found)
        found = multiply_add(s, np.float32(four[x]), found)
        found = multiply_add(t, np.float32(five[x]), found)
        total[x] = multiply_add(u, np.float32(six[x]), found)


@compiled
def add_few_rows(rows, top, first, weights, total):
    """Compute the weighted sum of one row for each weight, from row `top` and value `first` on."""
    total[:] = np.float32(0)
    count = weights.size
    i = 0
    while i + AT_ONCE <= count:
        y = top + i
        one, two, three = rows[y, first:], rows[y + 1, first:], rows[y + 2, first:]
        four, five, six = rows[y + 3, first:], rows[y + 4, first:], rows[y + 5, first:]
        add_six(weights[i:], one, two, three, four, five, six, total)
        i += AT_ONCE
    while i < count:
        add_one(weights[i], rows[top + i, first:], total)
        i += 1


@compiled
def add_rows(rows, top, weights, total, partial):
    """Compute the weighted sum of rows from `top` on, one for each weight.

    It adds sums of at most `FEW` rows, which reduces the rounding error. `partial` is scratch.
    """
    for first in range(0, total.size, NEAR):
        near = total[first : first + NEAR]
        add_few_rows(rows, top, first, weights[:FEW], near)
        for begin in range(FEW, weights.size, FEW):
            few = partial[: near.size]
            add_few_rows(rows, top + begin, first, weights[begin : begin + FEW], few)
            add_one(np.float32(1), few, near)


def weighing_every(step):
    """Make a loop of weighted sums of neighbours, for pixels of a result `step` pixels apart.

    The compiler knows the step: it loads adjacent values and shuffles them.
    """

    @inlined
    def weigh_one(line, weight, total):
        for x in range(total.size):
            total[x] = multiply_add(weight, line[step * x], total[x])

    @inlined
    def weigh_six(line, weights, total):
        p, q, r = weights[0], weights[1], weights[2]
        s, t, u = weights[3], weights[4], weights[5]
        for x in range(total.size):
            y = step * x
            found = multiply_add(p, line[y], total[x])
            found = multiply_add(q, line[y + 1], found)
            found = multiply_add(r, line[y + 2], found)
            found = multiply_add(s, line[y + 3], found)
            found = multiply_add(t, line[y + 4], found)
            total[x] = multiply_add(u, line[y + 5], found)

    @compiled
    @named(step)
    def weigh(line, weights, total):
        i = 0
        while i + AT_ONCE <= weights.size:
            weigh_six(line[i:], weights[i:], total)
            i += AT_ONCE
        while i < weights.size:
            weigh_one(line[i:], weights[i], total)
            i += 1

    return weigh


every_second, every_third, every_fourth = map(weighing_every, (2, 3, 4))


@compiled
def take_every(step, line, found):
    """Copy every value at a multiple of `step`."""
    for k in range(found.size):
        found[k] = line[step * k]


@compiled
def weigh_by_phases(line, weights, step, phases, total):
    """Compute weighted sums of neighbours, for pixels of a result `step` pixels apart.

    The values of the line are first sorted by their index modulo `step` into `phases`, so that the
    values with the same weight are adjacent.
    """
    count = weights.size
    for phase in range(min(step, count)):
        length = total.size + (count - 1 - phase) // step
        take_every(step, line[phase:], phases[phase, :length])
    i = 0
    while i + AT_ONCE <= count:
        one, two = phases[i % step, i // step :], phases[(i + 1) % step, (i + 1) // step :]
        three, four = (
            phases[(i + 2) % step, (i + 2) // step :],
            phases[(i + 3) % step, (i + 3) // step :],
        )
        five, six = (
            phases[(i + 4) % step, (i + 4) // step :],
            phases[(i + 5) % step, (i + 5) // step :],
        )
        add_six(weights[i:], one, two, three, four, five, six, total)
        i += AT_ONCE
    while i < count:
        add_one(weights[i], phases[i % step, i // step :], total)
        i += 1


@compiled
def weigh_evenly(line, weights, step, phases, total):
    """Compute weighted sums of neighbours; each pixel of the result lies `step` after the last."""
    total[:] = np.float32(0)
    if step == 2:
        every_second(line, weights, total)
    elif step == 3:
        every_third(line, weights, total)
    elif step == 4:
        every_fourth(line, weights, total)
    else:
        weigh_by_phases(line, weights, step, phases, total)


@compiled
def weigh_anywhere(line, first, count, weights, total):
    """Compute weighted sums of neighbours; each pixel of the result has its own weights."""
    for j in range(total.size):
        own = line[first[j] :]
        found = np.float32(0)
        for i in range(count[j]):
            found = multiply_add(weights[j, i], own[i], found)
        total[j] = found


@compiled
def split_colours(line, planes):
    """Split a line of pixels into one line for each channel."""
    colours = len(planes)
    if colours == 3:
        red, green, blue = planes[0], planes[1], planes[2]
        for x in range(red.size):
            red[x], green[x], blue[x] = line[3 * x], line[3 * x + 1], line[3 * x + 2]
    else:
        for colour in range(colours):
            take_every(colours, line[colour:], planes[colour])


@compiled
def join_colours(planes, line):
    """Join one line for each channel into a line of pixels."""
    colours = len(planes)
    if colours == 3:
        red, green, blue = planes[0], planes[1], planes[2]
        for x in range(red.size):
            line[3 * x], line[3 * x + 1], line[3 * x + 2] = red[x], green[x], blue[x]
    else:
        for colour in range(colours):
            for x in range(planes.shape[1]):
                line[colours * x + colour] = planes[colour, x]


@compiled
def runs_of(marks):
    """Return the first index of each run of equal marks, and the number of marks at the end."""
    runs = [0]
    for i in range(1, marks.size):
        if marks[i] != marks[i - 1]:
            runs.append(i)
    runs.append(marks.size)
    return runs


@compiled
def resample(rows, channels, down, down_weights, across, across_weights, step, scale, white, out):
    """Compute each pixel of a result as a weighted sum of some rows and columns of a block.

    Parameters
    ----------
    rows : ndarray
        (rows, columns × channels) of any type: the block.
    channels : int
        Number of channels.
    down, across : ndarray
        (pixels, 3): the lines of the `Taps` of the result's rows and columns, in coordinates of the
        block.
    down_weights, across_weights : ndarray of float32
        (pixels, pixels in the longest sum): their weights.
    step : int
        Columns from the first one of a marked pixel's sum to that of the next marked pixel.
    scale : float32
        Factor from values of the block to those of the result.
    white : float32
        White of the result: 1 for floats; otherwise values are clipped to it and rounded.
    out : ndarray
        (rows, columns × channels): array for the result.
    """
    width = rows.shape[1]
    count = len(across)
    first, taps, even = across[:, 0].copy(), across[:, 1].copy(), across[:, 2].copy()
    runs = runs_of(even)
    down_weights = down_weights * scale
    line = np.empty(width, np.float32)
    partial = np.empty(NEAR, np.float32)
    done = np.empty(count * channels, np.float32)
    planes = line.reshape(1, -1)
    totals = done.reshape(1, -1)
    if channels > 1:
        planes = np.empty((channels, width // channels), np.float32)
        totals = np.empty((channels, count), np.float32)
    phases = np.empty((max(step, 1), count + across_weights.shape[1]), np.float32)
    for y in range(out.shape[0]):
        add_rows(rows, down[y, 0], down_weights[y, : down[y, 1]], line, partial)
        if channels > 1:
            split_colours(line, planes)
        for channel in range(channels):
            colour, own = planes[channel], totals[channel]
            for run in range(len(runs) - 1):
                start, stop = runs[run], runs[run + 1]
                if even[start]:
                    weights = across_weights[start, : taps[start]]
                    weigh_evenly(colour[first[start] :], weights, step, phases, own[start:stop])
                else:
                    which = slice(start, stop)
                    weigh_anywhere(
                        colour, first[which], taps[which], across_weights[which], own[which]
                    )
        if channels > 1:
            join_colours(totals, done)
        store(done, white, out[y])
