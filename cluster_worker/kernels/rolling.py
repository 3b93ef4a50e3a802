"""The rolling-ball estimate of an image's background, with a compiled loop."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, core_of
from cluster_worker.kernels.planes import as_planes, cut_out
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

restoration = lazily("skimage.restoration")
loops = lazily("cluster_worker.kernels.loops.balls")


def rolled(image: Image, radius: int, *, place: Place, out: Image | None) -> Image:
    """Compute the background of a block: how high a ball below the image can rise at each pixel.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16, float32 or float64.
    radius : int
        As in ``skimage.restoration.rolling_ball``.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core, window = place.core, place.core.grown(radius)
    inside = window.clipped(place.shape)
    points, depths = ball(
        radius, image.dtype.name, *(min(each, radius + 1) for each in place.shape)
    )
    cut = cut_out(image, inside, place).astype(depths.dtype)
    planes = as_planes(cut, inside, window, "constant", constant_values=np.inf)
    with core_of(image, core.relative_to(place.window), image.dtype.name, out) as result:
        for i, plane in enumerate(planes):
            found = result if image.ndim == 2 else np.empty(core.shape, image.dtype)
            loops.roll(plane, points, depths, found)
            if image.ndim == 3:
                result[..., i] = found
    return result if out is None else out


@lru_cache(maxsize=16)
def ball(
    radius: int, dtype: str, rows: int, columns: int
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Return the points of a ball, and how far each lies below the top of the ball.

    For integer images, scikit-image adds the depths in double precision, takes the least sum, and
    drops its fraction. That equals the least sum of depths whose fractions were dropped before.
    Such sums are exact in single precision.

    Parameters
    ----------
    radius : int
        Radius of the ball, in pixels and in levels.
    dtype : str
        Type of the image.
    rows, columns : int
        Of the image. Points that are never inside an image of this size are left out.

    Returns
    -------
    points : ndarray of int32
        (n, 2): row and column of each point. n is even: the last point may occur twice.
    depths : ndarray
        (n,): in the type in which sums are computed.
    """
    whole = not dtype.startswith("float")
    tops = restoration.ball_kernel(radius, 2).astype("float64" if whole else dtype)
    points: NDArray[np.int32] = np.argwhere(np.isfinite(tops)).astype(np.int32, order="C")
    points = points[(abs(points - radius) < (rows, columns)).all(axis=1)]
    points = np.concatenate([points, points[len(points) - len(points) % 2 :]])
    depths = tops[radius, radius] - tops[tuple(points.T)]
    return points, np.floor(depths).astype(np.float32) if whole else depths
