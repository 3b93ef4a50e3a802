"""Footprints: masks of the neighbourhood that a filter reads around each pixel."""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import morphology

Footprint = Literal["disk", "square", "diamond", "rectangle", "ellipse", "octagon", "star"]


def footprint_of(shape: Footprint, radius: int, half_width: int | None = None) -> NDArray[np.uint8]:
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
        mask: NDArray[Any] = morphology.footprint_rectangle((2 * radius + 1, 2 * across + 1))
    elif shape == "ellipse":
        mask = morphology.ellipse(across, radius)
    elif shape == "square":
        mask = morphology.footprint_rectangle((2 * radius + 1, 2 * radius + 1))
    elif shape == "octagon":
        mask = octagon(radius)
    else:
        mask = {
            "disk": morphology.disk,
            "diamond": morphology.diamond,
            "star": morphology.star,
        }[shape](radius)
    return mask


def octagon(radius: int) -> NDArray[np.uint8]:
    """Make an octagon of 2 · radius + 1 rows, with sides as equal in length as pixels allow."""
    side = 2 * radius + 1
    slanted = round(side / (2 + 2**0.5))
    mask: NDArray[np.uint8] = morphology.octagon(side - 2 * slanted, slanted)
    return mask


@lru_cache
def footprint_reach(shape: Footprint, radius: int, half_width: int | None = None) -> int:
    """Return how far a neighbourhood reaches from its centre, in pixels: the halo of its filter.

    It is read off the mask: the tips of a star reach beyond its radius.
    """
    rows, columns = footprint_of(shape, radius, half_width).shape
    return int(max(rows, columns)) // 2


# Neighbourhoods whose least and greatest integers are found by networks of comparators. The diamond
# of radius 1 is not among them: OpenCV is as fast there.
SMALL = [
    *(footprint_of("square", radius) for radius in (1, 2, 3)),
    footprint_of("diamond", 2),
    *(footprint_of("disk", radius) for radius in (2, 3)),
]
