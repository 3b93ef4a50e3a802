"""Rank filters: statistics of each pixel's neighbourhood, computed from its histogram.

scikit-image computes them on 8 or 16 bits and converts floats to 8 bits. With 16 bits the histogram
has as many bins as the greatest value of the whole image needs. Some filters stretch their result
over these bins, so that the result depends on the greatest value.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import morphology, ranks
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Local,
    operation,
)
from cluster_worker.operations.support.footprints import (
    Footprint,
    HalfWidth,
    Radius,
    footprint_of,
)
from cluster_worker.operations.support.rank_filters import (
    DEEP,
    SUM_ROWS,
    Mask,
    Share,
    as_levels,
    by_function,
    counting_kernels,
    extreme_kernel,
    histogram_kernel,
    range_kernel,
    ranked,
    reach,
)
from cluster_worker.operations.support.valid_pixels import Valid
from cluster_worker.pixels.depths import to_depth

util = lazily("skimage.util")
rank = lazily("skimage.filters.rank")


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
    mask: Image | None = None,
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
    mask : ndarray of bool, optional
        (rows, columns): the pixels that count.
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    dtype = "uint8" if image.dtype.kind == "f" else str(image.dtype)
    weights = to_depth(alpha, dtype).astype(np.int64)
    weights = weights if mask is None else weights * mask
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
    cost=by_function(12.0),
    cost_deep=DEEP,
    arrays=3,
    weighted=mean_by_weight,
    kernels=(histogram_kernel(ranks.mean, 0.6, fixed=SUM_ROWS),),
)
def rank_mean(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Smooth an image by the mean of each neighbourhood, rounded down.

    References
    ----------
    skimage.filters.rank.mean
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.mean, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local geometric mean",
    "Rank filters",
    Local(reach),
    cost=by_function(80.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(
        histogram_kernel(ranks.geometric_mean, 7.0, fixed=SUM_ROWS, outside=ranks.after_last),
    ),
    exponential=True,
)
def rank_geometric_mean(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Smooth an image by the geometric mean of each neighbourhood.

    Single bright pixels change it less than the arithmetic mean.

    References
    ----------
    skimage.filters.rank.geometric_mean
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.geometric_mean, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local minimum",
    "Rank filters",
    Local(reach),
    cost=by_function(5.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(extreme_kernel(morphology.least),),
)
def rank_minimum(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the darkest value of its neighbourhood.

    References
    ----------
    skimage.filters.rank.minimum
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.minimum, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local maximum",
    "Rank filters",
    Local(reach),
    cost=by_function(5.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(extreme_kernel(morphology.greatest),),
)
def rank_maximum(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the brightest value of its neighbourhood.

    References
    ----------
    skimage.filters.rank.maximum
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.maximum, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local percentile",
    "Rank filters",
    Local(reach),
    cost=by_function(12.0),
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
    *,
    mask: Mask = None,
    valid: Valid = None,
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
    return ranked(rank.percentile, image, neighbourhood, p0=p0, mask=mask, valid=valid)


@operation(
    "Local median",
    "Rank filters",
    Local(reach),
    cost=by_function(12.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(
        *counting_kernels(partial(ranks.counted_percentile, p0=0.5), 1.0),
        histogram_kernel(partial(ranks.percentile, p0=0.5), 4.0, outside=ranks.after_last),
    ),
)
def rank_median(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the median of its neighbourhood within the image.

    Unlike `median`, it leaves out what lies beyond the border.

    References
    ----------
    skimage.filters.rank.median
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.median, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local mean (percentiles)",
    "Rank filters",
    Local(reach),
    cost=by_function(35.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_mean_percentile(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    p0: Share = 0.1,
    p1: Share = 0.9,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Smooth an image by the mean of the levels between two percentiles of each neighbourhood.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels that are left out as too dark.
    p1 : float
        Share of the neighbourhood's pixels above which all are left out as too bright.

    References
    ----------
    skimage.filters.rank.mean_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.mean_percentile, image, neighbourhood, p0=p0, p1=p1, mask=mask, valid=valid)


@operation(
    "Most frequent level",
    "Rank filters",
    Local(reach),
    cost=by_function(17.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.mode, 7.0, outside=ranks.after_last),),
)
def rank_modal(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the most frequent value of its neighbourhood, the darkest of several.

    References
    ----------
    skimage.filters.rank.modal
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.modal, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Majority",
    "Rank filters",
    Local(reach),
    cost=by_function(17.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.mode, 7.0, outside=ranks.after_last),),
)
def rank_majority(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the value that most pixels of its neighbourhood have; equals rank_modal.

    References
    ----------
    skimage.filters.rank.majority
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.majority, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local range",
    "Rank filters",
    Local(reach),
    cost=by_function(5.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(range_kernel(ranks.extent),),
)
def rank_gradient(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Show edges and texture: the brightest minus the darkest value of each neighbourhood.

    References
    ----------
    skimage.filters.rank.gradient
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.gradient, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local entropy",
    "Rank filters",
    Local(reach),
    shows="extent",
    cost=by_function(110.0),
    cost_deep=DEEP,
    arrays=4,
    kernels=(histogram_kernel(ranks.entropy, 15.0, outside=ranks.after_last, gives="float64"),),
    exponential=True,
)
def rank_entropy(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Show the entropy of each neighbourhood: flat areas are dark, texture is bright.

    The entropy of its histogram, in bits per pixel.

    References
    ----------
    skimage.filters.rank.entropy
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.entropy, image, neighbourhood, mask=mask, valid=valid)
