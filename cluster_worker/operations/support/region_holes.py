"""Holes of many regions at once, found from the runs of their pixels.

A *gap* lies between two runs of a region in one row. Gaps of neighbouring rows touch at corners,
too, as in `scipy.ndimage.binary_fill_holes` with the neighbourhood that scikit-image gives it. A
gap is part of a hole if no chain of gaps leads from it to what lies outside the region.

Runs are (runs, 4): owner (the index of the region), row, first column and the column after the
last, sorted by these.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels.region_sums import Integers
from cluster_worker.lazy import lazily
from cluster_worker.operations.support.ragged import ranges

sparse = lazily("scipy.sparse")
csgraph = lazily("scipy.sparse.csgraph")


class Gaps(NamedTuple):
    """The gaps of regions.

    Attributes
    ----------
    lines : ndarray of int64
        (lines, 2): owner and row of each row of a region, sorted.
    at : ndarray of int64
        (gaps,): the index of each gap's line, rising.
    starts, stops : ndarray of int64
        (gaps,): first column, and the column after the last.
    closed : ndarray of bool
        (gaps,): whether the gap is part of a hole.
    """

    lines: Integers
    at: Integers
    starts: Integers
    stops: Integers
    closed: NDArray[np.bool_]


def gaps_of(runs: Integers) -> Gaps:
    """Find the gaps of regions, and which of them are parts of holes."""
    changes = (runs[1:, :2] != runs[:-1, :2]).any(axis=1)
    firsts = np.flatnonzero(np.append(True, changes))[: len(runs)]
    lines = runs[firsts, :2]
    line_of = np.cumsum(np.append(0, changes))[: len(runs)]
    between = np.flatnonzero(~changes & (runs[1:, 2] > runs[:-1, 3]))
    at, starts, stops = line_of[between], runs[between, 3], runs[between + 1, 2]
    lefts, rights = runs[firsts, 2], runs[np.append(firsts, len(runs))[1:] - 1, 3]
    opened = np.zeros(at.size, np.bool_)
    for step in (-1, 1):
        beside, there = neighbours(lines, at, step)
        opened |= ~there | (starts <= lefts[beside]) | (stops >= rights[beside])
    return Gaps(lines, at, starts, stops, ~reached(lines, at, starts, stops, opened))


def neighbours(lines: Integers, at: Integers, step: int) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the lines one row after (1) or before (-1) some lines, and whether they exist."""
    beside = np.clip(at + step, 0, max(len(lines) - 1, 0))
    return beside, (lines[beside] == lines[at] + [0, step]).all(axis=1)


def reached(
    lines: Integers, at: Integers, starts: Integers, stops: Integers, opened: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which gaps are connected to one that is open to the outside."""
    if opened.all():
        return opened
    below, there = neighbours(lines, at, 1)
    # Keys of columns that rise with the line, so that gaps of one line are found by a search.
    width = int(stops.max()) + 2
    first = np.searchsorted(at * width + stops, below * width + starts, side="left")
    stop = np.searchsorted(at * width + starts, below * width + stops, side="right")
    ones, within = ranges(np.where(there, np.maximum(stop - first, 0), 0))
    outside = np.flatnonzero(opened)
    pairs = (
        np.concatenate([ones, outside]),
        np.concatenate([first[ones] + within, np.full(outside.size, at.size)]),
    )
    count = at.size + 1
    graph = sparse.coo_array((np.ones(pairs[0].size, np.bool_), pairs), shape=(count, count))
    found = csgraph.connected_components(graph, directed=False)[1]
    result: NDArray[np.bool_] = found[:-1] == found[-1]
    return result


def filled(runs: Integers) -> Integers:
    """Return the runs of regions whose holes are filled; those given may have any order."""
    runs = joined(runs)
    gaps = gaps_of(runs)
    holes = np.column_stack([gaps.lines[gaps.at], gaps.starts, gaps.stops])[gaps.closed]
    return joined(np.concatenate([runs, holes])) if len(holes) else runs


def joined(runs: Integers) -> Integers:
    """Return runs sorted, where those that follow on each other are one."""
    runs = runs[np.lexsort((runs[:, 2], runs[:, 1], runs[:, 0]))]
    apart = (runs[1:, :2] != runs[:-1, :2]).any(axis=1) | (runs[1:, 2] > runs[:-1, 3])
    firsts = np.flatnonzero(np.append(True, apart))[: len(runs)]
    found = runs[firsts]
    found[:, 3] = runs[np.append(firsts, len(runs))[1:] - 1, 3]
    return found


def areas(runs: Integers, islands: Integers, regions: int) -> Integers:
    """Return the pixels of each region with its holes.

    Parameters
    ----------
    runs : ndarray of int64
        (runs, 4): of the pieces of regions that reach the edge of their tile; their holes within
        the tile are filled.
    islands : ndarray of int64
        (islands, 4): owner, row and column of a pixel beside the piece, and pixels with holes of
        the pieces that lie within their tile. The pixel is connected to all that is around the
        piece. If it lies in a hole, so does the piece.
    regions : int
        Number of regions.
    """
    runs = joined(runs)
    gaps = gaps_of(runs)
    found = np.zeros(regions, np.int64)
    np.add.at(found, runs[:, 0], runs[:, 3] - runs[:, 2])
    owners = gaps.lines[gaps.at[gaps.closed], 0]
    np.add.at(found, owners, (gaps.stops - gaps.starts)[gaps.closed])
    counted = ~in_a_hole(gaps, islands[:, :3])
    np.add.at(found, islands[counted, 0], islands[counted, 3])
    return found


def in_a_hole(gaps: Gaps, pixels: Integers) -> NDArray[np.bool_]:
    """Return which pixels (owner, row, column) lie in a hole of their region."""
    if gaps.at.size == 0 or len(pixels) == 0:
        return np.zeros(len(pixels), np.bool_)
    height = int(max(gaps.lines[:, 1].max(), pixels[:, 1].max())) + 1
    keys = gaps.lines[:, 0] * height + gaps.lines[:, 1]
    wanted = pixels[:, 0] * height + pixels[:, 1]
    line = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    width = int(max(gaps.stops.max(), pixels[:, 2].max())) + 1
    after = np.searchsorted(gaps.at * width + gaps.starts, line * width + pixels[:, 2], "right")
    gap = np.maximum(after - 1, 0)
    inside = (keys[line] == wanted) & (gaps.at[gap] == line) & (after > 0)
    result: NDArray[np.bool_] = (
        inside & (pixels[:, 2] >= gaps.starts[gap]) & (pixels[:, 2] < gaps.stops[gap])
    ) & gaps.closed[gap]
    return result
