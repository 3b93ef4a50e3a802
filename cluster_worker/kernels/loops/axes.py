"""Compiled loops that thin a mask to its medial axis."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

DIGIT_BITS = np.uint64(11)
DIGIT_MASK = np.uint64((1 << 11) - 1)


@njit("void(uint8[:, ::1], int64[:, ::1])", cache=True, error_model="numpy")
def squared_distances(mask, result):
    """Compute the squared distance of each pixel to the nearest pixel that is not set.

    The result is exact if there is such a pixel.

    Parameters
    ----------
    mask : ndarray of uint8
        (rows, columns).
    result : ndarray of int64
        (rows, columns): array for the result, in square pixels.

    References
    ----------
    The two scans of Meijster, Roerdink & Hesselink (2000), Mathematical Morphology and its
    Applications to Image and Signal Processing.
    """
    height, width = mask.shape
    far = height + width
    for y in range(height):
        for x in range(width):
            above = result[y - 1, x] if y > 0 else far
            result[y, x] = min(above + 1, far) if mask[y, x] else 0
    for y in range(height - 2, -1, -1):
        for x in range(width):
            result[y, x] = min(result[y, x], result[y + 1, x] + 1)
    squares = np.empty(width, np.int64)
    # The columns of the parabolas in the lower envelope, and the column where each begins.
    least, begins = np.empty(width, np.int64), np.empty(width, np.int64)
    for y in range(height):
        line, last = result[y], 0
        for x in range(width):
            squares[x] = line[x] * line[x]
        least[0], begins[0] = 0, 0
        for x in range(1, width):
            while last >= 0:
                at, old = begins[last], least[last]
                if (at - old) ** 2 + squares[old] <= (at - x) ** 2 + squares[x]:
                    break
                last -= 1
            begin = 0
            if last >= 0:
                old = least[last]
                between = x * x - old * old + squares[x] - squares[old]
                begin = between // (2 * (x - old)) + 1
            if begin < width:
                last += 1
                least[last], begins[last] = x, begin
        for x in range(width - 1, -1, -1):
            line[x] = (x - least[last]) ** 2 + squares[least[last]]
            if x == begins[last]:
                last -= 1


@njit("void(uint64[::1], int32[::1], int32[::1])", cache=True, error_model="numpy")
def sort_by(keys, order, spare):
    """Sort indices by their keys. The sort is stable: equal keys keep their order.

    Parameters
    ----------
    keys : ndarray of uint64
        (n,): the key of each index.
    order, spare : ndarray of int32
        (n,): the indices, which are sorted in place, and scratch memory.
    """
    most = np.uint64(0)
    for key in keys:
        most = max(most, key)
    shift = np.uint64(0)
    ends = np.empty(int(DIGIT_MASK) + 2, np.int64)
    while most >> shift > 0:
        ends[:] = 0
        for key in keys:
            ends[np.int64((key >> shift) & DIGIT_MASK) + 1] += 1
        for digit in range(1, ends.size):
            ends[digit] += ends[digit - 1]
        for entry in order:
            end = np.int64((keys[entry] >> shift) & DIGIT_MASK)
            spare[ends[end]] = entry
            ends[end] += 1
        order[:] = spare
        shift += DIGIT_BITS


@njit("void(uint8[:, ::1], int64[:, ::1], int64[::1], uint8[::1])", cache=True, error_model="numpy")
def thin_in_order(framed, distances, ties, stays):
    """Remove pixels that the axis does not need: those nearest to an edge first, corners last.

    Parameters
    ----------
    framed : ndarray of uint8
        (rows + 2, columns + 2): a mask with a frame of zeros. It is changed.
    distances : ndarray of int64
        (rows, columns): squared distance of each pixel to the nearest pixel that is not set.
    ties : ndarray of int64
        For each pixel that is set, in row order, a unique number from 0; it decides between equals.
    stays : ndarray of uint8
        (512,): for each code of 3 x 3 pixels, whether the one in the middle stays. The bits of a
        code are in row order, the lowest first.
    """
    width = framed.shape[1]
    flat = framed.reshape(-1)
    pixels, keys = np.empty(ties.size, np.int32), np.empty(ties.size, np.uint64)
    order = np.empty(ties.size, np.int32)
    k = 0
    for y in range(1, len(framed) - 1):
        for x in range(1, width - 1):
            if framed[y, x] == 0:
                continue
            corner = 9
            for row in range(y - 1, y + 2):
                corner -= framed[row, x - 1] + framed[row, x] + framed[row, x + 1]
            pixels[k] = y * width + x
            keys[k] = np.uint64(distances[y - 1, x - 1]) * np.uint64(16) + np.uint64(corner)
            order[ties[k]] = k
            k += 1
    sort_by(keys, order, np.empty(order.size, np.int32))
    for k in order:
        p = pixels[k]
        code = 0
        for bit in range(9):
            code += flat[p + (bit // 3 - 1) * width + bit % 3 - 1] << bit
        flat[p] = stays[code]
