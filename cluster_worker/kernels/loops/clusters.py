"""Compiled loops of SLIC: assign pixels to the centres of superpixels, and move the centres."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

CLUSTERED = [
    f"void({each}[:, :, ::1], {each}[:, ::1], int64[::1], {each}, int64, boolean, int32[:, ::1])"
    for each in ("float32", "float64")
]


@njit(cache=True, error_model="numpy")
def add_colour(line, level, result):
    """Add the squared difference of each value of a row from a level."""
    for x in range(result.size):
        off = line[x] - level
        result[x] += off * off


@njit(cache=True, error_model="numpy")
def add_colours(planes, y, left, centre, result):
    """Compute the squared distance of the colours of a row's pixels from those of a centre.

    The result replaces the values of `result`.
    """
    for x in range(result.size):
        result[x] = 0
    for c in range(len(planes)):
        add_colour(planes[c, y, left : left + result.size], centre[2 + c], result)


@njit(cache=True, error_model="numpy")
def take_nearest(distances, nearest, colours, across, down, weight, k):
    """Assign to centre `k` the pixels of a row that are nearer to it than to their centre so far.

    Return whether any pixel was assigned.
    """
    taken = np.int32(0)
    for x in range(colours.size):
        # Added in scikit-image's order, which determines the rounding: position first.
        total = (down + across[x]) * weight + colours[x]
        old, nearer = distances[x], distances[x] > total
        distances[x] = total if nearer else old
        nearest[x] = k if nearer else nearest[x]
        taken |= np.int32(nearer)
    return taken > 0


@njit(cache=True, error_model="numpy")
def move_centres(planes, nearest, rows, columns, centres, counts):
    """Move each centre to the mean of its pixels, summed in row order."""
    counts[:] = 0
    centres[:] = 0
    for y in range(len(nearest)):
        line, x, width = nearest[y], 0, nearest.shape[1]
        while x < width:
            k, first = line[x], x
            centre = centres[k]
            while x < width and line[x] == k:
                x += 1
            counts[k] += x - first
            # All sums in one loop: a single sum would be limited by the latency of its additions.
            row, column, level = centre[0], centre[1], centre[2]
            if len(planes) == 1:
                for each in range(first, x):
                    row, column = row + rows[y], column + columns[each]
                    level += planes[0, y, each]
            else:
                second, third = centre[3], centre[4]
                for each in range(first, x):
                    row, column = row + rows[y], column + columns[each]
                    level += planes[0, y, each]
                    second, third = second + planes[1, y, each], third + planes[2, y, each]
                centre[3], centre[4] = second, third
            centre[0], centre[1], centre[2] = row, column, level
    for k in range(len(centres)):
        for c in range(centres.shape[1]):
            centres[k, c] /= counts[k]


@njit(cache=True, error_model="numpy")
def widen(planes, nearest, centres, most):
    """Raise the scale of each superpixel to the largest squared colour distance from its centre."""
    found = np.empty(1, planes.dtype)
    for y in range(len(nearest)):
        for x in range(nearest.shape[1]):
            k = nearest[y, x]
            add_colours(planes, y, x, centres[k], found)
            most[k] = max(most[k], found[0])


@njit(CLUSTERED, cache=True, error_model="numpy")
def cluster(planes, centres, steps, weight, rounds, own_scale, nearest):
    """Assign each pixel to the nearest centre around it, and move the centres, in rounds.

    Parameters
    ----------
    planes : ndarray
        (1 or 3, rows, columns): weighted colours.
    centres : ndarray
        (centres, 2 + channels): row, column and colours of each. They are moved.
    steps : ndarray of int64
        Rows and columns between centres at the beginning.
    weight : float
        Weight of squared distances in pixels.
    rounds : int
        Largest number of rounds.
    own_scale : bool
        Whether each superpixel scales colour distances by the largest one in it (SLIC zero).
    nearest : ndarray of int32
        (rows, columns), zeros: array for the index of each pixel's centre.

    References
    ----------
    Achanta et al. (2012), IEEE Transactions on Pattern Analysis and Machine Intelligence 34(11).
    """
    height, width = nearest.shape
    distances = np.empty(nearest.shape, planes.dtype)
    row, shades = np.empty(width, planes.dtype), np.empty(width, planes.dtype)
    columns = np.arange(width).astype(planes.dtype)
    rows = np.arange(height).astype(planes.dtype)
    most = np.ones(len(centres), planes.dtype)
    ends = np.array([height, width, 1]).astype(planes.dtype)
    spread = (2 * steps).astype(planes.dtype)
    counts = np.empty(len(centres), np.int64)
    for _ in range(rounds):
        distances[:] = np.inf
        changes = False
        for k in range(len(centres)):
            centre = centres[k]
            if np.isnan(centre[0]):
                continue
            top = np.int64(max(centre[0] - spread[0], rows[0]))
            bottom = np.int64(min(centre[0] + spread[0] + ends[2], ends[0]))
            left = np.int64(max(centre[1] - spread[1], columns[0]))
            right = np.int64(min(centre[1] + spread[1] + ends[2], ends[1]))
            across = row[: right - left]
            for x in range(across.size):
                off = centre[1] - columns[left + x]
                across[x] = off * off
            colours = shades[: right - left]
            for y in range(top, bottom):
                down = centre[0] - rows[y]
                add_colours(planes, y, left, centre, colours)
                if own_scale:
                    for x in range(colours.size):
                        colours[x] /= most[k]
                taken = distances[y, left:right], nearest[y, left:right]
                changes |= take_nearest(*taken, colours, across, down * down, weight, np.int32(k))
        if not changes:
            break
        move_centres(planes, nearest, rows, columns, centres, counts)
        if own_scale:
            widen(planes, nearest, centres, most)
