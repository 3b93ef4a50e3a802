"""Gaussians and their second derivatives, with the same bits as scipy."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, Image, channels_of, rows_of
from cluster_worker.kernels.separable import kernel_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.derivatives")

Weights = NDArray[np.float64]


# Largest half width of a kernel, in pixels: the loops have room for it.
REACH_MAX = 283


def gaussian(
    image: Image,
    sigma: float,
    mode: str,
    cval: float,
    truncate: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Blur a block with a Gaussian, colour by colour.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of float32 or float64.
    sigma, mode, cval, truncate
        As in ``skimage.filters.gaussian``; the kernel reaches at most `REACH_MAX` pixels.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core, of the image's type.
    """
    weights = kernel_of(sigma, truncate)
    half = np.ascontiguousarray(weights[: weights.size // 2 + 1])
    core = place.core.relative_to(place.window)
    blur = partial(correlated, border=BORDERS[mode], edge=float(cval))
    if image.ndim == 2:
        result = blur(rows_of(image), half, half, (False, False), core)
    else:
        result = np.empty((*core.shape, channels_of(image)), image.dtype)
        for i in range(channels_of(image)):
            result[..., i] = blur(rows_of(image[..., i]), half, half, (False, False), core)
    if out is None:
        return result
    out[...] = result
    return out


def second(
    image: Image,
    kernels: tuple[Weights, Weights],
    mode: str,
    cval: float,
    middle: Span,
    place: Place,
) -> list[Image]:
    """Compute the second derivatives of a block: down twice, down and across, across twice.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of a block, of float32 or float64.
    kernels : tuple of ndarray
        The weights of a Gaussian and of its derivative, for ``scipy.ndimage.correlate1d``. Both
        have the same odd length, at most 567. The first is symmetric about its middle, the second
        antisymmetric.
    mode, cval
        As in ``scipy.ndimage.correlate1d``.
    middle : Span
        The span for which the first derivatives are computed; the second ones are taken of it.
    place : Place
        Where the block lies, and its core.

    Returns
    -------
    list of ndarray
        Three arrays of the core's shape and the image's type, in that order.

    Raises
    ------
    ValueError
        If a kernel has more than 567 weights.
    """
    blur, slope = (np.ascontiguousarray(each[: each.size // 2 + 1]) for each in kernels)
    if blur.size > loops.WEIGHTS_MAX:
        raise ValueError(f"kernels: must have at most 567 weights, got {kernels[0].size}")
    filtered = partial(correlated, border=BORDERS[mode], edge=float(cval))
    first = middle.relative_to(place.window)
    by_row = filtered(rows_of(image), slope, blur, (True, False), first)
    by_column = filtered(rows_of(image), blur, slope, (False, True), first)
    core = place.core.relative_to(middle)
    return [
        filtered(by_row, slope, blur, (True, False), core),
        filtered(by_row, blur, slope, (False, True), core),
        filtered(by_column, blur, slope, (False, True), core),
    ]


def correlated(
    rows: Image,
    down: Weights,
    across: Weights,
    odd: tuple[bool, bool],
    span: Span,
    *,
    border: int,
    edge: float,
) -> Image:
    """Correlate a span with weights along columns, then along rows.

    Parameters
    ----------
    rows : ndarray
        (rows, columns) of float32 or float64.
    down, across : ndarray of float64
        The first half of each kernel, from its end to its middle.
    odd : tuple of bool
        For each kernel, whether it is antisymmetric about its middle.
    span : Span
        The rows and columns of the result, in those of `rows`.
    border : int
        Number of the border mode, as in `BORDERS`.
    edge : float
        Value beyond the border if the border mode is constant.
    """
    result = np.empty(span.shape, rows.dtype)
    loops.correlate(rows, down, across, *odd, border, edge, span.top, span.left, result)
    return result
