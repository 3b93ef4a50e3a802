"""Corner detectors that compare a pixel with its surroundings, with compiled loops."""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.corners")

# Radius of the circle of FAST, in pixels.
CIRCLE_RADIUS = 3
# Takes the rows of the block, the row and column at which the result begins in them, and the result
# to fill.
Respond = Callable[[Image, int, int, Image], None]


def moravec(image: Image, window_size: int, *, place: Place, out: Image | None) -> Image:
    """Compute Moravec's corner response of a block, summed in scikit-image's order.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns).
    window_size : int
        As in ``skimage.feature.corner_moravec``.
    place : Place
        Where the block lies, and its core.
    out : ndarray of float32 or None
        For the result.

    Returns
    -------
    ndarray of float32
        The result for the core; 0 where the surroundings of a pixel reach beyond the image.
    """

    def respond(rows: Image, top: int, left: int, result: Image) -> None:
        loops.moravec(rows, window_size, top, left, result)

    return response_inside(image, 2 * window_size, respond, place, out)


def fast(image: Image, n: int, threshold: float, *, place: Place, out: Image | None) -> Image:
    """Compute the corner response of a block in the FAST test, summed in scikit-image's order.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns).
    n, threshold
        As in ``skimage.feature.corner_fast``.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core, of the image's type; 0 where the circle reaches beyond the image.
    """

    def respond(rows: Image, top: int, left: int, result: Image) -> None:
        loops.fast(rows, n, rows.dtype.type(threshold), top, left, result)

    return response_inside(image, CIRCLE_RADIUS, respond, place, out)


def response_inside(
    image: Image, reach: int, respond: Respond, place: Place, out: Image | None
) -> Image:
    """Compute a response where all pixels that it reads lie within the image; it is 0 elsewhere.

    Parameters
    ----------
    image : ndarray
        (rows, columns): the block.
    reach : int
        How far the response reads around a pixel, in pixels.
    respond : callable
        Fills an array with the response.
    place, out
        As in `moravec`.

    Returns
    -------
    ndarray
        The result for the core, of the image's type.
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
