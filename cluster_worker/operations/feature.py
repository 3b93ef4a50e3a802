"""Features: edges and corners."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import corners
from cluster_worker.kernels.edge_lines import REACH_MAX
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Input,
    Kernel,
    Local,
    Number,
    Place,
    Stage,
    operation,
)
from cluster_worker.operations.support.borders import Fill
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
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.propagation import selection_stages
from cluster_worker.operations.support.quantiles import quantiles

feature = lazily("skimage.feature")


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
    mask: Annotated[bool, Input("mask")] = False,  # noqa: ARG001 - the stages are given the image
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
    mask : ndarray, optional
        Where edges are looked for; pixels outside of it do not change the result.

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
    cost=lambda sigma, **_: 2.8 + 0.3 * reach(sigma),
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
    cost=lambda sigma: 2.8 + 0.3 * reach(sigma),
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
    cost=lambda sigma, **_: 3.8 + 0.3 * reach(sigma),
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
    # A threshold below the noise leaves the whole circle to look at around most pixels.
    cost=lambda threshold, **_: 1 + 11 / (1 + (threshold / 0.02) ** 2),
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
