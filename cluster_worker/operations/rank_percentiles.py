"""Rank filters between two percentiles of each neighbourhood, which single pixels hardly change."""

from typing import Any

from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Local, Statistical, operation
from cluster_worker.operations.support.footprints import Footprint, HalfWidth, Radius, footprint_of
from cluster_worker.operations.support.rank_filters import (
    DEEP,
    GREATEST,
    Mask,
    Share,
    by_function,
    ranked,
    reach,
)
from cluster_worker.operations.support.valid_pixels import Valid

rank = lazily("skimage.filters.rank")


@operation(
    "Local range (percentiles)",
    "Rank filters",
    Local(reach),
    cost=by_function(20.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_gradient_percentile(
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
    """Show edges and texture: the difference between two percentiles of each neighbourhood.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels below the lower level.
    p1 : float
        Share of the neighbourhood's pixels below the upper level.

    References
    ----------
    skimage.filters.rank.gradient_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    function = rank.gradient_percentile
    return ranked(function, image, neighbourhood, p0=p0, p1=p1, mask=mask, valid=valid)


@operation(
    "Difference from the local mean (percentiles)",
    "Rank filters",
    Statistical(GREATEST, reach),
    cost=by_function(30.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_subtract_mean_percentile(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    p0: Share = 0.1,
    p1: Share = 0.9,
    *,
    mask: Mask = None,
    statistics: tuple[NDArray[Any]],
    valid: Valid = None,
) -> Image:
    """Subtract the mean of the levels between two percentiles of each neighbourhood.

    Half of the difference is added to mid gray, so that a pixel equal to the mean is mid gray.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels that are left out as too dark.
    p1 : float
        Share of the neighbourhood's pixels above which all are left out as too bright.

    Notes
    -----
    Mid gray is half the greatest value of the whole image for 16 bits, which is why that value is
    measured as a statistic.

    References
    ----------
    skimage.filters.rank.subtract_mean_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(
        rank.subtract_mean_percentile,
        image,
        neighbourhood,
        statistics[0],
        p0=p0,
        p1=p1,
        mask=mask,
        valid=valid,
    )


@operation(
    "Local contrast (percentiles)",
    "Rank filters",
    Local(reach),
    cost=by_function(20.0),
    cost_deep=DEEP,
    arrays=3,
)
def rank_enhance_contrast_percentile(
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
    """Set each pixel to one of two percentiles around it, whichever is nearer.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels below the darker level.
    p1 : float
        Share of the neighbourhood's pixels below the brighter level.

    References
    ----------
    skimage.filters.rank.enhance_contrast_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    function = rank.enhance_contrast_percentile
    return ranked(function, image, neighbourhood, p0=p0, p1=p1, mask=mask, valid=valid)


@operation(
    "Thresholding (local percentile)",
    "Rank filters",
    Local(reach),
    cost=by_function(15.0),
    cost_deep=DEEP,
    arrays=3,
    differs="the result is a mask; scikit-image's is black and white in the image's type",
)
def rank_threshold_percentile(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    p0: Share = 0.5,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Turn pixels white that are as bright as a percentile of their neighbourhood or brighter.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels below the level: 0.5 for the median.

    Notes
    -----
    scikit-image returns white in the image's type; here the result is a mask.

    References
    ----------
    skimage.filters.rank.threshold_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    levels = ranked(rank.threshold_percentile, image, neighbourhood, p0=p0, mask=mask, valid=valid)
    return levels.astype(bool)
