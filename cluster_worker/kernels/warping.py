"""Warps: pixels of a result that lie between those of the image."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, channels_of, core_of, lazily, rows_of
from cluster_worker.pixels.tiling import Place, all_of

loops = lazily("cluster_worker.kernels.loops.warping")

# The loops' numbers of numpy.pad's modes.
BORDERS = {"edge": 0, "symmetric": 1, "reflect": 2, "constant": 3}

# Pixels sampled at a time: their coordinates stay in the cache.
BAND_PIXELS = 1 << 14

Floats = NDArray[np.float64]
# From rows and columns of a result to rows and columns of the image, each (rows, columns).
Coordinates = Callable[[Floats, Floats], tuple[Floats, Floats]]


def sampled(
    image: Image,
    coordinates: Coordinates,
    border: str,
    cval: float,
    limits: tuple[float, float],
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Sample a block between its pixels, the four around each coordinate weighed.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    coordinates : callable
        From the result's rows and columns to those of the whole image.
    border : {"edge", "symmetric", "reflect", "constant"}
        What lies beyond the whole image.
    cval : float
        The level for "constant", as a share of white.
    limits : tuple of float
        Least and greatest value of the result.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    place : Place
        Its window is the block, its core that of the result.
    out : ndarray or None
        Array for the result; None makes a new one.
    """
    core, window, white = place.core, place.window, WHITE[dtype]
    step = max(BAND_PIXELS // core.shape[1], 1)
    columns = np.arange(core.left, core.right, dtype=np.float64)
    lines = rows_of(image)
    with core_of(image, all_of(core.shape), dtype, out) as result:
        for top in range(core.top, core.bottom, step):
            rows = np.arange(top, min(top + step, core.bottom), dtype=np.float64)
            band = result[top - core.top :][: len(rows)]
            loops.sample(
                lines,
                np.array([window.top, window.left, *place.shape]),
                channels_of(image),
                BORDERS[border],
                np.float32(cval * white),
                np.float32(white / WHITE[str(image.dtype)]),
                np.float32(white),
                np.array(limits, np.float32) * np.float32(white),
                *coordinates(rows, columns),
                rows_of(band),
            )
    return result if out is None else out


def swirled(
    center: tuple[float, float],
    rotation: float,
    strength: float,
    decay: float,
    rows: Floats,
    columns: Floats,
) -> tuple[Floats, Floats]:
    """Give the coordinates of a swirl about a (row, column)."""
    down, across = np.empty((2, len(rows), len(columns)))
    loops.swirl(rows, columns, center, rotation, strength, decay, down, across)
    return down, across
