"""Geometry: make an image smaller or larger by means over blocks or areas of pixels."""

from typing import Annotated, Any

import numpy as np

from cluster_worker.kernels import resampling
from cluster_worker.operations.declare import (
    Geometric,
    Image,
    Kernel,
    Number,
    Place,
    operation,
)
from cluster_worker.operations.sizes import Shape, Size
from cluster_worker.operations.support import sampling
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.folding import Floats, Indices
from cluster_worker.operations.support.taps import Shares, even_step, taps
from cluster_worker.pixels.placement import Placement
from cluster_worker.pixels.tiling import Span


def downscaled_shape(shape: Shape, factor: int, factor_columns: int | None) -> Shape:
    """Return the number of blocks down and across, incomplete blocks at the border included."""
    return -(-shape[0] // factor), -(-shape[1] // (factor_columns or factor))


def downscaled_window(
    core: Span, shape: Shape, factor: int, factor_columns: int | None, **_: Any
) -> Span:
    """Compute the span of the image that a core of the downscaled image reads."""
    across = factor_columns or factor
    return Span(
        core.top * factor, core.bottom * factor, core.left * across, core.right * across
    ).clipped(shape)


def shares_of_block(pixels: Indices, length: int, factor: int) -> Shares:
    """Compute the shares for means of blocks, where pixels beyond the border are black."""
    within = pixels[:, np.newaxis] * factor + np.arange(factor)
    return Shares(np.minimum(within, length - 1), np.where(within < length, 1 / factor, 0.0))


def means_of_blocks(
    image: Image,
    factor: int,
    factor_columns: int | None,
    cval: float,  # noqa: ARG001 - always 0: the kernel is taken only then
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Compute a core of the downscaled image by sums of rows and columns, with a kernel."""
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
    maps=lambda before, after, factor, factor_columns, **_: Placement(
        xx=factor_columns or factor, yy=factor
    ),
    tolerance=1e-6,
    averages=True,
    kernels=(
        Kernel(
            means_of_blocks,
            when=lambda cval, **_: cval == 0,
            arrays=0,
            cost=0.3,
            tolerance=1e-6,
        ),
    ),
    differs=(
        "the pixels of a block are added row by row; scikit-image's order depends on the size "
        "of the image"
    ),
)
def downscale_local_mean(
    image: Image,
    factor: Annotated[int, Number(1, 100, unit="px", slider=(1, 16), step=1)] = 2,
    factor_columns: Annotated[int | None, Number(1, 100, unit="px", slider=(1, 16), step=1)] = None,
    cval: Fill = 0.0,
    *,
    place: Place,
) -> Image:
    """Make an image smaller by a whole factor: each pixel becomes the mean of a block of pixels.

    Parameters
    ----------
    factor : int
        Height and width of a block.
    factor_columns : int
        Width of a block. Null means the same as `factor`.
    cval : float
        Level that fills the last blocks where the image's size is no multiple of the factor, as
        a share of white.

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
    dtype = image.dtype if image.dtype.kind == "f" else np.dtype(np.float64)
    total = np.zeros((height, width, *image.shape[2:]), dtype)
    for i in range(down):
        line = image[i::down, ::across].astype(dtype)
        for j in range(1, across):
            line += image[i::down, j::across]
        total += line
    total /= dtype.type(down * across)
    return total


def mean_range(core: tuple[int, int], length: int, new: int) -> tuple[int, int]:
    """Compute the range that a range of a resized axis covers, and one pixel more on each side."""
    start, stop = (int(each * length // new) for each in core)
    return max(start - 1, 0), min(stop + 2, length)


def mean_window(core: Span, shape: Shape, rows: int, columns: int) -> Span:
    """Compute the span of the image that a core of the resized image reads."""
    return Span(*mean_range(core[:2], shape[0], rows), *mean_range(core[2:], shape[1], columns))


def mean_shares(
    pixels: Indices, length: int, new: int, dtype: Any
) -> tuple[list[Indices], list[Floats]]:
    """Compute which pixels those of a resized axis cover, and by what share.

    Parameters
    ----------
    pixels : ndarray of int
        Pixels of the resized axis.
    length, new : int
        Pixels of the axis before and after.
    dtype : type of float
        Type of the arithmetic.

    Returns
    -------
    indices, shares : list of ndarray
        One entry for each term of the mean: its pixel and its share for each of `pixels`. The
        shares of a pixel sum to 1.
    """
    breaks = np.linspace(0, length, new + 1, dtype=dtype)
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
    """Compute the shares for means of the area that each pixel covers."""
    indices, shares = mean_shares(pixels, length, new, np.float32)
    return Shares(np.stack(indices, axis=1), np.stack(shares, axis=1))


def means_of_areas(
    image: Image, rows: int, columns: int, *, dtype: str, place: Place, out: Image | None
) -> Image:
    """Compute a core of the resized image by sums of rows and columns, with a kernel."""
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
    cost_larger=35.0,
    tolerance=1e-6,
    averages=True,
    # Floats may hold NaN and must be checked first, so the kernel takes integers alone.
    kernels=(Kernel(means_of_areas, ("uint8", "uint16"), arrays=0, cost=0.3, tolerance=1e-6),),
    differs="the shares of pixels are added in another order",
)
def resize_local_mean(
    image: Image, rows: Size = 256, columns: Size = 256, *, place: Place
) -> Image:
    """Resize an image: each pixel becomes the mean of the area that it covers.

    Parameters
    ----------
    rows : int
        Height of the result.
    columns : int
        Width of the result.

    Notes
    -----
    scikit-image weighs every pixel of a row, most of them by 0, so that one NaN spreads over the
    whole result. Such images are refused.

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
