"""Compiled loops of quickshift: densities in colour and position, and the trees of their modes."""

import math

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

SUMMED = [
    f"void({each}[:, :, ::1], {each}[:, ::1], int64[::1], {each}[::1], {each})"
    for each in ("float32", "float64")
]
FOUND = [
    f"void({each}[:, :, ::1], {each}[:, ::1], int64[::1], {each}[::1], int64[::1], {each},"
    " int64[:, ::1])"
    for each in ("float32", "float64")
]


@njit(cache=True, error_model="numpy")
def distances(planes, y, x, row, first, squares, result):
    """Compute the squared distances of the pixels of a row from a pixel, in colour and position.

    `result` gets those of the columns from `first` on.
    """
    red, green, blue = planes[0, row], planes[1, row], planes[2, row]
    r, g, b = planes[0, y, x], planes[1, y, x], planes[2, y, x]
    down = squares[abs(row - y)]
    for k in range(result.size):
        one, two, three = r - red[first + k], g - green[first + k], b - blue[first + k]
        total = one * one + two * two + three * three
        result[k] = total + down + squares[abs(first + k - x)]


@njit(SUMMED, cache=True, error_model="numpy")
def sum_densities(planes, densities, core, squares, factor):
    """Add to each pixel of a core the Gaussian weights of the pixels around it, in row order.

    A pair of pixels has one weight, which is computed once and added to both. The second pixel of
    the pair has by then got all the weights that come before.

    Parameters
    ----------
    planes : ndarray
        (3, rows, columns): the colours.
    densities : ndarray
        (rows, columns): the densities, which are added to. Outside the core they are not valid
        afterwards.
    core : ndarray of int64
        Top, bottom, left and right of the core in the block.
    squares : ndarray
        Squares of the integers from 0 to the reach of a window.
    factor : float
        Factor from a squared distance to the exponent of its weight.
    """
    height, width = densities.shape
    reach = squares.size - 1
    near = np.empty(2 * reach + 1, planes.dtype)
    for y in range(max(core[0] - reach, 0), core[1]):
        for x in range(max(core[2] - reach, 0), min(core[3] + reach, width)):
            within = core[0] <= y < core[1] and core[2] <= x < core[3]
            if within:
                densities[y, x] = densities[y, x] + 1.0
            bottom, left, right = height, 0, width
            if not within:
                bottom, left, right = core[1], core[2], core[3]
            for row in range(y if within else max(y, core[0]), min(y + reach + 1, bottom)):
                first = x + 1 if row == y else x - reach
                first, last = max(first, left), min(x + reach + 1, right)
                if first >= last:
                    continue
                found = near[: last - first]
                distances(planes, y, x, row, first, squares, found)
                others = densities[row]
                for k in range(found.size):
                    share = math.exp(np.float64(found[k] * factor))
                    densities[y, x] = densities[y, x] + share
                    others[first + k] = others[first + k] + share


@njit(FOUND, cache=True, error_model="numpy")
def find_parents(planes, densities, core, squares, numbering, limit, parents):
    """Find the nearest denser pixel around each pixel of a core; the first of equally near ones.

    Parameters
    ----------
    planes, densities, core, squares
        As in `sum_densities`; the densities must be valid around the core as well.
    numbering : ndarray of int64
        The number of the block's first pixel in the whole image, and the whole image's columns.
    limit : float
        The largest distance. A pixel that finds none is its own parent.
    parents : ndarray of int64
        (rows, columns) of the core: array for the numbers of the pixels that are found.
    """
    height, width = densities.shape
    reach = squares.size - 1
    near = np.empty(2 * reach + 1, planes.dtype)
    for y in range(core[0], core[1]):
        for x in range(core[2], core[3]):
            density, closest, best = densities[y, x], np.inf, -1
            # Near rows come first: the search ends at rows that are further than the pixel found.
            for step in range(2 * reach + 1):
                row = y - (step + 1) // 2 if step % 2 else y + step // 2
                if row < 0 or row >= height:
                    continue
                if squares[abs(row - y)] > closest:
                    break
                first, last = max(x - reach, 0), min(x + reach + 1, width)
                found, others = near[: last - first], densities[row]
                distances(planes, y, x, row, first, squares, found)
                least = np.inf
                for k in range(found.size):
                    if others[first + k] > density and found[k] < least:
                        least = found[k]
                if least > closest or least == np.inf:
                    continue
                for k in range(found.size):
                    if others[first + k] > density and found[k] == least:
                        pixel = row * width + first + k
                        if least < closest or pixel < best:
                            closest, best = least, pixel
                        break
            row, column = y, x
            near[0] = math.sqrt(np.float64(closest))
            if best >= 0 and not near[0] > limit:
                row, column = best // width, best % width
            number = numbering[0] + row * numbering[1] + column
            parents[y - core[0], x - core[2]] = number


@njit("void(int64[::1])", cache=True, error_model="numpy")
def number_trees(parents):
    """Replace each pixel's parent by the number of its tree. Trees count from 0 in order of roots.

    Parameters
    ----------
    parents : ndarray of int64
        (pixels,): the parent of each pixel; a root is its own parent. It is changed.
    """
    for p in range(parents.size):
        root = p
        while parents[root] != root:
            root = parents[root]
        step = p
        while parents[step] != root:
            parents[step], step = root, parents[step]
    count = 0
    for p in range(parents.size):
        if parents[p] == p:
            count += 1
            # Negative, to distinguish it from a parent.
            parents[p] = -count
    for p in range(parents.size):
        if parents[p] < 0:
            continue
        parents[p] = parents[parents[p]]
    for p in range(parents.size):
        parents[p] = -parents[p] - 1
