"""Compiled loops of Chambolle's total variation: the same bits as with numpy, nothing fused."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly


@exactly
def take(values, step, row):
    """Copy the first of every `step` values into a row."""
    index = np.uint64(0)
    for x in range(row.size):
        row[x] = values[index]
        index += np.uint64(step)


@exactly
def take_two(values, step, first, second):
    """Copy the first two of every `step` values into two rows."""
    index = np.uint64(0)
    for x in range(first.size):
        first[x] = values[index]
        second[x] = values[index + np.uint64(1)]
        index += np.uint64(step)


@exactly
def put_four(first, second, third, fourth, step, values):
    """Copy four rows into the first four of every `step` values."""
    index = np.uint64(0)
    for x in range(first.size):
        values[index] = first[x]
        values[index + np.uint64(1)] = second[x]
        values[index + np.uint64(2)] = third[x]
        values[index + np.uint64(3)] = fourth[x]
        index += np.uint64(step)


@exactly
def correct(above, down, across, plane, correction, smooth):
    """Correct a row of the image by the divergence of the dual variable."""
    for x in range(plane.size):
        correction[x] = -(down[x] + across[x])
    if above.size:
        for x in range(plane.size):
            correction[x] += above[x]
    # The values from the left, through a slice: an index of x - 1 would be checked for its sign.
    right = correction[1:]
    for x in range(right.size):
        right[x] += across[x]
    for x in range(plane.size):
        smooth[x] = plane[x] + correction[x]


@exactly
def slopes(smooth, below, steep_down, steep_across):
    """Compute the steps from a row to the next, 0 after the last row, and those to the right."""
    steep_down[:] = 0
    for x in range(below.size):
        steep_down[x] = below[x] - smooth[x]
    steep_across[-1] = 0
    right = smooth[1:]
    for x in range(right.size):
        steep_across[x] = right[x] - smooth[x]


@exactly
def lengths(steep_down, steep_across, norm):
    """Compute the length of each pixel's gradient."""
    for x in range(norm.size):
        norm[x] = np.sqrt(steep_down[x] * steep_down[x] + steep_across[x] * steep_across[x])


@exactly
def energies(correction, norm, weight, energy):
    """Compute the energy of each pixel."""
    for x in range(energy.size):
        energy[x] = correction[x] * correction[x] + weight * norm[x]


@exactly
def descend(steep, norm, numbers, dual):
    """Move a row of a component of the dual variable against the gradient, in place."""
    _, share, quarter, one = numbers
    for x in range(dual.size):
        dual[x] = (dual[x] - quarter * steep[x]) / (norm[x] * share + one)


@exactly
def keep_four(values, step, kept):
    """Copy the first four of every `step` values."""
    index = np.uint64(0)
    while index < np.uint64(kept.size):
        for i in range(4):
            kept[index + np.uint64(i)] = values[index + np.uint64(i)]
        index += np.uint64(step)


@exactly
def move(rows, kept, state, planes, y, colour, step, numbers, scratch, result):
    """Read and correct row `y` of one colour, then update the row above, which needs it.

    Parameters
    ----------
    rows : ndarray
        (2, 5, columns): the buffers of both rows.
    kept : ndarray
        (columns,): the downward component of the dual variable in the row above.
    state, planes, numbers, result
        As in `chambolle`.
    y, colour : int
        The row, and the colour.
    step : int
        Values of a pixel in the state.
    scratch : ndarray
        (4, columns).
    """
    height, width = planes.shape[0], kept.size
    own = 4 * colour
    down, across, plane, correction, smooth = rows[y % 2]
    if y < height:
        take_two(state[y, own + 1 :], step, down, across)
        take(planes[y, colour:], step // 4, plane)
        correct(kept[: width if y else 0], down, across, plane, correction, smooth)
        kept[:] = down
    if y > 0:
        steep_down, steep_across, norm, energy = scratch
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
    """Compute one round for every colour that still runs.

    All colours of a row are processed before the next row, because they share cache lines.

    Parameters
    ----------
    state, result : ndarray
        (rows, columns × colours × 4): for each colour of a pixel, the image so far, the two
        components of the dual variable, and the energy.
    planes : ndarray
        (rows, columns × colours): the image to denoise.
    runs : ndarray of bool
        For each colour, whether it still runs; the state of the others is copied.
    numbers : tuple
        The weight, a quarter of its inverse, a quarter, and one, in the type of the state.
    """
    colours = runs.size
    height, width = planes.shape[0], planes.shape[1] // colours
    # Buffers of two rows: the one that is updated, and the one below, which is already corrected.
    rows = np.empty((colours, 2, 5, width), state.dtype)
    kept, scratch = np.empty((colours, width), state.dtype), np.empty((4, width), state.dtype)
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
                    scratch,
                    result,
                )
            elif y < height:
                keep_four(state[y, 4 * colour :], 4 * colours, result[y, 4 * colour :])
