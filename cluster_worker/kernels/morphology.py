"""Least and greatest values of neighbourhoods: of small ones by networks, of others by OpenCV."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, lazily
from cluster_worker.kernels.footprints import SMALL, Footprint, footprint_of, footprint_reach
from cluster_worker.kernels.framed import MODES, framed
from cluster_worker.kernels.strips import by_strips, straight
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.extremes")
opencv = lazily("cluster_worker.kernels.opencv")

TYPES = ("bool", "uint8", "uint16", "float32", "float64")
# What is ignored is a constant that nothing is further than.
BORDERS = {**MODES, "ignore": "BORDER_CONSTANT"}
# From a block, a neighbourhood, the border's mode, and a level for the constant one; some take an
# array for the result.
Filter = Callable[..., Image]


def least(
    image: Image, neighbourhood: NDArray[Any], mode: str, level: float, out: Image | None = None
) -> Image:
    """Give each pixel the least value of its neighbourhood."""
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
    """Give each pixel the greatest value of its neighbourhood."""
    if mode == "ignore":
        level = -np.inf if image.dtype.kind == "f" else 0
    border = getattr(opencv.cv2, BORDERS[mode])
    found: Image = opencv.cv2.dilate(
        image, neighbourhood, dst=out, borderType=border, borderValue=(level,) * 4
    )
    return found.reshape(image.shape)


def opened(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Shrink, then grow."""
    return greatest(
        least(image, neighbourhood, mode, level), neighbourhood[::-1, ::-1], mode, level
    )


def closed(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Grow, then shrink."""
    return least(
        greatest(image, neighbourhood, mode, level), neighbourhood[::-1, ::-1], mode, level
    )


def above_opened(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Give what an opening takes away."""
    found = opened(image, neighbourhood, mode, level)
    np.subtract(image, found, out=found)
    return found


def below_closed(image: Image, neighbourhood: NDArray[Any], mode: str, level: float) -> Image:
    """Give what a closing adds."""
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
    """Filter the core of a block.

    Parameters
    ----------
    image : ndarray
        Of one of `TYPES`.
    footprint, radius, half_width, mode, cval
        Of the operation; `cval` is a share of white.
    by : callable
        One of the filters above.
    steps : int
        How often it goes over the image.
    model : callable
        Another way to the same, which knows what becomes of NaN; `cval` is its level.
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    halo = steps * footprint_reach(footprint, radius, half_width)
    if image.dtype.kind == "f" and np.isnan(image).any():
        by, level, steps = model, cval, 2
    else:
        level = int(cval * np.iinfo(image.dtype).max) if image.dtype.kind == "u" else cval
        level = int(cval) if image.dtype.kind == "b" else level
    # OpenCV has no masks.
    kind = "uint8" if image.dtype == bool else image.dtype
    target = None if out is None else out.view(kind)

    def apply(part: Image, *result: Image | None) -> Image:
        return by(part, neighbourhood, mode, level, *result)

    # What lies between two steps is to stay in the cache.
    run = straight if steps == 1 else by_strips
    found = run(apply, image.view(kind), halo, place, target)
    return found.view(image.dtype) if out is None else out


@lru_cache
def number_of(footprint: Footprint, radius: int, half_width: int | None) -> int | None:
    """Find a neighbourhood among the small ones."""
    mask = footprint_of(footprint, radius, half_width)
    return next((i for i, small in enumerate(SMALL) if np.array_equal(small, mask)), None)


def is_small(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> bool:
    """Whether a neighbourhood has a network."""
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
    """Give the least or the brightest value of small neighbourhoods.

    Parameters
    ----------
    image : ndarray
        Of bool, uint8 or uint16.
    footprint, radius, half_width, mode, cval
        Of the operation; `cval` is a share of white.
    """
    values = image.view("uint8") if image.dtype == bool else image
    white = 1 if image.dtype == bool else np.iinfo(image.dtype).max
    level = int(cval * white)
    if mode == "ignore":
        mode, level = "constant", 0 if brightest else white
    number = number_of(footprint, radius, half_width)
    loop = partial(loops.extremes, np.empty(0, values.dtype), brightest, number)
    target = None if out is None else out.view(values.dtype)
    found = framed(loop, values, radius, mode, level, place, target)
    return found.view(image.dtype) if out is None else out
