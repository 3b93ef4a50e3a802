"""Flood fill: select the pixels that are connected to a point and about as bright."""

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
from cluster_worker.operations.support.propagation import runs_of_a_tile, selection_stages


class Flood(NamedTuple):
    """The flood from a point, as measured in the tile that holds the point.

    Attributes
    ----------
    least, greatest : scalar
        Range of the values that the flood takes, both included.
    taken : tuple of Span and ndarray of bool, or None
        A span of the whole image and the mask of the flooded pixels in it, if the flood stays
        within the tile. None if it may continue in other tiles.
    """

    least: Any
    greatest: Any
    taken: tuple[Span, Image] | None


def flood_stages(seed_point: tuple[int, ...], tolerance: float | None, connectivity: int) -> Stages:
    """Return the stages of a flood."""
    given: dict[str, Any] = {"seed_point": seed_point, "connectivity": connectivity}
    found = Measure(partial(flooded_in_tile, tolerance=tolerance, **given), first_found)
    like = partial(like_flooded, seed_point=seed_point)
    return selection_stages(partial(flooded, **given), connectivity, like=like, measures=(found,))


def check_point(seed_point: tuple[int, ...]) -> None:
    """Raise ValueError if a point is not two numbers, its row and its column."""
    if len(seed_point) != 2:
        raise ValueError(f"seed_point: must be a row and a column, got {len(seed_point)} numbers")


def position_in_block(seed_point: tuple[int, ...], place: Place) -> tuple[int, int] | None:
    """Return the row and column of a point in a block, or None if it lies elsewhere."""
    check_point(seed_point)
    row, column = seed_point
    top, bottom, left, right = place.window
    return (row - top, column - left) if top <= row < bottom and left <= column < right else None


def like_flooded(image: Image, seed_point: tuple[int, ...]) -> Image:
    """Return an image of the type of seats, after a check of the point."""
    check_point(seed_point)
    return np.asarray(image, np.uint32)


def flooded_range(value: Any, tolerance: float | None) -> tuple[Any, Any]:
    """Return the least and the greatest value that a flood takes, from the value of its point."""
    if tolerance is None:
        return value, value
    low, high = value.item() - tolerance, value.item() + tolerance
    if value.dtype.kind != "f":
        limits = np.iinfo(value.dtype) if value.dtype.kind in "iu" else None
        least, most = (limits.min, limits.max) if limits else (0, 1)
        low, high = int(max(low, least)), int(min(high, most))
    return value.dtype.type(low), value.dtype.type(high)


def flooded_in_tile(
    image: Image,
    *,
    place: Place,
    seed_point: tuple[int, ...],
    tolerance: float | None,
    connectivity: int,
) -> Flood | None:
    """Flood the tile that holds the point; return None for any other tile."""
    point = position_in_block(seed_point, place)
    if point is None:
        return None
    between = flooded_range(image[point], tolerance)
    if image.dtype.kind == "i" or image.itemsize == 8:
        # The loop is compiled for other types. These numbers are compared as floats.
        image = image.astype(np.float64)
    least, greatest = (image.dtype.type(each) for each in between)
    return Flood(*between, floods.filled(image, least, greatest, point, connectivity, place))


def first_found(a: Any, b: Any) -> Any:
    """Return the first of two values that is not None."""
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
    """Return the seats of the regions of a tile that the flood may take; its point is the mark."""
    (flood,) = statistics
    if flood is None:
        return components.given(None, place, out)
    if flood.taken is not None:
        return components.given(flood.taken, place, out)
    mask = image == flood.least
    if flood.least != flood.greatest:
        mask = (image >= flood.least) & (image <= flood.greatest)
    point, marks = position_in_block(seed_point, place), None
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
    # Most pixels are flooded if white is near enough to black, and few if they must be equal. The
    # first tile is flooded from the point, which takes longer for a pixel.
    cost=lambda tolerance, **_: 0.02 + 0.6 * min(tolerance or 0, 1),
    cost_once=lambda tolerance, **_: 1e6 * min(tolerance or 0, 1),
    kernels=(
        # Equal integers are equal as floats, too.
        Kernel(
            flood_stages,
            takes=("uint8", "uint16"),
            when=lambda tolerance, **_: tolerance is None,
            gray=True,
            exact=True,
            # Not 0, so that tiles are small: a flood then examines only the few that it reaches.
            arrays=1,
            cost=0.02,
        ),
    ),
)
def flood(
    seed_point: Annotated[tuple[int, ...], Number(0, 1_000_000, unit="px", step=1)] = (0, 0),
    tolerance: Annotated[float | None, Number(0, 65_535, slider=(0, 1), step=0.01)] = None,
    connectivity: Connectivity = 2,
) -> Stages:
    """Select pixels connected to a point and about as bright (flood fill); the result is a mask.

    Parameters
    ----------
    seed_point : list of int
        Row and column of the point, from 0. A point outside the image selects nothing.
    tolerance : float, optional
        How much brighter or darker than the point a pixel may be, as a share of white; if it is
        not given, pixels must be equal to the point.

    Notes
    -----
    For integers, scikit-image truncates the least and the greatest value that are flooded, so that
    a tolerance of 0.5 reaches one level down and none up. The result here is the same.

    References
    ----------
    skimage.segmentation.flood
    """
    return flood_stages(seed_point, tolerance, connectivity)
