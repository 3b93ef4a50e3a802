"""Second derivatives of Gaussians, with the same bits as scipy."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, Image, lazily, rows_of
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.derivatives")

Weights = NDArray[np.float64]


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
