"""Neighbourhoods as parameters of operations, and the memory that scipy takes for them."""

from math import prod
from typing import Annotated, Any

from cluster_worker.kernels.footprints import Footprint as FootprintName
from cluster_worker.kernels.footprints import footprint_of, footprint_reach
from cluster_worker.operations.declare import Number

__all__ = [
    "Connectivity",
    "Footprint",
    "HalfWidth",
    "Radius",
    "border_table",
    "footprint_of",
    "footprint_reach",
    "footprint_table",
    "square_table",
]

Footprint = Annotated[FootprintName, "Shape of the neighbourhood."]
Radius = Annotated[
    int,
    Number(1, 50, unit="px", slider=(1, 15), step=1),
    "How far the neighbourhood reaches from its centre; the tips of a star half as far again.",
]
HalfWidth = Annotated[
    int | None,
    Number(1, 50, unit="px", slider=(1, 15), step=1),
    "How far a rectangle or an ellipse reaches to the left and right, if not as far as up and "
    "down.",
]
Connectivity = Annotated[
    int,
    Number(1, 2, step=1),
    "1 if neighbours share an edge, 2 if a corner is enough.",
]


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
