"""Compiled loops of the total variation: to the last bit what numpy computes, nothing fused."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly


@exactly
def take(values, step, row):
    """Take one of `step` values side by side."""
    place = np.uint64(0)
    for x in range(row.size):
        row[x] = values[place]
        place += np.uint64(step)


@exactly
def take_two(values, step, first, second):
    """Take the first two of `step` values side by side."""
    place = np.uint64(0)
    for x in range(first.size):
        first[x] = values[place]
        second[x] = values[place + np.uint64(1)]
        place += np.uint64(step)


@exactly
def put_four(first, second, third, fourth, step, values):
    """Put four rows among others, side by side."""
    place = np.uint64(0)
    for x in range(first.size):
        values[place] = first[x]
        values[place + np.uint64(1)] = second[x]
        values[place + np.uint64(2)] = third[x]
        values[place + np.uint64(3)] = fourth[x]
        place += np.uint64(step)


@exactly
def correct(above, down, across, plane, correction, smooth):
    """Correct a row of the image by how the dual variable diverges."""
    for x in range(plane.size):
        correction[x] = -(down[x] + across[x])
    if above.size:
        for x in range(plane.size):
            correction[x] += above[x]
    # What comes from the left, by slices of its own: indices of x - 1 would be checked.
    right = correction[1:]
    for x in range(right.size):
        right[x] += across[x]
    for x in range(plane.size):
        smooth[x] = plane[x] + correction[x]


@exactly
def slopes(smooth, below, steep_down, steep_across):
    """Give the steps from a row to the next, none after the last, and those to the right."""
    steep_down[:] = 0
    for x in range(below.size):
        steep_down[x] = below[x] - smooth[x]
    steep_across[-1] = 0
    right = smooth[1:]
    for x in range(right.size):
        steep_across[x] = right[x] - smooth[x]


@exactly
def lengths(steep_down, steep_across, norm):
    """Give the length of each pixel's gradient."""
    for x in range(norm.size):
        norm[x] = np.sqrt(steep_down[x] * steep_down[x] + steep_across[x] * steep_across[x])


@exactly
def energies(correction, norm, weight, energy):
    """Give the energy of each pixel."""
    for x in range(energy.size):
        energy[x] = correction[x] * correction[x] + weight * norm[x]


@exactly
def descend(steep, norm, numbers, dual):
    """Move a row of the dual variable along the gradient."""
    _, share, quarter, one = numbers
    for x in range(dual.size):
        dual[x] = (dual[x] - quarter * steep[x]) / (norm[x] * share + one)


@exactly
def keep_four(values, step, kept):
    """Keep four of `step` values side by side as they are."""
    place = np.uint64(0)
    while place < np.uint64(kept.size):
        for i in range(4):
            kept[place + np.uint64(i)] = values[place + np.uint64(i)]
        place += np.uint64(step)


@exactly
def move(rows, kept, state, planes, y, colour, step, numbers, room, result):
    """Take in a row of one colour, and move the row above, of which that is what lies below."""
    height, width = planes.shape[0], kept.size
    own = 4 * colour
    down, across, plane, correction, smooth = rows[y % 2]
    if y < height:
        take_two(state[y, own + 1 :], step, down, across)
        take(planes[y, colour:], step // 4, plane)
        correct(kept[: width if y else 0], down, across, plane, correction, smooth)
        kept[:] = down
    if y > 0:
        steep_down, steep_across, norm, energy = room
        before = rows[(y - 1) % 2]
        below = smooth if y < height else smooth[:0]
        slopes(before[4], below, steep_down, steep_across)
        lengths(steep_down, steep_across, norm)
        energies(before[3], norm, numbers[0], energy)
        descend(steep_down, norm, numbers, before[0])
        descend(steep_across, norm, numbers, before[1])
        put_four(before[4], before[0], before[1], energy, step, result[y - 1, own:])


@exactly
def chambolle(state, planes, runs, numbers, result):
    """Do one round of every colour that runs.

    State and result have for each colour of a pixel the image so far, the two parts of the dual
    variable, and the energy; planes have one value. All colours of a row are done before the
    next, since they share the lines of the cache. `numbers` are the weight, a quarter of its
    inverse, a quarter, and one, in the type of the state.
    """
    colours = runs.size
    height, width = planes.shape[0], planes.shape[1] // colours
    # Two rows in turn: that being moved, and the one below, which is already corrected.
    rows = np.empty((colours, 2, 5, width), state.dtype)
    kept, room = np.empty((colours, width), state.dtype), np.empty((4, width), state.dtype)
    for y in range(height + 1):
        for colour in range(colours):
            if runs[colour]:
                move(
                    rows[colour],
                    kept[colour],
                    state,
                    planes,
                    y,
                    colour,
                    4 * colours,
                    numbers,
                    room,
                    result,
                )
            elif y < height:
                keep_four(state[y, 4 * colour :], 4 * colours, result[y, 4 * colour :])
