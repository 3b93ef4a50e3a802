"""Rank filters that count or add up the pixels of each neighbourhood."""

from cluster_worker.kernels import ranks
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Local, operation
from cluster_worker.operations.support.footprints import Footprint, HalfWidth, Radius, footprint_of
from cluster_worker.operations.support.rank_filters import (
    DEEP,
    SUM_ROWS,
    Levels,
    Mask,
    Share,
    by_function,
    histogram_kernel,
    ranked,
    reach,
)
from cluster_worker.operations.support.valid_pixels import Valid

rank = lazily("skimage.filters.rank")


@operation(
    "Number of neighbours",
    "Rank filters",
    Local(reach),
    cost=by_function(5.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.number, 0.3, fixed=SUM_ROWS),),
)
def rank_pop(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the number of pixels of its neighbourhood that lie in image and mask.

    Notes
    -----
    As in scikit-image, numbers beyond the type begin again at 0: with 8 bits those of more than
    255 pixels.

    References
    ----------
    skimage.filters.rank.pop
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.pop, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Number of neighbours (percentiles)",
    "Rank filters",
    Local(reach),
    cost=by_function(25.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_pop_percentile(
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
    """Set each pixel to the number of its neighbours with levels between two percentiles.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels that are left out as too dark.
    p1 : float
        Share of the neighbourhood's pixels above which all are left out as too bright.

    Notes
    -----
    As in scikit-image, numbers beyond the type begin again at 0: with 8 bits those of more than
    255 pixels.

    References
    ----------
    skimage.filters.rank.pop_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.pop_percentile, image, neighbourhood, p0=p0, p1=p1, mask=mask, valid=valid)


@operation(
    "Number of similar neighbours",
    "Rank filters",
    Local(reach),
    cost=by_function(30.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_pop_bilateral(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    s0: Levels = 10,
    s1: Levels = 10,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the number of its neighbours with levels similar to its own.

    Parameters
    ----------
    s0 : int
        How many gray levels darker a neighbour may be to count.
    s1 : int
        How many gray levels brighter a neighbour may be to count.

    Notes
    -----
    As in scikit-image, numbers beyond the type begin again at 0: with 8 bits those of more than
    255 pixels.

    References
    ----------
    skimage.filters.rank.pop_bilateral
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.pop_bilateral, image, neighbourhood, s0=s0, s1=s1, mask=mask, valid=valid)


@operation(
    "Local sum",
    "Rank filters",
    Local(reach),
    cost=by_function(12.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.total, 0.6, fixed=SUM_ROWS),),
)
def rank_sum(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the sum of the levels of its neighbourhood.

    Notes
    -----
    As in scikit-image, sums beyond the type begin again at 0: use 16 bits for dark images, and
    rank_mean for others.

    References
    ----------
    skimage.filters.rank.sum
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.sum, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local sum (percentiles)",
    "Rank filters",
    Local(reach),
    cost=by_function(30.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_sum_percentile(
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
    """Set each pixel to the sum of the levels between two percentiles of its neighbourhood.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels that are left out as too dark.
    p1 : float
        Share of the neighbourhood's pixels above which all are left out as too bright.

    Notes
    -----
    As in scikit-image, sums beyond the type begin again at 0: use 16 bits for dark images, and
    rank_mean_percentile for others.

    References
    ----------
    skimage.filters.rank.sum_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.sum_percentile, image, neighbourhood, p0=p0, p1=p1, mask=mask, valid=valid)


@operation(
    "Sum of similar levels",
    "Rank filters",
    Local(reach),
    cost=by_function(25.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_sum_bilateral(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    s0: Levels = 10,
    s1: Levels = 10,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the sum of those levels around it that are similar to its own.

    Parameters
    ----------
    s0 : int
        How many gray levels darker a neighbour may be to count.
    s1 : int
        How many gray levels brighter a neighbour may be to count.

    Notes
    -----
    As in scikit-image, sums beyond the type begin again at 0: use 16 bits for dark images, and
    rank_mean_bilateral for others.

    References
    ----------
    skimage.filters.rank.sum_bilateral
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.sum_bilateral, image, neighbourhood, s0=s0, s1=s1, mask=mask, valid=valid)
