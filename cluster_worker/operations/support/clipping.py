"""Clip what is sampled to the range of the whole image, as scikit-image's warps do."""

import math
from functools import partial
from typing import Any

import numpy as np
from skimage import util

from cluster_worker.operations.declare import Image, Measure, Stage
from cluster_worker.operations.support.sampling import Border, Floats, as_floats, filling
from cluster_worker.operations.support.statistics import Extent

Shape = tuple[int, int]


def numbers_extent(image: Image) -> Extent:
    """Least and greatest value, NaN left out."""
    return np.fmin.reduce(image, axis=None), np.fmax.reduce(image, axis=None)


def join_numbers_extents(a: Extent, b: Extent) -> Extent:
    """Extent of two parts, NaN left out."""
    return np.fmin(a[0], b[0]), np.fmax(a[1], b[1])


def measures_for_clipping(order: int | None, mode: Border) -> tuple[Measure, ...]:
    """Give the measures that `clipped` needs.

    Weighted means stay within the image's range by themselves; splines overshoot, and a constant
    beyond the border may lie outside.
    """
    if mode != "constant" and (order is None or order < 2):
        return ()
    return (Measure(numbers_extent, join_numbers_extents),)


def clipped(
    result: Image,
    image: Image,
    between: Extent,
    order: int,
    mode: Border,
    cval: float,
    reaches: bool,
) -> Image:
    """Clip to the range of the whole image, as scikit-image's warps do.

    Parameters
    ----------
    result : ndarray
        Changed in place.
    image : ndarray
        Of the type that `between` was measured in.
    between : tuple
        Least and greatest value of the whole image.
    order : int
        Of the interpolation.
    mode, cval : str, float
        What lies beyond the border.
    reaches : bool
        Whether some pixel of the whole result comes from beyond the border alone: then, and only
        then, scikit-image extends the range by `cval`. From order 2 on it is not asked for.

    Returns
    -------
    ndarray
        For the second part of `with_clipping`, where there is one.
    """
    limits = np.asarray(between, image.dtype)
    if result.dtype.kind == "f":
        limits = as_floats(limits)
    low, high = limits
    if overshoots(order, mode):
        return with_bound(result, low, high, cval)
    if mode == "constant" and reaches and not low <= cval <= high:
        fill = filling(cval, result.dtype)
        if min(low, fill) <= cval <= max(high, fill):
            added = result.dtype.type(cval)
            low, high = min(low, added), max(high, added)
    np.clip(result, low, high, out=result)
    return result


def overshoots(order: int | None, mode: Border) -> bool:
    """Whether a result can reach the constant beyond the border without coming from there."""
    return mode == "constant" and order is not None and order > 1


def with_bound(result: Image, low: Any, high: Any, cval: float) -> Image:
    """Clip to a range extended by `cval`, and add a channel for the bound that this crosses.

    Whether the bound holds can be told only from the whole result.
    """
    beyond = result.dtype.type(cval)
    np.clip(result, min(low, beyond), max(high, beyond), out=result)
    bound = np.full(result.shape[:2], np.clip(beyond, low, high), result.dtype)
    return np.dstack([result, bound])


def extent_without_bound(image: Image) -> Extent:
    """Least and greatest value, NaN and the bound's channel left out."""
    return numbers_extent(image[..., :-1])


def clipped_to_bound(image: Image, *, cval: float, statistics: tuple[Extent]) -> Image:
    """Clip to the bound in the last channel, unless the whole result has reached `cval`."""
    colours, bound = image[..., :-1], image[0, 0, -1]
    colours = colours[..., 0] if colours.shape[2] == 1 else colours
    ((least, greatest),) = statistics
    if least <= cval <= greatest or bound == image.dtype.type(cval):
        return colours
    result: Image = np.maximum(colours, bound) if cval < bound else np.minimum(colours, bound)
    return result


def with_clipping(part: Stage, order: int | None, mode: Border, cval: float) -> tuple[Stage, ...]:
    """Let a part that ends with `clipped` be followed by what it needs.

    scikit-image extends the range by the constant beyond the border if the result has reached
    it. Up to order 1 that is a matter of geometry; cubics and splines overshoot, so that it has
    to be measured.
    """
    if not overshoots(order, mode):
        return (part,)
    measure = Measure(extent_without_bound, join_numbers_extents)
    return (part, Stage(partial(clipped_to_bound, cval=cval), measures=(measure,)))


def lies_beyond(down: Floats, across: Floats, shape: Shape, order: int | None) -> bool:
    """Whether some coordinate has no neighbour within the image."""
    away = 0.5 if order == 0 else 1.0
    outside = (down <= -away) | (down >= shape[0] - 1 + away)
    return bool((outside | (across <= -away) | (across >= shape[1] - 1 + away)).any())


def limits_of(
    dtype: np.dtype[Any], statistics: tuple[Any, ...], mode: Border, cval: float, reaches: bool
) -> tuple[float, float]:
    """Give the range that `clipped` clips to, for linear sampling in float32."""
    if not statistics:
        return -math.inf, math.inf
    low, high = (float(each) for each in util.img_as_float32(np.asarray(statistics[0], dtype)))
    if mode == "constant" and reaches:
        return min(low, cval), max(high, cval)
    return low, high
