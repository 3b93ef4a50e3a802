"""The graph of a skeleton: its ends, its junctions, and the branches between them.

Two pixels are neighbours if they share a side, or a corner unless a pixel beside both joins them
already (mixed adjacency), so that a corner of a line is no junction. A pixel with one neighbour is
an end, one with three or four a junction; all others lie on a branch, which counts its steps over
sides and over corners. A tile gives the branches and parts of branches that it sees; the counts are
integers, so that joining them gives the same graph for any tiles.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Place

csgraph = lazily("scipy.sparse.csgraph")
sparse = lazily("scipy.sparse")

Integers = NDArray[np.int64]
Graph = dict[str, Integers]
# Pixels around a core that decide which neighbours its pixels have.
HALO = 1
# Most ends and junctions of an image: those of so many need 2 GB.
NODES_MAX = 1 << 24
# Columns of a branch: the pixels at both ends by their numbers in reading order, the steps over
# sides and over corners, the first of its pixels, how many lie between its ends, and its label.
A, B, SIDES, CORNERS, FIRST, BETWEEN, LABEL = range(7)
# Columns of a node, which is any pixel without exactly two neighbours.
PIXEL, DEGREE, OWNER = range(3)
# Steps to the eight neighbours: over sides, then over corners. The first two of each four lead on
# in reading order.
ACROSS = ((0, 1), (1, 0), (0, -1), (-1, 0))
ASLANT = ((1, 1), (1, -1), (-1, -1), (-1, 1))


def measure(labels: Image, place: Place) -> Graph:
    """Find the graph of the lines in a tile.

    Parameters
    ----------
    labels : ndarray of integers or bool
        (rows, columns), with a halo of `HALO` pixels, clipped at the image border. Only pixels of
        one label are neighbours; 0 and less belong to no line.
    place : Place
        Where the block lies in the image; only steps on from pixels of the core are taken.

    Returns
    -------
    dict
        ``branches`` (n, 7) and ``nodes`` (n, 3); see `A` and `PIXEL`.
    """
    padded = np.pad(labels, HALO)
    core = place.inner
    rows, columns = np.nonzero(labels[core] > 0)
    rows, columns = rows + core[0].start + HALO, columns + core[1].start + HALO
    owners = padded[rows, columns]
    sides = [padded[rows + down, columns + across] == owners for down, across in ACROSS]
    aslant = [padded[rows + down, columns + across] == owners for down, across in ASLANT]
    rows, columns = rows - HALO + place.window.top, columns - HALO + place.window.left
    right, below, left, above = sides
    corners = [
        found & ~one & ~other
        for found, one, other in zip(
            aslant, (below, below, above, above), (right, left, left, right), strict=True
        )
    ]
    degrees = sum(each.astype(np.int64) for each in (*sides, *corners))
    pixels = rows * place.shape[1] + columns
    owners = owners.astype(np.int64)
    steps = [
        one_step(pixels[found], owners[found], down * place.shape[1] + across, counted)
        for counted, kind, ways in ((SIDES, sides, ACROSS), (CORNERS, corners, ASLANT))
        for found, (down, across) in zip(kind[:2], ways[:2], strict=True)
    ]
    branches = np.concatenate(steps)
    inner = pixels[degrees == 2]
    seen, times = np.unique(branches[:, [A, B]], return_counts=True)
    inner = np.intersect1d(inner, seen[times == 2], assume_unique=True)
    nodes = np.column_stack([pixels, degrees, owners])[degrees != 2]
    return {"branches": contracted(branches, inner), "nodes": nodes}


def one_step(pixels: Integers, owners: Integers, way: int, counted: int) -> Integers:
    """Return a branch of one step from each pixel, counted in a column."""
    branches = np.zeros((pixels.size, 7), np.int64)
    branches[:, A] = branches[:, FIRST] = pixels
    branches[:, B] = pixels + way
    branches[:, counted] = 1
    branches[:, LABEL] = owners
    return branches


def contracted(branches: Integers, inner: Integers) -> Integers:
    """Join branches that meet at inner pixels.

    Parameters
    ----------
    branches : ndarray of int64
        (n, 7).
    inner : ndarray of int64
        Pixels in ascending order; each is an end of two branches, or both ends of one.

    Returns
    -------
    ndarray of int64
        (m, 7). The branch of a ring begins and ends at the first of its pixels.
    """
    at = [found_in(inner, branches[:, end]) for end in (A, B)]
    meets = (at[0] >= 0) | (at[1] >= 0)
    within = (at[0] >= 0) & (at[1] >= 0)
    links = sparse.coo_matrix(
        (np.ones(np.count_nonzero(within), np.int8), (at[0][within], at[1][within])),
        (inner.size, inner.size),
    )
    count, chain = csgraph.connected_components(links, directed=False)
    owner = chain[np.where(at[0] >= 0, at[0], at[1])[meets]]
    joined = np.zeros((count, 7), np.int64)
    for column in (SIDES, CORNERS, BETWEEN):
        np.add.at(joined[:, column], owner, branches[meets, column])
    joined[:, BETWEEN] += np.bincount(chain, minlength=count)
    joined[owner, LABEL] = branches[meets, LABEL]
    joined[:, FIRST] = np.iinfo(np.int64).max
    np.minimum.at(joined[:, FIRST], owner, branches[meets, FIRST])
    # A branch with one end at an inner pixel leads out of the chain; two do, or none of a ring.
    ends = [
        (chain[at[one][leads]], branches[leads, other])
        for one, other, leads in (
            (0, B, (at[0] >= 0) & (at[1] < 0)),
            (1, A, (at[1] >= 0) & (at[0] < 0)),
        )
    ]
    chains, pixels = (np.concatenate(each) for each in zip(*ends, strict=True))
    order = np.lexsort((pixels, chains))
    ring = np.bincount(chains, minlength=count) == 0
    joined[~ring, A], joined[~ring, B] = pixels[order][::2], pixels[order][1::2]
    joined[ring, A] = joined[ring, B] = joined[ring, FIRST]
    joined[ring, BETWEEN] -= 1
    return np.concatenate([branches[~meets], joined])


def found_in(known: Integers, wanted: Integers) -> Integers:
    """Return the index of each wanted number among known ones in ascending order, or -1."""
    if not known.size:
        return np.full(wanted.size, -1, np.int64)
    at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    result: Integers = np.where(known[at] == wanted, at, -1)
    return result


def combine(one: Mapping[str, Integers], other: Mapping[str, Integers]) -> Graph:
    """Join what was found in two sets of tiles.

    Raises
    ------
    Rejected
        If there are more than `NODES_MAX` nodes.
    """
    nodes = len(one["nodes"]) + len(other["nodes"])
    if nodes > NODES_MAX:
        raise Rejected(
            f"takes at most {NODES_MAX} ends and junctions, got {nodes} or more; put skeletonize "
            "before, or remove_small_objects"
        )
    return {name: np.concatenate([each, other[name]]) for name, each in one.items()}


def whole(found: Mapping[str, Integers]) -> Graph:
    """Return the graph of the whole image.

    Parameters
    ----------
    found : mapping
        What was found in all tiles.

    Returns
    -------
    dict
        ``branches`` (n, 7), in the order of their skeletons, of their ends and of their steps;
        ``nodes`` (n, 3), in reading order; ``degrees`` (n, 2), the neighbours of the pixels at both
        ends of each branch; ``skeletons`` and ``of_nodes``, the number of the skeleton of each
        branch and node. Skeletons count from 1, in the order of their first pixels.
    """
    nodes = found["nodes"][np.argsort(found["nodes"][:, PIXEL])]
    ends = np.unique(found["branches"][:, [A, B]])
    branches = contracted(found["branches"], ends[found_in(nodes[:, PIXEL], ends) < 0])
    branches[:, [A, B]] = np.sort(branches[:, [A, B]], axis=1)
    # The pixels of rings are no nodes.
    pixels = np.union1d(nodes[:, PIXEL], branches[:, A])
    at = [found_in(pixels, branches[:, end]) for end in (A, B)]
    links = sparse.coo_matrix(
        (np.ones(len(branches), np.int8), (at[0], at[1])), (pixels.size, pixels.size)
    )
    count, part = csgraph.connected_components(links, directed=False)
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, part, pixels)
    np.minimum.at(first, part[at[0]], branches[:, FIRST])
    numbers = np.empty(count, np.int64)
    numbers[np.argsort(first)] = np.arange(1, count + 1)
    skeletons = numbers[part[at[0]]]
    order = np.lexsort((*branches[:, [FIRST, CORNERS, SIDES, B, A]].T, skeletons))
    branches, skeletons = branches[order], skeletons[order]
    known = [found_in(nodes[:, PIXEL], branches[:, end]) for end in (A, B)]
    padded = np.append(nodes[:, DEGREE], 2)
    return {
        "branches": branches,
        "nodes": nodes,
        "degrees": np.column_stack([padded[each] for each in known]),
        "skeletons": skeletons,
        "of_nodes": numbers[part[np.searchsorted(pixels, nodes[:, PIXEL])]],
    }


def lengths(branches: Integers) -> NDArray[np.float64]:
    """Return the length of branches in pixels: 1 for a step over a side, √2 over a corner."""
    result: NDArray[np.float64] = branches[:, SIDES] + np.sqrt(2.0) * branches[:, CORNERS]
    return result


def places(pixels: Integers, columns: int) -> tuple[Integers, Integers]:
    """Return the rows and columns of pixels of an image with so many columns."""
    return pixels // columns, pixels % columns
