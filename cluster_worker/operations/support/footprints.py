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
    """Compute the size in bytes of the table that scipy's filters make of a neighbourhood.

    The table has the offsets of its `pixels`, 8 bytes each, once for every way in which the image
    border can cut the neighbourhood: one way for each pixel of the rectangle of these `sides`.
    """
    return 8 * prod(sides) * pixels


def footprint_table(
    footprint: Footprint, radius: int, half_width: int | None = None, **_: Any
) -> int:
    """Compute the size in bytes of scipy's table for a footprint."""
    mask = footprint_of(footprint, radius, half_width)
    return border_table(mask.shape, int(mask.sum()))


def square_table(side: int) -> int:
    """Compute the size in bytes of scipy's table for a square of `side` rows."""
    return border_table((side, side), side**2)
