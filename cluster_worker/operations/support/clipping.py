"""Clip a sampled image to the range of the whole image, as scikit-image's warps do."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Measure, Stage
from cluster_worker.operations.support.folding import Border, Floats
from cluster_worker.operations.support.sampling import as_floats, fill_value
from cluster_worker.operations.support.statistics import (
    EXTENT_OF_NUMBERS,
    Extent,
    extent_of_numbers,
    join_extents_of_numbers,
)

util = lazily("skimage.util")

Shape = tuple[int, int]


def measures_for_clipping(order: int | None, mode: Border) -> tuple[Measure, ...]:
    """Return the measures that `clipped` needs, or none.

    Weighted means leave the image's range by their rounding alone, and are not clipped. Splines
    overshoot the range, and a constant beyond the border may lie outside it.
    """
    if mode != "constant" and (order is None or order < 2):
        return ()
    return EXTENT_OF_NUMBERS


def clipped(
    result: Image,
    image: Image,
    between: Extent,
    order: int,
    mode: Border,
    cval: float,
    reaches: bool,
    meets: Callable[[], bool] = lambda: True,
) -> Image:
    """Clip to the range of the whole image, as scikit-image's warps do.

    Parameters
    ----------
    result : ndarray
        Changed in place.
    image : ndarray
        The block; `between` was measured in its type.
    between : tuple
        Least and greatest value of the whole image.
    order : int
        Of the interpolation.
    mode, cval : str, float
        What lies beyond the border.
    reaches : bool
        Whether some pixel of the whole result comes from beyond the border alone. Only then does
        scikit-image extend the range by `cval`. Not used where `overshoots` holds.

    Returns
    -------
    ndarray
        The clipped core; where `overshoots` holds, with the extra channel of `with_bound`.
    """
    limits = np.asarray(between, image.dtype)
    if result.dtype.kind == "f":
        limits = as_floats(limits)
    low, high = limits
    if overshoots(order, mode):
        return with_bound(result, low, high, cval)
    if mode == "constant" and reaches and not low <= cval <= high:
        fill = fill_value(cval, result.dtype)
        if min(low, fill) <= cval <= max(high, fill) and (fill == cval or meets()):
            added = result.dtype.type(cval)
            low, high = min(low, added), max(high, added)
    np.clip(result, low, high, out=result)
    return result


def overshoots(order: int | None, mode: Border) -> bool:
    """Return whether a result can reach the constant without a pixel from beyond the border."""
    return mode == "constant" and order is not None and order > 1


def with_bound(result: Image, low: Any, high: Any, cval: float) -> Image:
    """Clip to a range extended by `cval`, and store the original bound in an extra channel.

    Whether that bound applies depends on the whole result: see `clipped_to_bound`.
    """
    beyond = result.dtype.type(cval)
    np.clip(result, min(low, beyond), max(high, beyond), out=result)
    bound = np.full(result.shape[:2], np.clip(beyond, low, high), result.dtype)
    return np.dstack([result, bound])


def extent_without_bound(image: Image) -> Extent:
    """Return the least and the greatest value, NaN and the channel of the bound left out."""
    return extent_of_numbers(image[..., :-1])


def clipped_to_bound(image: Image, *, cval: float, statistics: tuple[Extent]) -> Image:
    """Clip to the bound in the last channel, unless the whole result has reached `cval`."""
    colours, bound = image[..., :-1], image[0, 0, -1]
    colours = colours[..., 0] if colours.shape[2] == 1 else colours
    ((least, greatest),) = statistics
    if least <= cval <= greatest or bound == image.dtype.type(cval):
        return colours
    result: Image = np.maximum(colours, bound) if cval < bound else np.minimum(colours, bound)
    return result


def with_clipping(stage: Stage, order: int | None, mode: Border, cval: float) -> tuple[Stage, ...]:
    """Return a stage that ends with `clipped`, and the stage that must follow it, if any.

    scikit-image extends the range by the constant beyond the border if the result has reached
    that constant. Up to order 1 this follows from the geometry. Cubics and splines overshoot, so
    that it must be measured in the result.
    """
    if not overshoots(order, mode):
        return (stage,)
    measure = Measure(extent_without_bound, join_extents_of_numbers)
    return (stage, Stage(partial(clipped_to_bound, cval=cval), measures=(measure,)))


def beyond(down: Floats, across: Floats, shape: Shape, order: int | None) -> NDArray[np.bool_]:
    """Return which coordinates have no neighbour within the image."""
    outside: NDArray[np.bool_] = np.zeros((), np.bool_)
    for at, length in ((down, shape[0]), (across, shape[1])):
        if order == 0:
            nearest = np.floor(at + 0.5)
            outside = outside | (nearest < 0) | (nearest >= length)
        else:
            outside = outside | (at <= -1) | (at >= length)
    return outside


def lies_beyond(down: Floats, across: Floats, shape: Shape, order: int | None) -> bool:
    """Return whether some coordinate has no neighbour within the image."""
    return bool(beyond(down, across, shape, order).any())


def limits_of(
    dtype: np.dtype[Any], statistics: tuple[Any, ...], mode: Border, cval: float, reaches: bool
) -> tuple[float, float]:
    """Compute the range that `clipped` clips to, for linear sampling in float32."""
    if not statistics:
        return -math.inf, math.inf
    low, high = (float(each) for each in util.img_as_float32(np.asarray(statistics[0], dtype)))
    if mode == "constant" and reaches:
        return min(low, cval), max(high, cval)
    return low, high


def is_bound(stage: Stage) -> bool:
    """Return whether a stage does nothing but clip to the bound of `with_bound`."""
    return isinstance(stage.function, partial) and stage.function.func is clipped_to_bound


def range_with_fill(between: Extent, stage: Stage) -> Extent:
    """Return the range of an image, extended by the constant that its sampling fills with."""
    low, high = between
    given = stage.function.keywords if isinstance(stage.function, partial) else {}
    if given.get("mode") == "constant":
        return min(low, given["cval"]), max(high, given["cval"])
    return low, high
