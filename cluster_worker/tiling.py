"""Cut an image into tiles, and share tiles among ranks. Arithmetic only."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


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


class Tile(NamedTuple):
    """A core, and the window around it that its computation reads."""

    core: Span
    window: Span


def tiles(shape: tuple[int, int], core: tuple[int, int], halo: int) -> list[Tile]:
    """Cut an image into cores that cover it once, each with its halo.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image, in pixels.
    core : tuple of int
        Largest (rows, columns) of a core, in pixels.
    halo : int
        Pixels added on every side, clipped at the image border.

    Returns
    -------
    list of Tile
        In row order; the cores tile the image exactly.

    Raises
    ------
    ValueError
        If a core has no pixels.
    """
    if min(core) < 1:
        raise ValueError(f"core: must hold at least one pixel, got {core[0]} × {core[1]}")
    rows, columns = shape
    return [
        Tile(
            Span(top, bottom, left, right),
            Span(
                max(top - halo, 0),
                min(bottom + halo, rows),
                max(left - halo, 0),
                min(right + halo, columns),
            ),
        )
        for top, bottom in spans(rows, core[0])
        for left, right in spans(columns, core[1])
    ]


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """Cut a length into equal parts of at most `step`; they differ by one at most."""
    parts = -(-length // step)
    edges = [length * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))


def share(items: Sequence[Item], rank: int, ranks: int) -> Sequence[Item]:
    """Give one rank its run of neighbouring items; the runs differ in length by one at most."""
    return items[len(items) * rank // ranks : len(items) * (rank + 1) // ranks]


def core_shape(shape: tuple[int, int], halo: int, parts: int, pixels: int) -> tuple[int, int]:
    """Choose the largest core of a tile.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image.
    halo : int
        Of the pass; a core is never thinner than twice the halo, so that no more than half of
        what a thin tile reads is computed again by its neighbours.
    parts : int
        How many ranks wait for tiles.
    pixels : int
        About how many pixels a core should have.

    Returns
    -------
    tuple of int
        (rows, columns). Cores are wide, since rows are contiguous.
    """
    columns = min(shape[1], max(4096, 2 * halo))
    # Two tiles a rank at least, so that progress shows and a cancel is soon heard.
    rows = min(pixels // columns, -(-shape[0] // (2 * parts)))
    return max(min(rows, shape[0]), min(2 * halo, shape[0]), 1), max(columns, 1)
