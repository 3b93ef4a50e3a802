"""Filters: blur, sharpen, smooth, threshold."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import filters

from cluster_worker.operations.declare import (
    Image,
    Local,
    Measure,
    Number,
    Pointwise,
    Statistical,
    channel_axis,
    each_channel,
    either,
    operation,
)
from cluster_worker.operations.morphology import Footprint, Radius, footprint_of
from cluster_worker.operations.statistics import HISTOGRAM, some_negative


def reach(sigma: float) -> int:
    """Half width of a Gaussian kernel cut off at four standard deviations, as scipy has it."""
    return int(4.0 * sigma + 0.5)


@operation("Blurring", "Filters", Local(lambda sigma, mode: reach(sigma)), floats=True)
def gaussian(
    image: Image,
    sigma: Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 20), step=0.1)] = 1.0,
    mode: Literal["nearest", "reflect", "mirror", "constant"] = "nearest",
) -> Image:
    """Blur with a Gaussian: noise and fine detail go, large shapes stay.

    Parameters
    ----------
    sigma : float
        Standard deviation of the kernel; more is blurrier.
    mode : str
        What lies beyond the image's border: its last pixel, its mirror image (with or without
        the last pixel twice), or black.

    References
    ----------
    skimage.filters.gaussian
    """
    result: Image = filters.gaussian(image, sigma, mode=mode, channel_axis=channel_axis(image))
    return result


@operation(
    "Sharpening",
    "Filters",
    Statistical(
        (Measure(some_negative, either),),
        halo=lambda radius, amount: reach(radius),
    ),
    floats=True,
)
def unsharp_mask(
    image: Image,
    radius: Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 20), step=0.1)] = 1.0,
    amount: Annotated[float, Number(0, 20, slider=(0, 5), step=0.1)] = 1.0,
    *,
    statistics: tuple[bool],
) -> Image:
    """Sharpen by adding what a blur takes away.

    Parameters
    ----------
    radius : float
        Standard deviation of the blur; more sharpens coarser detail.
    amount : float
        How much of the difference is added; 0 leaves the image as it is.

    Notes
    -----
    scikit-image clips to -1…1 if any pixel of the whole image is negative, else to 0…1; hence a
    statistic. Given a tile it looks at that tile alone, so a tile without negative pixels, in an
    image that has some, is clipped here.

    References
    ----------
    skimage.filters.unsharp_mask
    """
    result: Image = filters.unsharp_mask(image, radius, amount, channel_axis=channel_axis(image))
    (negative_somewhere,) = statistics
    if negative_somewhere and not some_negative(image):
        return sharpen_to_minus_one(image, radius, amount)
    return result


def sharpen_to_minus_one(image: Image, radius: float, amount: float) -> Image:
    """Sharpen an image of floats without negative pixels as part of one that has some."""
    blurred = filters.gaussian(
        image, radius, mode="reflect", preserve_range=True, channel_axis=channel_axis(image)
    )
    result: Image = np.clip(image + (image - blurred) * amount, -1.0, 1.0)
    return result


@operation("Smoothing", "Filters", Local(lambda footprint, radius: radius), arrays=3)
def median(image: Image, footprint: Footprint = "square", radius: Radius = 1) -> Image:
    """Smooth with the median of each neighbourhood: specks go, edges stay sharp.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre.

    References
    ----------
    skimage.filters.median
    """
    neighbourhood = footprint_of(footprint, radius)
    return each_channel(lambda plane: filters.median(plane, neighbourhood), image)


@operation("Thresholding (fixed level)", "Thresholds", Pointwise(), channels="gray", arrays=1)
def threshold(
    image: Image, level: Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)] = 0.5
) -> Image:
    """Turn pixels brighter than a level white and all others black.

    Parameters
    ----------
    level : float
        The level, as a share of white: 0 is black, 1 is white.

    References
    ----------
    numpy.greater, as in the examples of skimage.filters
    """
    white = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1
    result: Image = image > level * white
    return result


@operation(
    "Thresholding (Otsu)",
    "Thresholds",
    Statistical(HISTOGRAM),
    channels="gray",
    arrays=3,
)
def threshold_otsu(image: Image, *, statistics: tuple[tuple[Any, Any], NDArray[np.intp]]) -> Image:
    """Turn bright pixels white and dark ones black, at the level that parts them best.

    Otsu's method: the level with the greatest variance between the two classes.

    References
    ----------
    skimage.filters.threshold_otsu
    """
    (least, greatest), histogram = statistics
    if least == greatest:
        mask: Image = image > least
        return mask
    if image.dtype.kind in "bu":
        centers: Any = np.arange(histogram.size)
    else:
        edges = np.histogram_bin_edges(np.empty(0, image.dtype), 256, (least, greatest))
        centers = (edges[:-1] + edges[1:]) / 2.0
    result: Image = image > filters.threshold_otsu(hist=(histogram, centers))
    return result
