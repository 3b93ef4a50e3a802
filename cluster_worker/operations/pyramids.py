"""Geometry: the next smaller and the next larger level of an image pyramid."""

import math
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Geometry,
    Image,
    Kernel,
    Number,
    Stage,
    channel_axis,
    operation,
)
from cluster_worker.operations.sizes import (
    Shape,
    Smoothing,
    are_sums,
    blurred_then_zoomed,
    by_sums,
    resize_stages,
    resized_window,
)
from cluster_worker.operations.support import folding, sampling
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.folding import Border, Indices
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.taps import Shares, identity, through_blur, through_zoom
from cluster_worker.pixels.tiling import Span

filters = lazily("skimage.filters")

Degree = Annotated[int, Number(0, 3, step=1), sampling.DEGREES]


# What skimage.transform's pyramids take: skimage.filters.gaussian refuses their other modes.
PyramidBorder = Annotated[
    Literal["reflect", "constant", "wrap"],
    "What lies beyond the image's border: its mirror image (reflect), one level (constant), or "
    "its opposite edge (wrap).",
]


def smoothed(image: Image, sigma: float, mode: str, cval: float) -> Image:
    """Blur an image as scikit-image's pyramids do."""
    result: Image = filters.gaussian(
        image, sigma, mode=mode, cval=cval, channel_axis=channel_axis(image)
    )
    return result


def blurring(sigma: float, mode: str, cval: float) -> Stage:
    """Make the stage that blurs; `sigma` is in pixels."""
    blur = partial(smoothed, sigma=sigma, mode=mode, cval=cval)
    return Stage(blur, reach(sigma), wraps=folding.wraps(mode))


def reduced_shape(shape: Shape, downscale: float) -> Shape:
    """Return rows and columns of the next smaller level."""
    return math.ceil(shape[0] / downscale), math.ceil(shape[1] / downscale)


def pyramid_cost(usual: float, sigma: float | None, order: int, **_: Any) -> float:
    """Return the cost for a pixel of the larger image: splines and wide blurs cost more."""
    return usual * ((5 if order > 1 else 1) + 0.5 * reach(sigma or 0))


def spread_over(_: Shape, __: Shape, sigma: float) -> tuple[float, float]:
    """Return the standard deviations of a blur that is the same for rows and columns."""
    return sigma, sigma


def reduce_by_sums(
    downscale: float, sigma: float | None, order: int, mode: Border, cval: float
) -> tuple[Stage, ...]:
    """Make the stage of `pyramid_reduce` with a kernel."""
    spread = 2 * downscale / 6.0 if sigma is None else sigma
    shape_of = partial(reduced_shape, downscale=downscale)
    # With anti-aliasing the window of the stage includes the reach of the blur.
    (stage,) = resize_stages(shape_of, order, mode, cval, anti_aliasing=True, sigma=spread)
    shares_of = partial(blurred_then_zoomed, order=order, mode=mode, blur_mode="symmetric")
    return by_sums(stage, shape_of, partial(spread_over, sigma=spread), shares_of)


@operation(
    "Smaller (pyramid)",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=partial(pyramid_cost, 2),
    tolerance=1e-6,
    averages=True,
    kernels=(
        Kernel(
            reduce_by_sums,
            when=are_sums,
            arrays=0,
            cost=partial(pyramid_cost, 0.3),
            tolerance=1e-6,
        ),
    ),
    differs=sampling.DIFFERS,
)
def pyramid_reduce(
    downscale: Annotated[float, Number(1.01, 100, slider=(1.1, 8), step=0.1)] = 2.0,
    sigma: Smoothing = None,
    order: Degree = 1,
    mode: PyramidBorder = "reflect",
    cval: Fill = 0.0,
) -> tuple[Stage, ...]:
    """Compute the next smaller level of a Gaussian pyramid: blur an image, then make it smaller.

    Parameters
    ----------
    downscale : float
        How many times smaller the result is.
    sigma : float
        Standard deviation of the blur, in pixels of the image. Null means a third of the factor.

    References
    ----------
    skimage.transform.pyramid_reduce
    """
    spread = 2 * downscale / 6.0 if sigma is None else sigma
    return (
        blurring(spread, mode, cval),
        *resize_stages(partial(reduced_shape, downscale=downscale), order, mode, cval),
    )


def expanded_shape(shape: Shape, upscale: float) -> Shape:
    """Return rows and columns of the next larger level."""
    return math.ceil(upscale * shape[0]), math.ceil(upscale * shape[1])


def zoomed_then_blurred(
    pixels: Indices, length: int, new: int, sigma: float, order: int, mode: Border
) -> Shares:
    """Compute the shares of an axis that is resized, then blurred."""
    around = through_blur(identity(pixels), new, sigma, "symmetric")
    return through_zoom(around, length, new, order, mode)


def expanded_window(core: Span, shape: Shape, halo: int, upscale: float, **others: Any) -> Span:
    """Compute the span of the image that a core of the blurred result reads."""
    shape_of = partial(expanded_shape, upscale=upscale)
    around = core.grown(halo).clipped(shape_of(shape))
    return resized_window(around, shape, shape_of, **others, anti_aliasing=False, sigma=None)


def expand_by_sums(
    upscale: float, sigma: float | None, order: int, mode: Border, cval: float
) -> tuple[Stage, ...]:
    """Make the stage of `pyramid_expand` with a kernel."""
    spread = 2 * upscale / 6.0 if sigma is None else sigma
    shape_of = partial(expanded_shape, upscale=upscale)
    (stage,) = resize_stages(shape_of, order, mode, cval)
    window = partial(expanded_window, halo=reach(spread), upscale=upscale, order=order, mode=mode)
    stage = replace(stage, geometry=Geometry(shape_of, window))
    shares_of = partial(zoomed_then_blurred, order=order, mode=mode)
    return by_sums(stage, shape_of, partial(spread_over, sigma=spread), shares_of)


@operation(
    "Larger (pyramid)",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=partial(pyramid_cost, 3),
    tolerance=1e-6,
    averages=True,
    kernels=(
        Kernel(
            expand_by_sums,
            when=are_sums,
            arrays=0,
            cost=partial(pyramid_cost, 0.3),
            tolerance=1e-6,
        ),
    ),
    differs=sampling.DIFFERS,
)
def pyramid_expand(
    upscale: Annotated[float, Number(1.01, 20, slider=(1.1, 8), step=0.1)] = 2.0,
    sigma: Smoothing = None,
    order: Degree = 1,
    mode: PyramidBorder = "reflect",
    cval: Fill = 0.0,
) -> tuple[Stage, ...]:
    """Compute the next larger level of a Gaussian pyramid: make an image larger, then blur it.

    Parameters
    ----------
    upscale : float
        How many times larger the result is.
    sigma : float
        Standard deviation of the blur, in pixels of the result. Null means a third of the factor.

    References
    ----------
    skimage.transform.pyramid_expand
    """
    spread = 2 * upscale / 6.0 if sigma is None else sigma
    return (
        Stage(sampling.as_floats),
        *resize_stages(partial(expanded_shape, upscale=upscale), order, mode, cval),
        blurring(spread, mode, cval),
    )
