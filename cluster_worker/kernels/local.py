"""Local thresholds: pixels compared with a level of their surroundings, with exact decisions."""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, WHITE, Image, core_of, rows_of
from cluster_worker.kernels.separable import kernel_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

blurs = lazily("cluster_worker.kernels.loops.separable")
loops = lazily("cluster_worker.kernels.loops.local")
windows = lazily("cluster_worker.kernels.loops.windows")


def above_gaussian(
    image: Image,
    sigma: float,
    offset: float,
    mode: str,
    cval: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of the pixels that exceed a Gaussian blur minus an offset.

    A blur in single precision decides most pixels. Where its error may be larger than the
    difference, the decision is made with scipy's sums in double precision.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of uint8 or uint16.
    sigma, mode, cval
        As in ``skimage.filters.gaussian``, with `cval` as a share of white.
    offset : float
        The offset, as a share of white.
    place : Place
        Where the block lies, and its core.
    out : ndarray of bool or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray of bool
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    white = WHITE[str(image.dtype)]
    weights = kernel_of(sigma, 4.0)
    single = weights.astype(np.float32)
    rows = rows_of(image)
    with core_of(image, core, "bool", out) as result:
        codes = rows_of(result).view(np.uint8)
        blurs.convolve(
            rows,
            single,
            single,
            1,
            BORDERS[mode],
            np.float32(cval * white),
            blurs.COMPARE,
            np.float32(1),
            np.float32(offset * white),
            np.float32(error_bound(weights) * white),
            np.float32(1),
            core.top,
            core.left,
            codes,
        )
        loops.settle(
            rows,
            weights[: weights.size // 2 + 1],
            BORDERS[mode],
            cval * white,
            offset * white,
            core.top,
            core.left,
            codes,
        )
    return result if out is None else out


def error_bound(weights: NDArray[np.float64]) -> float:
    """Return a bound on the error of a pixel's difference from a float32 blur, as a share of white.

    Each addition of a product rounds once, by at most half a unit in the last place of the sum so
    far. The weights, the offset and the difference are rounded as well.
    """
    half_unit = float(np.finfo(np.float32).eps) / 2
    one_way = weights.cumsum().sum() + 2
    return float(2 * one_way + 4) * half_unit * 1.01


def above_mean(
    image: Image,
    size: int,
    offset: float,
    mode: str,
    cval: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of the pixels that exceed the mean of the square around them minus an offset.

    Parameters
    ----------
    image, offset, place, out
        As in `above_gaussian`.
    size : int
        Rows and columns of the square; odd.
    mode, cval
        As in ``scipy.ndimage.uniform_filter``, with `cval` as a share of white, 0 or 1.

    Returns
    -------
    ndarray of bool
        The result for the core.
    """
    white = WHITE[str(image.dtype)]
    given = (windows.MEAN, BORDERS[mode], int(cval * white), offset * white, white)
    return above_level(image, size, *given, place=place, out=out)


def above_niblack(
    image: Image, window_size: int, k: float, *, place: Place, out: Image | None
) -> Image:
    """Return the mask of the pixels that exceed Niblack's level.

    Parameters
    ----------
    image, place, out
        As in `above_gaussian`.
    window_size, k
        As in ``skimage.filters.threshold_niblack``.

    Returns
    -------
    ndarray of bool
        The result for the core.
    """
    given = (windows.NIBLACK, BORDERS["mirror"], 0, k, 1.0)
    return above_level(image, window_size, *given, place=place, out=out)


def above_sauvola(
    image: Image,
    window_size: int,
    k: float,
    r: float | None,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of the pixels that exceed Sauvola's level.

    Parameters
    ----------
    image, place, out
        As in `above_gaussian`.
    window_size, k, r
        As in ``skimage.filters.threshold_sauvola``, with `r` as a share of white.

    Returns
    -------
    ndarray of bool
        The result for the core.
    """
    greatest = (0.5 if r is None else r) * WHITE[str(image.dtype)]
    given = (windows.SAUVOLA, BORDERS["mirror"], 0, k, greatest)
    return above_level(image, window_size, *given, place=place, out=out)


def above_level(
    image: Image,
    size: int,
    rule: int,
    border: int,
    edge: int,
    parameter: float,
    greatest: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of a core's pixels that exceed a level made of the sums of a square.

    Parameters
    ----------
    image, place, out
        As in `above_gaussian`.
    size, rule, border, edge, parameter, greatest
        As in the loop `windows.above`.
    """
    core = place.core.relative_to(place.window)
    with core_of(image, core, "bool", out) as result:
        given = (size, rule, border, edge, float(parameter), greatest, core.top, core.left)
        windows.above(rows_of(image), *given, rows_of(result))
    return result if out is None else out
