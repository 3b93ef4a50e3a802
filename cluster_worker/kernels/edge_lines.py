"""The edge lines of Canny's method, as scikit-image finds them in single precision."""

import numpy as np

from cluster_worker.kernels import BORDERS, WHITE, Image, core_of, rows_of
from cluster_worker.kernels.separable import kernel_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.edge_lines")

# Pixels that the widest Gaussian reaches on each side.
REACH_MAX = 128
# scikit-image uses this value if the low threshold is 0.
LEAST = 1e-14


def canny_lines(
    image: Image,
    *,
    sigma: float,
    mode: str,
    cval: float,
    low: float,
    high: float,
    place: Place,
    out: Image | None,
) -> Image:
    """Find the edge lines of a block: 1 where a line may continue, 2 where a line begins.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of uint8, uint16 or float32.
    sigma, mode, cval
        As in ``skimage.feature.canny``.
    low, high : float
        Thresholds of the gradient, for an image of floats in 0…1.
    place : Place
        Where the block lies, and its core. The block reaches two pixels further than the Gaussian.
    out : ndarray of uint8 or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray of uint8
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    bounds = place.window.clipped(place.shape).relative_to(place.window)
    weights = kernel_of(sigma, 4.0)
    with core_of(image, core, "uint8", out) as result:
        loops.find_lines(
            rows_of(image),
            np.float32(1 / WHITE[str(image.dtype)]),
            weights[: weights.size // 2 + 1],
            BORDERS[mode],
            float(cval),
            np.float32(low or LEAST),
            np.float32(high),
            tuple(bounds),
            core.top,
            core.left,
            rows_of(result),
        )
    return result if out is None else out
