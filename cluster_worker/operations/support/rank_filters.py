"""What rank filters share: how their kernels are declared, and scikit-image's filters by colour."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import orders, ranks
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Input, Kernel, Measure, Number, always
from cluster_worker.operations.support.footprints import (
    Footprint,
    footprint_of,
    footprint_reach,
)
from cluster_worker.operations.support.statistics import ROUNDING
from cluster_worker.operations.support.valid_pixels import Valid

util = lazily("skimage.util")

Mask = Annotated[
    Image | None,
    Input("mask", beyond="nothing"),
    "The pixels that count in a neighbourhood; where none do, the result is 0.",
]
Levels = Annotated[int, Number(0, 65_535, unit="levels", slider=(0, 100), step=1)]
Share = Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)]


def reach(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Return the halo of a rank filter, in pixels."""
    return footprint_reach(footprint, radius, half_width)


def greatest(image: Image) -> NDArray[Any]:
    """Return the greatest value of each colour."""
    found: NDArray[Any] = image.max(axis=(0, 1))
    return found


GREATEST = (Measure(greatest, np.maximum),)

# A 16-bit histogram has 256 times as many bins, and most filters read every bin: ten times the work
# for the local noise, 70 to 200 times for the others.
DEEP = 100.0


# Costs are those of the default neighbourhood, a disk with this number of rows. They grow with the
# rows where a histogram slides, from a fixed part that is worth some rows, and more slowly where
# sums of rows do, or in scikit-image. Other kernels look at each pixel of a neighbourhood.
ROWS = 7
HISTOGRAM_ROWS, SUM_ROWS, FUNCTION_ROWS = 6, 17, 60
COST_PIXEL = 0.004


def cost_by_rows(
    footprint: Footprint, radius: int, half_width: int | None, *, cost: float, fixed: int, **_: Any
) -> float:
    """Return the cost for a neighbourhood, from that of the default one."""
    rows = len(footprint_of(footprint, radius, half_width))
    return cost * (fixed + rows) / (fixed + ROWS)


def by_function(cost: float) -> Callable[..., float]:
    """Return the cost of one of scikit-image's rank filters, from that of the default one."""
    return partial(cost_by_rows, cost=cost, fixed=FUNCTION_ROWS)


def cost_by_pixels(
    footprint: Footprint, radius: int, half_width: int | None, *, cost: float, each: float, **_: Any
) -> float:
    """Return a fixed cost and that for each pixel of a neighbourhood."""
    return cost + each * int(footprint_of(footprint, radius, half_width).sum())


def cost_of_extremes(
    footprint: Footprint, radius: int, half_width: int | None, *, cost: float, **_: Any
) -> float:
    """Return the cost of the least or greatest level; rectangles are separable and cost less."""
    mask = footprint_of(footprint, radius, half_width)
    pixels = sum(mask.shape) if footprint in ("square", "rectangle") else int(mask.sum())
    return cost + COST_PIXEL * pixels


def extreme_kernel(by: Callable[..., Image]) -> Kernel:
    """Declare the kernel of a filter that takes the least or the greatest level."""
    cost = partial(cost_of_extremes, cost=0.1)
    return Kernel(partial(ranks.extreme, by=by), ranks.TYPES, exact=True, arrays=0, cost=cost)


def range_kernel(by: Callable[..., Image]) -> Kernel:
    """Declare the kernel of a filter that uses the least and the greatest level."""
    cost = partial(cost_of_extremes, cost=0.2)
    return Kernel(partial(ranks.between, by=by), ranks.TYPES, exact=True, arrays=0, cost=cost)


def pixel_kernel(by: ranks.Statistic, each: float, **more: Any) -> Kernel:
    """Declare the kernel of a filter that looks at each pixel of a neighbourhood.

    Parameters
    ----------
    by, **more
        As in `histogram_kernel`.
    each : float
        Cost of a pixel.
    """
    return replace(
        histogram_kernel(by, 0.0, **more), cost=partial(cost_by_pixels, cost=0.3, each=each)
    )


def histogram_kernel(
    by: ranks.Statistic,
    cost: float,
    when: Callable[..., bool] = always,
    fixed: int = HISTOGRAM_ROWS,
    **more: Any,
) -> Kernel:
    """Declare the kernel of a filter that uses the histogram of each neighbourhood.

    Parameters
    ----------
    by : callable
        The statistic, from kernels.ranks.
    cost : float
        Relative to a Gaussian of one pixel, for the default neighbourhood.
    when : callable
        From the parameters to whether the kernel applies.
    fixed : int
        The fixed part of the cost, in rows.
    **more
        For `kernels.ranks.ranked`.
    """
    function = partial(ranks.ranked, by=by, **more)
    grows = partial(cost_by_rows, cost=cost, fixed=fixed)
    return Kernel(function, ranks.TYPES, when, exact=True, arrays=0, cost=grows)


def counting_kernels(
    by: ranks.Statistic, times: float, when: Callable[..., bool] = always
) -> tuple[Kernel, ...]:
    """Declare the kernels of a filter that finds pixels of a neighbourhood by counting.

    Parameters
    ----------
    by : callable
        The statistic, from kernels.ranks.
    times : float
        How often pixels are counted.
    when : callable
        From the parameters to whether the kernels apply to small neighbourhoods.
    """
    return tuple(
        Kernel(
            partial(ranks.ranked, by=by, outside=ranks.last),
            (dtype,),
            lambda **given: orders.is_counted(**given) and when(**given),
            exact=True,
            arrays=0,
            cost=partial(counting_cost, dtype=dtype, times=times),
        )
        for dtype in ranks.TYPES
    )


def counting_cost(
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    *,
    dtype: str,
    times: float,
    **_: Any,
) -> float:
    """Return the cost of counting the pixels of neighbourhoods; a unit of cost takes 10 ns."""
    return times * orders.nanoseconds(footprint, radius, half_width, dtype=dtype) / 10


def has_both(p0: float, p1: float, **_: Any) -> bool:
    """Return whether some pixels lie above the first percentile, and some below the second.

    If none do, the result of scikit-image depends on uninitialized memory.
    """
    return p0 < 1 and 1 - p1 < 1


def ranked(
    function: Callable[..., Image],
    image: Image,
    neighbourhood: NDArray[Any],
    most: NDArray[Any] | None = None,
    *,
    mask: Image | None = None,
    valid: Valid = None,
    **parameters: float,
) -> Image:
    """Run one of scikit-image's rank filters on every colour.

    Parameters
    ----------
    function : callable
        From skimage.filters.rank.
    image : ndarray
        A block.
    neighbourhood : ndarray
        The footprint.
    most : ndarray, optional
        Greatest value of each colour in the whole image, if the result depends on it.
    mask : ndarray of bool, optional
        The pixels that count, in rows and columns.
    valid : ndarray of bool, optional
        The pixels with data, of the block's shape; all by default. The others do not count either.
    **parameters
        Parameters of the function.
    """
    if image.ndim == 2:
        return ranked_plane(function, image, neighbourhood, most, both(mask, valid), parameters)
    planes = [
        ranked_plane(
            function,
            image[..., i],
            neighbourhood,
            None if most is None else most[i],
            both(mask, None if valid is None else valid[..., i]),
            parameters,
        )
        for i in range(image.shape[2])
    ]
    return np.stack(planes, axis=2)


def both(mask: Image | None, valid: Image | None) -> Image | None:
    """Return the pixels of a mask that have data; None stands for all."""
    if mask is None or valid is None:
        return valid if mask is None else mask
    return mask & valid


def ranked_plane(
    function: Callable[..., Image],
    plane: Image,
    neighbourhood: NDArray[Any],
    most: Any,
    counted: Image | None,
    parameters: dict[str, float],
) -> Image:
    """Run a rank filter on one colour, with as many bins as the whole image has."""
    levels = as_levels(plane)
    counted = None if counted is None else counted.astype(np.uint8)
    with warnings.catch_warnings():
        # scikit-image warns that many bins are slow.
        warnings.simplefilter("ignore", UserWarning)
        if most is None or levels.dtype == np.uint8 or levels.max() == most:
            result: Image = function(levels, neighbourhood, mask=counted, **parameters)
            return result
        # An extra row holds the greatest value, so that there are bins up to it. The row is masked
        # and counts in no neighbourhood.
        row = ((0, 1), (0, 0))
        counted = np.ones(levels.shape, np.uint8) if counted is None else counted
        seen = np.pad(counted, row)
        levels = np.pad(levels, row, constant_values=most)
        return function(levels, neighbourhood, mask=seen, **parameters)[:-1]


def as_levels(plane: Image) -> Image:
    """Convert floats to 8 bits, as scikit-image does before a rank filter.

    Raises
    ------
    ValueError
        If the image is a mask, or a float image with values outside -1 to 1 or NaN.
    """
    if plane.dtype == bool:
        raise ValueError("takes gray levels or colours, and this image is a mask")
    if plane.dtype.kind != "f":
        return plane
    if not (abs(plane) <= 1 + ROUNDING).all():
        raise ValueError(
            "takes floats from -1 to 1, and this image holds others, or NaN; "
            "put rescale_intensity before it"
        )
    levels: Image = util.img_as_ubyte(np.clip(plane, -1, 1))
    return levels
