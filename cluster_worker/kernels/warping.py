"""Warps: bilinear interpolation between the pixels of an image."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, channels_of, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, all_of

loops = lazily("cluster_worker.kernels.loops.warping")

# Numbers that the loops use for the modes of numpy.pad.
BORDERS = {"edge": 0, "symmetric": 1, "reflect": 2, "constant": 3}

# Pixels of a strip that is sampled at a time: their coordinates stay in the cache.
STRIP_PIXELS = 1 << 14

Floats = NDArray[np.float64]
# Takes the rows, (n,), and the columns, (m,), of a result. Returns the rows and the columns of the
# image at which its pixels are sampled, each (n, m).
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
    """Sample a block by bilinear interpolation of the four pixels around each coordinate.

    Parameters
    ----------
    image : ndarray
        The block: (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    coordinates : callable
        From rows and columns of the result to those of the whole image, as `Coordinates`.
    border : {"edge", "symmetric", "reflect", "constant"}
        Border mode of the whole image.
    cval : float
        Level beyond a constant border, as a share of white.
    limits : tuple of float
        Least and greatest value of the result, as shares of white.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    place : Place
        Its window is the block, in the image. Its core lies in the result.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The core.
    """
    core, window, white = place.core, place.window, WHITE[dtype]
    step = max(STRIP_PIXELS // core.shape[1], 1)
    columns = np.arange(core.left, core.right, dtype=np.float64)
    lines = rows_of(image)
    with core_of(image, all_of(core.shape), dtype, out) as result:
        for top in range(core.top, core.bottom, step):
            rows = np.arange(top, min(top + step, core.bottom), dtype=np.float64)
            strip = result[top - core.top :][: len(rows)]
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
                rows_of(strip),
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
    """Compute the coordinates of a swirl about `center`, a (row, column).

    Parameters
    ----------
    center : tuple of float
        Row and column in the image.
    rotation : float
        Rotation of the whole image, in radians.
    strength : float
        Additional rotation at the centre, in radians.
    decay : float
        Distance from the centre at which that rotation has fallen to 1/e, in pixels.
    rows, columns : ndarray
        (n,) and (m,): rows and columns of the result.

    Returns
    -------
    down, across : ndarray of float64
        (n, m): rows and columns of the image.
    """
    down, across = np.empty((2, len(rows), len(columns)))
    loops.swirl(rows, columns, center, rotation, strength, decay, down, across)
    return down, across
