"""The steps of Canny's method: slopes, thin lines, and the lines connected to strong ones."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from cluster_worker.kernels import components, edge_lines
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.support.propagation import refuse_nan
from cluster_worker.operations.support.quantiles import quantile_values

ndimage = lazily("scipy.ndimage")
filters = lazily("skimage.filters")
util = lazily("skimage.util")
_canny_cy = lazily("skimage.feature._canny_cy")

Border = Annotated[
    Literal["constant", "nearest", "reflect", "mirror", "wrap"],
    "What lies beyond the image's border: one level (constant), its last pixel (nearest), its "
    "mirror image with the last pixel twice (reflect) or once (mirror), or its opposite edge "
    "(wrap).",
]

# Slopes in units of the image: the least at which a line continues, and the least at which one
# begins. None stands for the default.
Thresholds = tuple[float | None, float | None]


class Blur(NamedTuple):
    """The Gaussian that is applied first, and what it reads beyond the image's border."""

    sigma: float
    mode: Border
    cval: float


def slopes(image: Image, *, place: Place, blur: Blur, mask: Image | None = None) -> Image:
    """Compute the slopes of a blurred block, to which pixels outside of a mask add nothing.

    Returns
    -------
    ndarray of float32 or float64
        (rows, columns, 3): slope down the rows, slope across the columns, and magnitude.
    """
    sigma, mode, cval = blur
    given = image if mask is None else np.where(mask, image, image.dtype.type(0))
    smooth = filters.gaussian(given, sigma, mode=mode, cval=cval)
    if mode == "constant" or mask is not None:
        there = np.ones_like(smooth) if mask is None else mask.astype(smooth.dtype)
        inside = filters.gaussian(there, sigma, mode=mode, cval=cval)
        smooth /= inside + np.finfo(smooth.dtype).eps
    # With mode "wrap" the block contains pixels of the opposite edge, which only the blur reads.
    within = place.window.clipped(place.shape).relative_to(place.window)
    result = np.zeros((*image.shape, 3), smooth.dtype)
    down, across, steep = np.moveaxis(result[within.slices], 2, 0)
    ndimage.sobel(smooth[within.slices], axis=0, output=down)
    ndimage.sobel(smooth[within.slices], axis=1, output=across)
    np.multiply(down, down, out=steep)
    steep += across * across
    np.sqrt(steep, out=steep)
    return result


def lines(found: Image, low: float, high: float, mask: Image | None = None) -> Image:
    """Thin the steep areas of a block to lines: 1 where a line can continue, 2 where one begins.

    There is no line outside of a mask or at its border.
    """
    # The image's outermost pixels are no lines. The block's other outermost pixels are halo.
    inner = np.zeros(found.shape[:2], np.bool_)
    inner[1:-1, 1:-1] = True
    if mask is not None:
        inner = ndimage.binary_erosion(mask, np.ones((3, 3)), border_value=0)
    down, across, steep = (np.ascontiguousarray(found[..., i]) for i in range(3))
    thin = _canny_cy._nonmaximum_suppression_bilinear(down, across, steep, inner, low)
    weak = thin > 0
    found_lines: Image = weak.astype(np.uint8) + (weak & (thin >= high))
    return found_lines


def refuse_crossed(low: float, high: float) -> None:
    """Raise ValueError if the high threshold is lower than the low one."""
    if high < low:
        raise ValueError(f"low_threshold should be lower than high_threshold, got {low} and {high}")


def steepness_of(given: Thresholds, white: float) -> tuple[float, float]:
    """Convert thresholds from an image's units to shares of its white; None becomes 0.1 and 0.2.

    Raises
    ------
    ValueError
        If the high threshold is lower than the low one.
    """
    low = 0.1 if given[0] is None else given[0] / white
    high = 0.2 if given[1] is None else given[1] / white
    refuse_crossed(low, high)
    return low, high


def canny_lines(
    image: Image, *, place: Place, given: Thresholds, blur: Blur, mask: Image | None = None
) -> Image:
    """Find the lines of a block, with thresholds in the image's own units."""
    white = util.dtype_limits(image, clip_negative=False)[1]
    low, high = steepness_of(given, white)
    found = slopes(image, place=place, blur=blur, mask=mask)
    within = place.window.clipped(place.shape).relative_to(place.window).slices
    result = np.zeros(image.shape, np.uint8)
    result[within] = lines(found[within], low, high, None if mask is None else mask[within])
    return result


def canny_lines_by_loops(
    image: Image, *, place: Place, given: Thresholds, blur: Blur, out: Image | None
) -> Image:
    """Find the lines of a block with one compiled loop over its rows."""
    # The loop converts every type of image to floats, in which white is 1.
    low, high = steepness_of(given, 1.0)
    more = blur._asdict() | {"low": low, "high": high}
    return edge_lines.canny_lines(image, **more, place=place, out=out)


def like_lines(image: Image, given: Thresholds) -> Image:
    """Return an image of the type that `canny_lines_by_loops` returns, if the thresholds hold."""
    steepness_of(given, 1.0)
    return np.zeros(image.shape, np.uint8)


def shares_of(low: float | None, high: float | None) -> tuple[float, float]:
    """Return thresholds as shares of pixels, with scikit-image's defaults for None."""
    # scikit-image converts to percent and back, which may change the last bit.
    return (
        100.0 * (0.1 if low is None else low) / 100,
        100.0 * (0.2 if high is None else high) / 100,
    )


def of_magnitude(of: Callable[..., Any], found: Image, *earlier: Any) -> Any:
    """Apply a measure to the magnitudes of a block's slopes.

    Raises
    ------
    ValueError
        If the magnitudes hold NaN, which has no rank.
    """
    refuse_nan(found[..., 2])
    return of(found[..., 2], *earlier)


def lines_by_quantiles(
    found: Image,
    *,
    statistics: tuple[Any, ...],
    shares: tuple[float, float],
    mask: Image | None = None,
) -> Image:
    """Find the lines of a block, with quantiles of the whole image's magnitudes as thresholds."""
    refuse_crossed(*shares)
    low, high = quantile_values(statistics, shares, found.dtype)
    return lines(found, low, high, mask)


def linked(lines: Image, *, place: Place, out: Image | None) -> Image:
    """Return the seats of the connected lines of a tile; pixels where one begins are marks."""
    return components.seated(lines > 0, lines == 2, 2, place, out=out)
