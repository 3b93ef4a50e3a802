"""Points that keep a distance from each other: each is kept unless an earlier one is too near."""

from collections.abc import Iterable
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily

spatial = lazily("scipy.spatial")

Points = NDArray[np.int64]
Kept = NDArray[np.bool_]
Values = NDArray[Any]


def in_reading_order(points: Points, values: Values) -> tuple[Points, Values]:
    """Return points in reading order, and their values."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    return points[order], values[order]


def brightest_of(
    points: Points, values: Values, min_distance: int, p_norm: float
) -> tuple[Points, Values]:
    """Return points from the brightest on, without those that are too near to brighter ones.

    The points are in reading order; of equally bright ones the first comes first.
    """
    # As scikit-image sorts, whose numbers without sign wrap around: 0 comes first.
    order = np.argsort(-values, kind="stable")
    points, values = points[order], values[order]
    if min_distance > 1:
        kept = spaced(points, min_distance, p_norm)
        points, values = points[kept], values[kept]
    return points, values


def spaced(points: Points, spacing: float, p_norm: float = inf, *, touching: bool = False) -> Kept:
    """Return which points are kept, as `skimage.feature.peak_local_max` chooses them.

    The points are taken one after the other. A point is left out if one that is kept lies nearer
    than `spacing`, or, with `touching`, not farther.

    Parameters
    ----------
    points : ndarray of int64
        (points, 2), in order.
    spacing : float
        In pixels.
    p_norm : float
        1 for distances along rows and columns, 2 for straight ones, infinity for the larger of both
        differences.
    touching : bool
        Whether points at this distance are too near as well.
    """
    kept = np.ones(len(points), np.bool_)
    if len(points) < 2:
        return kept
    limit = np.nextafter(spacing, inf) if touching else spacing
    nearest = spatial.cKDTree(points).query(points, k=2, p=p_norm, distance_upper_bound=limit)[0][
        :, 1
    ]
    # Most points have no other near them, and are kept at once.
    near = np.flatnonzero(np.isfinite(nearest))
    kept[near] = list(one_by_one(points[near].tolist(), limit, p_norm))
    return kept


def one_by_one(points: list[list[int]], limit: float, p_norm: float) -> Iterable[bool]:
    """Return for each point whether no point that is kept before it lies nearer than `limit`."""
    side = max(limit, 1.0)
    cells: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, column in points:
        down, across = int(row // side), int(column // side)
        beside = (
            other
            for i in (down - 1, down, down + 1)
            for j in (across - 1, across, across + 1)
            for other in cells.get((i, j), ())
        )
        free = all(distance(row - r, column - c, p_norm) >= limit for r, c in beside)
        if free:
            cells.setdefault((down, across), []).append((row, column))
        yield free


def distance(down: int, across: int, p_norm: float) -> float:
    """Return the length of a step by Minkowski's norm."""
    a, b = abs(down), abs(across)
    if p_norm == inf:
        return max(a, b)
    return float((a**p_norm + b**p_norm) ** (1 / p_norm))
