"""Medians of any neighbourhood, and percentiles: pixels found by their place in rising order."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, channels_of, rows_of
from cluster_worker.kernels.footprints import Footprint, Shape, footprint_reach, shape_of
from cluster_worker.kernels.framed import extended
from cluster_worker.kernels.strips import STRIP_BYTES, by_strips
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.orders")
histograms = lazily("cluster_worker.kernels.loops.histograms")


# Largest neighbourhoods, in pixels, whose pixels are counted. For larger ones a histogram that
# slides along a row takes less time.
COUNTED = 4500


def is_counted(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> bool:
    """Return whether a neighbourhood is small enough to count its pixels for each bit."""
    return len(shape_of(footprint, radius, half_width).pixels) <= COUNTED


# Nanoseconds for a pixel on one core, from the number of pixels of its neighbourhood: a fixed part,
# one for each pixel if they are counted, and one for each row if a histogram slides.
TIMES = {"uint8": (20, 0.085, 5.5), "uint16": (45, 0.22, 15), "float32": (30, 0.46, None)}


def nanoseconds(
    footprint: Footprint, radius: int, half_width: int | None = None, *, dtype: str
) -> float:
    """Estimate the nanoseconds for a pixel of a type on one core."""
    shape = shape_of(footprint, radius, half_width)
    fixed, each, row = TIMES[dtype]
    if row is not None and len(shape.pixels) > COUNTED:
        return row * len(shape.runs)
    return fixed + each * len(shape.pixels)


def whole_blocks(values: int, dtype: np.dtype[Any]) -> int:
    """Return the number of values in a row of whole blocks that holds at least `values` of them."""
    block = int(loops.BLOCK_BYTES) // dtype.itemsize
    return -(-values // block) * block


def found(
    levels: Image, near: NDArray[np.int64], ranks: NDArray[np.int32], shape: tuple[int, int]
) -> Image:
    """Find the pixel of each neighbourhood that has `ranks` others before it in rising order.

    Parameters
    ----------
    levels : ndarray of uint8, uint16 or uint32
        (rows, values), contiguous: the result's rows and values with the reach of the neighbourhood
        on every side, and enough values on the right for whole blocks. It is overwritten.
    near : ndarray of int64
        (pixels, 2): row and value of each pixel in the square around the neighbourhood.
    ranks : ndarray of int32
        (rows, values), a single row if all rows are alike, or a single value; as many values as
        fill whole blocks.
    shape : tuple of int
        (rows, values) of the result.

    Returns
    -------
    ndarray
        (rows, values).
    """
    rows, values = shape
    low = levels.min()
    levels -= low
    bits = int(levels.max()).bit_length()
    levels ^= levels.dtype.type(1 << (8 * levels.itemsize - 1))
    result = np.empty((rows, whole_blocks(values, levels.dtype)), levels.dtype)
    steps = near @ np.array([levels.strides[0], levels.itemsize])
    loops.find(levels, steps, ranks, bits, result)
    result += low
    return result[:, :values]


def as_levels(image: Image) -> Image:
    """Return unsigned integers that have the order of an image's values; floats without NaN."""
    if image.dtype.kind == "u":
        return image
    bits = (image + image.dtype.type(0)).view(np.uint32)
    # The bits of positive floats rise with them, those of negative ones fall.
    levels: Image = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    return levels


def from_levels(levels: Image, dtype: np.dtype[Any]) -> Image:
    """Return the values that `as_levels` has turned into integers."""
    if dtype.kind == "u":
        return levels
    bits = levels ^ np.where(levels >> 31, np.uint32(0x80000000), np.uint32(0xFFFFFFFF))
    return bits.view(dtype)


def ordered_median(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    mode: str,
    *,
    model: Callable[..., Image],
    place: Place,
    out: Image | None,
) -> Image:
    """Compute the medians of any neighbourhood.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    footprint, radius, half_width, mode
        Parameters of the operation.
    model : callable
        The operation's function. It is called if the image holds NaN.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core, of the image's type.
    """
    reach = footprint_reach(footprint, radius, half_width)
    if image.dtype.kind == "f" and np.isnan(image.min()):
        return by_strips(
            lambda strip: model(strip, footprint, radius, half_width, mode),
            image,
            reach,
            place,
            out,
        )
    shape = shape_of(footprint, radius, half_width)
    slides = image.dtype.kind == "u" and len(shape.pixels) > COUNTED
    medians_of = slid_medians if slides else counted_medians
    core = place.core.relative_to(place.window)
    result = np.empty((*core.shape, *image.shape[2:]), image.dtype) if out is None else out
    rows = max(STRIP_BYTES // max(image[:1].nbytes, 1), 4 * reach, 1)
    for top in range(core.top, core.bottom, rows):
        strip = core._replace(top=top, bottom=min(top + rows, core.bottom))
        made = medians_of(image, strip, shape, mode)
        result[top - core.top : strip.bottom - core.top] = made
    return result


def counted_medians(image: Image, strip: Span, shape: Shape, mode: str) -> Image:
    """Compute the medians of a strip of a block, by counting the pixels of each neighbourhood."""
    rows, columns = strip.shape
    channels = channels_of(image)
    wider = whole_blocks(columns * channels, image.dtype) - columns * channels
    window = strip.grown(shape.reach)
    window = window._replace(right=window.right + -(-wider // channels))
    read = as_levels(rows_of(extended(image, window, mode, 0)))
    near = shape.pixels * np.array([1, channels])
    middle = np.array([[len(near) // 2]], np.int32)
    levels = found(read, near, middle, (rows, columns * channels))
    return from_levels(levels, image.dtype).reshape(rows, columns, *image.shape[2:])


def slid_medians(image: Image, strip: Span, shape: Shape, mode: str) -> Image:
    """Compute the medians of a strip of a block of integers, with a histogram that slides."""
    read = np.atleast_3d(extended(image, strip.grown(shape.reach), mode, 0))
    result = np.empty((*strip.shape, read.shape[2]), image.dtype)
    counts = np.full((1, strip.shape[1]), len(shape.pixels), np.uint32)
    levels = int(np.iinfo(image.dtype).max) + 1, int(read.max()) // 64 + 1
    for i in range(read.shape[2]):
        plane = np.ascontiguousarray(read[..., i])
        made = np.empty(strip.shape, image.dtype)
        histograms.percentiles(plane, shape.runs, counts, levels, 0.5, made)
        result[..., i] = made
    return result.reshape(*strip.shape, *image.shape[2:])


def percentiles(
    levels: Image,
    near: NDArray[np.int64],
    ranks: NDArray[np.int32],
    shape: tuple[int, int],
) -> Image:
    """Find the pixel of each neighbourhood that has `ranks` others before it in rising order.

    Parameters
    ----------
    levels : ndarray of uint8 or uint16
        (rows + 2 · reach, columns + 2 · reach).
    near : ndarray of int64
        (pixels, 2): row and column of each pixel in the square around the neighbourhood.
    ranks : ndarray of int32
        (rows, columns), or a single row if all rows are alike.
    shape : tuple of int
        (rows, columns) of the result.
    """
    beyond = ((0, 0), (0, whole_blocks(shape[1], levels.dtype) - shape[1]))
    return found(np.pad(levels, beyond), near, np.pad(ranks, beyond), shape)
