"""Filters that take the pixels with data alone: medians, morphology and local means.

`valid` has the shape of the image and says which of its pixels have data. What the others hold does
not matter, and their result means nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image

ndimage = lazily("scipy.ndimage")

# The pixels of a block that have data; None if all have.
Valid = Image | None

# Bytes of the neighbourhoods that are sorted at once.
SORTED_BYTES_MAX = 32 << 20

PAD_OF_MODE: dict[str, Any] = {
    "reflect": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "constant": "constant",
}


def all_around(valid: NDArray[Any], reach: int) -> NDArray[np.bool_]:
    """Return where all pixels within `reach` rows and columns have data, in each channel."""
    window = (2 * reach + 1,) * 2 + (1,) * (valid.ndim - 2)
    levels = np.ascontiguousarray(valid).view(np.uint8)
    found: NDArray[np.bool_] = ndimage.minimum_filter(levels, window, mode="nearest") > 0
    return found


def each_valid(
    function: Callable[[Image, Image], Image], image: Image, valid: NDArray[Any]
) -> Image:
    """Run a function of a plane and its pixels with data on every channel."""
    if image.ndim == 2:
        return function(image, valid)
    channels = range(image.shape[2])
    return np.stack([function(image[..., i], valid[..., i]) for i in channels], axis=2)


def median_of_valid(
    plane: Image, valid: NDArray[Any], neighbourhood: NDArray[Any], mode: str, cval: float = 0.0
) -> Image:
    """Return the median of the pixels with data in each neighbourhood.

    Of an even number it is the upper one of the two in the middle, as scipy's median filter takes.

    Parameters
    ----------
    plane : ndarray
        (rows, columns).
    valid : ndarray of bool
        Of the same shape.
    neighbourhood : ndarray
        The footprint, of odd sides.
    mode, cval
        What lies beyond the border, as for scipy; a constant level counts as data.
    """
    floats = plane.dtype.kind == "f"
    last = np.inf if floats else np.iinfo(plane.dtype).max
    up, across = (side // 2 for side in neighbourhood.shape)
    around = ((up, up), (across, across))
    level = {"constant_values": cval} if mode == "constant" else {}
    padded = np.pad(np.where(valid, plane, last), around, PAD_OF_MODE[mode], **level)
    there = {"constant_values": True} if mode == "constant" else {}
    counted = np.pad(valid, around, PAD_OF_MODE[mode], **there)
    chosen = neighbourhood.astype(bool)
    size = int(chosen.sum()) * plane.shape[1] * plane.itemsize
    rows = max(1, SORTED_BYTES_MAX // max(1, size))
    result = np.empty_like(plane)
    for top in range(0, plane.shape[0], rows):
        bottom = min(top + rows, plane.shape[0])
        views = (
            np.lib.stride_tricks.sliding_window_view(
                each[top : bottom + 2 * up], neighbourhood.shape
            )[..., chosen]
            for each in (padded, counted)
        )
        values, present = views
        # Pixels without data come last. Data that equals the last level is no different from them.
        values.sort(axis=-1)
        middle = present.sum(axis=-1, keepdims=True) // 2
        middle = np.minimum(middle, values.shape[-1] - 1)
        result[top:bottom] = np.take_along_axis(values, middle, axis=-1)[..., 0]
    return result


Extremum = Literal["least", "greatest"]


def without_data(image: Image, valid: NDArray[Any], extremum: Extremum) -> Image:
    """Return an image with a level for pixels without data that changes no extremum of others."""
    kind = image.dtype.kind
    if kind == "f":
        fill: Any = np.inf if extremum == "least" else -np.inf
    elif kind == "b":
        fill = extremum == "least"
    else:
        limits = np.iinfo(image.dtype)
        fill = limits.max if extremum == "least" else limits.min
    return np.where(valid, image, image.dtype.type(fill))


def extrema_of_valid(
    image: Image, valid: NDArray[Any], filters: Sequence[tuple[Extremum, Callable[[Image], Image]]]
) -> Image:
    """Run erosions (least) and dilations (greatest), one after the other, on pixels with data."""
    for extremum, function in filters:
        image = function(without_data(image, valid, extremum))
    return image


def mean_of_valid(
    image: Image, valid: NDArray[Any], mean: Callable[..., Image], cval: float = 0.0
) -> NDArray[np.float64]:
    """Return the local mean of the pixels with data: F(x · v) / F(v), by a filter F that averages.

    Parameters
    ----------
    image : ndarray
        (rows, columns).
    valid : ndarray of bool
        Of the same shape.
    mean : callable
        The filter, of an image of float64 and of ``cval``, the level beyond a constant border.
    cval : float
        That level, which counts as data.
    """
    sums = mean(np.where(valid, image, 0).astype(np.float64), cval=cval)
    share = mean(valid.astype(np.float64), cval=1.0)
    least = np.finfo(np.float64).eps
    result: NDArray[np.float64] = np.where(share > least, sums / np.maximum(share, least), 0)
    return result


def mean_and_deviation_of_valid(
    image: Image, valid: NDArray[Any], mean: Callable[..., Image]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the pixels with data in each neighbourhood."""
    of_valid = partial(mean_of_valid, valid=valid, mean=mean)
    floats = image.astype(np.float64)
    average = of_valid(floats)
    squares = of_valid(np.where(valid, floats, 0) ** 2)
    return average, np.sqrt(np.clip(squares - average * average, 0, None))
