"""Geometry: resize and rescale an image."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from cluster_worker.kernels import resampling
from cluster_worker.lazy import lazily
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
from cluster_worker.operations.support import clipping, folding, sampling
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.folding import Border, Floats, Indices
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.sampling import Order
from cluster_worker.operations.support.statistics import EXTENT_OF_NUMBERS
from cluster_worker.operations.support.taps import (
    Shares,
    SharesOf,
    even_step,
    identity,
    taps,
    through_blur,
    through_zoom,
    zoomed,
)
from cluster_worker.pixels.tiling import Span

ndimage = lazily("scipy.ndimage")

Shape = tuple[int, int]

Size = Annotated[int, Number(1, 100_000, unit="px", slider=(16, 4096), step=1)]
AntiAliasing = Annotated[
    bool,
    "Whether to blur before making the image smaller, so that fine patterns do not turn into "
    "coarse ones (aliasing).",
]
Smoothing = Annotated[
    float | None,
    Number(0, 100, unit="px", slider=(0, 10), step=0.1),
    "Standard deviation of that blur, in pixels of the image. Null means (f − 1) / 2, where f is "
    "how many times smaller the result is.",
]
Factor = Annotated[float, Number(0.01, 20, slider=(0.1, 4), step=0.05)]
OtherFactor = Annotated[float | None, Number(0.01, 20, slider=(0.1, 4), step=0.05)]


def smoothing_for(
    shape: Shape, new: Shape, anti_aliasing: bool, sigma: float | None
) -> tuple[float, float]:
    """Compute the standard deviations, in pixels, of the blur before an image is made smaller.

    Parameters
    ----------
    shape, new : tuple of int
        (rows, columns) before and after.
    anti_aliasing : bool
        Whether to blur; if not, both are 0.
    sigma : float, optional
        Used for rows and columns, if given.

    Returns
    -------
    tuple of float
        For (rows, columns).
    """
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
    """Compute the span of the image that a core of the resized image reads."""
    new = shape_of(shape)
    smoothing = smoothing_for(shape, new, anti_aliasing, sigma)
    edges: list[int] = []
    for axis, (start, stop) in enumerate((core[:2], core[2:])):
        low, high = (zoomed(each, shape[axis], new[axis]) for each in (start, stop - 1))
        around, halo = folding.NEIGHBOURS, folding.spline_halo(order) + reach(smoothing[axis])
        edges += folding.needed_range(low - around, high + around, shape[axis], mode, halo)
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
    """Compute a core of the resized image with scipy's arithmetic.

    Raises
    ------
    ValueError
        If a mask is to be smoothed or interpolated.
    """
    new = shape_of(place.shape)
    never = image.dtype.kind == "b" or (image.dtype.kind in "iu" and order == 0)
    if never or not (new[0] < place.shape[0] or new[1] < place.shape[1]):
        anti_aliasing = False
    order = sampling.order_for(image, order)
    block = sampling.as_floats(image) if order > 0 else image
    smoothing = smoothing_for(place.shape, new, anti_aliasing, sigma)
    if anti_aliasing:
        sigmas = smoothing + (0,) * (image.ndim - 2)
        block = ndimage.gaussian_filter(block, sigmas, mode=sampling.SCIPY_MODES[mode], cval=cval)
    # As scipy does at the same size: a NaN would spread into neighbours, with the weight 0.
    is_same = new == place.shape and mode != "wrap"
    result = block[place.inner] if is_same else zoom(block, place, new, order, mode, cval)
    if not statistics or (order == 0 and mode != "constant" and not anti_aliasing):
        return result
    # No sample lies a whole pixel beyond the border, so none comes from the constant alone.
    return clipping.clipped(result, image, statistics[0], order, mode, cval, reaches=False)


def zoom(block: Image, place: Place, new: Shape, order: int, mode: Border, cval: float) -> Image:
    """Sample a block at the pixels of a core of the resized image."""
    pixels = sampling.pixels_of(block, place, order, mode, cval)
    # Beyond the last pixel scipy interpolates between two copies of it.
    folds = not pixels.around and not (order == 1 and mode == "edge")
    down, across = (coordinates(place, axis, new[axis], mode, folds=folds) for axis in (0, 1))
    if order == 0:
        rows, columns = (sampling.neighbours(at, order)[0] for at in (down, across))
        sampled = pixels._replace(block=pixels.along(pixels.located(rows, 0), 0))
        return sampled.along(sampled.located(columns, 1), 1)
    if order == 1:
        return sampling.blend_both(pixels, down, across).astype(block.dtype, copy=False)
    # Splines have other last bits than scipy's in any case. So first rows, then columns.
    for axis, at in enumerate((down, across)):
        indices, weights = sampling.neighbours(at, order), sampling.spline_weights(at, order)
        pixels = pixels._replace(block=sampling.blend(pixels, indices, weights, axis))
    result: Image = pixels.block.astype(block.dtype, copy=False)
    return result


def coordinates(place: Place, axis: int, new: int, mode: Border, *, folds: bool) -> Floats:
    """Return where in the image the rows or columns of a core of the resized image lie."""
    start, stop = (place.core[:2], place.core[2:])[axis]
    at = zoomed(np.arange(start, stop, dtype=np.float64), place.shape[axis], new)
    return folding.folded_coordinates(at, place.shape[axis], mode) if folds else at


def resize_stages(
    shape_of: Callable[[Shape], Shape],
    order: int | None,
    mode: Border,
    cval: float = 0.0,
    anti_aliasing: bool = False,
    sigma: float | None = None,
) -> tuple[Stage, ...]:
    """Make the stages that resize.

    Parameters
    ----------
    shape_of : callable
        From (rows, columns) of the image to those of the result.
    order, mode, cval
        Of the interpolation, as in `resize`.
    anti_aliasing, sigma : bool, float or None
        Of the blur, as in `smoothing_for`.
    """
    shared: dict[str, Any] = {"shape_of": shape_of, "order": order, "mode": mode, "sigma": sigma}
    stage = Stage(
        partial(resized, **shared, cval=cval, anti_aliasing=anti_aliasing),
        # Rounding alone may carry a mean beyond the range, by its last bit.
        measures=EXTENT_OF_NUMBERS if order != 0 or anti_aliasing or mode == "constant" else (),
        wraps=folding.wraps(mode),
        geometry=Geometry(shape_of, partial(resized_window, **shared, anti_aliasing=anti_aliasing)),
    )
    return clipping.with_clipping(stage, order, mode, cval)


def resampled(
    image: Image,
    shape_of: Callable[[Shape], Shape],
    smoothing_of: Callable[[Shape, Shape], tuple[float, float]],
    shares_of: SharesOf,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Compute a core of the resized image as weighted sums of rows and columns, with a kernel.

    Parameters
    ----------
    shape_of : callable
        From (rows, columns) of the image to those of the result.
    smoothing_of : callable
        From both shapes to the standard deviations of the blur, for (rows, columns).
    shares_of : callable
        From pixels of a resized axis to their shares, as in `taps`.
    """
    new = shape_of(place.shape)
    smoothing = smoothing_of(place.shape, new)
    down, across = (
        taps(core, after, even_step(before, after), shares_of, length=before, new=after, sigma=s)
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
    """Compute the shares of an axis that is blurred, then resized."""
    order = 1 if order is None else order
    zoomed_from = through_zoom(identity(pixels), length, new, order, mode)
    return through_blur(zoomed_from, length, sigma, blur_mode)


def smoothing_where_smaller(
    shape: Shape, new: Shape, anti_aliasing: bool, sigma: float | None
) -> tuple[float, float]:
    """Compute the standard deviations of the blur; both are 0 if neither axis shrinks."""
    smaller = new[0] < shape[0] or new[1] < shape[1]
    return smoothing_for(shape, new, anti_aliasing and smaller, sigma)


def resize_stages_by_sums(
    shape_of: Callable[[Shape], Shape],
    order: int | None,
    mode: Border,
    cval: float,
    anti_aliasing: bool,
    anti_aliasing_sigma: float | None,
) -> tuple[Stage, ...]:
    """Make the stage that resizes with a kernel."""
    (stage,) = resize_stages(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)
    smoothing_of = partial(
        smoothing_where_smaller, anti_aliasing=anti_aliasing, sigma=anti_aliasing_sigma
    )
    shares_of = partial(blurred_then_zoomed, order=order, mode=mode, blur_mode=mode)
    return by_sums(stage, shape_of, smoothing_of, shares_of)


def by_sums(
    stage: Stage,
    shape_of: Callable[[Shape], Shape],
    smoothing_of: Callable[[Shape, Shape], tuple[float, float]],
    shares_of: SharesOf,
) -> tuple[Stage, ...]:
    """Replace the function of a stage by the kernel `resampled`, which needs no range."""
    function = partial(resampled, shape_of=shape_of, smoothing_of=smoothing_of, shares_of=shares_of)
    return (replace(stage, function=function, measures=(), model=stage),)


def are_sums(mode: Border, order: int | None, **_: Any) -> bool:
    """Return whether the kernel applies: each pixel is a sum of pixels near it in the image."""
    return mode not in ("constant", "wrap") and (order is None or order < 2)


def sums_cost(
    usual: float, order: int | None, mode: Border, anti_aliasing_sigma: float | None, **_: Any
) -> float:
    """Return the cost for a pixel of the image: splines, frames and wide blurs cost more."""
    slower = 10 if order is not None and order > 1 else 3 if mode in ("constant", "wrap") else 1
    return usual * (slower + reach(anti_aliasing_sigma or 0))


def fixed_shape(_: Shape, rows: int, columns: int) -> Shape:
    """Return the rows and columns that the user chose."""
    return rows, columns


def resize_by_sums(rows: int, columns: int, **others: Any) -> tuple[Stage, ...]:
    """Make the stage of `resize` with a kernel."""
    return resize_stages_by_sums(partial(fixed_shape, rows=rows, columns=columns), **others)


@operation(
    "Resize",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=partial(sums_cost, 3),
    cost_larger=8.0,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            resize_by_sums,
            when=are_sums,
            arrays=0,
            cost=partial(sums_cost, 0.3),
            tolerance=1e-6,
        ),
    ),
    differs=sampling.BLURS_DIFFER,
)
def resize(
    rows: Size = 256,
    columns: Size = 256,
    order: Order = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    anti_aliasing: AntiAliasing = True,
    anti_aliasing_sigma: Smoothing = None,
) -> tuple[Stage, ...]:
    """Resize an image to given rows and columns by interpolation.

    Parameters
    ----------
    rows : int
        Height of the result.
    columns : int
        Width of the result.

    Notes
    -----
    `anti_aliasing` works as None does in scikit-image: the image is blurred where the result is
    smaller, except for masks and for integers with order 0. Given one number for the blur,
    scikit-image also blurs across the colours; here each colour is blurred alone.

    References
    ----------
    skimage.transform.resize
    """
    shape_of = partial(fixed_shape, rows=rows, columns=columns)
    return resize_stages(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)


def fitted_shape(shape: Shape, longest_side: int, enlarge: bool) -> Shape:
    """Return rows and columns in proportion, the longer one as chosen; halves are rounded up."""
    longest = max(shape)
    if longest <= longest_side and not enlarge:
        return shape
    rows, columns = (max(1, (2 * side * longest_side + longest) // (2 * longest)) for side in shape)
    return rows, columns


def fit_by_sums(longest_side: int, enlarge: bool, **others: Any) -> tuple[Stage, ...]:
    """Make the stage of `resize_longest_side` with a kernel."""
    shape_of = partial(fitted_shape, longest_side=longest_side, enlarge=enlarge)
    return resize_stages_by_sums(shape_of, **others)


@operation(
    "Resize (longest side)",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=partial(sums_cost, 0.5),
    cost_larger=8.0,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            fit_by_sums,
            when=are_sums,
            arrays=0,
            cost=partial(sums_cost, 0.05),
            tolerance=1e-6,
        ),
    ),
    differs=sampling.BLURS_DIFFER,
)
def resize_longest_side(
    longest_side: Size = 2048,
    enlarge: bool = False,
    order: Order = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    anti_aliasing: AntiAliasing = True,
    anti_aliasing_sigma: Smoothing = None,
) -> tuple[Stage, ...]:
    """Resize an image in proportion, so that its longer side gets a given length.

    Parameters
    ----------
    longest_side : int
        Height or width of the result, whichever is longer.
    enlarge : bool
        Whether smaller images are made larger; otherwise they stay as they are.

    References
    ----------
    skimage.transform.resize, to rows and columns in proportion
    """
    shape_of = partial(fitted_shape, longest_side=longest_side, enlarge=enlarge)
    return resize_stages(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)


def scaled_shape(shape: Shape, scale: tuple[float, float]) -> Shape:
    """Return rows and columns of a rescaled image, halves rounded to even, at least 1."""
    rows, columns = (
        max(int(np.round(factor * length)), 1) for factor, length in zip(scale, shape, strict=True)
    )
    return rows, columns


def rescale_by_sums(scale: float, scale_columns: float | None, **others: Any) -> tuple[Stage, ...]:
    """Make the stage of `rescale` with a kernel."""
    factors = (scale, scale if scale_columns is None else scale_columns)
    return resize_stages_by_sums(partial(scaled_shape, scale=factors), **others)


@operation(
    "Rescale",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="scaled",
    arrays=6,
    cost=partial(sums_cost, 3),
    cost_larger=8.0,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            rescale_by_sums,
            when=are_sums,
            arrays=0,
            cost=partial(sums_cost, 0.3),
            tolerance=1e-6,
        ),
    ),
    differs=sampling.BLURS_DIFFER,
)
def rescale(
    scale: Factor = 0.5,
    scale_columns: OtherFactor = None,
    order: Order = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    anti_aliasing: AntiAliasing = True,
    anti_aliasing_sigma: Smoothing = None,
) -> tuple[Stage, ...]:
    """Resize an image by a factor, by interpolation.

    Parameters
    ----------
    scale : float
        Factor of height and width: 2 makes the image twice as large, 0.5 half as large.
    scale_columns : float
        Factor of the width. Null means the same as `scale`.

    References
    ----------
    skimage.transform.rescale, whose scale may hold both factors
    """
    factors = (scale, scale if scale_columns is None else scale_columns)
    shape_of = partial(scaled_shape, scale=factors)
    return resize_stages(shape_of, order, mode, cval, anti_aliasing, anti_aliasing_sigma)
