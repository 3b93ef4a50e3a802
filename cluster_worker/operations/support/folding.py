"""Borders of an image: what lies beyond them, and which pixels a sampled box needs."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.tiling import Span

# numpy.pad's names of the modes.
Border = Annotated[
    Literal["constant", "edge", "symmetric", "reflect", "wrap"],
    "What lies beyond the image's border: one level (constant), its last pixel (edge), its mirror "
    "image with the last pixel twice (symmetric) or once (reflect), or its opposite edge (wrap).",
]
Indices = NDArray[np.intp]
Floats = NDArray[Any]
Box = tuple[float, float, float, float]

# Pixels that scipy adds beyond the border before it computes spline coefficients, in the modes for
# which it has no exact rule: "edge" and "constant".
BORDER_PIXELS = 12
# Reach of the filter for spline coefficients: pixels farther away weigh less than 1e-12 of the
# centre.
SPLINE_HALO = 22
# No interpolation here reads farther from a coordinate than this, in pixels. One of them is spare,
# for the rounding of coordinates in 32 bits.
NEIGHBOURS = 4


def folded(index: Indices, length: int, border: Border) -> Indices:
    """Map indices beyond an axis back into it, as numpy.pad repeats an image.

    Parameters
    ----------
    index : ndarray of int
        Any size, negative ones included.
    length : int
        Pixels of the axis.
    border : str
        One of numpy.pad's modes. "constant" returns the nearest pixel, which the caller replaces.
    """
    if index.size == 0 or (index.min() >= 0 and index.max() < length):
        return index
    found: Indices
    if border == "wrap":
        found = index % length
    elif border == "symmetric":
        found = index % (2 * length)
        found = np.minimum(found, 2 * length - 1 - found)
    elif border == "reflect" and length > 1:
        found = index % (2 * length - 2)
        found = np.minimum(found, 2 * length - 2 - found)
    else:
        found = np.clip(index, 0, length - 1)
    return found


def folded_coordinates(at: Floats, length: int, border: Border) -> Floats:
    """Map coordinates beyond an axis back into it, as scipy.ndimage does.

    The same arithmetic matters for a coordinate halfway between two pixels: it decides which of
    them is the nearest.
    """
    last = length - 1
    if border == "constant" or at.size == 0 or (at.min() >= 0 and at.max() <= last):
        return at
    if length == 1 or border == "edge":
        return np.clip(at, 0, last)
    found: Floats
    if border == "wrap":
        below = at + length * (np.trunc((-1 - at) / length) + 1)
        above = at - length * np.trunc(at / length)
        found = np.where(at < 0, below, np.where(at > last, above, at))
    elif border == "symmetric":
        period = 2 * length
        below = np.where(at < -period, period * np.trunc(-at / period) + at, at)
        # scipy's bound, so that no coordinate is rounded to -1.
        mirrored = np.where(below > -1e-15, 1e-15, -below) - 1
        below = np.where(below < -length, below + period, mirrored)
        above = at - period * np.trunc(at / period)
        above = np.where(above >= length, period - above - 1, above)
        found = np.where(at < 0, below, np.where(at > last, above, at))
    else:
        period = 2 * last
        below = period * np.trunc(-at / period) + at
        below = np.where(below <= -last, below + period, -below)
        above = at - period * np.trunc(at / period)
        above = np.where(above >= length, period - above, above)
        found = np.where(at < 0, below, np.where(at > last, above, at))
    return found


def needed_range(
    low: float, high: float, length: int, border: Border, halo: int = 0
) -> tuple[int, int]:
    """Compute the range of an axis into which the indices from `low` to `high` fold.

    Parameters
    ----------
    low, high : float
        Least and greatest index, both included. A value between two pixels needs both.
    length : int
        Pixels of the axis.
    border : str
        What lies beyond it.
    halo : int
        Pixels that are read around the range.

    Returns
    -------
    tuple of int
        Half open and not empty. It lies within the axis, except for "wrap": there it may reach
        beyond the end of the axis, to pixels that are read from the opposite edge.
    """
    first, last = int(np.floor(low)), int(np.ceil(high))
    if border == "wrap":
        first, last = first - halo, last + halo
        if last - first + 1 >= length:
            return 0, length
        return first % length, first % length + last - first + 1
    if border in ("constant", "edge"):
        first, last = (min(max(each, 0), length - 1) for each in (first, last))
    elif last - first >= 2 * length:
        first, last = 0, length - 1
    else:
        index = folded(np.arange(first, last + 1), length, border)
        first, last = int(index.min()), int(index.max())
    return max(first - halo, 0), min(last + halo, length - 1) + 1


def needed_span(box: Box, shape: tuple[int, int], order: int | None, border: Border) -> Span:
    """Compute the span of an image that is read for coordinates within a box.

    Parameters
    ----------
    box : tuple of float
        Least and greatest row, least and greatest column.
    shape : tuple of int
        (rows, columns) of the image.
    order, border : int or None, str
        Of the interpolation.
    """
    # A coordinate far beyond the border folds to the border's pixel, whose neighbour is read too.
    halo = max(spline_halo(order), 1)
    return Span(
        *needed_range(box[0] - NEIGHBOURS, box[1] + NEIGHBOURS, shape[0], border, halo),
        *needed_range(box[2] - NEIGHBOURS, box[3] + NEIGHBOURS, shape[1], border, halo),
    )


def wraps(border: str) -> bool:
    """Return whether what lies beyond the border is the opposite edge."""
    return border == "wrap"


def spline_halo(order: int | None) -> int:
    """Return how far the coefficients of a spline of this order read, in pixels."""
    return 0 if order is None or order < 2 else SPLINE_HALO
