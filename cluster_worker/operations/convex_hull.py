"""Convex hull of the set pixels of a mask, computed from the hulls of its tiles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Measure, Place, Statistical, operation

Points = NDArray[np.int64]


def outline(image: Image, *, place: Place) -> Points:
    """Return the corners of the convex hull of a tile's set pixels.

    Returns
    -------
    ndarray of int64
        (corners, 2): row and column in the whole image, in pixels.
    """
    mask = image.astype(bool)
    rows, columns = mask.shape
    # Every corner is the first or the last set pixel of its row, and also of its column. Scan the
    # rows or the columns, whichever are fewer.
    across = mask if rows <= columns else mask.T
    lines = np.flatnonzero(across.any(axis=1))
    first = across[lines].argmax(axis=1)
    last = across.shape[1] - 1 - across[lines, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([lines, first], 1), np.stack([lines, last], 1)])
    ends = ends if rows <= columns else ends[:, ::-1]
    return corners(ends + np.array([place.window.top, place.window.left]))


def corners(points: NDArray[Any]) -> Points:
    """Return the corners of the convex hull of points with integer coordinates, in a fixed order.

    Andrew's monotone chain. The arithmetic is exact, so that the hull of the corners of all tiles
    is the hull of the whole image.
    """
    ordered = sorted({(int(row), int(column)) for row, column in points})
    if len(ordered) > 1:
        ordered = chain(ordered)[:-1] + chain(ordered[::-1])[:-1]
    return np.array(ordered, np.int64).reshape(-1, 2)


def chain(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return one half of the hull of sorted points: those at which it turns left."""
    line: list[tuple[int, int]] = []
    for point in points:
        while len(line) > 1 and bend(line[-2], line[-1], point) <= 0:
            line.pop()
        line.append(point)
    return line


def bend(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """Return twice the signed area of a triangle; it is positive if a, b, c turn left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def join_outlines(a: Points, b: Points) -> Points:
    """Return the corners of the hull around two hulls."""
    return corners(np.concatenate([a, b]))


@operation(
    "Convex hull",
    "Morphology",
    Statistical((Measure(outline, join_outlines),)),
    channels="gray",
    takes="mask",
    arrays=2,
    differs=(
        "every pixel that is not 0 belongs to the object; scikit-image takes what is left of it "
        "in 8 bits"
    ),
)
def convex_hull_image(
    image: Image,
    offset_coordinates: bool = True,
    include_borders: bool = True,
    *,
    place: Place,
    statistics: tuple[Points],
) -> Image:
    """Fill the convex hull of a mask: the smallest convex shape around all its white pixels.

    Parameters
    ----------
    offset_coordinates : bool
        Whether a pixel counts with the midpoints of its four sides, rather than with its centre
        alone. Points in one line have no hull.
    include_borders : bool
        Whether pixels exactly on the edge of the shape belong to it.

    Notes
    -----
    Pixels are tested against the hull with integer arithmetic, which is exact. Every pixel that is
    not 0 counts. scikit-image documents the same, but converts floats to 8-bit integers, so that
    0.5 becomes 0.

    References
    ----------
    skimage.morphology.convex_hull_image
    """
    (found,) = statistics
    # In half pixels, so that the midpoints of a pixel's sides have integer coordinates.
    vertices = 2 * found
    if offset_coordinates and len(found):
        sides = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
        vertices = corners((vertices[:, np.newaxis] + sides).reshape(-1, 2))
    if len(vertices) < 3:
        return np.zeros(image.shape, bool)
    rows = np.arange(place.window.top, place.window.bottom)
    first, last = between(vertices, rows, include_borders)
    columns = np.arange(place.window.left, place.window.right)
    return (columns >= first[:, np.newaxis]) & (columns <= last[:, np.newaxis])


def between(vertices: Points, rows: NDArray[np.int64], closed: bool) -> tuple[Points, Points]:
    """Return the first and the last column of a convex polygon in each row.

    Parameters
    ----------
    vertices : ndarray
        In half pixels, in the order of `corners`.
    rows : ndarray
        In pixels.
    closed : bool
        Whether the polygon's edges belong to it.

    Returns
    -------
    first, last : ndarray of int64
        Columns in pixels; `last` is less than `first` where the polygon has none.
    """
    first = np.full(rows.shape, np.iinfo(np.int64).min)
    last = np.full(rows.shape, np.iinfo(np.int64).max)
    for (row, column), (next_row, next_column) in zip(
        vertices, np.roll(vertices, -1, 0), strict=True
    ):
        down, right = next_row - row, next_column - column
        from_row = 2 * rows - row
        # The edge crosses a row at column `over` / `under`.
        over, under = column * down + right * from_row, 2 * down
        if down > 0:
            first = np.maximum(first, -(-over // under) if closed else over // under + 1)
        elif down < 0:
            last = np.minimum(last, over // under if closed else -(-over // under) - 1)
        else:
            beyond = right * from_row > 0 if closed else right * from_row >= 0
            last = np.where(beyond, np.iinfo(np.int64).min, last)
    return first, last
