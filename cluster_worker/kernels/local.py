"""Local thresholds: pixels compared with their surroundings, to the last bit."""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, WHITE, Image, core_of, lazily, rows_of
from cluster_worker.kernels.separable import kernel_of
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
    """Tell which pixels exceed the Gaussian around them less an offset.

    A blur in single precision decides, but where it may err by more than what parts them; there
    the sums are scipy's.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of uint8 or uint16.
    sigma, mode, cval
        As in ``skimage.filters.gaussian``; `cval` is a share of white.
    offset : float
        As a share of white.
    place : Place
        Where the block lies, and its core.
    out : ndarray of bool or None
        For the result.

    Returns
    -------
    ndarray of bool
        The core.
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
            np.float32(doubt(weights) * white),
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


def doubt(weights: NDArray[np.float64]) -> float:
    """Bound how much a difference from a blur in single precision may err, in shares of white.

    Each product that is added is rounded once, by no more than half a unit of the sum so far;
    weights, offset and difference are rounded too.
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
    """Tell which pixels exceed the mean of the square around them less an offset.

    Parameters
    ----------
    image, offset, place, out
        As of `above_gaussian`.
    size : int
        Rows and columns of the square; odd.
    mode, cval
        As in ``scipy.ndimage.uniform_filter``; `cval` is a share of white, 0 or 1.

    Returns
    -------
    ndarray of bool
        The core.
    """
    white = WHITE[str(image.dtype)]
    given = (windows.MEAN, BORDERS[mode], int(cval * white), offset * white, white)
    return above_level(image, size, *given, place=place, out=out)


def above_niblack(
    image: Image, window_size: int, k: float, *, place: Place, out: Image | None
) -> Image:
    """Tell which pixels exceed Niblack's level.

    Parameters
    ----------
    image, place, out
        As of `above_gaussian`.
    window_size, k
        As in ``skimage.filters.threshold_niblack``.

    Returns
    -------
    ndarray of bool
        The core.
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
    """Tell which pixels exceed Sauvola's level.

    Parameters
    ----------
    image, place, out
        As of `above_gaussian`.
    window_size, k, r
        As in ``skimage.filters.threshold_sauvola``; `r` is a share of white.

    Returns
    -------
    ndarray of bool
        The core.
    """
    greatest = (0.5 if r is None else r) * WHITE[str(image.dtype)]
    given = (windows.SAUVOLA, BORDERS["mirror"], 0, k, greatest)
    return above_level(image, window_size, *given, place=place, out=out)


def above_level(
    image: Image,
    size: int,
    kind: int,
    border: int,
    edge: int,
    parameter: float,
    greatest: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Tell which pixels of a core exceed a level that is made of sums around them."""
    core = place.core.relative_to(place.window)
    with core_of(image, core, "bool", out) as result:
        given = (size, kind, border, edge, float(parameter), greatest, core.top, core.left)
        windows.above(rows_of(image), *given, rows_of(result))
    return result if out is None else out
