"""Sample an image between its pixels: borders, interpolation weights, and the windows they need.

Coordinates are those of the whole image, so that a tile computes the same bits as the whole image.
Finding a pixel in a block subtracts a whole number, which is exact.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Number, Place
from cluster_worker.operations.support.folding import (
    BORDER_PIXELS,
    SPLINE_HALO,
    Border,
    Floats,
    Indices,
    folded,
    folded_coordinates,
)
from cluster_worker.pixels.tiling import Span

ndimage = lazily("scipy.ndimage")
util = lazily("skimage.util")

# From the rows, (n, 1), and the columns, (1, m), of a result to the rows and columns of the image
# at which its pixels are sampled.
Mapping = Callable[[Floats, Floats], tuple[Floats, Floats]]
DEGREES = (
    "How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic and 3 cubic "
    "spline."
)
Order = Annotated[int | None, Number(0, 3, step=1), f"{DEGREES} Null means 1, and 0 for a mask."]
# The level of a result whose pixels are moved: their transparency moves with them.
MovedFill = Annotated[
    float,
    Number(0, 1, step=0.01),
    "Level beyond the border if the mode is constant, as a share of white; transparency takes it "
    "as well.",
]

# scipy.ndimage's names of numpy.pad's modes.
SCIPY_MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "grid-wrap",
}

# Pixels sampled at a time. Coordinates and neighbours take about 100 bytes for each.
BAND_PIXELS = 1 << 15


# Why sampled images differ from scikit-image's natively.
DIFFERS = (
    "sums of neighbours are rounded in another order than in scikit-image's loops, and splines "
    "stop where what is left is below a bound; the difference is larger, up to 1e-3, only along "
    "symmetric sides of a few pixels, where scipy's splines are inexact"
)
BLURS_DIFFER = (
    f"{DIFFERS}; `anti_aliasing_sigma` does not blur across colours, as scikit-image's does"
)


def between_pixels(order: int | None, anti_aliasing: bool = False, **_: Any) -> bool:
    """Return whether a result mixes neighbouring pixels: order 0 copies one, unless it blurs."""
    return order != 0 or anti_aliasing


def neighbours(at: Floats, order: int) -> list[Indices]:
    """Return the indices of the `order + 1` pixels that a spline weighs for each coordinate."""
    first = np.floor(at if order % 2 else at + 0.5).astype(np.intp) - order // 2
    return [first + i for i in range(order + 1)]


def spline_weights(at: Floats, order: int) -> list[Floats]:
    """Compute the weights of the pixels of `neighbours`, as scipy.ndimage does.

    Parameters
    ----------
    at : ndarray of float64
        Coordinates.
    order : {0, 1, 2, 3}
        Degree of the spline.

    Returns
    -------
    list of ndarray
        `order + 1` arrays of the shape of `at`.
    """
    x = at - np.floor(at if order % 2 else at + 0.5)
    if order == 0:
        return [np.ones_like(x)]
    if order == 1:
        return [1 - x, x]
    if order == 2:
        middle, upper = 0.75 - x * x, 0.5 * (x + 0.5) ** 2
        return [1 - middle - upper, middle, upper]
    y = 1 - x
    lower = y * y * y / 6
    near, far = (x * x * (x - 2) * 3 + 4) / 6, (y * y * (y - 2) * 3 + 4) / 6
    return [lower, near, far, 1 - lower - near - far]


def spline_kernel(order: int) -> Floats:
    """Compute the filter that turns pixels into coefficients of a spline through them.

    scipy.ndimage runs a recursive filter over whole rows and columns. Its response to one pixel
    falls by a factor of 4 or 6 with each pixel. Cut off at `SPLINE_HALO`, it is a local filter
    with the same result.

    Parameters
    ----------
    order : {2, 3}
        Degree of the spline.

    Returns
    -------
    ndarray of float64
        2 · SPLINE_HALO + 1 weights.

    References
    ----------
    M. Unser, A. Aldroubi, M. Eden. B-spline signal processing: part II. IEEE Transactions on
    Signal Processing 41 (1993), table I.
    """
    pole = np.sqrt(3.0) - 2.0 if order == 3 else 2.0 * np.sqrt(2.0) - 3.0
    gain = 6.0 if order == 3 else 8.0
    away = abs(np.arange(-SPLINE_HALO, SPLINE_HALO + 1))
    kernel: Floats = -gain * pole / (1 - pole * pole) * pole**away
    return kernel


class Pixels(NamedTuple):
    """A block, addressed by the indices of the whole image and beyond its border.

    Attributes
    ----------
    block : ndarray
        Rows × columns [× channels].
    top, left : int
        Row and column of the whole image at which the block begins.
    shape : tuple of int
        (rows, columns) of the whole image.
    border : str
        What lies beyond it.
    cval : float
        The level for "constant", in the block's own range.
    around : int
        Pixels beyond the image's border that the block holds on the sides where it touches the
        border.
    """

    block: Image
    top: int
    left: int
    shape: tuple[int, int]
    border: Border
    cval: float
    around: int = 0

    def located(self, index: Indices, axis: int) -> "Located":
        """Convert indices along an axis of the whole image, or beyond it, to those of the block."""
        length, start = self.shape[axis], (self.top, self.left)[axis]
        if self.border == "constant":
            outside = (index < -self.around) | (index >= length + self.around)
            # Pixels beyond are replaced by the constant, so the block need not hold them.
            inside = np.clip(index - start, 0, self.block.shape[axis] - 1)
            return Located(inside, outside if outside.any() else None)
        if self.border == "wrap":
            return Located((index - start) % length, None)
        if self.around:
            index = np.clip(index, -self.around, length - 1 + self.around)
            return Located(index - start, None)
        return Located(folded(index, length, self.border) - start, None)

    def at(self, rows: "Located", columns: "Located") -> Image:
        """Return the pixels at rows and columns, whose shapes broadcast."""
        height, width = self.block.shape[:2]
        lines = self.block.reshape(height * width, *self.block.shape[2:])
        found: Image = lines.take(rows.inside * width + columns.inside, axis=0)
        for outside in (rows.beyond, columns.beyond):
            if outside is not None:
                found[np.broadcast_to(outside, found.shape[:2])] = self.cval
        return found

    def along(self, located: "Located", axis: int) -> Image:
        """Return whole rows (`axis` 0) or whole columns (`axis` 1)."""
        found: Image = self.block.take(located.inside, axis)
        if located.beyond is not None:
            found[(slice(None),) * axis + (located.beyond,)] = self.cval
        return found


class Located(NamedTuple):
    """Indices along an axis of a block, and a mask of those that stand for the constant, if any."""

    inside: Indices
    beyond: NDArray[np.bool_] | None


def pixels_of(block: Image, place: Place, order: int, border: Border, cval: float) -> Pixels:
    """Prepare a block for splines: from order 2 on, replace pixels by spline coefficients.

    Parameters
    ----------
    block : ndarray
        Rows × columns [× channels].
    place : Place
        Its window is the block.
    order : {0, 1, 2, 3}
        Degree of the spline.
    border, cval : str, float
        What lies beyond the image.
    """
    window, shape = place.window, place.shape
    cval = fill_value(cval, block.dtype)
    if order < 2:
        return plain_pixels(block, place, border, cval)
    around = BORDER_PIXELS if border in ("constant", "edge") else 0
    if around:
        block = with_border(block, place, border, cval)
    # The filter continues what lies beyond the border in the same way.
    mode = {"symmetric": "reflect", "reflect": "mirror", "wrap": "wrap"}.get(border, "nearest")
    for axis in (0, 1):
        if border == "symmetric" and shape[axis] <= SPLINE_HALO:
            # The block holds the whole axis. On one so short, scipy's filter has errors of 1e-4.
            block = ndimage.spline_filter1d(block, order, axis, mode="reflect")
        else:
            block = ndimage.correlate1d(block, spline_kernel(order), axis, output=float, mode=mode)
    top, left = (edge - around * (edge == 0) for edge in (window.top, window.left))
    return Pixels(block, top, left, shape, border, cval, around)


def plain_pixels(block: Image, place: Place, border: Border, cval: Any) -> Pixels:
    """Wrap a block without changing its pixels."""
    window = place.window
    whole = np.ascontiguousarray(block)
    return Pixels(whole, window.top, window.left, place.shape, border, cval)


def with_border(block: Image, place: Place, border: Border, cval: float) -> Image:
    """Add `BORDER_PIXELS` pixels to a block on the sides where it touches the image's border."""
    window, (rows, columns) = place.window, place.shape
    touched = (
        (window.top == 0, window.bottom == rows),
        (window.left == 0, window.right == columns),
        (False, False),
    )
    widths = [tuple(BORDER_PIXELS * each for each in sides) for sides in touched][: block.ndim]
    if border == "edge":
        return np.pad(block, widths, "edge")
    return np.pad(block, widths, constant_values=cval)


def fill_value(cval: float, dtype: np.dtype[Any]) -> Any:
    """Convert the level beyond the border to a pixel of a type, as scipy.ndimage does."""
    if dtype.kind == "u":
        return dtype.type(min(cval + 0.5, np.iinfo(dtype).max))
    if dtype.kind == "i":
        return dtype.type(int(cval + 0.5))
    return dtype.type(int(cval)) if dtype.kind == "b" else dtype.type(cval)


def blend(pixels: Pixels, indices: list[Indices], weights: list[Floats], axis: int) -> Floats:
    """Sum weighted rows, or weighted columns, in float64.

    Parameters
    ----------
    pixels : Pixels
        Where the rows or columns are taken from.
    indices, weights : list of ndarray
        One entry for each term of the sum: its index and its weight for each row (or column) of
        the result.
    axis : {0, 1}
        0 for rows, 1 for columns.
    """
    shape = [1] * pixels.block.ndim
    shape[axis] = len(weights[0])
    total: Any = None
    for index, weight in zip(indices, weights, strict=True):
        term = pixels.along(pixels.located(index, axis), axis) * weight.astype(np.float64).reshape(
            shape
        )
        total = term if total is None else np.add(total, term, out=total)
    found: Floats = total
    return found


def blend_both(pixels: Pixels, down: Floats, across: Floats) -> Floats:
    """Interpolate linearly between rows and columns, with the roundings of scipy.ndimage.

    Parameters
    ----------
    pixels : Pixels
        Where the values are taken from.
    down, across : ndarray of float64
        Coordinates of the rows and of the columns of the result.

    Returns
    -------
    ndarray of float64
        The sum over four neighbours of (value · row's weight) · column's weight, in this order.
    """
    apart = (slice(None), *(np.newaxis,) * (pixels.block.ndim - 1))
    beside = apart[:-1]
    total: Any = None
    for row, down_weight in zip(neighbours(down, 1), spline_weights(down, 1), strict=True):
        lines = pixels.along(pixels.located(row, 0), 0) * down_weight[apart]
        for column, weight in zip(neighbours(across, 1), spline_weights(across, 1), strict=True):
            located = pixels.located(column, 1)
            term = lines.take(located.inside, 1)
            if located.beyond is not None:
                term[:, located.beyond] = pixels.cval * down_weight[apart]
            term *= weight[beside]
            total = term if total is None else np.add(total, term, out=total)
    found: Floats = total
    return found


def order_for(image: Image, order: int | None) -> int:
    """Choose the order of interpolation as scikit-image does.

    Raises
    ------
    ValueError
        If a mask is to be interpolated.
    """
    if order is None:
        return 0 if image.dtype.kind == "b" else 1
    if image.dtype.kind == "b" and order > 0:
        raise ValueError(f"order must be 0 for a mask, got {order}")
    return order


def as_floats(image: Image) -> Image:
    """Convert to floating point as scikit-image does; floats stay as they are."""
    result: Image = util.img_as_float(image)
    return result


def bands(core: Span) -> Iterator[tuple[slice, Floats, Floats]]:
    """Cut a core into bands of rows, to limit the memory of their coordinates.

    Yields
    ------
    band : slice
        Rows of the core.
    rows, columns : ndarray of float64
        Coordinates in the whole result: (n, 1) and (1, m).
    """
    height, width = core.shape
    step = max(BAND_PIXELS // width, 1)
    columns = np.arange(core.left, core.right, dtype=np.float64)[np.newaxis]
    for start in range(0, height, step):
        stop = min(start + step, height)
        rows = np.arange(core.top + start, core.top + stop, dtype=np.float64)[:, np.newaxis]
        yield slice(start, stop), rows, columns


def warped(
    block: Image, place: Place, mapping: Mapping, order: int, border: Border, cval: float
) -> Image:
    """Sample a block under any mapping, with splines as scipy.ndimage.map_coordinates does.

    Parameters
    ----------
    block : ndarray
        Rows × columns [× channels].
    place : Place
        Its core is that of the result.
    mapping : callable
        From the result's rows and columns to those of the whole image, in float64.
    order : {0, 1, 2, 3}
        0 is the nearest pixel, 1 linear, 2 and 3 are splines.
    border, cval : str, float
        What lies beyond the image.

    Returns
    -------
    ndarray
        The core, in the block's type.
    """
    pixels = pixels_of(block, place, order, border, cval)
    result = np.empty(place.core.shape + block.shape[2:], block.dtype)
    for band, rows, columns in bands(place.core):
        down, across = mapping(rows, columns)
        if not pixels.around:
            down = folded_coordinates(down, place.shape[0], border)
            across = folded_coordinates(across, place.shape[1], border)
        result[band] = splined(pixels, down, across, order)
    return result


def splined(pixels: Pixels, down: Floats, across: Floats, order: int) -> Image:
    """Sum the weighted neighbours of each coordinate."""
    rows = [pixels.located(each, 0) for each in neighbours(down, order)]
    columns = [pixels.located(each, 1) for each in neighbours(across, order)]
    if order == 0:
        return pixels.at(rows[0], columns[0])
    by_row, by_column = spline_weights(down, order), spline_weights(across, order)
    total: Any = 0.0
    for row, row_weight in zip(rows, by_row, strict=True):
        for column, column_weight in zip(columns, by_column, strict=True):
            weight = over_channels(row_weight * column_weight, pixels)
            total = total + pixels.at(row, column) * weight
    found: Image = total
    return found


def over_channels(weights: Floats, pixels: Pixels) -> Floats:
    """Add an axis for the channels to weights, if the block has channels."""
    return weights[..., np.newaxis] if pixels.block.ndim == 3 else weights
