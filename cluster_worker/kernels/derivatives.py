"""Second derivatives of Gaussians, to scipy's last bit."""

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
    """Take slopes of slopes: down and down, down and across, across and across.

    Parameters
    ----------
    image : ndarray
        (rows, columns) of a block, of float32 or float64.
    kernels : tuple of ndarray
        A Gaussian, and its slope, for ``scipy.ndimage.correlate1d``: of one length, odd, at most
        567; before and after its middle the one is the same, the other the opposite.
    mode, cval
        As in ``scipy.ndimage.correlate1d``.
    middle : Span
        What the second slopes are taken of, which the first ones are needed for.
    place : Place
        Of the block, for its core.

    Returns
    -------
    list of ndarray
        Three of the core's shape.
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
    """Weigh neighbours along columns, then along rows, for a span of rows and columns."""
    result = np.empty(span.shape, rows.dtype)
    loops.correlate(rows, down, across, *odd, border, edge, span.top, span.left, result)
    return result
