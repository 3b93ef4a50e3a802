"""Cut an image into tiles, and share the tiles among ranks. Arithmetic only."""

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

# Most columns of a core, if its rows need not be rows of the whole image.
TILE_COLUMNS = 4096


class Span(NamedTuple):
    """A rectangle of pixels: rows `top` to `bottom - 1`, columns `left` to `right - 1`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle for the first two axes of an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def relative_to(self, outer: "Span") -> "Span":
        """Return the same rectangle in the coordinates of a rectangle around it."""
        return Span(
            self.top - outer.top,
            self.bottom - outer.top,
            self.left - outer.left,
            self.right - outer.left,
        )

    def grown(self, halo: int) -> "Span":
        """Return the rectangle with a halo on every side; it may reach beyond the image."""
        return Span(self.top - halo, self.bottom + halo, self.left - halo, self.right + halo)

    def aligned(self, grid: int) -> "Span":
        """Return the smallest rectangle around it whose edges are multiples of `grid`."""
        return Span(
            self.top // grid * grid,
            -(-self.bottom // grid) * grid,
            self.left // grid * grid,
            -(-self.right // grid) * grid,
        )

    def intersection(self, other: "Span") -> "Span":
        """Return the rectangle that both cover; if there is none, its shape is not positive."""
        return Span(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )

    def clipped(self, shape: tuple[int, int]) -> "Span":
        """Return the rectangle without what lies outside an image of this shape."""
        rows, columns = shape
        return Span(
            max(self.top, 0), min(self.bottom, rows), max(self.left, 0), min(self.right, columns)
        )


def all_of(shape: tuple[int, ...]) -> Span:
    """Return the span of a whole image of this shape."""
    return Span(0, shape[0], 0, shape[1])


class Place(NamedTuple):
    """Where a block lies in its image.

    Attributes
    ----------
    window : Span
        The block that a function receives.
    core : Span
        What is kept of the function's result, in the coordinates of the result.
    shape : tuple of int
        (rows, columns) of the whole image that the block is cut from.
    """

    window: Span
    core: Span
    shape: tuple[int, int]

    @property
    def inner(self) -> tuple[slice, slice]:
        """Index of the core in the block, if result and image have the same coordinates."""
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
        Cores begin at multiples of it, in pixels. If it exceeds `core`, so do the cores.

    Returns
    -------
    list of Span
        In row order; the cores tile the image exactly.

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
    """Cut a length into (start, stop) of at most `step`, as even as the grid allows."""
    cells = -(-length // grid)
    count = span_count(length, step, grid)
    edges = [min(cells * i // count * grid, length) for i in range(count + 1)]
    return list(pairwise(edges))


def span_count(length: int, step: int, grid: int = 1) -> int:
    """Return the length of what `spans` returns, without making it."""
    cells = -(-length // grid)
    return -(-cells // max(step // grid, 1))


def rank_share(items: Sequence[Item], rank: int, ranks: int) -> Sequence[Item]:
    """Return one rank's share: neighbouring items, at most one more than another rank has."""
    return items[len(items) * rank // ranks : len(items) * (rank + 1) // ranks]


def core_shape(
    shape: tuple[int, int],
    halo: int,
    tiles_min: int,
    pixels: int,
    grid: int = 1,
    columns_max: int = TILE_COLUMNS,
) -> tuple[int, int]:
    """Choose the largest core of a pass. Cores are wide, because rows are contiguous in memory.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image, in pixels.
    halo : int
        Halo of the pass, in pixels. A core is at least twice as thick, so that at most half of what
        a thin tile reads is halo.
    tiles_min : int
        Number of tiles to reach, if halo and grid permit.
    pixels : int
        Number of pixels that a core should have, roughly.
    grid : int
        Cores begin at multiples of it, in pixels.
    columns_max : int
        Most columns of a core, unless the image has few rows, or halo or grid need more.

    Returns
    -------
    tuple of int
        (rows, columns), in pixels; at least 1 × 1.
    """
    # Cut an image of few rows into long tiles instead of many thousands of small ones.
    long = min(pixels // shape[0], -(-shape[1] // tiles_min))
    columns = min(shape[1], max(columns_max, long, 2 * halo, grid))
    across = -(-shape[1] // columns)
    rows = min(pixels // columns, -(-shape[0] // -(-tiles_min // across)))
    rows = max(min(rows, shape[0]), min(2 * halo, shape[0]), min(grid, shape[0]), 1)
    return rows, max(columns, 1)


def even_height(shape: tuple[int, int], core: tuple[int, int], halo: int, ranks: int) -> int:
    """Reduce the rows of a core so that all ranks get equally many tiles.

    Parameters
    ----------
    shape, core : tuple of int
        (rows, columns) of the image, and of the largest core, in pixels.
    halo : int
        Halo of the pass, in pixels. A core is at least twice as thick.
    ranks : int
        Number of ranks that share the tiles.

    Returns
    -------
    int
        Rows of a core. Those of `core` if it is narrower than the image, or if cores would get
        thinner than twice the halo.
    """
    count = -(-shape[0] // core[0])
    height = -(-shape[0] // (-(-count // ranks) * ranks))
    return height if core[1] >= shape[1] and height >= max(2 * halo, 1) else core[0]


def square_side(pixels: int, halo: int, side_min: int, grid: int = 1) -> int:
    """Choose the side of a square core, in pixels, for an expensive pass.

    Parameters
    ----------
    pixels : int
        Most pixels of a core, if `halo`, `side_min` and `grid` permit.
    halo : int
        Halo of the pass, in pixels. The side is at least four times as long. The share of halo in a
        tile is then about that of a long core that is twice as thick as the halo.
    side_min : int
        Shortest side, in pixels.
    grid : int
        The side is a multiple of it, rounded down, so that cores begin at multiples of it.
    """
    side = max(isqrt(pixels), 4 * halo, side_min)
    return max(side // grid, 1) * grid
