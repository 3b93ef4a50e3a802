"""Compiled loops of the distance transform: along columns first, then along rows.

Distances along columns are whole numbers of pixels. Along rows their squares are compared, which
are whole numbers as well, so that no rounding decides which pixel is the nearest.

A. Meijster, J. Roerdink, W. Hesselink: A general algorithm for computing distance transforms in
linear time, 2000.
"""

import math

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

# Stands for a column without a pixel that is not set. No image has so many rows.
FAR = np.int32(1 << 30)


@njit("void(uint8[:, ::1], int32[:, ::1])", cache=True, error_model="numpy")
def along_columns(mask, result):
    """Find how far the nearest pixel of the column that is not set lies above or below.

    Parameters
    ----------
    mask : ndarray of uint8
        (rows, columns), whole columns; 0 is not set.
    result : ndarray of int32
        (rows, columns): distances in pixels; `FAR` in a column whose pixels are all set.
    """
    height, width = mask.shape
    for x in range(width):
        result[0, x] = np.int32(0) if mask[0, x] == 0 else FAR
    for y in range(1, height):
        for x in range(width):
            farther = np.minimum(result[y - 1, x] + np.int32(1), FAR)
            result[y, x] = np.int32(0) if mask[y, x] == 0 else farther
    for y in range(height - 2, -1, -1):
        for x in range(width):
            result[y, x] = np.minimum(result[y, x], result[y + 1, x] + np.int32(1))


@njit("void(int32[:, ::1], int64, float64[:, ::1])", cache=True, error_model="numpy")
def along_rows(columns, top, result):
    """Find how far the nearest pixel that is not set lies, from the distances along columns.

    Parameters
    ----------
    columns : ndarray of int32
        (rows, columns), whole rows, as from `along_columns`.
    top : int
        Row of the image in which the block begins.
    result : ndarray of float64
        (rows, columns): distances in pixels. If the image has no pixel that is not set, they lead
        to a point above its first pixel, as scipy's do.
    """
    height, width = columns.shape
    squares = np.empty(width, np.int64)
    # The columns whose nearest pixels are the nearest of some pixel of the row, and the first pixel
    # for which each is.
    owners, firsts = np.empty(width, np.int64), np.empty(width, np.int64)
    for y in range(height):
        last = -1
        for x in range(width):
            distance = np.int64(columns[y, x])
            if distance >= FAR:
                continue
            square = distance * distance
            squares[x] = square
            while last >= 0:
                owner, first = owners[last], firsts[last]
                if (first - owner) ** 2 + squares[owner] <= (first - x) ** 2 + square:
                    break
                last -= 1
            if last < 0:
                last = 0
                owners[0], firsts[0] = x, 0
                continue
            owner = owners[last]
            # The last pixel that is not nearer to the new column.
            edge = (x * x - owner * owner + square - squares[owner]) // (2 * (x - owner))
            if edge + 1 < width:
                last += 1
                owners[last], firsts[last] = x, edge + 1
        if last < 0:
            for x in range(width):
                result[y, x] = math.sqrt(np.float64((top + y + 1) ** 2 + x * x))
            continue
        for x in range(width - 1, -1, -1):
            while firsts[last] > x:
                last -= 1
            owner = owners[last]
            result[y, x] = math.sqrt(np.float64((x - owner) ** 2 + squares[owner]))
