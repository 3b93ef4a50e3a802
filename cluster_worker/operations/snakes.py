"""Morphological snakes: outlines that move by erosions and dilations."""

from collections.abc import Callable
from itertools import cycle
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Local,
    Number,
    Whole,
    each_channel,
    operation,
)
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.propagation import AS_MASK, refuse_nan

segmentation = lazily("skimage.segmentation")
morphsnakes = lazily("skimage.segmentation.morphsnakes")

DIFFERS = (
    "smoothing begins with the same of its two steps each time; scikit-image goes on with the one "
    "that it did not do last, in whatever call that was"
)
Rounds = Annotated[int, Number(1, 2000, slider=(1, 300), step=1), "Number of rounds."]
Smoothing = Annotated[
    int,
    Number(0, 20, slider=(0, 5), step=1),
    "How often the outline is smoothed in each round; more gives a smoother outline.",
]


@operation(
    "Flatness (for snakes)",
    "Edges",
    Local(lambda alpha, sigma: reach(sigma)),
    floats=True,
    arrays=5,
    cost=lambda alpha, sigma: 2.0 + sigma,
    exponential=True,
)
def inverse_gaussian_gradient(
    image: Image,
    alpha: Annotated[float, Number(0, 1e6, slider=(1, 1000), step=1)] = 100.0,
    sigma: Annotated[float, Number(0.1, 100, unit="px", slider=(0.5, 20), step=0.5)] = 5.0,
) -> Image:
    """Show flat areas white and edges dark; use it before morphological_geodesic_active_contour.

    Parameters
    ----------
    alpha : float
        How strongly edges are darkened.
    sigma : float
        Standard deviation of the blur before edges are found.

    References
    ----------
    skimage.segmentation.inverse_gaussian_gradient
    """
    return each_channel(
        lambda plane: segmentation.inverse_gaussian_gradient(plane, alpha, sigma), image
    )


def refuse_whole_numbers(image: Image) -> None:
    """Raise ValueError for an image that is not of floats."""
    if image.dtype.kind != "f":
        raise ValueError(
            f"takes floats, got {image.dtype}; put inverse_gaussian_gradient before it"
        )


def mask_of_floats(image: Image) -> Image:
    """Return a mask as large as an image; planning refuses what is not of floats."""
    refuse_whole_numbers(image)
    return AS_MASK(image)


def evolved(function: Callable[..., Image], image: Image, *given: Any, **named: Any) -> Image:
    """Run one of scikit-image's snakes from its first step of smoothing; return the mask."""
    refuse_nan(image)
    if min(image.shape) < 2:
        rows, columns = image.shape
        raise ValueError(f"takes images of 2 × 2 pixels or more, got {rows} × {columns}")
    # It keeps which of two functions comes next in the module, for all calls.
    morphsnakes._curvop.funcs = cycle(
        (
            lambda u: morphsnakes.sup_inf(morphsnakes.inf_sup(u)),
            lambda u: morphsnakes.inf_sup(morphsnakes.sup_inf(u)),
        )
    )
    return np.asarray(function(image, *given, **named) > 0)


@operation(
    "Two classes (snakes)",
    "Regions",
    Whole(
        "Each round needs the means of both classes to the last bit, which sums over tiles miss.",
        like=AS_MASK,
    ),
    channels="gray",
    floats=True,
    arrays=12,
    cost=lambda num_iter, smoothing, **_: num_iter * (1.0 + 2.0 * smoothing),
    native_dtype="int8",
    differs=DIFFERS,
)
def morphological_chan_vese(
    image: Image,
    num_iter: Rounds = 35,
    init_level_set: Literal["checkerboard", "disk"] = "checkerboard",
    smoothing: Smoothing = 1,
    lambda1: Annotated[float, Number(0, 100, slider=(0, 5), step=0.1)] = 1.0,
    lambda2: Annotated[float, Number(0, 100, slider=(0, 5), step=0.1)] = 1.0,
) -> Image:
    """Split an image into two classes of brightness, with outlines that move by morphology.

    The result is a mask. It is faster than chan_vese, and has no step size that must suit.

    Parameters
    ----------
    init_level_set : str
        Outline to start from.
    lambda1 : float
        Weight of the differences in brightness outside of the outline.
    lambda2 : float
        Weight of the differences in brightness within the outline.

    References
    ----------
    skimage.segmentation.morphological_chan_vese
    """
    return evolved(
        segmentation.morphological_chan_vese,
        image,
        num_iter,
        init_level_set,
        smoothing,
        lambda1,
        lambda2,
    )


@operation(
    "Fit an outline (snakes)",
    "Regions",
    Whole(
        "The outline may move over the whole image, and its threshold is that of all its pixels.",
        like=mask_of_floats,
    ),
    channels="gray",
    floats=True,
    arrays=12,
    cost=lambda num_iter, smoothing, **_: num_iter * (3.0 + 2.0 * smoothing),
    native_dtype="int8",
    differs=DIFFERS,
)
def morphological_geodesic_active_contour(
    image: Image,
    num_iter: Rounds = 100,
    init_level_set: Literal["disk", "checkerboard"] = "disk",
    smoothing: Smoothing = 1,
    threshold: Annotated[float | None, Number(0, 1, slider=(0, 1), step=0.01)] = None,
    balloon: Annotated[float, Number(-10, 10, slider=(-1, 1), step=0.1)] = 0.0,
) -> Image:
    """Move an outline until it lies on edges; use it after inverse_gaussian_gradient.

    The result is a mask of what the outline encloses.

    Parameters
    ----------
    init_level_set : str
        Outline to start from.
    threshold : float, optional
        Darkest level over which the outline still moves; automatic is the level that 40 % of the
        pixels do not exceed.
    balloon : float
        Whether the outline shrinks (less than 0) or grows (more than 0) in flat areas.

    References
    ----------
    skimage.segmentation.morphological_geodesic_active_contour
    """
    refuse_whole_numbers(image)
    return evolved(
        segmentation.morphological_geodesic_active_contour,
        image,
        num_iter,
        init_level_set,
        smoothing,
        "auto" if threshold is None else threshold,
        balloon,
    )
