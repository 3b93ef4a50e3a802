"""Images as a screen shows them: eight bits, with contrast where the depth is another."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]
# What is shown as black, and what as white.
Limits = tuple[float, float]

# So much of either end is cut off: a hot pixel must not leave all else black.
TAIL_PERCENT = 0.5
# Contrast is found from so many windows of such a side down and across, which is all of an image
# of up to 2048 pixels a side.
WINDOWS, WINDOW_SIDE = 8, 256
# Rows that are stretched at a time: as floats they take four times the room.
CHUNK_ROWS = 256

SHOWN_AS_IT_IS = (np.dtype(np.uint8), np.dtype(np.bool_))


def viewable(image: Image, limits: Limits | None = None) -> Image:
    """Turn an image into uint8.

    Masks become black and white; other depths than eight bits are stretched from their darkest to
    their brightest pixels, all colours alike. Alpha, the last of 2 or 4 channels, keeps its share.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of any depth.
    limits : tuple of float, optional
        From `contrast`, where the image is part of a larger one.

    Returns
    -------
    ndarray
        The same shape, of uint8.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if limits is None:
        limits = contrast(image[span.slices] for span in looked_at(image.shape[:2]))
    shown = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), CHUNK_ROWS):
        rows = slice(top, top + CHUNK_ROWS)
        shown[rows] = stretched(image[rows], limits)
        if has_alpha(image):
            shown[rows][..., -1] = stretched(image[rows][..., -1], (0, opaque(image.dtype)))
    return shown


def stretched(image: Image, limits: Limits) -> Image:
    """Scale values between two limits to eight bits."""
    low, high = limits
    scaled = (finite(image) - np.float32(low)) * np.float32(255 / (high - low or 1))
    shown: Image = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return shown


def contrast(blocks: Iterable[Image]) -> Limits:
    """Find what is to be black and what white, from blocks of an image; alpha does not count."""
    values = np.concatenate([finite(colours(each)).ravel() for each in blocks])
    low, high = np.percentile(values, (TAIL_PERCENT, 100 - TAIL_PERCENT))
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high)


def looked_at(shape: tuple[int, ...]) -> list[Span]:
    """Spread windows over an image, or cover all of a small one."""
    return [
        Span(top, min(top + WINDOW_SIDE, shape[0]), left, min(left + WINDOW_SIDE, shape[1]))
        for top in starts(shape[0])
        for left in starts(shape[1])
    ]


def starts(length: int) -> list[int]:
    """Say where windows begin along one side."""
    if length <= WINDOWS * WINDOW_SIDE:
        return list(range(0, length, WINDOW_SIDE))
    return [(length - WINDOW_SIDE) * i // (WINDOWS - 1) for i in range(WINDOWS)]


def finite(image: Image) -> Image:
    """Give values as floats, with 0 for what is no number."""
    with np.errstate(over="ignore"):
        values = image.astype(np.float32)
    return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def has_alpha(image: Image) -> bool:
    """Whether the last channel is alpha."""
    return image.ndim == 3 and image.shape[2] in (2, 4)


def colours(image: Image) -> Image:
    """Leave alpha out."""
    return image[..., :-1] if has_alpha(image) else image


def opaque(dtype: np.dtype[Any]) -> float:
    """Give the value of alpha that hides nothing."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def over_white(shown: Image) -> Image:
    """Lay a picture of eight bits with alpha over white; another is left as it is."""
    if not has_alpha(shown):
        return shown
    alpha = shown[..., -1:].astype(np.uint16)
    laid = (shown[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255
    opaque_ones: Image = laid.astype(np.uint8)
    return opaque_ones[..., 0] if opaque_ones.shape[2] == 1 else opaque_ones
