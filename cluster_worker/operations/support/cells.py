"""Cells of a grid that lies fixed on the whole image, for what rounds by where a block begins."""

from collections.abc import Callable, Iterator

import numpy as np

from cluster_worker.operations.declare import Image
from cluster_worker.pixels.tiling import Place, Span

# Rows and columns of a cell: several times the halos of what is run in cells.
CELL = 256


def cells(place: Place) -> Iterator[Span]:
    """List the cells that a core touches, clipped at the image border."""
    core = place.core
    for top in range(core.top // CELL * CELL, core.bottom, CELL):
        for left in range(core.left // CELL * CELL, core.right, CELL):
            yield Span(top, top + CELL, left, left + CELL).clipped(place.shape)


def in_cells(function: Callable[[Image], Image], image: Image, place: Place, halo: int) -> Image:
    """Run a local function on each cell with its halo, and put the results together.

    The last bits of integral images depend on where they begin. Cells begin at the same pixels
    whatever the tiling, so that any tiling gives the same bits.

    Parameters
    ----------
    function : callable
        From a block to its result, rows and columns the same.
    image : ndarray
        The block of a part whose grid is `CELL`.
    place : Place
        Where it lies.
    halo : int
        Pixels that the function reads on every side.

    Returns
    -------
    ndarray
        Rows and columns of the block; only what the core touches is filled.
    """
    filled = []
    for cell in cells(place):
        window = cell.grown(halo).clipped(place.shape)
        found = function(image[window.relative_to(place.window).slices])
        filled.append((cell, found[cell.relative_to(window).slices]))
    first = filled[0][1]
    result = np.zeros(image.shape[:2] + first.shape[2:], first.dtype)
    for cell, found in filled:
        kept = cell.relative_to(place.window)
        result[kept.slices] = found
    return result
