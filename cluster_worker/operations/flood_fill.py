"""Flood fill: what is connected to one point of the image and about as bright."""

from functools import partial
from typing import Annotated, Any, NamedTuple

import numpy as np

from cluster_worker.kernels import components, floods
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Measure,
    Number,
    Place,
    Span,
    Stages,
    operation,
)
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import parts_wanted, runs_of_a_tile


class Flood(NamedTuple):
    """What a flood takes, and the mask of what it has taken if it stays within one tile."""

    least: Any
    greatest: Any
    taken: tuple[Span, Image] | None


def flood_parts(seed_point: tuple[int, ...], tolerance: float | None, connectivity: int) -> Stages:
    """Make the parts of a flood."""
    given: dict[str, Any] = {"seed_point": seed_point, "connectivity": connectivity}
    found = Measure(partial(flooded_in_tile, tolerance=tolerance, **given), whichever)
    like = partial(like_flooded, seed_point=seed_point)
    return parts_wanted(partial(flooded, **given), connectivity, like=like, measures=(found,))


def check_point(seed_point: tuple[int, ...]) -> None:
    """Refuse a point of which there are not two numbers.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if len(seed_point) != 2:
        raise ValueError(f"seed_point: must be a row and a column, got {len(seed_point)} numbers")


def within(seed_point: tuple[int, ...], place: Place) -> tuple[int, int] | None:
    """Give the row and column in a block of a point of the image, if it is there."""
    check_point(seed_point)
    row, column = seed_point
    top, bottom, left, right = place.window
    return (row - top, column - left) if top <= row < bottom and left <= column < right else None


def like_flooded(image: Image, seed_point: tuple[int, ...]) -> Image:
    """Make an image like that of seats."""
    check_point(seed_point)
    return np.asarray(image, np.uint32)


def taken_from(value: Any, tolerance: float | None) -> tuple[Any, Any]:
    """Give the least and the greatest value that a flood takes from a point of some value."""
    if tolerance is None:
        return value, value
    low, high = value.item() - tolerance, value.item() + tolerance
    if value.dtype.kind != "f":
        low, high = int(max(low, 0)), int(min(high, np.iinfo(value.dtype).max))
    return value.dtype.type(low), value.dtype.type(high)


def flooded_in_tile(
    image: Image,
    *,
    place: Place,
    seed_point: tuple[int, ...],
    tolerance: float | None,
    connectivity: int,
) -> Flood | None:
    """Flood the tile that holds the point; None for any other."""
    point = within(seed_point, place)
    if point is None:
        return None
    between = taken_from(image[point], tolerance)
    return Flood(*between, floods.filled(image, *between, point, connectivity, place))


def whichever(a: Any, b: Any) -> Any:
    """Give what has been found."""
    return b if a is None else a


def flooded(
    image: Image,
    *,
    place: Place,
    statistics: tuple[Flood | None],
    out: Image | None,
    seed_point: tuple[int, ...],
    connectivity: int,
) -> Image:
    """Give seats to the regions of a tile that a flood might take; marked is its point."""
    (flood,) = statistics
    if flood is None:
        return components.given(None, place, out)
    if flood.taken is not None:
        return components.given(flood.taken, place, out)
    mask = image == flood.least
    if flood.least != flood.greatest:
        mask = (image >= flood.least) & (image <= flood.greatest)
    point, marks = within(seed_point, place), None
    if point is not None:
        marks = np.zeros(image.shape, np.bool_)
        marks[point] = mask[point] = True
    return components.seated(mask, marks, connectivity, place, out=out)


@operation(
    "Flood",
    "Regions",
    Composed("propagating"),
    channels="gray",
    floats=True,
    arrays=0,
    table=runs_of_a_tile,
    cost=2,
    kernels=(
        # Equal levels are equal as floats, too.
        Kernel(
            flood_parts,
            takes=("uint8", "uint16"),
            when=lambda tolerance, **_: tolerance is None,
            gray=True,
            exact=True,
            # Of small tiles, few are looked at.
            arrays=1,
            cost=0.3,
        ),
    ),
)
def flood(
    seed_point: Annotated[tuple[int, ...], Number(0, 1_000_000, unit="px", step=1)] = (0, 0),
    tolerance: Annotated[float | None, Number(0, 65_535, slider=(0, 1), step=0.01)] = None,
    connectivity: Connectivity = 2,
) -> Stages:
    """Find what is connected to a point and as bright, as a mask.

    Parameters
    ----------
    seed_point : list of int
        Row and column of the point, from 0. One outside of the image floods nothing.
    tolerance : float, optional
        How much brighter or darker than the point a pixel may be, as a share of white; none if
        it must be equal.
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.

    Notes
    -----
    For whole numbers scikit-image cuts off what follows the point in the least value that is
    flooded, so that a tolerance of 0.5 reaches one level down and none up. So does this.

    References
    ----------
    skimage.segmentation.flood
    """
    return flood_parts(seed_point, tolerance, connectivity)
