"""Filter a block strip by strip, so that what a filter makes stays in the cache."""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.tiling import Place

# Of what a filter reads at a time: with what it makes of that, it fits the second cache.
STRIP_BYTES = 1 << 19


def by_strips(
    function: Callable[[Image], Image], image: Image, halo: int, place: Place, out: Image | None
) -> Image:
    """Filter the core of a block.

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
        Of the block, for its core.
    out : ndarray or None
        For the result.

    Returns
    -------
    ndarray
        The core.
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
