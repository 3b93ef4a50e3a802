"""Geometry: the next smaller and the next larger level of a pyramid of images."""

import math
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from skimage import filters

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
from cluster_worker.operations.filters import reach
from cluster_worker.operations.sizes import (
    Shape,
    Smoothing,
    are_sums,
    blurred_then_zoomed,
    by_sums,
    resized_window,
    resizing,
)
from cluster_worker.operations.support import sampling
from cluster_worker.operations.support.sampling import Border, Indices, Level
from cluster_worker.operations.support.taps import Shares, own, through_blur, through_zoom
from cluster_worker.pixels.tiling import Span

Degree = Annotated[int, Number(0, 3, step=1)]


# What skimage.transform's pyramids take: skimage.filters.gaussian refuses their other modes.
PyramidBorder = Literal["reflect", "constant", "wrap"]


def smoothed(image: Image, sigma: float, mode: str, cval: float) -> Image:
    """Blur as the pyramids do."""
    result: Image = filters.gaussian(
        image, sigma, mode=mode, cval=cval, channel_axis=channel_axis(image)
    )
    return result


def blurring(sigma: float, mode: str, cval: float) -> Stage:
    """Make the stage that blurs."""
    blur = partial(smoothed, sigma=sigma, mode=mode, cval=cval)
    return Stage(blur, reach(sigma), wraps=sampling.wraps(mode))


def reduced_shape(shape: Shape, downscale: float) -> Shape:
    """Give rows and columns of the next smaller level."""
    return math.ceil(shape[0] / downscale), math.ceil(shape[1] / downscale)


def spread_over(_: Shape, __: Shape, sigma: float) -> tuple[float, float]:
    """Give the standard deviations of a blur that is the same for rows and columns."""
    return sigma, sigma


def reduce_by_sums(
    downscale: float, sigma: float | None, order: int, mode: Border, cval: float
) -> tuple[Stage, ...]:
    """Make the stage of a smaller level, by a kernel."""
    spread = 2 * downscale / 6.0 if sigma is None else sigma
    shape_of = partial(reduced_shape, downscale=downscale)
    # The blur is counted in by the window of one that shrinks.
    (stage,) = resizing(shape_of, order, mode, cval, anti_aliasing=True, sigma=spread)
    way = partial(blurred_then_zoomed, order=order, mode=mode, blur_mode="symmetric")
    return by_sums(stage, shape_of, partial(spread_over, sigma=spread), way)


@operation(
    "Smaller (pyramid)",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=2,
    tolerance=1e-6,
    kernels=(Kernel(reduce_by_sums, when=are_sums, arrays=0, cost=0.3, tolerance=1e-6),),
)
def pyramid_reduce(
    downscale: Annotated[float, Number(1.01, 100, slider=(1.1, 8), step=0.1)] = 2.0,
    sigma: Smoothing = None,
    order: Degree = 1,
    mode: PyramidBorder = "reflect",
    cval: Level = 0.0,
) -> tuple[Stage, ...]:
    """Blur an image and make it smaller, as the next level of a pyramid.

    Parameters
    ----------
    downscale : float
        How many times smaller.
    sigma : float
        Standard deviation of the blur. Null means a third of the factor.
    order : int
        How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic and 3 cubic
        spline.
    mode : str
        What lies beyond the image's border: its mirror image, one level, or the opposite edge.
    cval : float
        The level for the mode constant, as a share of white.

    References
    ----------
    skimage.transform.pyramid_reduce
    """
    spread = 2 * downscale / 6.0 if sigma is None else sigma
    return (
        blurring(spread, mode, cval),
        *resizing(partial(reduced_shape, downscale=downscale), order, mode, cval),
    )


def expanded_shape(shape: Shape, upscale: float) -> Shape:
    """Give rows and columns of the next larger level."""
    return math.ceil(upscale * shape[0]), math.ceil(upscale * shape[1])


def zoomed_then_blurred(
    pixels: Indices, length: int, new: int, sigma: float, order: int, mode: Border
) -> Shares:
    """Blur an axis that is sampled."""
    around = through_blur(own(pixels), new, sigma, "symmetric")
    return through_zoom(around, length, new, order, mode)


def expanded_window(core: Span, shape: Shape, halo: int, upscale: float, **others: Any) -> Span:
    """Give what a core of the blurred result is made from."""
    shape_of = partial(expanded_shape, upscale=upscale)
    around = core.grown(halo).clipped(shape_of(shape))
    return resized_window(around, shape, shape_of, **others, anti_aliasing=False, sigma=None)


def expand_by_sums(
    upscale: float, sigma: float | None, order: int, mode: Border, cval: float
) -> tuple[Stage, ...]:
    """Make the stage of a larger level, by a kernel."""
    spread = 2 * upscale / 6.0 if sigma is None else sigma
    shape_of = partial(expanded_shape, upscale=upscale)
    (stage,) = resizing(shape_of, order, mode, cval)
    window = partial(expanded_window, halo=reach(spread), upscale=upscale, order=order, mode=mode)
    stage = replace(stage, geometry=Geometry(shape_of, window))
    way = partial(zoomed_then_blurred, order=order, mode=mode)
    return by_sums(stage, shape_of, partial(spread_over, sigma=spread), way)


@operation(
    "Larger (pyramid)",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=3,
    tolerance=1e-6,
    kernels=(Kernel(expand_by_sums, when=are_sums, arrays=0, cost=0.3, tolerance=1e-6),),
)
def pyramid_expand(
    upscale: Annotated[float, Number(1.01, 20, slider=(1.1, 8), step=0.1)] = 2.0,
    sigma: Smoothing = None,
    order: Degree = 1,
    mode: PyramidBorder = "reflect",
    cval: Level = 0.0,
) -> tuple[Stage, ...]:
    """Make an image larger and smooth, as the next level of a pyramid.

    Parameters
    ----------
    upscale : float
        How many times larger.
    sigma : float
        Standard deviation of the blur, in pixels of the result. Null means a third of the factor.
    order : int
        How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic and 3 cubic
        spline.
    mode : str
        What lies beyond the image's border: its mirror image, one level, or the opposite edge.
    cval : float
        The level for the mode constant, as a share of white.

    References
    ----------
    skimage.transform.pyramid_expand
    """
    spread = 2 * upscale / 6.0 if sigma is None else sigma
    return (
        Stage(sampling.as_floats),
        *resizing(partial(expanded_shape, upscale=upscale), order, mode, cval),
        blurring(spread, mode, cval),
    )
