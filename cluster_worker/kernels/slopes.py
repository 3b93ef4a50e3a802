"""Slopes: differences of neighbours, smoothed along the edge, in float32, row by row."""

import numpy as np
from numpy.typing import NDArray
from skimage.filters import edges

from cluster_worker.kernels import BORDERS, WHITE, Image, channels_of, core_of, lazily, rows_of
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.slopes")

SOBEL = (edges.SOBEL_SMOOTH, edges.SOBEL_EDGE)
SCHARR = (edges.SCHARR_SMOOTH, edges.SCHARR_EDGE)
PREWITT = (edges.PREWITT_SMOOTH, edges.PREWITT_EDGE)
FARID = (edges.farid_smooth.ravel(), edges.farid_edge.ravel())


def slopes(
    image: Image,
    mode: str = "reflect",
    cval: float = 0.0,
    *,
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
    axes: tuple[int, ...] = (0, 1),
    dtype: str,
    shows: tuple[float, float],
    place: Place,
    out: Image | None,
) -> Image:
    """Find the slopes of a block.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    mode, cval
        As in ``skimage.filters.sobel``.
    weights : tuple of ndarray
        Of smoothing, and of differences as scikit-image convolves with them; odd and of one length.
    axes : tuple of int
        Along which slopes are found; of both, the steepness.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    shows : tuple of float
        What becomes black and white in whole numbers.
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
    channels = channels_of(image)
    taken, white = WHITE[str(image.dtype)], WHITE[dtype]
    gain, offset = range_mapped(dtype, shows)
    # From the centre outwards.
    smooth, differ = (each[len(each) // 2 :: -1].astype(np.float32) for each in weights)
    with core_of(image, core, dtype, out) as result:
        loops.slopes(
            rows_of(image),
            smooth,
            differ,
            0 in axes,
            1 in axes,
            channels,
            BORDERS[mode],
            np.float32(cval * taken),
            np.float32(gain / taken),
            np.float32(offset),
            np.float32(white),
            core.top,
            core.left * channels,
            rows_of(result),
        )
    return result if out is None else out


def crosses(
    image: Image,
    *,
    diagonals: tuple[str, ...] = (),
    dtype: str,
    shows: tuple[float, float],
    place: Place,
    out: Image | None,
) -> Image:
    """Compare the pixels of a block with their nearest neighbours.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    diagonals : tuple of {"falling", "rising"}
        Along which differences are found; of both, the steepness; of none, the curvature.
    dtype, shows, place, out
        As in `slopes`.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    channels = channels_of(image)
    gain, offset = range_mapped(dtype, shows)
    with core_of(image, core, dtype, out) as result:
        loops.crosses(
            rows_of(image),
            "falling" in diagonals,
            "rising" in diagonals,
            channels,
            np.float32(gain / WHITE[str(image.dtype)]),
            np.float32(offset),
            np.float32(WHITE[dtype]),
            core.top,
            core.left * channels,
            rows_of(result),
        )
    return result if out is None else out


def range_mapped(dtype: str, shows: tuple[float, float]) -> tuple[float, float]:
    """Give factor and offset that make values of a type of what it shows; floats stay as they are.

    Parameters
    ----------
    dtype : {"float32", "uint8", "uint16"}
        Of a result.
    shows : tuple of float
        What becomes black and white in whole numbers.
    """
    if dtype == "float32":
        return 1.0, 0.0
    low, high = shows
    gain = WHITE[dtype] / (high - low)
    return gain, -low * gain
