"""Corners, where a place differs from those around it."""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image, core_of, lazily, rows_of
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.corners")

# Of the circle that is looked at for FAST.
CIRCLE_RADIUS = 3
# From rows of the block and where a result begins in them, to that.
Respond = Callable[[Image, int, int, Image], None]


def moravec(image: Image, window_size: int, *, place: Place, out: Image | None) -> Image:
    """Give Moravec's response of a block, in scikit-image's order of sums.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns).
    window_size : int
        As in ``skimage.feature.corner_moravec``.
    place : Place
        Of the block, for its core.
    out : ndarray of float32 or None
        For the result.

    Returns
    -------
    ndarray of float32
        The core; 0 where the surroundings reach beyond the image.
    """

    def respond(rows: Image, top: int, left: int, result: Image) -> None:
        loops.moravec(rows, window_size, top, left, result)

    return where_known(image, 2 * window_size, respond, place, out)


def fast(image: Image, n: int, threshold: float, *, place: Place, out: Image | None) -> Image:
    """Give the response of a block to the test of FAST, in scikit-image's order of sums.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns).
    n, threshold
        As in ``skimage.feature.corner_fast``.
    place : Place
        Of the block, for its core.
    out : ndarray or None
        For the result.

    Returns
    -------
    ndarray
        The core, of the image's type; 0 where the circle reaches beyond the image.
    """

    def respond(rows: Image, top: int, left: int, result: Image) -> None:
        loops.fast(rows, n, rows.dtype.type(threshold), top, left, result)

    return where_known(image, CIRCLE_RADIUS, respond, place, out)


def where_known(
    image: Image, reach: int, respond: Respond, place: Place, out: Image | None
) -> Image:
    """Give a response where all that it looks at lies within the image, and 0 elsewhere.

    Parameters
    ----------
    image : ndarray
        The block.
    reach : int
        How far around a place is looked.
    respond : callable
        Fills a result.
    place, out
        As above.
    """
    core = place.core
    rows, columns = place.shape
    known = Span(
        max(core.top, reach),
        min(core.bottom, rows - reach),
        max(core.left, reach),
        min(core.right, columns - reach),
    )
    dtype = image.dtype.name
    with core_of(image, core.relative_to(place.window), dtype, out) as result:
        result[...] = 0
        if known.top < known.bottom and known.left < known.right:
            within = np.empty(known.shape, dtype)
            start = known.relative_to(place.window)
            respond(rows_of(image), start.top, start.left, within)
            result[known.relative_to(core).slices] = within
    return result if out is None else out
