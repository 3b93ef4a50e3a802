"""Geometry: the size of an image."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from scipy import ndimage

from cluster_worker.kernels import resampling
from cluster_worker.operations.declare import (
    Composed,
    Geometry,
    Image,
    Kernel,
    Number,
    Place,
    Stage,
    operation,
)
from cluster_worker.operations.filters import reach
from cluster_worker.operations.support import clipping, sampling
from cluster_worker.operations.support.sampling import Border, Indices, Level, Order
from cluster_worker.operations.support.taps import (
    Shares,
    Way,
    even_step,
    own,
    taps,
    through_blur,
    through_zoom,
    zoomed,
)
from cluster_worker.pixels.tiling import Span

Shape = tuple[int, int]

Size = Annotated[int, Number(1, 100_000, unit="px", slider=(16, 4096), step=1)]
Smoothing = Annotated[float | None, Number(0, 100, unit="px", slider=(0, 10), step=0.1)]
Factor = Annotated[float, Number(0.01, 20, slider=(0.1, 4), step=0.05)]
OtherFactor = Annotated[float | None, Number(0.01, 20, slider=(0.1, 4), step=0.05)]


def smoothing_for(
    shape: Shape, new: Shape, anti_aliasing: bool, sigma: float | None
) -> tuple[float, float]:
    """Give the standard deviations of the blur before an image is made smaller, in pixels."""
    if not anti_aliasing:
        return 0.0, 0.0
    if sigma is not None:
        return sigma, sigma
    rows, columns = (max(0.0, (a / b - 1) / 2) for a, b in zip(shape, new, strict=True))
    return rows, columns


def resized_window(
    core: Span,
    shape: Shape,
    shape_of: Callable[[Shape], Shape],
    order: int | None,
    mode: Border,
    anti_aliasing: bool,
    sigma: float | None,
) -> Span:
    """Give what a core of the resized image is made from."""
    new = shape_of(shape)
    smoothing = smoothing_for(shape, new, anti_aliasing, sigma)
    edges: list[int] = []
    for axis, (start, stop) in enumerate((core[:2], core[2:])):
        low, high = (zoomed(each, shape[axis], new[axis]) for each in (start, stop - 1))
        around, halo = sampling.NEIGHBOURS, sampling.spline_halo(order) + reach(smoothing[axis])
        edges += sampling.needed(low - around, high + around, shape[axis], mode, halo)
    return Span(*edges)


def resized(
    image: Image,
    shape_of: Callable[[Shape], Shape],
    order: int | None,
    mode: Border,
    cval: float,
    anti_aliasing: bool,
    sigma: float | None,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Fill a core of the resized image.

    Raises
    ------
    ValueError
        If a mask is to be smoothed or interpolated.
    """
    new = shape_of(place.shape)
    never = image.dtype.kind == "b" or (image.dtype.kind == "u" and order == 0)
    if never or not (new[0] < place.shape[0] or new[1] < place.shape[1]):
        anti_aliasing = False
    order = sampling.order_for(image, order)
    block = sampling.as_floats(image) if order > 0 else image
    smoothing = smoothing_for(place.shape, new, anti_aliasing, sigma)
    if anti_aliasing:
        sigmas = smoothing + (0,) * (image.ndim - 2)
        block = ndimage.gaussian_filter(block, sigmas, mode=sampling.SCIPY_MODES[mode], cval=cval)
    result = zoom(block, place, new, order, mode, cval)
    if not statistics:
        return result
    # No pixel of the result lies a whole pixel beyond the border.
    return clipping.clipped(result, image, statistics[0], order, mode, cval, reaches=False)


def zoom(block: Image, place: Place, new: Shape, order: int, mode: Border, cval: float) -> Image:
    """Sample a block at the pixels of a core of the resized image: all rows, then all columns."""
    pixels = sampling.pixels_of(block, place, order, mode, cval)
    core = place.core
    for axis, (start, stop) in enumerate((core[:2], core[2:])):
        at = zoomed(np.arange(start, stop, dtype=np.float64), place.shape[axis], new[axis])
        if not pixels.around:
            at = sampling.folded_coordinates(at, place.shape[axis], mode)
        indices = sampling.neighbours(at, order)
        if order == 0:
            sampled = pixels.along(pixels.located(indices[0], axis), axis)
        else:
            weights = sampling.spline_weights(at, order)
            sampled = sampling.blend(pixels, indices, weights, axis)
        pixels = pixels._replace(block=sampled)
    result: Image = pixels.block.astype(block.dtype, copy=False)
    return result


def resizing(
    shape_of: Callable[[Shape], Shape],
    order: int | None,
    mode: Border,
    cval: float = 0.0,
    anti_aliasing: bool = False,
    sigma: float | None = None,
) -> tuple[Stage, ...]:
    """Make the stages that resize."""
    shared: dict[str, Any] = {"shape_of": shape_of, "order": order, "mode": mode, "sigma": sigma}
    stage = Stage(
        partial(resized, **shared, cval=cval, anti_aliasing=anti_aliasing),
        measures=clipping.measures_for_clipping(order, mode),
        wraps=sampling.wraps(mode),
        geometry=Geometry(shape_of, partial(resized_window, **shared, anti_aliasing=anti_aliasing)),
    )
    return clipping.with_clipping(stage, order, mode, cval)


def resampled(
    image: Image,
    shape_of: Callable[[Shape], Shape],
    smoothing_of: Callable[[Shape, Shape], tuple[float, float]],
    way: Way,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Fill a core of the resized image by sums of its rows and columns."""
    new = shape_of(place.shape)
    smoothing = smoothing_of(place.shape, new)
    down, across = (
        taps(core, after, even_step(before, after), way, length=before, new=after, sigma=s)
        for core, before, after, s in zip(
            (place.core[:2], place.core[2:]), place.shape, new, smoothing, strict=True
        )
    )
    return resampling.resample(image, down, across, dtype=dtype, place=place, out=out)


def blurred_then_zoomed(
    pixels: Indices,
    length: int,
    new: int,
    sigma: float,
    order: int | None,
    mode: Border,
    blur_mode: Border,
) -> Shares:
    """Sample an axis that is blurred."""
    order = 1 if order is None else order
    zoomed_from = through_zoom(own(pixels), length, new, order, mode)
    return through_blur(zoomed_from, length, sigma, blur_mode)


def smoothing_where_smaller(
    shape: Shape, new: Shape, anti_aliasing: bool, sigma: float | None
) -> tuple[float, float]:
    """Give the standard deviations of the blur, which is left out where nothing shrinks."""
    smaller = new[0] < shape[0] or new[1] < shape[1]
    return smoothing_for(shape, new, anti_aliasing and smaller, sigma)


def resizing_by_sums(
    shape_of: Callable[[Shape], Shape],
    order: int | None,
    mode: Border,
    cval: float,
    anti_aliasing: bool,
    anti_aliasing_sigma: float | None,
) -> tuple[Stage, ...]:
    """Make the stage that resizes, by a kernel."""
    (stage,) = resizing(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)
    smoothing_of = partial(
        smoothing_where_smaller, anti_aliasing=anti_aliasing, sigma=anti_aliasing_sigma
    )
    way = partial(blurred_then_zoomed, order=order, mode=mode, blur_mode=mode)
    return by_sums(stage, shape_of, smoothing_of, way)


def by_sums(
    stage: Stage,
    shape_of: Callable[[Shape], Shape],
    smoothing_of: Callable[[Shape, Shape], tuple[float, float]],
    way: Way,
) -> tuple[Stage, ...]:
    """Let a kernel do what a stage does."""
    function = partial(resampled, shape_of=shape_of, smoothing_of=smoothing_of, way=way)
    return (replace(stage, function=function, model=stage),)


def are_sums(mode: Border, order: int | None, **_: Any) -> bool:
    """Whether pixels are sums of a few others, of which none lies beyond the opposite border."""
    return mode not in ("constant", "wrap") and (order is None or order < 2)


def fixed_shape(_: Shape, rows: int, columns: int) -> Shape:
    """Give the rows and columns asked for."""
    return rows, columns


def resize_by_sums(rows: int, columns: int, **others: Any) -> tuple[Stage, ...]:
    """Make the stage of a resize, by a kernel."""
    return resizing_by_sums(partial(fixed_shape, rows=rows, columns=columns), **others)


@operation(
    "Resize",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=3,
    tolerance=1e-6,
    kernels=(Kernel(resize_by_sums, when=are_sums, arrays=0, cost=0.3, tolerance=1e-6),),
)
def resize(
    rows: Size = 256,
    columns: Size = 256,
    order: Order = None,
    mode: Border = "reflect",
    cval: Level = 0.0,
    anti_aliasing: bool = True,
    anti_aliasing_sigma: Smoothing = None,
) -> tuple[Stage, ...]:
    """Give an image another size, larger or smaller.

    Parameters
    ----------
    rows : int
        Height of the result.
    columns : int
        Width of the result.
    order : int
        How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic and 3 cubic
        spline. Null means 1, and 0 for a mask.
    mode : str
        What lies beyond the image's border: one level, the last pixel, the mirror image with or
        without the last pixel twice (symmetric, reflect), or the opposite edge (wrap).
    cval : float
        The level for the mode constant, as a share of white.
    anti_aliasing : bool
        Whether to blur before making smaller, so that fine patterns do not turn into coarse
        ones.
    anti_aliasing_sigma : float
        Standard deviation of that blur. Null means half of what the factor exceeds 1 by.

    Notes
    -----
    Anti-aliasing is scikit-image's own choice, None: it blurs where the result is smaller, but no
    mask, nor whole numbers of which the nearest is taken. Given one number for the blur,
    scikit-image mixes the colours as well; here each keeps to itself.

    References
    ----------
    skimage.transform.resize
    """
    shape_of = partial(fixed_shape, rows=rows, columns=columns)
    return resizing(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)


def scaled_shape(shape: Shape, scale: tuple[float, float]) -> Shape:
    """Give rows and columns of a rescaled image, rounded to the nearest even half."""
    rows, columns = (
        max(int(np.round(factor * length)), 1) for factor, length in zip(scale, shape, strict=True)
    )
    return rows, columns


def rescale_by_sums(scale: float, scale_columns: float | None, **others: Any) -> tuple[Stage, ...]:
    """Make the stage of a rescale, by a kernel."""
    factors = (scale, scale if scale_columns is None else scale_columns)
    return resizing_by_sums(partial(scaled_shape, scale=factors), **others)


@operation(
    "Rescale",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=3,
    tolerance=1e-6,
    kernels=(Kernel(rescale_by_sums, when=are_sums, arrays=0, cost=0.3, tolerance=1e-6),),
)
def rescale(
    scale: Factor = 0.5,
    scale_columns: OtherFactor = None,
    order: Order = None,
    mode: Border = "reflect",
    cval: Level = 0.0,
    anti_aliasing: bool = True,
    anti_aliasing_sigma: Smoothing = None,
) -> tuple[Stage, ...]:
    """Make an image larger or smaller by a factor.

    Parameters
    ----------
    scale : float
        Factor of height and width: 2 is twice as large, 0.5 half.
    scale_columns : float
        Another factor for the width. Null means the same.
    order : int
        How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic and 3 cubic
        spline. Null means 1, and 0 for a mask.
    mode : str
        What lies beyond the image's border: one level, the last pixel, the mirror image with or
        without the last pixel twice (symmetric, reflect), or the opposite edge (wrap).
    cval : float
        The level for the mode constant, as a share of white.
    anti_aliasing : bool
        Whether to blur before making smaller, so that fine patterns do not turn into coarse
        ones.
    anti_aliasing_sigma : float
        Standard deviation of that blur. Null means half of what the factor exceeds 1 by.

    References
    ----------
    skimage.transform.rescale, whose scale may hold both factors
    """
    factors = (scale, scale if scale_columns is None else scale_columns)
    shape_of = partial(scaled_shape, scale=factors)
    return resizing(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)
