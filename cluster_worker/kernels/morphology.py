"""Least and greatest values of neighbourhoods: networks for small ones, OpenCV for others."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.kernels.footprints import SMALL, Footprint, footprint_of, footprint_reach
from cluster_worker.kernels.framed import MODES, framed
from cluster_worker.kernels.strips import by_strips, direct
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.extremes")
opencv = lazily("cluster_worker.kernels.opencv")

TYPES = ("bool", "uint8", "uint16", "float32", "float64")
# "ignore" is a constant border at the end of the type's range, which never wins.
BORDERS = {**MODES, "ignore": "BORDER_CONSTANT"}
# Takes a block, a neighbourhood, the border mode, and the level of a constant border; `least` and
# `greatest` also take an array for the result.
Filter = Callable[..., Image]


def least(
    image: Image, neighbourhood: NDArray[Any], mode: str, level: float, out: Image | None = None
) -> Image:
    """Replace each pixel by the least value of its neighbourhood."""
    if mode == "ignore":
        level = np.inf if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    border = getattr(opencv.cv2, BORDERS[mode])
    found: Image = opencv.cv2.erode(
        image, neighbourhood, dst=out, borderType=border, borderValue=(level,) * 4
    )
    return found.reshape(image.shape)


def greatest(
    image: Image, neighbourhood: NDArray[Any], mode: str, level: float, out: Image | None = None
) -> Image:
    """Replace each pixel by the greatest value of its neighbourhood."""
    if mode == "ignore":
        level = -np.inf if image.dtype.kind == "f" else 0
    border = getattr(opencv.cv2, BORDERS[mode])
    found: Image = opencv.cv2.dilate(
        image, neighbourhood, dst=out, borderType=border, borderValue=(level,) * 4
    )
    return found.reshape(image.shape)


def opened(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Erode, then dilate."""
    return greatest(
        least(image, neighbourhood, mode, level), neighbourhood[::-1, ::-1], mode, level
    )


def closed(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Dilate, then erode."""
    return least(
        greatest(image, neighbourhood, mode, level), neighbourhood[::-1, ::-1], mode, level
    )


def above_opened(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Compute the white top-hat: the image minus its opening."""
    found = opened(image, neighbourhood, mode, level)
    np.subtract(image, found, out=found)
    return found


def below_closed(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Compute the black top-hat: the closing minus the image."""
    found = closed(image, neighbourhood, mode, level)
    np.subtract(found, image, out=found)
    return found


def filtered(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    mode: str,
    cval: float,
    *,
    by: Filter,
    steps: int,
    model: Filter,
    place: Place,
    out: Image | None,
) -> Image:
    """Filter the core of a block with erosions and dilations.

    Parameters
    ----------
    image : ndarray
        The block, of one of `TYPES`.
    footprint, radius, half_width, mode, cval
        Parameters of the operation; `cval` is a share of white.
    by : callable
        One of the filters above.
    steps : int
        Number of erosions and dilations in the filter, one or two.
    model : callable
        Another implementation of the filter, with `cval` as its level. It is called if the image
        holds NaN.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core, of the image's type.
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    halo = steps * footprint_reach(footprint, radius, half_width)
    if image.dtype.kind == "f" and np.isnan(image).any():
        by, level, steps = model, cval, 2
    else:
        level = int(cval * np.iinfo(image.dtype).max) if image.dtype.kind == "u" else cval
        level = int(cval) if image.dtype.kind == "b" else level
    # OpenCV has no type for masks.
    dtype = "uint8" if image.dtype == bool else image.dtype
    target = None if out is None else out.view(dtype)

    def apply(strip: Image, *result: Image | None) -> Image:
        return by(strip, neighbourhood, mode, level, *result)

    # Strips keep the image between two steps in the cache.
    run = direct if steps == 1 else by_strips
    found = run(apply, image.view(dtype), halo, place, target)
    return found.view(image.dtype) if out is None else out


@lru_cache
def number_of(footprint: Footprint, radius: int, half_width: int | None) -> int | None:
    """Return the index of a neighbourhood in `SMALL`, or None if it is not there."""
    mask = footprint_of(footprint, radius, half_width)
    return next((i for i, small in enumerate(SMALL) if np.array_equal(small, mask)), None)


def is_small(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> bool:
    """Return whether there is a network for a neighbourhood."""
    return number_of(footprint, radius, half_width) is not None


def spread(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    mode: str,
    cval: float,
    *,
    brightest: bool,
    place: Place,
    out: Image | None,
) -> Image:
    """Replace each pixel by the least or the greatest value of a small neighbourhood.

    Parameters
    ----------
    image : ndarray
        The block, of bool, uint8 or uint16.
    footprint, radius, half_width, mode, cval
        Parameters of the operation; `cval` is a share of white.
    brightest : bool
        Whether the greatest value is wanted.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core, of the image's type.
    """
    values = image.view("uint8") if image.dtype == bool else image
    white = 1 if image.dtype == bool else np.iinfo(image.dtype).max
    level = int(cval * white)
    if mode == "ignore":
        mode, level = "constant", 0 if brightest else white
    number = number_of(footprint, radius, half_width)
    loop = partial(loops.extremes, np.empty(0, values.dtype), brightest, number)
    target = None if out is None else out.view(values.dtype)
    reach = footprint_reach(footprint, radius, half_width)
    found = framed(loop, values, reach, mode, level, place, target)
    return found.view(image.dtype) if out is None else out
