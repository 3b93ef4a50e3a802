"""Neighbourhoods for morphology and rank filters."""

from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import morphology

from cluster_worker.operations.declare import Number

__all__ = [
    "Footprint",
    "HalfWidth",
    "Radius",
    "border_table",
    "footprint_of",
    "footprint_reach",
    "footprint_table",
    "square_table",
]

Footprint = Literal["disk", "square", "diamond", "rectangle", "ellipse", "octagon", "star"]
Radius = Annotated[int, Number(1, 50, unit="px", slider=(1, 15), step=1)]
# How far a rectangle or an ellipse reaches along its row, if not as far as along its column.
HalfWidth = Annotated[int | None, Number(1, 50, unit="px", slider=(1, 15), step=1)]


def footprint_of(shape: Footprint, radius: int, half_width: int | None = None) -> NDArray[np.uint8]:
    """Make a neighbourhood, as a mask with an odd number of rows and columns.

    Parameters
    ----------
    shape : str
        A rectangle and an ellipse may be wider or narrower than they are high.
    radius : int
        How far it reaches from its centre, in pixels; the four tips of a star reach half as far
        again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and to the right.

    Returns
    -------
    ndarray of uint8
        1 within the neighbourhood.
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
    """Make an octagon of 2 · radius + 1 rows whose eight sides are as equal as pixels allow."""
    side = 2 * radius + 1
    slanted = round(side / (2 + 2**0.5))
    mask: NDArray[np.uint8] = morphology.octagon(side - 2 * slanted, slanted)
    return mask


def footprint_reach(shape: Footprint, radius: int, half_width: int | None = None) -> int:
    """Give how far a neighbourhood reaches from its centre: the halo of what reads it."""
    if shape in ("rectangle", "ellipse"):
        return max(radius, half_width or 0)
    return radius + radius // 2 if shape == "star" and radius > 1 else radius


def border_table(sides: tuple[int, int], pixels: int) -> int:
    """Give the bytes by which scipy filters with a neighbourhood of so many pixels.

    It lists where they lie, in 8 bytes each, for every way in which the image's border may cut
    the neighbourhood: one for each pixel of the rectangle around it.
    """
    return 8 * prod(sides) * pixels


def footprint_table(
    footprint: Footprint, radius: int, half_width: int | None = None, **_: Any
) -> int:
    """Give the bytes by which scipy filters with a footprint."""
    mask = footprint_of(footprint, radius, half_width)
    return border_table(mask.shape, int(mask.sum()))


def square_table(side: int) -> int:
    """Give the bytes by which scipy filters with a square of so many rows."""
    return border_table((side, side), side**2)
