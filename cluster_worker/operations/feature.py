"""Features: edges, corners, spots and texture."""

from dataclasses import replace
from functools import partial
from math import ceil
from typing import Annotated, Any, Literal

import numpy as np
from skimage import feature, filters

from cluster_worker.kernels import corners, patterns
from cluster_worker.kernels.edge_lines import REACH_MAX
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Local,
    Number,
    Place,
    Stage,
    each_channel,
    operation,
)
from cluster_worker.operations.filters import reach
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.cells import CELL, in_cells
from cluster_worker.operations.support.edge_lines import (
    Blur,
    Border,
    canny_lines,
    canny_lines_by_loops,
    like_lines,
    lines_by_quantiles,
    linked,
    of_magnitude,
    shares_of,
    slopes,
)
from cluster_worker.operations.support.propagation import selection_stages
from cluster_worker.operations.support.quantiles import quantiles
from cluster_worker.operations.support.stars import stars


def lines_are_local(sigma: float, use_quantiles: bool, **_: Any) -> bool:
    """Return whether one kernel can find the lines of a block from its own pixels alone."""
    return not use_quantiles and reach(sigma) <= REACH_MAX


def canny_by_loops(
    sigma: float,
    low_threshold: float | None,
    high_threshold: float | None,
    mode: Border,
    cval: float,
    **more: Any,
) -> tuple[Stage, ...]:
    """Return the stages of Canny's method, with lines found by compiled loops."""
    thresholds = (low_threshold, high_threshold)
    blur = Blur(sigma, mode, cval)
    first, *follow = canny(sigma, *thresholds, mode=mode, cval=cval, **more)
    lines = partial(canny_lines_by_loops, given=thresholds, blur=blur)
    like = partial(like_lines, given=thresholds)
    return (replace(first, function=lines, like=like), *follow)


Threshold = Annotated[float | None, Number(0, 1, slider=(0, 1), step=0.01)]


@operation(
    "Edge detection",
    "Features",
    Composed("propagating"),
    channels="gray",
    floats=True,
    arrays=12,
    cost=lambda sigma, mode, **_: 5 + sigma * (1 if mode == "constant" else 0.5),
    kernels=(Kernel(canny_by_loops, when=lines_are_local, gray=True, arrays=3, cost=2),),
)
def canny(
    sigma: Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 10), step=0.1)] = 1.0,
    low_threshold: Threshold = None,
    high_threshold: Threshold = None,
    use_quantiles: bool = False,
    mode: Border = "constant",
    cval: Fill = 0.0,
) -> tuple[Stage, ...]:
    """Find edges as thin lines with Canny's method.

    Parameters
    ----------
    sigma : float
        Standard deviation of the blur that comes first; a higher value finds fewer, coarser edges.
    low_threshold : float, optional
        Slope down to which an edge is followed; automatic is 0.1.
    high_threshold : float, optional
        Slope at which an edge begins; automatic is 0.2.
    use_quantiles : bool
        Whether a threshold is the share of pixels with gentler slopes, instead of a slope.
    mode : str
        What lies beyond the image's border for the blur: nothing or a value ("constant"), its last
        pixel ("nearest"), its mirror image with or without the last pixel twice ("reflect",
        "mirror"), or its opposite edge ("wrap").

    References
    ----------
    skimage.feature.canny
    """
    halo = reach(sigma) + 1
    wraps = mode == "wrap"
    blur = Blur(sigma, mode, cval)
    follow = selection_stages(linked, 2)
    given = (low_threshold, high_threshold)
    if not use_quantiles:
        found = partial(canny_lines, given=given, blur=blur)
        return (Stage(found, halo + 1, wraps=wraps), *follow)
    shares = shares_of(*given)
    measures = tuple(replace(each, of=partial(of_magnitude, each.of)) for each in quantiles(shares))
    return (
        Stage(partial(slopes, blur=blur), halo, wraps=wraps),
        Stage(partial(lines_by_quantiles, shares=shares), 1, measures),
        *follow,
    )


Sigma = Annotated[
    float,
    Number(0.1, 100, unit="px", slider=(0.3, 10), step=0.1),
    "Standard deviation of the Gaussian over which slopes are gathered.",
]


def fast_by_loop(
    image: Image, n: int, threshold: float, *, place: Place, out: Image | None
) -> Image:
    """Compute the response of the FAST corner test with a compiled loop."""
    refuse_lines(place.shape)
    return corners.fast(image, n, threshold, place=place, out=out)


def refuse_lines(shape: tuple[int, ...]) -> None:
    """Raise ValueError for an image of one row or column: scikit-image finds no corners there."""
    if 1 in shape:
        raise ValueError("the image must have two rows and two columns or more, it has only one")


@operation(
    "Corners (Harris)",
    "Features",
    Local(lambda method, k, eps, sigma: reach(sigma) + 1),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=8,
    cost=4,
)
def corner_harris(
    image: Image,
    method: Literal["k", "eps"] = "k",
    k: Annotated[float, Number(0, 0.25, slider=(0, 0.2), step=0.01)] = 0.05,
    eps: Annotated[float, Number(1e-12, 1, slider=(1e-6, 0.1))] = 1e-6,
    sigma: Sigma = 1.0,
) -> Image:
    """Compute the Harris corner response: bright at corners, dark along edges.

    Parameters
    ----------
    method : str
        Formula of the response: the one with the factor `k`, or Noble's, which has `eps` instead.
    k : float
        How strictly corners are separated from edges; small values find sharp corners.
    eps : float
        Small number that prevents a division by zero in Noble's formula.

    References
    ----------
    skimage.feature.corner_harris
    """
    refuse_lines(image.shape)
    result: Image = feature.corner_harris(image, method, k, eps, sigma)
    return result


@operation(
    "Corners (Shi and Tomasi)",
    "Features",
    Local(lambda sigma: reach(sigma) + 1),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=8,
    cost=4,
)
def corner_shi_tomasi(image: Image, sigma: Sigma = 1.0) -> Image:
    """Compute the Shi–Tomasi corner response: bright at corners that are good to track.

    The response is the smaller eigenvalue of the structure tensor.

    References
    ----------
    skimage.feature.corner_shi_tomasi
    """
    refuse_lines(image.shape)
    result: Image = feature.corner_shi_tomasi(image, sigma)
    return result


@operation(
    "Corners (Förstner)",
    "Features",
    Local(lambda response, sigma: reach(sigma) + 1),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=9,
    cost=5,
)
def corner_foerstner(image: Image, response: Literal["w", "q"] = "w", sigma: Sigma = 1.0) -> Image:
    """Compute Förstner's corner measures: the size or the roundness of each point's error ellipse.

    Parameters
    ----------
    response : str
        Which of the two results is shown: w is large where the error ellipse is small, at corners
        and dots; q is 1 where that ellipse is a circle and 0 where it is a line.

    References
    ----------
    skimage.feature.corner_foerstner
    """
    refuse_lines(image.shape)
    # The square of a tiny trace may underflow to 0.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sharpness, roundness = feature.corner_foerstner(image, sigma)
    result: Image = sharpness if response == "w" else roundness
    return result


@operation(
    "Corners (Kitchen and Rosenfeld)",
    "Features",
    Local(lambda mode, cval: 2),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=12,
    cost=4,
)
def corner_kitchen_rosenfeld(image: Image, mode: Border = "constant", cval: Fill = 0.0) -> Image:
    """Compute the Kitchen–Rosenfeld corner response: corners are the brightest or darkest points.

    References
    ----------
    skimage.feature.corner_kitchen_rosenfeld
    """
    result: Image = feature.corner_kitchen_rosenfeld(image, mode, cval)
    return result


@operation(
    "Corners (Moravec)",
    "Features",
    Local(lambda window_size: 2 * window_size),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=3,
    cost=lambda window_size: (2 * window_size + 1) ** 4 / 50,
    kernels=(
        Kernel(
            corners.moravec,
            takes=("float32",),
            gray=True,
            exact=True,
            arrays=1,
            cost=lambda window_size: (2 * window_size + 1) ** 4 / 500,
        ),
    ),
)
def corner_moravec(
    image: Image, window_size: Annotated[int, Number(1, 10, unit="px", slider=(1, 4), step=1)] = 1
) -> Image:
    """Compute the Moravec corner response: how much a window differs from its neighbour windows.

    It is the oldest corner detector; it also responds to slanted edges.

    Parameters
    ----------
    window_size : int
        How far the windows reach from their centre.

    References
    ----------
    skimage.feature.corner_moravec
    """
    result: Image = feature.corner_moravec(image, window_size)
    return result


@operation(
    "Corners (FAST)",
    "Features",
    Local(lambda n, threshold: corners.CIRCLE_RADIUS),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=3,
    kernels=(Kernel(fast_by_loop, takes=("float32", "float64"), gray=True, exact=True, arrays=1),),
)
def corner_fast(
    image: Image,
    n: Annotated[int, Number(1, 16, unit="px", slider=(8, 16), step=1)] = 12,
    threshold: Annotated[float, Number(0, 1, slider=(0, 0.5), step=0.01)] = 0.15,
) -> Image:
    """Find corners with the FAST test, which compares a pixel with a circle of 16 pixels around it.

    Parameters
    ----------
    n : int
        How many pixels in a row on the circle must be brighter, or darker, than the centre.
    threshold : float
        By how much they must be brighter or darker, as a share of white.

    References
    ----------
    skimage.feature.corner_fast
    """
    refuse_lines(image.shape)
    result: Image = feature.corner_fast(image, n, threshold)
    return result


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
    cost=2,
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
    cost=lambda sigma, approximate: 1 if approximate else 8,
    tolerance=1e-6,
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
        2 * orientations + 430 * orientations / pixels_per_cell**2
    ),
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
