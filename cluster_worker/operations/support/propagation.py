"""Floods and labels that cross tile borders: what several operations share.

Connected regions are first found in each tile alone. There a region gets a *code*: a number that
no other region of the image has, and a *fact* about it, such as its pixels in that tile. Which
codes touch is then measured over the whole image; those that do are one region, and their facts
are summed. A code is a uint64, which no image is, and 0 where there is no region.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cluster_worker.kernels import components, copies, floods
from cluster_worker.operations.declare import Image, Measure, Place, Rounds, Span, Stage

Codes = NDArray[np.uint64]

# What planning makes of its example instead of codes, and of codes instead of a mask: loops are not
# loaded to plan.
AS_CODES = partial(np.asarray, dtype=np.uint64)
AS_MASK = partial(np.asarray, dtype=np.bool_)

# Low bits of a code hold its fact, the others its number: enough for 2**40 pixels.
FACT_MAX = (1 << 24) - 1


def each_colour(function: Callable[..., Image], *images: Image) -> Image:
    """Run a function of gray images on every colour of images."""
    if images[0].ndim == 2:
        return function(*images)
    colours = range(images[0].shape[2])
    return np.stack([function(*(image[..., i] for image in images)) for i in colours], axis=2)


def refuse_nan(image: Image) -> None:
    """Refuse an image that holds NaN, which has no order.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if image.dtype.kind == "f" and np.isnan(image).any():
        raise ValueError(
            "the image holds NaN, which is neither less nor greater than its neighbours"
        )


def refuse_not_finite(values: Image) -> None:
    """Refuse an image some of whose values are no numbers.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinity, which cannot be compared")


def refuse_pictures(image: Image) -> None:
    """Refuse what is neither labels nor a mask.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if image.ndim == 3 or image.dtype.kind == "f":
        found = "colours" if image.ndim == 3 else "floats"
        raise ValueError(f"takes labels or a mask, got {found}; put a threshold before it")


def run_starts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Give where runs of equal values begin; there are far fewer of them than pixels."""
    changes = np.ones(values.shape, np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def runs_of_a_tile(**_: Any) -> int:
    """Bytes of the runs of a tile of two million pixels, no two of which are alike side by side."""
    return 36 << 20


def per_region(codes: Codes, function: Callable[[Codes], NDArray[Any]]) -> Image:
    """Replace each code by what a function of codes gives for it."""
    flat = codes.ravel()
    starts = run_starts(flat)
    values = function(flat[starts])
    result: Image = np.repeat(values, np.diff(starts, append=flat.size)).reshape(codes.shape)
    return result


def within_border(image: Image, place: Place, width: int) -> Image:
    """Give the mask of a block's pixels that lie off the whole image's border of a width."""
    rows, columns = place.shape
    kept = np.zeros(image.shape, np.bool_)
    inner = Span(width, rows - width, width, columns - width).relative_to(place.window)
    inner = inner.clipped(image.shape[:2])
    if min(inner.shape) > 0:
        kept[inner.slices] = True
    return kept


class Edge(NamedTuple):
    """The regions along an edge of a tile, as runs.

    Attributes
    ----------
    length : int
        In pixels.
    starts : ndarray of int
        Where runs begin.
    regions, labels : ndarray of uint64
        Of each run its region, 0 if none, and its value: only equal ones touch.
    """

    length: int
    starts: NDArray[np.intp]
    regions: Codes
    labels: NDArray[np.uint64]

    def unrolled(self) -> NDArray[np.uint64]:
        """Give regions and labels of all pixels, 2 × length."""
        lengths = np.diff(self.starts, append=self.length)
        return np.repeat([self.regions, self.labels], lengths, axis=1)


class Edges(NamedTuple):
    """The edges of a tile."""

    tile: Span
    top: Edge
    bottom: Edge
    left: Edge
    right: Edge


def edges_of(tile: Span, regions: Codes, labels: Image | None) -> Edges:
    """Give the edges of a tile, where its regions may touch those of others.

    Parameters
    ----------
    tile : Span
        In the whole image.
    regions : ndarray
        (rows, columns).
    labels : ndarray or None
        The same; None if all regions have one label.
    """
    found = []
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        line = regions[edge]
        starts = run_starts(line)
        runs = line[starts].astype(np.uint64)
        values = runs > 0 if labels is None else labels[edge][starts]
        found.append(Edge(line.size, starts, runs, values.astype(np.uint64)))
    return Edges(tile, *found)


def touching(tiles: Sequence[Edges], connectivity: int) -> Iterator[Codes]:
    """Give the pairs of regions that touch across the edges of tiles, each time n × 2."""
    # Tiles that lie below each other touch by whole rows, so that corners are looked at as well.
    for before, after, low, across in (("bottom", "top", 0, 2), ("right", "left", 2, 0)):
        length = max((each.tile[across + 1] for each in tiles), default=0)
        ends: dict[int, list[Edges]] = {}
        begins: dict[int, list[Edges]] = {}
        for each in tiles:
            ends.setdefault(each.tile[low + 1], []).append(each)
            begins.setdefault(each.tile[low], []).append(each)
        for at in ends.keys() & begins.keys():
            lines = np.zeros((2, 2, length), np.uint64)
            for line, side, found in zip(
                lines, (before, after), (ends[at], begins[at]), strict=True
            ):
                for each in found:
                    within = slice(each.tile[across], each.tile[across + 1])
                    line[:, within] = getattr(each, side).unrolled()
            yield components.side_by_side(lines[0], lines[1], connectivity)


@dataclass(frozen=True)
class Contacts:
    """Which codes touch in the whole image.

    Attributes
    ----------
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    tiles : tuple of Edges
        Of all tiles: within one, what touches has one code.
    """

    connectivity: int
    tiles: tuple[Edges, ...] = ()

    @cached_property
    def groups(self) -> tuple[Codes, Codes, NDArray[np.int64]]:
        """Give the codes that touch others, in order, and for each its group's first and total."""
        found = touching(self.tiles, self.connectivity)
        pairs = np.concatenate([np.empty((0, 2), np.uint64), *found])
        codes, ends = np.unique(pairs, return_inverse=True)
        if not codes.size:
            return codes, codes, np.empty(0, np.int64)
        ends = ends.reshape(-1, 2)
        links = coo_array((np.ones(len(ends), np.bool_), ends.T), (codes.size, codes.size))
        _, group = connected_components(links, directed=False)
        totals = np.bincount(group, weights=codes & FACT_MAX).astype(np.int64)
        _, first = np.unique(group, return_index=True)
        return codes, codes[first[group]], totals[group]

    def firsts(self, codes: Codes) -> Codes:
        """Give for each code the one of its region whose number is least."""
        known, firsts, _ = self.groups
        if not known.size:
            return codes
        places = np.minimum(np.searchsorted(known, codes), known.size - 1)
        return np.where(known[places] == codes, firsts[places], codes)


def join_contacts(a: Contacts, b: Contacts) -> Contacts:
    """Contacts of two parts."""
    return replace(a, tiles=a.tiles + b.tiles)


def contacts_in(block: Image, *, place: Place, connectivity: int) -> Contacts:
    """Give the edges of a tile, where its codes may touch others.

    A block of rows × columns × 2 holds values beside the codes, and equal values alone touch.
    """
    codes, values = (block, None) if block.ndim == 2 else (block[..., 0], block[..., 1])
    return Contacts(connectivity, (edges_of(place.core, codes, values),))


def contacts(connectivity: int) -> Measure:
    """Measure which codes touch in the whole image, as its tiles are made."""
    return Measure(partial(contacts_in, connectivity=connectivity), join_contacts)


def choose(
    codes: Codes, place: Place, found: Contacts, limit: int, *, above: bool, out: Image | None
) -> Image:
    """Give the mask of the regions whose facts are more than a limit, or if not `above`, all else.

    Where there is no region the sum is 0.
    """
    known, _, totals = found.groups
    return components.chosen(codes, place, known, totals, limit, above, out)


# Where only some regions are wanted, those that hold a mark or those that do not: in a tile they
# get seats, as `kernels.components` says; where tiles meet, seats touch.


@dataclass(frozen=True)
class Seams:
    """What meets at the edges of tiles.

    Attributes
    ----------
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    wanted : bool
        Whether those regions are wanted that have marks, or those that have none.
    tiles : tuple of Edges
        Of the tiles that have seats.
    """

    connectivity: int
    wanted: bool
    tiles: tuple[Edges, ...] = ()

    @cached_property
    def tables(self) -> tuple[NDArray[np.bool_], ...]:
        """Tell for each tile which of its seats are wanted."""
        found = [np.concatenate([edge.regions for edge in each[1:]]) for each in self.tiles]
        # Regions that touch edges are numbered over all tiles, from 1.
        ends = np.cumsum([0, *(seats.max() // 2 for seats in found)], dtype=np.uint64)
        marked = np.zeros(int(ends[-1]) + 1, np.bool_)
        for first, seats in zip(ends[:-1], found, strict=True):
            marked[first + seats[(seats > 1) & (seats % 2 == 1)] // 2] = True
        numbered = [
            Edges(each.tile, *(number(edge, first) for edge in each[1:]))
            for each, first in zip(self.tiles, ends[:-1], strict=True)
        ]
        none = np.empty((0, 2), np.uint64)
        pairs = np.concatenate([none, *touching(numbered, self.connectivity)]).astype(np.int64)
        links = coo_array((np.ones(len(pairs), np.bool_), pairs.T), (marked.size, marked.size))
        _, group = connected_components(links, directed=False)
        wanted = (np.bincount(group, weights=marked)[group] > 0) == self.wanted
        return tuple(
            np.concatenate([[False, True], np.repeat(wanted[first + 1 : end + 1], 2)])
            for first, end in pairwise(ends.astype(np.int64))
        )

    def fill(self, seats: Image, place: Place, result: Image) -> None:
        """Fill the result for a core with what is wanted.

        Parameters
        ----------
        seats : ndarray
            (rows, columns), without a halo.
        place : Place
            Of the block.
        result : ndarray
            (rows, columns), of bool or of labels.
        """
        core = place.core
        shared = [each.tile.shared(core) for each in self.tiles]
        if core not in shared:
            copies.clear(result)
        for span, table in zip(shared, self.tables, strict=True):
            if min(span.shape) > 0:
                within = span.relative_to(core).slices
                components.look_up(seats[within], table, result[within])


def number(edge: Edge, first: np.uint64) -> Edge:
    """Number the regions of an edge over all tiles; a seat of 1 goes on nowhere."""
    regions = edge.regions // 2
    return edge._replace(regions=np.where(regions > 0, regions + first, 0).astype(np.uint64))


def seams(connectivity: int, *, wanted: bool = True) -> Measure:
    """Measure what meets at the edges of tiles, as they are made."""
    return Measure(partial(seams_in, connectivity=connectivity, wanted=wanted), join_seams)


def seams_in(block: Image, *, place: Place, connectivity: int, wanted: bool) -> Seams:
    """Give the edges of a tile."""
    if block[0, 0] == components.NOTHING:
        return Seams(connectivity, wanted)
    # Seats of 32 bits have nothing above them.
    above = np.uint64(32)
    edges = edges_of(place.core, block, block)
    split = (
        edge._replace(regions=edge.regions & components.SEAT_MASK, labels=edge.labels >> above)
        for edge in edges[1:]
    )
    return Seams(connectivity, wanted, (Edges(place.core, *split),))


def join_seams(a: Seams, b: Seams) -> Seams:
    """Seams of two parts."""
    return replace(a, tiles=a.tiles + b.tiles)


def wanted_labels(
    block: Image, *, place: Place, statistics: tuple[Seams], out: Image | None, dtype: str
) -> Image:
    """Give the labels of the regions that are wanted, 0 elsewhere."""
    result = np.empty(place.window.shape, dtype) if out is None else out
    statistics[0].fill(block, place, result)
    return result


def wanted_mask(
    block: Image,
    *,
    place: Place,
    statistics: tuple[Seams],
    target: str | None,
    out: Image | None,
) -> Image:
    """Give the mask of the regions that are wanted, or a picture of it."""
    kind = target or "bool"
    return wanted_labels(block, place=place, statistics=statistics, out=out, dtype=kind)


def parts_wanted(
    first: Callable[..., Image],
    connectivity: int,
    *,
    like: Callable[[Image], Image] | None = None,
    measures: tuple[Measure, ...] = (),
    wanted: bool = True,
    dtype: str = "bool",
) -> tuple[Stage, Stage]:
    """Make the parts of an operation that wants some regions.

    Parameters
    ----------
    first : callable
        From a tile to the seats of its regions; it asks for ``place`` and ``out``.
    connectivity, wanted
        As of `Seams`.
    like : callable, optional
        As of `Stage`, if it is not enough to make seats of the right type.
    measures : tuple of Measure
        Of the first part.
    dtype : str
        "bool", or that of the labels.
    """
    masked = dtype == "bool"
    seats = np.uint32 if masked else np.uint64
    return (
        Stage(first, measures=measures, like=like or partial(np.asarray, dtype=seats)),
        Stage(
            wanted_mask if masked else partial(wanted_labels, dtype=dtype),
            measures=(seams(connectivity, wanted=wanted),),
            like=partial(np.asarray, dtype=dtype),
        ),
    )


# Reconstruction: an image that grows, or shrinks, within a mask.


def spread(state: Image, mask: Image, *, method: str) -> Image:
    """Reconstruct within a block."""
    return floods.reconstructed(state, mask, method)


def spread_beside(state: Image, _: Image, method: str) -> Image:
    """Reconstruct the first channel of a state within its second."""
    grown = spread(state[..., 0], state[..., 1], method=method)
    return np.stack([grown, state[..., 1]], axis=2)


def reconstruct(method: str) -> Rounds:
    """Reconstruct the first channel of a state within its second, until no tile changes."""
    return Rounds(partial(spread_beside, method=method), far=True)
