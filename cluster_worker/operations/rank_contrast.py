"""Rank filters that compare each pixel with the levels around it: contrast, thresholds, noise."""

from typing import Any

from numpy.typing import NDArray

from cluster_worker.kernels import ranks
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Local, Statistical, operation
from cluster_worker.operations.support.footprints import Footprint, HalfWidth, Radius, footprint_of
from cluster_worker.operations.support.rank_filters import (
    DEEP,
    GREATEST,
    SUM_ROWS,
    Levels,
    Mask,
    Share,
    by_function,
    counting_kernels,
    has_both,
    histogram_kernel,
    pixel_kernel,
    range_kernel,
    ranked,
    reach,
)
from cluster_worker.operations.support.valid_pixels import Valid

rank = lazily("skimage.filters.rank")


@operation(
    "Local auto level",
    "Rank filters",
    Statistical(GREATEST, reach),
    cost=by_function(6.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(range_kernel(ranks.stretched),),
)
def rank_autolevel(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    statistics: tuple[NDArray[Any]],
    valid: Valid = None,
) -> Image:
    """Stretch the contrast within each neighbourhood to the full range.

    Notes
    -----
    White is the greatest value of the whole image for 16 bits, which is why it is measured as a
    statistic.

    References
    ----------
    skimage.filters.rank.autolevel
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.autolevel, image, neighbourhood, statistics[0], mask=mask, valid=valid)


@operation(
    "Local auto level (percentiles)",
    "Rank filters",
    Statistical(GREATEST, reach),
    cost=by_function(8.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(
        *counting_kernels(ranks.counted_between, 2.0, has_both),
        histogram_kernel(ranks.between_percentiles, 4.0, has_both, outside=ranks.after_last),
    ),
)
def rank_autolevel_percentile(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    p0: Share = 0.05,
    p1: Share = 0.95,
    *,
    mask: Mask = None,
    statistics: tuple[NDArray[Any]],
    valid: Valid = None,
) -> Image:
    """Stretch the contrast within each neighbourhood between two percentiles of its levels.

    Parameters
    ----------
    p0 : float
        Share of the neighbourhood's pixels that become black, the darkest first.
    p1 : float
        Share of the neighbourhood's pixels above which all become white.

    Notes
    -----
    White is the greatest value of the whole image for 16 bits, which is why it is measured as a
    statistic.

    References
    ----------
    skimage.filters.rank.autolevel_percentile
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(
        rank.autolevel_percentile,
        image,
        neighbourhood,
        statistics[0],
        p0=p0,
        p1=p1,
        mask=mask,
        valid=valid,
    )


@operation(
    "Local contrast",
    "Rank filters",
    Local(reach),
    cost=by_function(6.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(range_kernel(ranks.nearer_end),),
)
def rank_enhance_contrast(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to the darkest or the brightest value around it, whichever is nearer.

    References
    ----------
    skimage.filters.rank.enhance_contrast
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.enhance_contrast, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Local equalisation",
    "Rank filters",
    Statistical(GREATEST, reach),
    cost=by_function(8.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(pixel_kernel(ranks.equalized, 0.01, outside=ranks.last),),
)
def rank_equalize(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    statistics: tuple[NDArray[Any]],
    valid: Valid = None,
) -> Image:
    """Equalize the histogram of each neighbourhood: details show in dark and in bright areas.

    Notes
    -----
    White is the greatest value of the whole image for 16 bits, which is why it is measured as a
    statistic.

    References
    ----------
    skimage.filters.rank.equalize
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.equalize, image, neighbourhood, statistics[0], mask=mask, valid=valid)


@operation(
    "Difference from the local mean",
    "Rank filters",
    Statistical(GREATEST, reach),
    cost=by_function(11.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.from_mean, 0.6, fixed=SUM_ROWS),),
)
def rank_subtract_mean(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    statistics: tuple[NDArray[Any]],
    valid: Valid = None,
) -> Image:
    """Subtract the local mean, which removes uneven light.

    Half of the difference is added to mid gray, so that a pixel equal to the mean is mid gray.

    Notes
    -----
    Mid gray is half the greatest value of the whole image for 16 bits, which is why that value is
    measured as a statistic.

    References
    ----------
    skimage.filters.rank.subtract_mean
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.subtract_mean, image, neighbourhood, statistics[0], mask=mask, valid=valid)


@operation(
    "Thresholding (local mean)",
    "Rank filters",
    Local(reach),
    cost=by_function(11.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.above_mean, 0.6, fixed=SUM_ROWS, gives="bool"),),
    differs="the result is a mask; scikit-image's is 0 and 1 in the image's type",
)
def rank_threshold(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Turn pixels brighter than the mean of their neighbourhood white and all others black.

    Notes
    -----
    scikit-image returns 0 and 1 in the image's type; here the result is a mask.

    References
    ----------
    skimage.filters.rank.threshold
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.threshold, image, neighbourhood, mask=mask, valid=valid).astype(bool)


@operation(
    "Local Otsu level",
    "Rank filters",
    Local(reach),
    cost=by_function(70.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.otsu, 25.0, outside=ranks.after_last),),
)
def rank_otsu(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    valid: Valid = None,
) -> Image:
    """Set each pixel to Otsu's threshold of its neighbourhood.

    References
    ----------
    skimage.filters.rank.otsu
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.otsu, image, neighbourhood, mask=mask, valid=valid)


@operation(
    "Noise",
    "Rank filters",
    Statistical(GREATEST, reach),
    cost=by_function(6.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(pixel_kernel(ranks.distance, 0.004),),
)
def rank_noise_filter(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    *,
    mask: Mask = None,
    statistics: tuple[NDArray[Any]],
    valid: Valid = None,
) -> Image:
    """Show isolated noise: the difference of each pixel from the nearest level around it.

    Notes
    -----
    Where no neighbour is darker, scikit-image takes the difference from black, and where none is
    brighter, that from white. White is the greatest value of the whole image for 16 bits, which
    is why it is measured as a statistic.

    References
    ----------
    skimage.filters.rank.noise_filter
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.noise_filter, image, neighbourhood, statistics[0], mask=mask, valid=valid)


@operation(
    "Mean of similar levels",
    "Rank filters",
    Local(reach),
    cost=by_function(19.0),
    cost_deep=DEEP,
    arrays=3,
    kernels=(histogram_kernel(ranks.similar_mean, 4.0, outside=ranks.after_last),),
)
def rank_mean_bilateral(
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
    """Smooth an image by the mean of those neighbours with similar levels; edges stay sharp.

    Parameters
    ----------
    s0 : int
        How many gray levels darker a neighbour may be to count.
    s1 : int
        How many gray levels brighter a neighbour may be to count.

    References
    ----------
    skimage.filters.rank.mean_bilateral
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return ranked(rank.mean_bilateral, image, neighbourhood, s0=s0, s1=s1, mask=mask, valid=valid)
