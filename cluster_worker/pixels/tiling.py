"""Cut an image into tiles, and share tiles among ranks. Arithmetic only."""

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

# Columns of a core, where its rows need not be whole ones.
TILE_COLUMNS = 4096


class Span(NamedTuple):
    """A rectangle: rows and columns, half open, in pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing an image's first two axes."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """Its (rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def pixels(self) -> int:
        """How many pixels it holds."""
        return (self.bottom - self.top) * (self.right - self.left)

    def relative_to(self, outer: "Span") -> "Span":
        """Give the same rectangle in the coordinates of one around it."""
        return Span(
            self.top - outer.top,
            self.bottom - outer.top,
            self.left - outer.left,
            self.right - outer.left,
        )

    def grown(self, halo: int) -> "Span":
        """Give the rectangle with a halo on every side; it may reach beyond the image."""
        return Span(self.top - halo, self.bottom + halo, self.left - halo, self.right + halo)

    def aligned(self, grid: int) -> "Span":
        """Give the smallest rectangle around it whose edges are multiples of a grid."""
        return Span(
            self.top // grid * grid,
            -(-self.bottom // grid) * grid,
            self.left // grid * grid,
            -(-self.right // grid) * grid,
        )

    def intersection(self, other: "Span") -> "Span":
        """Give what it shares with another; if nothing, it has no positive rows or columns."""
        return Span(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def clipped(self, shape: tuple[int, int]) -> "Span":
        """Give the part that lies within an image of this shape."""
        rows, columns = shape
        return Span(
            max(self.top, 0), min(self.bottom, rows), max(self.left, 0), min(self.right, columns)
        )


def all_of(shape: tuple[int, ...]) -> Span:
    """Span a whole image."""
    return Span(0, shape[0], 0, shape[1])


class Place(NamedTuple):
    """Where a block lies in its image.

    Attributes
    ----------
    window : Span
        The block that a function is given.
    core : Span
        What counts of its result, in the coordinates of the result.
    shape : tuple of int
        (rows, columns) of the whole image that the block is part of.
    """

    window: Span
    core: Span
    shape: tuple[int, int]

    @property
    def inner(self) -> tuple[slice, slice]:
        """For cutting the core out of the block, where both lie in the same coordinates."""
        return self.core.relative_to(self.window).slices


def tiles(shape: tuple[int, int], core: tuple[int, int], grid: int = 1) -> list[Span]:
    """Cut an image into cores that cover it once.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image, in pixels.
    core : tuple of int
        Largest (rows, columns) of a core, in pixels.
    grid : int
        Cores begin at multiples of it; it may make a core larger than asked for.

    Returns
    -------
    list of Span
        In row order.

    Raises
    ------
    ValueError
        If a core has no pixels.
    """
    if min(core) < 1:
        raise ValueError(f"core: must hold at least one pixel, got {core[0]} × {core[1]}")
    return [
        Span(top, bottom, left, right)
        for top, bottom in spans(shape[0], core[0], grid)
        for left, right in spans(shape[1], core[1], grid)
    ]


def spans(length: int, step: int, grid: int = 1) -> list[tuple[int, int]]:
    """Cut a length into parts of at most `step`, as even as the grid allows."""
    cells = -(-length // grid)
    parts = span_count(length, step, grid)
    edges = [min(cells * i // parts * grid, length) for i in range(parts + 1)]
    return list(pairwise(edges))


def span_count(length: int, step: int, grid: int = 1) -> int:
    """Count the parts that `spans` makes, without making them."""
    cells = -(-length // grid)
    return -(-cells // max(step // grid, 1))


def rank_share(items: Sequence[Item], rank: int, ranks: int) -> Sequence[Item]:
    """Give one rank its run of neighbouring items; the runs differ in length by one at most."""
    return items[len(items) * rank // ranks : len(items) * (rank + 1) // ranks]


def core_shape(
    shape: tuple[int, int],
    halo: int,
    least: int,
    pixels: int,
    grid: int = 1,
    wide: int = TILE_COLUMNS,
) -> tuple[int, int]:
    """Choose the largest core of a tile.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image.
    halo : int
        Of the pass; a core is never thinner than twice the halo, so that no more than half of
        what a thin tile reads is computed again by its neighbours.
    least : int
        How many tiles there should be at least.
    pixels : int
        About how many pixels a core should have.
    grid : int
        Cores begin at multiples of it.
    wide : int
        How many columns a core may have by itself.

    Returns
    -------
    tuple of int
        (rows, columns). Cores are wide, since rows are contiguous.
    """
    # An image of few rows is cut into long tiles, not into many thousands of small ones.
    long = min(pixels // shape[0], -(-shape[1] // least))
    columns = min(shape[1], max(wide, long, 2 * halo, grid))
    across = -(-shape[1] // columns)
    rows = min(pixels // columns, -(-shape[0] // -(-least // across)))
    rows = max(min(rows, shape[0]), min(2 * halo, shape[0]), min(grid, shape[0]), 1)
    return rows, max(columns, 1)


def even_height(shape: tuple[int, int], core: tuple[int, int], halo: int, ranks: int) -> int:
    """Give the rows of a core so that all ranks have as many tiles, if cores are whole rows.

    Parameters
    ----------
    shape, core : tuple of int
        (rows, columns) of the image, and of the largest core.
    halo : int
        Of the pass; a core is never thinner than twice the halo.
    ranks : int
        How many share the tiles.
    """
    parts = -(-shape[0] // core[0])
    height = -(-shape[0] // (-(-parts // ranks) * ranks))
    return height if core[1] >= shape[1] and height >= max(2 * halo, 1) else core[0]


def square_side(pixels: int, halo: int, least: int, grid: int = 1) -> int:
    """Choose the side of a square core for work that is dear.

    Parameters
    ----------
    pixels : int
        How many pixels a core should have at most, if halo, `least` and grid let it.
    halo : int
        Of the pass; a core is never thinner than four times the halo: as much is then read around
        it as around a long core that is twice as thick as the halo.
    least : int
        Shortest side.
    grid : int
        Cores begin at multiples of it.
    """
    side = max(isqrt(pixels), 4 * halo, least)
    return max(side // grid, 1) * grid
