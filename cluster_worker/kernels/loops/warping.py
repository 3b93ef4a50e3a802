"""Compiled loops of bilinear interpolation, and of the coordinates of a swirl."""

import math

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, multiply_add
from cluster_worker.kernels.loops.separable import beyond, store


@compiled
def pixel(rows, place, y, x, channels, channel, edge, scale):
    """Return a value of the image, scaled; a row or column of -1 stands for the value `edge`."""
    if y < 0 or x < 0:
        return edge
    return np.float32(rows[y - place[0], (x - place[1]) * channels + channel]) * scale


@compiled
def between(first, second, share):
    """Interpolate linearly between two values."""
    return multiply_add(share, second - first, first)


@compiled
def weigh_at_border(rows, place, channels, border, edge, scale, at, shares, values):
    """Interpolate between four pixels; some of them lie beyond the image's border.

    Parameters
    ----------
    rows, place, channels, border, edge, scale
        As in `sample`.
    at, shares : tuple
        Row and column of the first pixel, and how far the coordinate lies from it.
    values : ndarray of float32
        (channels,): array for the result.
    """
    y, x = at
    by_row, by_column = shares
    # A coordinate exactly at a pixel has no second neighbour, and must not read beyond the border.
    top, left = beyond(y, place[2], border), beyond(x, place[3], border)
    bottom = beyond(y + 1, place[2], border) if by_row > 0 else top
    right = beyond(x + 1, place[3], border) if by_column > 0 else left
    for k in range(channels):
        above = between(
            pixel(rows, place, top, left, channels, k, edge, scale),
            pixel(rows, place, top, right, channels, k, edge, scale),
            by_column,
        )
        below = between(
            pixel(rows, place, bottom, left, channels, k, edge, scale),
            pixel(rows, place, bottom, right, channels, k, edge, scale),
            by_column,
        )
        values[k] = between(above, below, by_row)


@compiled
def weigh_four(rows, place, channels, border, edge, scale, down, across, total):
    """Sample a row of a result by bilinear interpolation of the four pixels around each coordinate.

    `down` and `across` are the coordinates in the whole image. The other parameters are as in
    `sample`.
    """
    first, left, height, width = place[0], place[1], place[2], place[3]
    step, one = np.uint64(channels), np.uint64(1)
    for i in range(down.size):
        y, x = math.floor(down[i]), math.floor(across[i])
        by_row, by_column = np.float32(down[i] - y), np.float32(across[i] - x)
        if not (0 <= y < height - 1 and 0 <= x < width - 1):
            values = total[i * channels : (i + 1) * channels]
            if border == 3 and not (-1 <= y < height and -1 <= x < width):
                # All four have one level.
                values[:] = edge
                continue
            at, shares = (y, x), (by_row, by_column)
            weigh_at_border(rows, place, channels, border, edge, scale, at, shares, values)
            continue
        # Unsigned, so that no index counts from the end.
        row, column, end = np.uint64(y - first), np.uint64(x - left) * step, np.uint64(i) * step
        k = np.uint64(0)
        while k < step:
            here, there = column + k, column + step + k
            above = between(np.float32(rows[row, here]), np.float32(rows[row, there]), by_column)
            below = between(
                np.float32(rows[row + one, here]), np.float32(rows[row + one, there]), by_column
            )
            total[end + k] = between(above, below, by_row) * scale
            k += one


@compiled
def sample(rows, place, channels, border, edge, scale, white, limits, down, across, out):
    """Sample a block, clip the values to limits, and store them.

    Parameters
    ----------
    rows : ndarray
        (rows, columns × channels) of any type: the block.
    place : ndarray of int64
        First row and column of the block, and rows and columns of the whole image.
    channels : int
        Number of channels.
    border : int
        Number of the border mode, as in `kernels.warping.BORDERS`.
    edge : float32
        Value beyond the border if the border mode is constant, in the result's scale.
    scale : float32
        Factor from values of the block to those of the result.
    white : float32
        White of the result: 1 for floats; otherwise values are clipped to it and rounded.
    limits : ndarray of float32
        Least and greatest value of the result, in its scale.
    down, across : ndarray of float64
        (rows, columns): the coordinates of the result's pixels in the whole image.
    out : ndarray
        (rows, columns × channels): array for the result.
    """
    total = np.empty(down.shape[1] * channels, np.float32)
    for y in range(out.shape[0]):
        weigh_four(rows, place, channels, border, edge, scale, down[y], across[y], total)
        for i in range(total.size):
            # NaN stays NaN.
            if total[i] < limits[0]:
                total[i] = limits[0]
            elif total[i] > limits[1]:
                total[i] = limits[1]
        store(total, white, out[y])


@compiled
def swirl(rows, columns, center, rotation, strength, decay, down, across):
    """Compute the coordinates of a swirl: a rotation that decreases with the distance.

    `down` and `across` are (rows, columns): arrays for the results.
    """
    for i in range(rows.size):
        y = rows[i] - center[0]
        for j in range(columns.size):
            x = columns[j] - center[1]
            turn = rotation + strength * math.exp(-math.sqrt(x * x + y * y) / decay)
            sine, cosine = math.sin(turn), math.cos(turn)
            down[i, j] = center[0] + x * sine + y * cosine
            across[i, j] = center[1] + x * cosine - y * sine
