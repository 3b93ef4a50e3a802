"""Filter the core of a block by a filter of whole images."""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.pixels.tiling import Place, Span

# Of what a filter reads at a time: with what it makes of that, it fits the second cache.
STRIP_BYTES = 1 << 19


def by_strips(
    function: Callable[[Image], Image], image: Image, halo: int, place: Place, out: Image | None
) -> Image:
    """Filter strip by strip, so that what lies between two steps of a filter stays in the cache.

    Parameters
    ----------
    function : callable
        From some rows of the block to as many of the result, in the block's type. At the block's
        own border it does what it does at an image's.
    image : ndarray
        The block.
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


def straight(
    function: Callable[[Image, Image | None], Image],
    image: Image,
    halo: int,
    place: Place,
    out: Image | None,
) -> Image:
    """Filter straight into the result, then the core's edges again, with what lies around them.

    Parameters
    ----------
    function : callable
        From an image, and an array for its result or None, to the result.
    image, halo, place, out
        As above.

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
    """Give the edges of a core that lie within a block of this shape."""
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
