"""Geometry: the size of an image."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from scipy import ndimage
from skimage import filters

from cluster_worker.kernels import resampling
from cluster_worker.operations.declare import (
    Composed,
    Geometric,
    Geometry,
    Image,
    Kernel,
    Number,
    Place,
    Stage,
    channel_axis,
    operation,
)
from cluster_worker.operations.filters import reach
from cluster_worker.operations.support import sampling
from cluster_worker.operations.support.sampling import Border, Floats, Indices, Level, Order
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
Degree = Annotated[int, Number(0, 3, step=1)]
# What skimage.transform's pyramids take: skimage.filters.gaussian refuses their other modes.
PyramidBorder = Literal["reflect", "constant", "wrap"]


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
    return sampling.clipped(result, image, statistics[0], order, mode, cval, reaches=False)


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
        measures=sampling.measures_for_clipping(order, mode),
        wraps=sampling.wraps(mode),
        geometry=Geometry(shape_of, partial(resized_window, **shared, anti_aliasing=anti_aliasing)),
    )
    return sampling.with_clipping(stage, order, mode, cval)


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


def downscaled_shape(shape: Shape, factor: int, factor_columns: int | None) -> Shape:
    """Give the number of blocks, those cut by the border included."""
    return -(-shape[0] // factor), -(-shape[1] // (factor_columns or factor))


def downscaled_window(
    core: Span, shape: Shape, factor: int, factor_columns: int | None, **_: Any
) -> Span:
    """Give what a core of the downscaled image is made from."""
    across = factor_columns or factor
    return Span(
        core.top * factor, core.bottom * factor, core.left * across, core.right * across
    ).clipped(shape)


def shares_of_block(pixels: Indices, length: int, factor: int) -> Shares:
    """Take the mean of a block, in which what lies beyond the border is black."""
    within = pixels[:, np.newaxis] * factor + np.arange(factor)
    return Shares(np.minimum(within, length - 1), np.where(within < length, 1 / factor, 0.0))


def means_of_blocks(
    image: Image,
    factor: int,
    factor_columns: int | None,
    cval: float,  # noqa: ARG001 - black, or the kernel does not hold
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Fill a core of the downscaled image by sums of its rows and columns."""
    factors = factor, factor_columns or factor
    new = downscaled_shape(place.shape, factor, factor_columns)
    down, across = (
        taps(core, after, step, shares_of_block, length=before, factor=step)
        for core, before, after, step in zip(
            (place.core[:2], place.core[2:]), place.shape, new, factors, strict=True
        )
    )
    return resampling.resample(image, down, across, dtype=dtype, place=place, out=out)


@operation(
    "Downscale (mean of blocks)",
    "Geometry",
    Geometric(
        lambda shape, factor, factor_columns, cval: downscaled_shape(shape, factor, factor_columns),
        downscaled_window,
    ),
    floats=True,
    pixels="scaled",
    tolerance=1e-6,
    kernels=(
        Kernel(
            means_of_blocks,
            when=lambda cval, **_: cval == 0,
            arrays=0,
            cost=0.3,
            tolerance=1e-6,
        ),
    ),
)
def downscale_local_mean(
    image: Image,
    factor: Annotated[int, Number(1, 100, unit="px", slider=(1, 16), step=1)] = 2,
    factor_columns: Annotated[int | None, Number(1, 100, unit="px", slider=(1, 16), step=1)] = None,
    cval: Level = 0.0,
    *,
    place: Place,
) -> Image:
    """Make an image smaller: each block of pixels becomes its mean.

    Parameters
    ----------
    factor : int
        Height and width of a block.
    factor_columns : int
        Another width. Null means the same.
    cval : float
        Fills up the last blocks where the image's size is no multiple of the factor, as a share
        of white.

    References
    ----------
    skimage.transform.downscale_local_mean, whose factors hold both
    """
    down, across = factor, factor_columns or factor
    height, width = place.core.shape
    missing = height * down - image.shape[0], width * across - image.shape[1]
    if any(missing):
        widths = ((0, missing[0]), (0, missing[1]), (0, 0))[: image.ndim]
        image = np.pad(image, widths, constant_values=cval)
    kind = image.dtype if image.dtype.kind == "f" else np.dtype(np.float64)
    total = np.zeros((height, width, *image.shape[2:]), kind)
    for i in range(down):
        line = image[i::down, ::across].astype(kind)
        for j in range(1, across):
            line += image[i::down, j::across]
        total += line
    total /= kind.type(down * across)
    return total


def mean_range(core: tuple[int, int], length: int, new: int) -> tuple[int, int]:
    """Give the pixels that a range of a resized axis overlaps, and one more on each side."""
    start, stop = (int(each * length // new) for each in core)
    return max(start - 1, 0), min(stop + 2, length)


def mean_window(core: Span, shape: Shape, rows: int, columns: int) -> Span:
    """Give what a core of the resized image is made from."""
    return Span(*mean_range(core[:2], shape[0], rows), *mean_range(core[2:], shape[1], columns))


def mean_shares(
    pixels: Indices, length: int, new: int, kind: Any
) -> tuple[list[Indices], list[Floats]]:
    """Give the pixels that those of a resized axis overlap, and their shares of them."""
    breaks = np.linspace(0, length, new + 1, dtype=kind)
    lower, upper = breaks[pixels], breaks[pixels + 1]
    first = np.floor(lower).astype(np.intp)
    count = int((np.ceil(upper) - first).max())
    indices = [np.minimum(first + i, length - 1) for i in range(count)]
    shares = [
        np.maximum(np.minimum(upper, first + i + 1) - np.maximum(lower, first + i), 0)
        for i in range(count)
    ]
    total = sum(shares)
    return indices, [share / total for share in shares]


def shares_of_area(pixels: Indices, length: int, new: int) -> Shares:
    """Take the mean of the area that a pixel covers."""
    indices, shares = mean_shares(pixels, length, new, np.float32)
    return Shares(np.stack(indices, axis=1), np.stack(shares, axis=1))


def means_of_areas(
    image: Image, rows: int, columns: int, *, dtype: str, place: Place, out: Image | None
) -> Image:
    """Fill a core of the resized image by sums of its rows and columns."""
    down, across = (
        taps(core, after, even_step(before, after), shares_of_area, length=before, new=after)
        for core, before, after in zip(
            (place.core[:2], place.core[2:]), place.shape, (rows, columns), strict=True
        )
    )
    return resampling.resample(image, down, across, dtype=dtype, place=place, out=out)


@operation(
    "Resize (mean of areas)",
    "Geometry",
    Geometric(lambda shape, rows, columns: (rows, columns), mean_window),
    floats=True,
    pixels="scaled",
    cost=2,
    tolerance=1e-6,
    # Floats may be no numbers, and must be looked at first.
    kernels=(Kernel(means_of_areas, ("uint8", "uint16"), arrays=0, cost=0.3, tolerance=1e-6),),
)
def resize_local_mean(
    image: Image, rows: Size = 256, columns: Size = 256, *, place: Place
) -> Image:
    """Give an image another size: each pixel becomes the mean of the area that it covers.

    Parameters
    ----------
    rows : int
        Height of the result.
    columns : int
        Width of the result.

    Notes
    -----
    scikit-image weighs every pixel of a row, most of them with 0, so that one NaN fills the whole
    result; such images are refused.

    References
    ----------
    skimage.transform.resize_local_mean
    """
    block = sampling.as_floats(image)
    if not np.isfinite(block).all():
        raise ValueError("the image holds NaN or infinity, which would spoil every mean")
    pixels = sampling.plain_pixels(block, place, "edge", 0.0)
    for axis, (span, new) in enumerate(((place.core[:2], rows), (place.core[2:], columns))):
        indices, shares = mean_shares(np.arange(*span), place.shape[axis], new, block.dtype)
        pixels = pixels._replace(block=sampling.blend(pixels, indices, shares, axis))
    result: Image = pixels.block.astype(block.dtype)
    return result
