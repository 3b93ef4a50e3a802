"""Rank filters: statistics of each pixel's neighbourhood, computed from its histogram.

scikit-image computes them on 8 or 16 bits and converts floats to 8 bits. With 16 bits the histogram
has as many bins as the greatest value of the whole image needs. Some filters stretch their result
over these bins, so that the result depends on the greatest value.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import morphology, orders, ranks
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    always,
    operation,
)
from cluster_worker.operations.support.footprints import (
    Footprint,
    HalfWidth,
    Radius,
    footprint_of,
    footprint_reach,
)
from cluster_worker.operations.support.statistics import ROUNDING
from cluster_worker.pixels.depths import to_depth

util = lazily("skimage.util")
rank = lazily("skimage.filters.rank")

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


def extreme_kernel(by: Callable[..., Image]) -> Kernel:
    """Declare the kernel of a filter that takes the least or the greatest level."""
    return Kernel(partial(ranks.extreme, by=by), ranks.TYPES, exact=True, arrays=0, cost=0.1)


def range_kernel(by: Callable[..., Image]) -> Kernel:
    """Declare the kernel of a filter that uses the least and the greatest level."""
    return Kernel(partial(ranks.between, by=by), ranks.TYPES, exact=True, arrays=0, cost=0.2)


def histogram_kernel(
    by: ranks.Statistic, cost: float, when: Callable[..., bool] = always, **more: Any
) -> Kernel:
    """Declare the kernel of a filter that uses the histogram of each neighbourhood.

    Parameters
    ----------
    by : callable
        The statistic, from kernels.ranks.
    cost : float
        Relative to a Gaussian of one pixel.
    when : callable
        From the parameters to whether the kernel applies.
    **more
        For `kernels.ranks.ranked`.
    """
    function = partial(ranks.ranked, by=by, **more)
    return Kernel(function, ranks.TYPES, when, exact=True, arrays=0, cost=cost)


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
    """Return the cost of counting the pixels of neighbourhoods, a unit of which takes 10 ns."""
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
    **parameters
        Parameters of the function.
    """
    if image.ndim == 2:
        return ranked_plane(function, image, neighbourhood, most, parameters)
    planes = [
        ranked_plane(
            function, image[..., i], neighbourhood, None if most is None else most[i], parameters
        )
        for i in range(image.shape[2])
    ]
    return np.stack(planes, axis=2)


def ranked_plane(
    function: Callable[..., Image],
    plane: Image,
    neighbourhood: NDArray[Any],
    most: Any,
    parameters: dict[str, float],
) -> Image:
    """Run a rank filter on one colour, with as many bins as the whole image has."""
    levels = as_levels(plane)
    with warnings.catch_warnings():
        # scikit-image warns that many bins are slow.
        warnings.simplefilter("ignore", UserWarning)
        if most is None or levels.dtype == np.uint8 or levels.max() == most:
            result: Image = function(levels, neighbourhood, **parameters)
            return result
        # An extra row holds the greatest value, so that there are bins up to it. The row is masked
        # and counts in no neighbourhood.
        row = ((0, 1), (0, 0))
        seen = np.pad(np.ones(levels.shape, np.uint8), row)
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


def sums_of(values: NDArray[np.int64], neighbourhood: NDArray[Any]) -> NDArray[np.int64]:
    """Sum whole numbers over the neighbourhood of each pixel; those beyond the border are 0.

    The sum of each run of pixels in a row of the neighbourhood is a difference of two running sums.
    """
    rows, columns = values.shape
    up, across = neighbourhood.shape[0] // 2, neighbourhood.shape[1] // 2
    padded = np.pad(values, ((up, up), (across + 1, across)))
    running = np.cumsum(padded, axis=1)
    total = np.zeros_like(values)
    edges = np.diff(np.pad(neighbourhood, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    for row, first, last in zip(*np.nonzero(edges == 1), np.nonzero(edges == -1)[1], strict=True):
        line = running[row : row + rows]
        total += line[:, last : last + columns] - line[:, first : first + columns]
    return total


def mean_by_weight(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    *,
    alpha: Image,
) -> Image:
    """Compute local means in which pixels count by their alpha, rounded down as `rank_mean` does.

    Parameters
    ----------
    image : ndarray
        The block.
    footprint, radius, half_width
        As of `rank_mean`.
    alpha : ndarray
        (rows, columns): the block's alpha. A pixel keeps its level where all alpha is 0.
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    dtype = "uint8" if image.dtype.kind == "f" else str(image.dtype)
    weights = to_depth(alpha, dtype).astype(np.int64)
    share = sums_of(weights, neighbourhood)

    def mean(plane: Image) -> Image:
        levels = as_levels(plane)
        sums = sums_of(levels * weights, neighbourhood)
        return np.where(share > 0, sums // np.maximum(share, 1), levels).astype(levels.dtype)

    colours = np.moveaxis(np.atleast_3d(image), 2, 0)
    return np.stack([mean(plane) for plane in colours], axis=2).reshape(image.shape)


@operation(
    "Local mean",
    "Rank filters",
    Local(reach),
    cost=12.0,
    cost_deep=DEEP,
    arrays=3,
    weighted=mean_by_weight,
    kernels=(histogram_kernel(ranks.mean, 0.6),),
)
def rank_mean(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Smooth an image by the mean of each neighbourhood, rounded down.

    References
    ----------
    skimage.filters.rank.mean
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.mean, image, neighbourhood)


@operation(
    "Local geometric mean",
    "Rank filters",
    Local(reach),
    cost=80.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.geometric_mean, 7.0, outside=ranks.after_last),),
)
def rank_geometric_mean(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Smooth an image by the geometric mean of each neighbourhood.

    Single bright pixels change it less than the arithmetic mean.

    References
    ----------
    skimage.filters.rank.geometric_mean
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.geometric_mean, image, neighbourhood)


@operation(
    "Local minimum",
    "Rank filters",
    Local(reach),
    cost=5.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(extreme_kernel(morphology.least),),
)
def rank_minimum(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Set each pixel to the darkest value of its neighbourhood.

    References
    ----------
    skimage.filters.rank.minimum
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.minimum, image, neighbourhood)


@operation(
    "Local maximum",
    "Rank filters",
    Local(reach),
    cost=5.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(extreme_kernel(morphology.greatest),),
)
def rank_maximum(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Set each pixel to the brightest value of its neighbourhood.

    References
    ----------
    skimage.filters.rank.maximum
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.maximum, image, neighbourhood)


@operation(
    "Local percentile",
    "Rank filters",
    Local(reach),
    cost=12.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(
        *counting_kernels(ranks.counted_percentile, 1.0),
        histogram_kernel(ranks.percentile, 4.0, outside=ranks.after_last),
    ),
)
def rank_percentile(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    p0: Share = 0.5,
) -> Image:
    """Set each pixel to a percentile of its neighbourhood, such as the median.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood that lies below the value: 0 takes the darkest pixel, 0.5 the
        median, 1 the brightest.

    References
    ----------
    skimage.filters.rank.percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.percentile, image, neighbourhood, p0=p0)


@operation(
    "Most frequent level",
    "Rank filters",
    Local(reach),
    cost=17.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.mode, 7.0, outside=ranks.after_last),),
)
def rank_modal(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Set each pixel to the most frequent value of its neighbourhood, the darkest of several.

    References
    ----------
    skimage.filters.rank.modal
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.modal, image, neighbourhood)


@operation(
    "Majority",
    "Rank filters",
    Local(reach),
    cost=17.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.mode, 7.0, outside=ranks.after_last),),
)
def rank_majority(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Set each pixel to the value that most pixels of its neighbourhood have; equals rank_modal.

    References
    ----------
    skimage.filters.rank.majority
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.majority, image, neighbourhood)


@operation(
    "Local range",
    "Rank filters",
    Local(reach),
    cost=5.0,
    cost_deep=DEEP,
    arrays=3,
    kernels=(range_kernel(ranks.extent),),
)
def rank_gradient(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Show edges and texture: the brightest minus the darkest value of each neighbourhood.

    References
    ----------
    skimage.filters.rank.gradient
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.gradient, image, neighbourhood)


@operation(
    "Local entropy",
    "Rank filters",
    Local(reach),
    shows="extent",
    cost=110.0,
    cost_deep=DEEP,
    arrays=4,
    kernels=(histogram_kernel(ranks.entropy, 15.0, outside=ranks.after_last, gives="float64"),),
)
def rank_entropy(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
) -> Image:
    """Show the entropy of each neighbourhood: flat areas are dark, texture is bright.

    The entropy of its histogram, in bits per pixel.

    References
    ----------
    skimage.filters.rank.entropy
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.entropy, image, neighbourhood)
