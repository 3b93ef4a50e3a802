"""Compiled loops that sample an image between its pixels."""

import math

import numpy as np

from cluster_worker.kernels.loops.compiling import compiled, multiply_add
from cluster_worker.kernels.loops.separable import beyond, store


@compiled
def pixel(rows, place, y, x, channels, channel, edge, scale):
    """Give a value of the image; -1 stands for what lies beyond."""
    if y < 0 or x < 0:
        return edge
    return np.float32(rows[y - place[0], (x - place[1]) * channels + channel]) * scale


@compiled
def between(first, second, share):
    """Give what lies between two values."""
    return multiply_add(share, second - first, first)


@compiled
def weigh_four(rows, place, channels, border, edge, scale, down, across, total):
    """Sample at coordinates of the whole image: weigh the four pixels around each.

    `place` holds the block's first row and column, and the rows and columns of the whole image.
    """
    height, width = place[2], place[3]
    for i in range(down.size):
        y, x = math.floor(down[i]), math.floor(across[i])
        by_row, by_column = np.float32(down[i] - y), np.float32(across[i] - x)
        if 0 <= y < height - 1 and 0 <= x < width - 1:
            upper = rows[y - place[0], (x - place[1]) * channels :]
            lower = rows[y + 1 - place[0], (x - place[1]) * channels :]
            for k in range(channels):
                above = between(np.float32(upper[k]), np.float32(upper[channels + k]), by_column)
                below = between(np.float32(lower[k]), np.float32(lower[channels + k]), by_column)
                total[i * channels + k] = between(above, below, by_row) * scale
            continue
        # A pixel between no two has no neighbour: it must not see what lies beyond.
        top, left = beyond(y, height, border), beyond(x, width, border)
        bottom = beyond(y + 1, height, border) if by_row > 0 else top
        right = beyond(x + 1, width, border) if by_column > 0 else left
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
            total[i * channels + k] = between(above, below, by_row)


@compiled
def sample(rows, place, channels, border, edge, scale, white, limits, down, across, out):
    """Sample a block, clip to limits, and store."""
    total = np.empty(down.shape[1] * channels, np.float32)
    for y in range(out.shape[0]):
        weigh_four(rows, place, channels, border, edge, scale, down[y], across[y], total)
        for i in range(total.size):
            # What is no number stays so.
            if total[i] < limits[0]:
                total[i] = limits[0]
            elif total[i] > limits[1]:
                total[i] = limits[1]
        store(total, white, out[y])


@compiled
def swirl(rows, columns, center, rotation, strength, decay, down, across):
    """Give the coordinates of a swirl: a turn that falls off with the distance."""
    for i in range(rows.size):
        y = rows[i] - center[0]
        for j in range(columns.size):
            x = columns[j] - center[1]
            turn = rotation + strength * math.exp(-math.sqrt(x * x + y * y) / decay)
            sine, cosine = math.sin(turn), math.cos(turn)
            down[i, j] = center[0] + x * sine + y * cosine
            across[i, j] = center[1] + x * cosine - y * sine
