"""Descriptions of what is around a pixel: shape, spots, patterns and gradients."""

from functools import partial
from math import ceil
from typing import Annotated, Literal

import numpy as np

from cluster_worker.kernels import patterns
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Local,
    Number,
    Place,
    each_channel,
    operation,
)
from cluster_worker.operations.feature import Sigma, refuse_lines
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.cells import CELL, in_cells
from cluster_worker.operations.support.edge_lines import (
    Border,
)
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.stars import stars

feature = lazily("skimage.feature")
filters = lazily("skimage.filters")

# Standard deviation of a Gaussian whose kernel is one pixel.
NO_BLUR = 0.1


@operation(
    "Shape index",
    "Features",
    Local(lambda sigma, mode, cval: reach(sigma) + 2),
    channels="gray",
    floats=True,
    shows=(-1, 1),
    arrays=10,
    cost=lambda sigma, **_: 1.7 + 0.07 * reach(sigma),
    differs="the result is 0 where the image is flat; scikit-image's is NaN",
)
def shape_index(
    image: Image,
    sigma: Sigma = 1.0,
    mode: Border = "constant",
    cval: Fill = 0.0,
    *,
    place: Place,
) -> Image:
    """Compute the shape index of brightness: hollows are dark, saddles gray, hills bright.

    Parameters
    ----------
    sigma : float
        Standard deviation of the blur that comes first; a higher value finds larger shapes.

    Notes
    -----
    scikit-image returns NaN where the image is flat, because it has no shape there. Here the
    result is 0, mid gray, because a picture of integers cannot hold NaN.

    References
    ----------
    skimage.feature.shape_index
    """
    refuse_lines(place.shape)
    smooth = filters.gaussian(image, sigma, mode=mode, cval=cval)
    # With mode "wrap" the block contains pixels of the opposite edge, which only the blur reads.
    inside = place.window.clipped(place.shape).relative_to(place.window)
    result: Image = np.zeros_like(smooth)
    curved = feature.shape_index(smooth[inside.slices], NO_BLUR)
    result[inside.slices] = np.nan_to_num(curved)
    return result


def box_side(sigma: float) -> int:
    """Return the side of the largest box that approximates a Gaussian's second derivative."""
    return int(3 * sigma) | 1


@operation(
    "Blobs (determinant of the Hessian)",
    "Features",
    Local(
        lambda sigma, approximate: box_side(sigma) + 1 if approximate else reach(sigma) + 2,
        grid=lambda sigma, approximate: CELL if approximate else 1,
    ),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=10,
    cost=lambda sigma, approximate: 1 + 0.05 * sigma if approximate else 8 + 0.3 * reach(sigma),
)
def hessian_matrix_det(
    image: Image,
    sigma: Annotated[float, Number(1, 100, unit="px", slider=(1, 20), step=0.5)] = 3.0,
    approximate: bool = True,
    *,
    place: Place,
) -> Image:
    """Find round spots of one size (determinant of the Hessian); light and dark ones become bright.

    Parameters
    ----------
    sigma : float
        Size of the spots with the strongest response, as the standard deviation of a Gaussian.
    approximate : bool
        Whether to use boxes instead of Gaussians: equally fast for any size, but coarse for small
        ones.

    Notes
    -----
    The boxes are sums from an integral image, whose rounding depends on where it begins. Therefore
    they are summed in cells of a fixed grid.

    References
    ----------
    skimage.feature.hessian_matrix_det
    """
    if approximate:
        boxes = partial(feature.hessian_matrix_det, sigma=sigma)
        return in_cells(boxes, image, place, box_side(sigma) + 1)
    refuse_lines(image.shape)
    result: Image = feature.hessian_matrix_det(image, sigma, approximate=False)
    return result


@operation(
    "Local binary pattern",
    "Features",
    Local(lambda P, R, method: ceil(R)),  # noqa: N803 - scikit-image's names
    shows="extent",
    arrays=8,
    cost=lambda P, R, method: 1 + P / 2,  # noqa: N803
    differs="for the method var, the result is 0 where all points are equal; scikit-image's is NaN",
)
def local_binary_pattern(
    image: Image,
    P: Annotated[int, Number(2, 24, unit="points", slider=(4, 24), step=1)] = 8,  # noqa: N803
    R: Annotated[float, Number(0.5, 50, unit="px", slider=(1, 10), step=0.5)] = 1.0,  # noqa: N803
    method: Literal["default", "ror", "uniform", "nri_uniform", "var"] = "default",
    *,
    place: Place,
) -> Image:
    """Compute local binary patterns, which describe texture by the brighter points around a pixel.

    Parameters
    ----------
    P : int
        Number of points on a circle around the pixel.
    R : float
        Radius of the circle.
    method : str
        How a pattern becomes a number: one bit for each point (default), the smallest number that
        rotating the circle can give (ror), the number of brighter points if they form one run
        (uniform), the run and its position (nri_uniform), or the variance of the points (var).

    Notes
    -----
    Whether a point between pixels is as bright as the centre may depend on the last bit, and this
    bit depends on the pixel's row and column in the whole image. Therefore the points are
    interpolated here, with scikit-image's arithmetic, at their position in the whole image. Where
    all points are equal, scikit-image's variance is NaN; here it is 0.

    References
    ----------
    skimage.feature.local_binary_pattern
    """
    if image.ndim == 3:
        return each_channel(
            lambda plane: local_binary_pattern(plane, P, R, method, place=place), image
        )
    if method == "var":
        return patterns.variance(image, P, R, place)
    found: Image = patterns.compared(image, P, R, place)
    if method != "default":
        number = {
            "ror": patterns.least_rotation,
            "uniform": patterns.uniform,
            "nri_uniform": patterns.numbered_runs,
        }
        found = number[method](found, P)
    return found.astype(np.float64)


@operation(
    "Oriented gradients",
    "Features",
    Local(
        lambda orientations, pixels_per_cell: pixels_per_cell,
        grid=lambda orientations, pixels_per_cell: pixels_per_cell,
    ),
    channels="any",
    floats=True,
    shows="extent",
    arrays=14,
    cost=lambda orientations, pixels_per_cell: (
        30 + 6 * orientations + 200 * orientations / pixels_per_cell**2
    ),
    differs="an image smaller than a cell is black; scikit-image refuses it",
)
def hog(
    image: Image,
    orientations: Annotated[int, Number(1, 36, slider=(4, 18), step=1)] = 9,
    pixels_per_cell: Annotated[int, Number(4, 64, unit="px", slider=(4, 32), step=1)] = 8,
    *,
    place: Place,
) -> Image:
    """Draw the histogram of oriented gradients (HOG): in every cell, a star of lines along edges.

    Stronger edges give brighter lines. Of the colours of a pixel, the one with the steepest slope
    counts.

    Parameters
    ----------
    orientations : int
        Number of directions into which slopes are sorted.
    pixels_per_cell : int
        Rows and columns of a cell.

    Notes
    -----
    scikit-image refuses an image smaller than a cell; here the result is black. So are the pixels
    that are left over beside the last cell.

    References
    ----------
    skimage.feature.hog
    """
    side = pixels_per_cell
    rows, columns = image.shape[:2]
    floats = image.astype(np.float32 if image.dtype == np.float32 else np.float64, copy=False)
    if min(rows, columns) < side:
        return np.zeros((rows, columns), floats.dtype)
    return stars(floats, orientations, side, place.window)
