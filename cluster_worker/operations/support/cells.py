"""Cells of a fixed grid on the whole image, for functions that round by where a block begins."""

from collections.abc import Callable, Iterator

import numpy as np

from cluster_worker.operations.declare import Image
from cluster_worker.pixels.tiling import Place, Span

# Rows and columns of a cell, in pixels: several times the halos of the functions run in cells.
CELL = 256


def cells(place: Place) -> Iterator[Span]:
    """Yield the cells that a core touches, clipped at the image border."""
    core = place.core
    for top in range(core.top // CELL * CELL, core.bottom, CELL):
        for left in range(core.left // CELL * CELL, core.right, CELL):
            yield Span(top, top + CELL, left, left + CELL).clipped(place.shape)


def in_cells(function: Callable[[Image], Image], image: Image, place: Place, halo: int) -> Image:
    """Run a local function on each cell with its halo, and join the results.

    The last bits of an integral image depend on where it begins. Cells begin at the same pixels
    in every tiling, so that every tiling gives the same bits.

    Parameters
    ----------
    function : callable
        From a block to its result, rows and columns the same.
    image : ndarray
        The block of a stage whose grid is `CELL`.
    place : Place
        Where the block lies in the whole image.
    halo : int
        Pixels that the function reads on every side.

    Returns
    -------
    ndarray
        With the rows and columns of the block; only the cells that the core touches are filled.
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
