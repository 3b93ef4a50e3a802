"""Footprints: masks of the neighbourhood that a filter reads around each pixel.

They are those of ``skimage.morphology``, computed here because the engine plans with them, and it
does not load scikit-image.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Footprint = Literal["disk", "square", "diamond", "rectangle", "ellipse", "octagon", "star"]


Mask = NDArray[np.uint8]


def footprint_of(shape: Footprint, radius: int, half_width: int | None = None) -> Mask:
    """Make a neighbourhood, as a mask with an odd number of rows and columns.

    Parameters
    ----------
    shape : str
        One of `Footprint`. The width of a rectangle and of an ellipse may differ from their height.
    radius : int
        How far it reaches from its centre, in pixels. The four tips of a star reach half as far
        again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and to the right, in pixels; the
        radius if it is not given.

    Returns
    -------
    ndarray of uint8
        1 within the neighbourhood, 0 outside.
    """
    across = radius if half_width is None else half_width
    if shape == "rectangle":
        return np.ones((2 * radius + 1, 2 * across + 1), np.uint8)
    if shape == "ellipse":
        return ellipse(radius, across)
    return {
        "square": lambda reach: np.ones((2 * reach + 1, 2 * reach + 1), np.uint8),
        "disk": disk,
        "diamond": lambda reach: diamond(reach, reach),
        "octagon": octagon,
        "star": star,
    }[shape](radius)


def diamond(reach: int, away: int) -> Mask:
    """Make a diamond of 2 · reach + 1 rows, cut off by the square around it.

    Parameters
    ----------
    reach : int
        Rows and columns on either side of the centre.
    away : int
        Largest distance from the centre along rows and columns together.
    """
    line = np.abs(np.arange(-reach, reach + 1))
    return (line[:, np.newaxis] + line <= away).astype(np.uint8)


def disk(radius: int) -> Mask:
    """Make a disk of 2 · radius + 1 rows."""
    squares = np.arange(-radius, radius + 1) ** 2
    return (squares[:, np.newaxis] + squares <= radius**2).astype(np.uint8)


def ellipse(radius: int, half_width: int) -> Mask:
    """Make an ellipse of 2 · radius + 1 rows and 2 · half_width + 1 columns."""
    rows, columns = (
        (np.arange(-each, each + 1) / (each + 1)) ** 2 for each in (radius, half_width)
    )
    return (rows[:, np.newaxis] + columns < 1).astype(np.uint8)


def octagon(radius: int) -> Mask:
    """Make an octagon of 2 · radius + 1 rows, with sides as equal in length as pixels allow."""
    slanted = round((2 * radius + 1) / (2 + 2**0.5))
    return diamond(radius, 2 * radius - slanted)


def star(radius: int) -> Mask:
    """Make a square of 2 · radius + 1 rows with a larger diamond over it."""
    if radius == 1:
        return np.ones((3, 3), np.uint8)
    beyond = radius // 2
    mask = diamond(radius + beyond, radius + beyond)
    mask[beyond:-beyond, beyond:-beyond] = 1
    return mask


@lru_cache
def footprint_reach(shape: Footprint, radius: int, half_width: int | None = None) -> int:
    """Return how far a neighbourhood reaches from its centre, in pixels: the halo of its filter.

    It is read off the mask: the tips of a star reach beyond its radius.
    """
    rows, columns = footprint_of(shape, radius, half_width).shape
    return int(max(rows, columns)) // 2


class Shape(NamedTuple):
    """A neighbourhood, in coordinates of the square around it.

    Attributes
    ----------
    mask : ndarray
        1 within the neighbourhood.
    reach : int
        How far the square reaches from its centre, in pixels.
    runs : ndarray
        (runs, 3): row, first column, and the column after the last.
    offsets : ndarray
        (pixels, 2): row and column of each pixel except the centre.
    """

    mask: NDArray[np.uint8]
    reach: int
    runs: NDArray[np.intp]
    offsets: NDArray[np.intp]

    @property
    def pixels(self) -> NDArray[np.intp]:
        """(pixels, 2): row and column of each pixel, the centre among them."""
        return np.vstack([self.offsets, [[self.reach, self.reach]]])


@lru_cache(maxsize=16)
def shape_of(footprint: Footprint, radius: int, half_width: int | None) -> Shape:
    """Return a neighbourhood with its runs and its pixels."""
    mask = footprint_of(footprint, radius, half_width)
    reach = footprint_reach(footprint, radius, half_width)
    up, across = mask.shape[0] // 2, mask.shape[1] // 2
    square = np.pad(mask, ((reach - up,) * 2, (reach - across,) * 2))
    steps = np.diff(np.pad(square, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, firsts = np.nonzero(steps == 1)
    lasts = np.nonzero(steps == -1)[1]
    square[reach, reach] = 0
    return Shape(mask, reach, np.stack([rows, firsts, lasts], axis=1), np.argwhere(square))


# Neighbourhoods whose least and greatest integers are found by networks of comparators. The diamond
# of radius 1 is not among them: OpenCV is as fast there.
SMALL = [
    *(footprint_of("square", radius) for radius in (1, 2, 3)),
    footprint_of("diamond", 2),
    *(footprint_of("disk", radius) for radius in (2, 3)),
]
