"""Corners, where a place differs from those around it."""

import numpy as np

from cluster_worker.kernels import Image, core_of, lazily, rows_of
from cluster_worker.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.corners")


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
    core, reach = place.core, 2 * window_size
    rows, columns = place.shape
    known = Span(
        max(core.top, reach),
        min(core.bottom, rows - reach),
        max(core.left, reach),
        min(core.right, columns - reach),
    )
    with core_of(image, core.relative_to(place.window), "float32", out) as result:
        result[...] = 0
        if known.top < known.bottom and known.left < known.right:
            within = np.empty(known.shape, np.float32)
            start = known.relative_to(place.window)
            loops.moravec(rows_of(image), window_size, start.top, start.left, within)
            result[known.relative_to(core).slices] = within
    return result if out is None else out
