"""Contours of an image at a level: a table with a row for each point of each line.

Every tile finds the pieces of lines within its squares of 2 × 2 pixels (marching squares). Those of
the whole image are joined in the order of `skimage.measure.find_contours`, so that lines, their
first points and their order do not depend on the tiles.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Place

contours = lazily("skimage.measure._find_contours")

Array = NDArray[Any]
Table = dict[str, Array]
Floats = NDArray[np.float64]

# Pixels after a core that its squares reach.
HALO = 1
TOP, LEFT, RIGHT, BOTTOM = range(4)
# For each set of corners above the level (1 top left, 2 top right, 4 bottom left, 8 bottom right):
# from which side to which a piece goes, higher values to its right.
PIECES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((TOP, LEFT),),
    2: ((RIGHT, TOP),),
    3: ((RIGHT, LEFT),),
    4: ((LEFT, BOTTOM),),
    5: ((TOP, BOTTOM),),
    6: ((RIGHT, TOP), (LEFT, BOTTOM)),
    7: ((RIGHT, BOTTOM),),
    8: ((BOTTOM, RIGHT),),
    9: ((TOP, LEFT), (BOTTOM, RIGHT)),
    10: ((BOTTOM, TOP),),
    11: ((BOTTOM, LEFT),),
    12: ((LEFT, RIGHT),),
    13: ((TOP, RIGHT),),
    14: ((LEFT, TOP),),
}
# Where two corners that face each other are above the level, and are connected.
PIECES_HIGH = PIECES | {6: ((LEFT, TOP), (RIGHT, BOTTOM)), 9: ((TOP, RIGHT), (BOTTOM, LEFT))}


def measure(
    image: Image,
    place: Place,
    *,
    level: float,
    fully_connected: str = "low",
    mask: Image | None = None,
) -> Table:
    """Find the pieces of contours in the squares that begin in a tile.

    Parameters
    ----------
    image : ndarray
        (rows, columns), with a halo of `HALO` pixels, clipped at the image border.
    place : Place
        Where the block lies in the image.
    level : float
        The value that contours follow.
    fully_connected : {"low", "high"}
        Whether pixels below or above the level are connected over corners.
    mask : ndarray of bool, optional
        Of the same block: contours run only where it is set.

    Returns
    -------
    dict
        ``squares`` (number of the square in reading order, and 0 or 1 for the first or the second
        piece in it) and ``pieces`` (row and column of both ends).
    """
    core, window = place.core, place.window
    inner = core.relative_to(window)
    # Squares that begin in the core, and end within the image.
    bottom, right = min(inner.bottom + 1, window.shape[0]), min(inner.right + 1, window.shape[1])
    values = image[inner.top : bottom, inner.left : right].astype(np.float64)
    kept = None if mask is None else mask[inner.top : bottom, inner.left : right] != 0
    case = cases(values, level, kept)
    found = [
        pieces_in(values, level, case, pieces, (core.top, core.left))
        for pieces in (PIECES_HIGH if fully_connected == "high" else PIECES).items()
    ]
    squares = np.concatenate([each[0] for each in found])
    numbers = squares[:, 0] * place.shape[1] + squares[:, 1]
    ends = np.concatenate([each[1] for each in found])
    return {"squares": np.column_stack([numbers, squares[:, 2]]), "pieces": ends}


def corners(values: Array) -> tuple[Array, Array, Array, Array]:
    """Return the four corners of every square: top left, top right, bottom left, bottom right."""
    return values[:-1, :-1], values[:-1, 1:], values[1:, :-1], values[1:, 1:]


def cases(values: Floats, level: float, mask: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return for every square which of its corners are above the level; 0 where one is missing."""
    above = [(each > level).astype(np.int64) << i for i, each in enumerate(corners(values))]
    known = ~np.isnan(values) if mask is None else mask & ~np.isnan(values)
    result: NDArray[np.int64] = np.where(np.logical_and.reduce(corners(known)), sum(above), 0)
    return result


def pieces_in(
    values: Floats,
    level: float,
    case: NDArray[np.int64],
    pieces: tuple[int, tuple[tuple[int, int], ...]],
    origin: tuple[int, int],
) -> tuple[Array, Floats]:
    """Return the pieces of all squares of one case: (row, column, number of the piece), and ends.

    Positions are computed in the coordinates of the image, as on the whole image.
    """
    rows, columns = np.nonzero(case == pieces[0])
    ul, ur, ll, lr = (each[rows, columns] for each in corners(values))
    rows, columns = rows + origin[0], columns + origin[1]
    sides = {
        TOP: (rows, columns + share(ul, ur, level)),
        BOTTOM: (rows + 1, columns + share(ll, lr, level)),
        LEFT: (rows + share(ul, ll, level), columns),
        RIGHT: (rows + share(ur, lr, level), columns + 1),
    }
    squares, ends = [], []
    for number, (start, stop) in enumerate(pieces[1]):
        squares.append(np.column_stack([rows, columns, np.full(rows.size, number)]))
        ends.append(np.column_stack([*sides[start], *sides[stop]]).astype(np.float64))
    return np.concatenate(squares), np.concatenate(ends)


def share(one: Floats, other: Floats, level: float) -> Floats:
    """Return which part of the way from one corner to the other the level lies at."""
    apart = other - one
    result: Floats = np.divide(level - one, apart, out=np.zeros_like(one), where=apart != 0)
    return result


def combine(one: Mapping[str, Array], other: Mapping[str, Array]) -> Table:
    """Join what was found in two sets of tiles."""
    return {name: np.concatenate([each, other[name]]) for name, each in one.items()}


def finish(found: Mapping[str, Array], *, positive_orientation: str = "low") -> Table:
    """Return the points of all contours.

    Parameters
    ----------
    found : mapping
        What was found in all tiles.
    positive_orientation : {"low", "high"}
        Whether contours run counter-clockwise around pixels below or above the level.

    Returns
    -------
    dict
        ``contour`` (its number, from 0), ``row`` and ``column`` of each point. A closed contour
        ends at the point where it begins.
    """
    order = np.lexsort((found["squares"][:, 1], found["squares"][:, 0]))
    pieces = [((a, b), (c, d)) for a, b, c, d in found["pieces"][order].tolist()]
    lines = contours._assemble_contours(pieces)
    if positive_orientation == "high":
        lines = [each[::-1] for each in lines]
    points = np.concatenate([np.zeros((0, 2)), *lines])
    numbers = np.repeat(np.arange(len(lines)), [len(each) for each in lines])
    return {"contour": numbers, "row": points[:, 0], "column": points[:, 1]}
