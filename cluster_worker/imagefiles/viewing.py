"""Conversion of images to eight bits for a screen; other bit depths are stretched in contrast."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]
# The values that are shown as black and as white.
Limits = tuple[float, float]

# Percent of the pixels ignored at either end: one hot pixel must not make all others black.
TAIL_PERCENT = 0.5
# The limits are computed from WINDOWS × WINDOWS windows, each WINDOW_SIDE pixels a side. This
# covers all of an image of up to 2048 pixels a side.
WINDOWS, WINDOW_SIDE = 8, 256
# Rows that are stretched at a time: as float32 they take four times the memory of the result.
CHUNK_ROWS = 256


def viewable(
    image: Image, limits: Limits | None = None, described: ImageHeader | None = None
) -> Image:
    """Convert an image to uint8 for a screen.

    Images of uint8 stay as they are, and masks become 0 and 255. All others are stretched so that
    the limits become 0 and 255, with the same limits for all colours. Alpha, the last of 2 or 4
    channels, is scaled from its full range.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of any dtype that files hold.
    limits : tuple of float, optional
        From `contrast_limits`, if the image is cut from a larger one; computed from the image by
        default.
    described : ImageHeader, optional
        What the image is: pixels without data do not count for the limits.

    Returns
    -------
    ndarray
        Of the same shape, uint8.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if limits is None:
        windows = sample_windows(image.shape[:2])
        limits = contrast_limits((image[each.slices] for each in windows), described)
    shown = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), CHUNK_ROWS):
        rows = slice(top, top + CHUNK_ROWS)
        shown[rows] = stretched(image[rows], limits)
        if has_alpha(image):
            shown[rows][..., -1] = stretched(image[rows][..., -1], (0, opaque(image.dtype)))
    return shown


def stretched(image: Image, limits: Limits) -> Image:
    """Scale values so that the limits become 0 and 255, and clip to uint8."""
    low, high = limits
    scaled = (finite(image) - np.float32(low)) * np.float32(255 / (high - low or 1))
    shown: Image = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return shown


def contrast_limits(blocks: Iterable[Image], described: ImageHeader | None = None) -> Limits:
    """Compute the values to show as black and as white.

    Parameters
    ----------
    blocks : iterable of ndarray
        Blocks of one image; their alpha is ignored.
    described : ImageHeader, optional
        What the image is, for its value of pixels without data.

    Returns
    -------
    float, float
        The `TAIL_PERCENT` percentiles from below and above of the pixels with data; the smallest
        and the largest value if these are equal; 0, 0 if no pixel has data.
    """
    values = np.concatenate([known_values(colours(each), described) for each in blocks])
    if not values.size:
        return 0.0, 0.0
    low, high = np.percentile(values, (TAIL_PERCENT, 100 - TAIL_PERCENT))
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high)


def known_values(image: Image, described: ImageHeader | None) -> Image:
    """Return the samples of a block that hold data, as a row of float32."""
    known = has_data(image, described)
    with np.errstate(over="ignore"):
        values = (image.ravel() if known is None else image[known]).astype(np.float32)
    return values[np.isfinite(values)]


def has_data(image: Image, described: ImageHeader | None) -> NDArray[np.bool_] | None:
    """Return which samples hold data: not the value for none, and no NaN or infinity.

    Parameters
    ----------
    image : ndarray
        A block of an image, or some of its channels.
    described : ImageHeader or None
        The image. A pixel of a picture has no data if all its colours have the value; each band
        misses pixels of its own. The value means nothing in masks and beside alpha.

    Returns
    -------
    ndarray or None
        Of the shape of the block; None if all samples hold data.
    """
    known = np.isfinite(image) if image.dtype.kind == "f" else None
    if described is None or described.nodata is None or described.alpha or image.dtype == bool:
        return known
    with np.errstate(over="ignore"):
        lacks = np.asarray(image == described.nodata)
    if described.kind == "picture" and image.ndim == 3:
        lacks = np.broadcast_to(lacks.all(axis=2, keepdims=True), image.shape)
    return ~lacks if known is None else known & ~lacks


def value_range(blocks: Iterable[Image], described: ImageHeader | None = None) -> Limits:
    """Return the smallest and the largest value of blocks that is data, alpha included.

    0, 0 if there is none; `described` is as in `has_data`.
    """
    low, high = np.inf, -np.inf
    for block in blocks:
        known = has_data(block, described)
        values = block if known is None else block[known]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def sample_windows(shape: tuple[int, ...]) -> list[Span]:
    """Return windows spread evenly over an image; on a small image they cover all of it."""
    return [
        Span(top, min(top + WINDOW_SIDE, shape[0]), left, min(left + WINDOW_SIDE, shape[1]))
        for top in window_starts(shape[0])
        for left in window_starts(shape[1])
    ]


def window_starts(length: int) -> list[int]:
    """Return where the windows begin along a side of `length` pixels."""
    if length <= WINDOWS * WINDOW_SIDE:
        return list(range(0, length, WINDOW_SIDE))
    return [(length - WINDOW_SIDE) * i // (WINDOWS - 1) for i in range(WINDOWS)]


def finite(image: Image) -> Image:
    """Convert values to float32; NaN and infinities become 0."""
    with np.errstate(over="ignore"):
        values = image.astype(np.float32)
    return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def has_alpha(image: Image) -> bool:
    """Return whether the last channel is alpha: the last of 2 or 4."""
    return image.ndim == 3 and image.shape[2] in (2, 4)


def colours(image: Image) -> Image:
    """View the channels of an image without alpha."""
    return image[..., :-1] if has_alpha(image) else image


def opaque(dtype: np.dtype[Any]) -> float:
    """Return the alpha value of a fully opaque pixel."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def over_white(shown: Image) -> Image:
    """Blend a uint8 picture with its alpha over white; without alpha it is returned unchanged."""
    if not has_alpha(shown):
        return shown
    alpha = shown[..., -1:].astype(np.uint16)
    laid = (shown[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255
    opaque_ones: Image = laid.astype(np.uint8)
    return opaque_ones[..., 0] if opaque_ones.shape[2] == 1 else opaque_ones
