"""Filter the core of a block with a function that filters whole images."""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.pixels.tiling import Place, Span

# Bytes of a strip: with the arrays that a filter makes of it, it fits the L2 cache.
STRIP_BYTES = 1 << 19


def by_strips(
    function: Callable[[Image], Image], image: Image, halo: int, place: Place, out: Image | None
) -> Image:
    """Filter strip by strip, so that intermediate arrays of the filter stay in the cache.

    Parameters
    ----------
    function : callable
        Takes some rows of the block, and returns its result for the same rows in the same type. It
        applies its border rule at the edges of what it is given.
    image : ndarray
        The block: (rows, columns) or (rows, columns, channels).
    halo : int
        Pixels that the function reads on every side of a pixel.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    result = np.empty((*core.shape, *image.shape[2:]), image.dtype) if out is None else out
    rows = max(STRIP_BYTES // max(image[:1].nbytes, 1), 4 * halo, 1)
    for top in range(core.top, core.bottom, rows):
        strip = core._replace(top=top, bottom=min(top + rows, core.bottom))
        window = strip.grown(halo).clipped((image.shape[0], image.shape[1]))
        made = function(image[window.slices])
        result[top - core.top : strip.bottom - core.top] = made[strip.relative_to(window).slices]
    return result


def direct(
    function: Callable[[Image, Image | None], Image],
    image: Image,
    halo: int,
    place: Place,
    out: Image | None,
) -> Image:
    """Filter the core into the result in one call, then filter its edges again with their halo.

    Parameters
    ----------
    function : callable
        Takes an image, and an array for its result or None, and returns the result.
    image, halo, place, out
        As in `by_strips`.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    result = np.empty((*core.shape, *image.shape[2:]), image.dtype) if out is None else out
    function(image[core.slices], result)
    for edge in edges(core, halo, (image.shape[0], image.shape[1])):
        window = edge.grown(halo).clipped((image.shape[0], image.shape[1]))
        made = function(image[window.slices], None)
        result[edge.relative_to(core).slices] = made[edge.relative_to(window).slices]
    return result


def edges(core: Span, width: int, shape: tuple[int, int]) -> list[Span]:
    """Return the edges of a core beyond which its block continues.

    Parameters
    ----------
    core : Span
        The core, in the block's coordinates.
    width : int
        Width of an edge, in pixels.
    shape : tuple of int
        (rows, columns) of the block.
    """
    top, left = min(core.top + width, core.bottom), min(core.left + width, core.right)
    bottom, right = max(core.bottom - width, core.top), max(core.right - width, core.left)
    return [
        edge
        for edge, inside in (
            (core._replace(bottom=top), core.top > 0),
            (core._replace(top=bottom), core.bottom < shape[0]),
            (core._replace(right=left), core.left > 0),
            (core._replace(left=right), core.right < shape[1]),
        )
        if inside
    ]
