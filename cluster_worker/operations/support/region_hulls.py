"""Convex hulls of many regions at once, in exact integers.

A hull is kept as points: corners of the hull of a region's pixels, at the centres of pixels. The
corners of the hulls of all tiles have the hull of the whole region. Points belong to an *owner*,
the index of their region; they are sorted by owner.
"""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels.region_sums import Integers
from cluster_worker.operations.support.ragged import ranges

# Midpoints of a pixel's sides, in half pixels from its centre: scikit-image's hull is around these.
SIDES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
# Pairs of points whose distances are computed at a time.
PAIRS = 1 << 20


def chains(owners: Integers, points: Integers) -> tuple[Integers, Integers]:
    """Return the left and the right half of each owner's hull.

    Parameters
    ----------
    owners : ndarray of int64
        (points,), in any order.
    points : ndarray of int64
        (points, 2): row and column.

    Returns
    -------
    left, right : ndarray of int64
        (corners, 3): owner, row and column, sorted by owner and row; both begin in an owner's first
        row and end in its last. The right one has the columns of the right side.
    """
    order = in_order(owners, points[:, 0])
    owners, (rows, columns) = owners[order], points[order].T
    changes = (owners[1:] != owners[:-1]) | (rows[1:] != rows[:-1])
    firsts = np.flatnonzero(np.append(True, changes))[: owners.size]
    if owners.size == 0:
        return np.zeros((0, 3), np.int64), np.zeros((0, 3), np.int64)
    ends = owners[firsts], rows[firsts]
    left = bent(np.stack([*ends, np.minimum.reduceat(columns, firsts)], axis=1))
    right = bent(np.stack([*ends, -np.maximum.reduceat(columns, firsts)], axis=1))
    right[:, 2] *= -1
    return left, right


def bent(line: Integers) -> Integers:
    """Return the corners of lines (owner, row, column) at which they bend to the left, outwards.

    Points that lie on or to the right of the line between their neighbours are no corners. All are
    removed at once, until none is left; lines that are done are not looked at again.
    """
    done = []
    owners, rows, columns = (np.ascontiguousarray(each) for each in line.T)
    while True:
        same = owners[1:] == owners[:-1]
        down, right = np.diff(rows), np.diff(columns)
        removed = np.zeros(owners.size, np.bool_)
        removed[1:-1] = down[:-1] * right[1:] <= right[:-1] * down[1:]
        removed[1:-1] &= same[:-1] & same[1:]
        if not removed.any():
            break
        starts = np.flatnonzero(np.append(True, ~same))
        active = np.repeat(
            np.logical_or.reduceat(removed, starts), np.diff(starts, append=owners.size)
        )
        done.append((owners[~active], rows[~active], columns[~active]))
        active &= ~removed
        owners, rows, columns = owners[active], rows[active], columns[active]
    done.append((owners, rows, columns))
    owners, rows, columns = (np.concatenate(each) for each in zip(*done, strict=True))
    order = in_order(owners, rows) if len(done) > 1 else np.arange(owners.size)
    return np.stack([owners[order], rows[order], columns[order]], axis=1)


def in_order(owners: Integers, rows: Integers) -> NDArray[np.intp]:
    """Return the order by owner and row; one key is sorted faster than two."""
    if owners.size == 0:
        return np.zeros(0, np.intp)
    least, greatest = int(rows.min()), int(rows.max())
    return np.argsort(owners * (greatest - least + 1) + (rows - least))


def corners(owners: Integers, points: Integers) -> tuple[Integers, Integers]:
    """Return the owners and the points of hulls, (corners,) and (corners, 2), sorted by owner."""
    left, right = chains(owners, points)
    found = np.concatenate([left, right])
    found = found[np.lexsort((found[:, 2], found[:, 1], found[:, 0]))]
    same = (found[1:] == found[:-1]).all(axis=1)
    found = found[np.append(True, ~same)[: len(found)]]
    return found[:, 0], found[:, 1:]


def run_ends(
    slots: Integers, rows: Integers, starts: Integers, stops: Integers
) -> tuple[Integers, Integers]:
    """Return the owners and the points at both ends of runs."""
    ends = np.concatenate([np.stack([rows, starts], 1), np.stack([rows, stops - 1], 1)])
    return np.concatenate([slots, slots]), ends


def with_sides(owners: Integers, points: Integers) -> tuple[Integers, Integers]:
    """Return the midpoints of the sides of pixels, in half pixels."""
    return np.repeat(owners, 4), (2 * points[:, np.newaxis] + SIDES).reshape(-1, 2)


def filled_rows(owners: Integers, points: Integers) -> tuple[Integers, Integers, Integers]:
    """Return the pixels of hulls row by row, as `skimage.morphology.convex_hull_image` fills them.

    Returns
    -------
    rows : ndarray of int64
        (rows, 2): owner and row, sorted.
    first, last : ndarray of int64
        (rows,): first and last column.
    """
    left, right = chains(*with_sides(owners, points))
    rows, over, under = crossings(left)
    first = -(-over // under)
    _, over, under = crossings(right)
    return rows, first, over // under


def crossings(line: Integers) -> tuple[Integers, Integers, Integers]:
    """Return where lines cross the rows of pixels.

    Parameters
    ----------
    line : ndarray of int64
        (corners, 3): owner, row and column in half pixels.

    Returns
    -------
    rows : ndarray of int64
        (rows, 2): owner and row in pixels, sorted.
    over, under : ndarray of int64
        (rows,): the column in pixels is their quotient.
    """
    same = line[1:, 0] == line[:-1, 0]
    start, end = line[:-1][same], line[1:][same]
    first, stop = -(-start[:, 1] // 2), -(-end[:, 1] // 2)
    edges, within = ranges(stop - first)
    start, end, rows = start[edges], end[edges], first[edges] + within
    down, right = end[:, 1] - start[:, 1], end[:, 2] - start[:, 2]
    over = start[:, 2] * down + right * (2 * rows - start[:, 1])
    return np.stack([start[:, 0], rows], axis=1), over, 2 * down


def areas(owners: Integers, points: Integers, regions: int) -> Integers:
    """Return the pixels of each hull."""
    rows, first, last = filled_rows(owners, points)
    found = np.zeros(regions, np.int64)
    np.add.at(found, rows[:, 0], last - first + 1)
    return found


def diameters(
    owners: Integers, points: Integers, regions: int, spacing: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the largest distance between two points of the outline of each filled hull.

    The outline goes through the midpoints of sides, as `skimage.measure.find_contours` draws it.
    """
    rows, first, last = filled_rows(owners, points)
    ends = np.concatenate([np.stack([rows[:, 1], each], 1) for each in (first, last)])
    owners, points = corners(*with_sides(*corners(np.tile(rows[:, 0], 2), ends)))
    counts = np.bincount(owners, minlength=regions)
    firsts = np.cumsum(counts) - counts
    found = np.zeros(regions)
    # Each point with all points of its region, some points at a time.
    sizes = counts[owners]
    stops = np.append(np.flatnonzero(np.diff(np.cumsum(sizes) // PAIRS)) + 1, owners.size)
    start = 0
    for stop in stops:
        ones, within = ranges(sizes[start:stop])
        ones += start
        apart = points[ones] - points[firsts[owners[ones]] + within]
        scaled = apart * (np.array(spacing) / 2)
        np.maximum.at(found, owners[ones], (scaled**2).sum(axis=1))
        start = stop
    return np.sqrt(found)
