"""Sums over the regions of a tile of labels, with compiled loops.

A tile is first cut into *runs*: neighbouring pixels of one row with one label. A region's *slot* is
the index of its label among the labels of the tile, in rising order. `plain_region_sums` of the
operations has the same functions without compiled loops.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.region_sums")

Integers = NDArray[np.int64]

# Directions to the eight neighbours of a pixel, in row order: bit i of a code is for neighbour i.
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
# Columns of what `borders` counts.
STRAIGHT, DIAGONAL, MIXED, QUARTER, SLANTED, EULER = range(6)
# Rows and columns around a core that `borders` reads.
REACH = 2


class Runs(NamedTuple):
    """The runs of a tile's regions, in row order.

    Attributes
    ----------
    labels : ndarray of int64
        (regions,), rising.
    slots, rows, starts, stops : ndarray of int64
        (runs,): the region of each run, its row, its first column and the column after its last,
        in the tile.
    """

    labels: Integers
    slots: Integers
    rows: Integers
    starts: Integers
    stops: Integers


class FloatSums(NamedTuple):
    """Exact sums of floats, and their extent.

    Attributes
    ----------
    least, greatest : ndarray of float64
        (regions,): of the values that are not NaN; infinite the wrong way if there are none.
    odd : ndarray of uint8
        (regions,): bit 0 if a value is NaN, bit 1 if one is infinite, bit 2 if one is minus
        infinite.
    sums, squares : ndarray of int64
        (regions, digits): sums of the digits of the finite values, and of their squares. Digit i
        counts 2**(32 × (low + i)).
    """

    least: NDArray[np.float64]
    greatest: NDArray[np.float64]
    odd: NDArray[np.uint8]
    sums: Integers
    squares: Integers


def find_runs(labels: Image) -> Runs:
    """Find the runs of positive labels.

    Parameters
    ----------
    labels : ndarray of integers
        (rows, columns), less than 2**63.
    """
    image = signed(labels)
    runs = np.empty((4, loops.count_runs(image)), np.int64)
    found = loops.find_runs(image, *runs)
    if (found[1:] > found[:-1]).all():
        return Runs(found, *runs)
    order = np.argsort(found)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(order.size)
    return Runs(found[order], ranks[runs[0]], *runs[1:])


def signed(labels: Image) -> Image:
    """Return labels as the loops take them: of 32 bits if that is enough for their type."""
    narrow = labels.dtype.itemsize < 4 or labels.dtype == np.int32
    return np.require(labels, np.int32 if narrow else np.int64, ["C", "W"])


def boxes(runs: Runs) -> Integers:
    """Return (regions, 5): pixels, first row and column, and the row and column after the last."""
    result = np.zeros((runs.labels.size, 5), np.int64)
    loops.add_boxes(*runs[1:], result)
    return result


def low_moments(runs: Runs, top: int, left: int) -> Integers:
    """Return (regions, 5): sums of r, c, r², r·c and c² of the rows r and columns c of pixels.

    Parameters
    ----------
    runs : Runs
        Of a tile whose first row and column in the image are `top` and `left`.
    top, left : int
        Such that no sum exceeds 64 bits.
    """
    result = np.zeros((runs.labels.size, 5), np.int64)
    loops.add_moments(*runs[1:], top, left, result)
    return result


def borders(labels: Image, place: Place, runs: Runs) -> Integers:
    """Count what makes perimeters and Euler numbers.

    Parameters
    ----------
    labels : ndarray of integers
        A block with a halo of `REACH` pixels, clipped at the image border.
    place : Place
        Where it lies in the image.
    runs : Runs
        Of the core.

    Returns
    -------
    ndarray of int64
        (regions, 6). Of the pixels of a region's border: those that continue it straight, those
        that continue it diagonally, and those that do one of each. Then the sums of `quad_table`.
    """
    core = place.core.relative_to(place.window)
    result = np.zeros((runs.labels.size, 6), np.int64)
    tables = perimeter_table().copy(), quad_table().copy()
    corner = core.top, core.left
    loops.add_borders(signed(labels), *corner, *core.shape, *runs[1:], *tables, result)
    return result


def integer_sums(values: Image, runs: Runs) -> Integers:
    """Return (regions, 4): the sum of values, that of their squares, the least and the greatest.

    Parameters
    ----------
    values : ndarray
        (rows, columns) of the core, of integers of at most 16 bits.
    runs : Runs
        Of the core.
    """
    result = np.zeros((runs.labels.size, 4), np.int64)
    result[:, 2:] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    loops.add_integers(np.require(values, requirements=["C", "W"]), *runs[1:], result)
    return result


def float_sums(
    values: Image, runs: Runs, low: int, digits: int, low_square: int, digits_square: int
) -> FloatSums:
    """Return the exact sums of the floats of each region.

    Parameters
    ----------
    values : ndarray of float32 or float64
        (rows, columns) of the core.
    runs : Runs
        Of the core.
    low, digits : int
        The lowest digit of any value, and the number of digits.
    low_square, digits_square : int
        The same of the squares; no squares are summed if there are no digits.
    """
    count = runs.labels.size
    found = FloatSums(
        np.full(count, np.inf),
        np.full(count, -np.inf),
        np.zeros(count, np.uint8),
        np.zeros((count, digits), np.int64),
        np.zeros((count, digits_square), np.int64),
    )
    image = np.require(values, np.float64, ["C", "W"])
    loops.add_floats(image.view(np.int64), image, *runs[1:], low, low_square, *found)
    return found


@cache
def perimeter_table() -> NDArray[np.int64]:
    """Return which column of `borders` a pixel of a border is counted in, or -1.

    The index is 1 + 2 × the border's pixels that share an edge with it + 10 × those that share a
    corner, as in `skimage.measure.perimeter`.
    """
    table = np.full(50, -1)
    table[[5, 7, 15, 17, 25, 27]] = STRAIGHT
    table[[21, 33]] = DIAGONAL
    table[[13, 23]] = MIXED
    return table


@cache
def quad_table() -> NDArray[np.int64]:
    """Return (256, 3): what a pixel adds to `QUARTER`, `SLANTED` and `EULER`.

    The index has a bit for each of `NEIGHBOURS` that belongs to the same region. Each square of
    2 × 2 pixels is counted at the first of its pixels that belongs to the region. Crofton's
    perimeter is π/4 × (`QUARTER` + `SLANTED` / √2), as in `skimage.measure.perimeter_crofton`.
    """
    table = np.zeros((256, 3), np.int64)
    for code in range(256):
        nw, n, ne, w, e, sw, s, se = (code >> i & 1 for i in range(8))
        quads = [8 + 2 * e + 4 * s + se]
        if not w:
            quads.append(2 + 4 * sw + s)
        if not n and not ne:
            quads.append(4 + e)
        if not (nw or n or w):
            quads.append(1)
        for each in quads:
            table[code] += QUADS[each]
    return table


def quads() -> dict[int, tuple[int, int, int]]:
    """Return what each square of 2 × 2 pixels adds, from scikit-image's tables of coefficients.

    A square's number is 8, 2, 4 and 1 for its pixels in row order.
    """
    quarter = {1: 1, 5: 1, 8: 1, 12: 1, 9: 2, 13: 2}
    slanted = {1: 1, 2: 1, 3: 2, 5: 1, 7: 1, 10: 1, 11: 1}
    euler = {6: -1, 8: 1, 14: -1}
    return {i: (quarter.get(i, 0), slanted.get(i, 0), euler.get(i, 0)) for i in range(16)}


QUADS: dict[int, Any] = quads()
