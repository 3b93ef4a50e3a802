"""Compiled loops that weigh neighbouring rows, then neighbouring columns."""

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, multiply_add
from cluster_worker.kernels.loops.separable import store

# Terms of a sum that are added up one after the other.
FEW = 15


@compiled
def add_one(weight, values, total):
    """Add the weight's share of values."""
    for x in range(total.size):
        total[x] = multiply_add(weight, np.float32(values[x]), total[x])


@compiled
def add_three(weights, one, two, three, total):
    """Add the shares of three rows of values."""
    first, second, third = weights[0], weights[1], weights[2]
    for x in range(total.size):
        total[x] += (
            first * np.float32(one[x]) + second * np.float32(two[x]) + third * np.float32(three[x])
        )


@compiled
def add_rows(rows, top, weights, total, part):
    """Weigh as many rows as there are weights; sums of a few are added up, which rounds less."""
    total[:] = np.float32(0)
    count = weights.size
    for begin in range(0, count, FEW):
        end = min(begin + FEW, count)
        few = total if begin == 0 else part
        few[:] = np.float32(0)
        i = begin
        while i + 3 <= end:
            add_three(weights[i : i + 3], rows[top + i], rows[top + i + 1], rows[top + i + 2], few)
            i += 3
        while i < end:
            add_one(weights[i], rows[top + i], few)
            i += 1
        if begin:
            add_one(np.float32(1), part, total)


@compiled
def every_second(line, found):
    """Take every second value: a loop of its own, since it is compiled to shuffles."""
    for k in range(found.size):
        found[k] = line[2 * k]


@compiled
def every(step, line, found):
    """Take every so-manieth value."""
    if step == 2:
        every_second(line, found)
    else:
        for k in range(found.size):
            found[k] = line[step * k]


@compiled
def add_evenly(line, weights, step, stride, phases, total):
    """Weigh neighbours where each pixel of the result lies `step` pixels after the last.

    The line is sorted by the remainder first, so that neighbours of all pixels lie side by side.
    """
    count = weights.size
    for phase in range(min(step, count)):
        length = total.size + (count - 1 - phase) // step
        every(step * stride, line[phase * stride :], phases[phase, :length])
    total[:] = np.float32(0)
    i = 0
    while i + 3 <= count:
        add_three(
            weights[i : i + 3],
            phases[i % step, i // step :],
            phases[(i + 1) % step, (i + 1) // step :],
            phases[(i + 2) % step, (i + 2) // step :],
            total,
        )
        i += 3
    while i < count:
        add_one(weights[i], phases[i % step, i // step :], total)
        i += 1


@compiled
def add_anywhere(line, first, count, weights, stride, total):
    """Weigh neighbours where each pixel of the result has weights of its own."""
    for j in range(total.size):
        own = line[first[j] * stride :]
        found = np.float32(0)
        for i in range(count[j]):
            found = multiply_add(weights[j, i], own[i * stride], found)
        total[j] = found


@compiled
def put_every(stride, values, line):
    """Put values side by side, or between those of other colours."""
    for j in range(values.size):
        line[j * stride] = values[j]


@compiled
def resample(rows, channels, down, down_weights, across, across_weights, step, scale, white, out):
    """Make each pixel of a result from some rows and columns of a block.

    `rows` are (rows, columns × channels) of any type. `down` and `across` have a line for each
    row, or column, of the result: the first one that is weighed, how many are, and whether their
    weights are those of all that are marked so, each `step` columns after the last.
    """
    width = rows.shape[1]
    count = len(across)
    first, taps, even = across[:, 0].copy(), across[:, 1].copy(), across[:, 2].copy()
    line = np.empty(width, np.float32)
    part = np.empty(width, np.float32)
    total = np.empty(count, np.float32)
    done = np.empty(count * channels, np.float32)
    most = across_weights.shape[1]
    phases = np.empty((max(step, 1), count + most), np.float32)
    for y in range(out.shape[0]):
        add_rows(rows, down[y, 0], down_weights[y, : down[y, 1]] * scale, line, part)
        start = 0
        while start < count:
            stop = start + 1
            while stop < count and even[stop] == even[start]:
                stop += 1
            for channel in range(channels):
                own = done[start:stop] if channels == 1 else total[: stop - start]
                colour = line[channel:]
                if even[start]:
                    weights = across_weights[start, : taps[start]]
                    colour = colour[first[start] * channels :]
                    add_evenly(colour, weights, step, channels, phases, own)
                else:
                    which = slice(start, stop)
                    add_anywhere(
                        colour, first[which], taps[which], across_weights[which], channels, own
                    )
                if channels > 1:
                    put_every(channels, own, done[start * channels + channel :])
            start = stop
        store(done, white, out[y])
