"""Floods and labels that cross tile borders: functions that several operations share.

A first stage finds the connected regions of each tile separately. It gives each region a *code*: a
number that no other region of the image has, together with a *fact* about the region, such as the
number of its pixels in that tile. A measure of the whole image then finds which codes touch each
other across tile borders. Codes that touch form one region, and their facts are summed. Codes are
uint64, a type that no image has; 0 means that there is no region.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import components, copies, floods
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Measure, Place, Rounds, Span, Stage

sparse = lazily("scipy.sparse")
csgraph = lazily("scipy.sparse.csgraph")

Codes = NDArray[np.uint64]

# Planning converts its example to codes, and codes to a mask, by these functions instead of by the
# stages: planning does not load compiled loops.
AS_CODES = partial(np.asarray, dtype=np.uint64)
AS_MASK = partial(np.asarray, dtype=np.bool_)

# The lower 24 bits of a code hold its fact, the others its number: enough for 2**40 pixels.
FACT_MAX = (1 << 24) - 1


def each_colour(function: Callable[..., Image], *images: Image) -> Image:
    """Apply a function of gray images to every colour of images."""
    if images[0].ndim == 2:
        return function(*images)
    colours = range(images[0].shape[2])
    return np.stack([function(*(image[..., i] for image in images)) for i in colours], axis=2)


def refuse_nan(image: Image) -> None:
    """Raise ValueError if an image holds NaN, which is not ordered."""
    if image.dtype.kind == "f" and np.isnan(image).any():
        raise ValueError(
            "the image holds NaN, which is neither less nor greater than its neighbours"
        )


def refuse_not_finite(values: Image) -> None:
    """Raise ValueError if some values are NaN or infinite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinity, which cannot be compared")


def refuse_pictures(image: Image) -> None:
    """Raise ValueError if an image has colours or floats: it is neither labels nor a mask."""
    if image.ndim == 3 or image.dtype.kind == "f":
        found = "colours" if image.ndim == 3 else "floats"
        raise ValueError(f"takes labels or a mask, got {found}; put a threshold before it")


def refuse_negative(labels: NDArray[Any]) -> None:
    """Raise ValueError if a label is less than 0."""
    if labels.dtype.kind == "i" and labels.min(initial=0) < 0:
        raise ValueError("takes labels from 0 on or a mask, got negative numbers; put label before")


def run_starts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the indices at which runs of equal values begin; runs are far fewer than pixels."""
    changes = np.ones(values.shape, np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def runs_of_a_tile(**_: Any) -> int:
    """Return the bytes for the runs of a tile of two million pixels, if each run has one pixel."""
    return 36 << 20


def per_region(codes: Codes, function: Callable[[Codes], NDArray[Any]]) -> Image:
    """Replace each code by the value that a function of codes returns for it."""
    flat = codes.ravel()
    starts = run_starts(flat)
    values = function(flat[starts])
    result: Image = np.repeat(values, np.diff(starts, append=flat.size)).reshape(codes.shape)
    return result


def within_border(image: Image, place: Place, width: int) -> Image:
    """Return the mask of a block's pixels at least `width` pixels from the whole image's border."""
    rows, columns = place.shape
    kept = np.zeros(image.shape, np.bool_)
    inner = Span(width, rows - width, width, columns - width).relative_to(place.window)
    inner = inner.clipped(image.shape[:2])
    if min(inner.shape) > 0:
        kept[inner.slices] = True
    return kept


def spans_of(tiles: Sequence["Edges"]) -> NDArray[np.intp]:
    """Return one array each of top, bottom, left and right of all tiles, for `shared_with`."""
    return np.array([each.tile for each in tiles], np.intp).reshape(-1, 4).T


def shared_with(core: Span, spans: NDArray[np.intp]) -> Iterator[tuple[int, Span]]:
    """Yield the index of each of many spans that meets a core, and what both cover.

    Every tile looks for those that it meets among all tiles of the image, so all are compared at
    once.
    """
    top, bottom, left, right = spans
    rows = (top < core.bottom) & (bottom > core.top)
    for i in np.flatnonzero(rows & (left < core.right) & (right > core.left)).tolist():
        yield i, Span(*spans[:, i].tolist()).intersection(core)


class Edge(NamedTuple):
    """The regions along an edge of a tile, as runs.

    Attributes
    ----------
    length : int
        Length of the edge, in pixels.
    starts : ndarray of int
        Index of the first pixel of each run.
    regions, labels : ndarray of uint64
        For each run, its region, 0 if none, and its label. Regions of different labels do not
        touch.
    """

    length: int
    starts: NDArray[np.intp]
    regions: Codes
    labels: NDArray[np.uint64]

    def unrolled(self) -> NDArray[np.uint64]:
        """Return the regions and the labels of all pixels, (2, length)."""
        lengths = np.diff(self.starts, append=self.length)
        return np.repeat([self.regions, self.labels], lengths, axis=1)


class Edges(NamedTuple):
    """The four edges of a tile, whose span lies in the whole image."""

    tile: Span
    top: Edge
    bottom: Edge
    left: Edge
    right: Edge


def edges_of(tile: Span, regions: Codes, labels: Image | None) -> Edges:
    """Return the edges of a tile, where its regions may touch regions of other tiles.

    Parameters
    ----------
    tile : Span
        Where the tile lies in the whole image.
    regions : ndarray
        (rows, columns): the region of each pixel, 0 if none.
    labels : ndarray or None
        (rows, columns): the label of each pixel. None if all regions have the same label.
    """
    found = []
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        line = regions[edge]
        starts = run_starts(line)
        runs = line[starts].astype(np.uint64)
        values = runs > 0 if labels is None else labels[edge][starts]
        found.append(Edge(line.size, starts, runs, values.astype(np.uint64)))
    return Edges(tile, *found)


def after(edge: Edge, first: int | np.uint64) -> Edge:
    """Add `first` to the numbers of an edge's regions."""
    regions = np.where(edge.regions > 0, edge.regions + np.uint64(first), 0)
    return edge._replace(regions=regions.astype(np.uint64))


def touching(tiles: Sequence[Edges], connectivity: int) -> Iterator[Codes]:
    """Yield the pairs of regions that touch across the edges of tiles, as arrays of (pairs, 2)."""
    # The edges of all tiles that meet at one row or column are joined to two lines, so that pixels
    # are also compared diagonally across the corners of tiles.
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
    """The codes that touch in the whole image.

    Attributes
    ----------
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    tiles : tuple of Edges
        Edges of all tiles. Within a tile, pixels that touch already have the same code.
    """

    connectivity: int
    tiles: tuple[Edges, ...] = ()

    @cached_property
    def groups(self) -> tuple[Codes, NDArray[np.int64]]:
        """Codes that touch others, ascending, and for each the sum of facts of its group."""
        found = touching(self.tiles, self.connectivity)
        pairs = np.concatenate([np.empty((0, 2), np.uint64), *found])
        codes, ends = np.unique(pairs, return_inverse=True)
        if not codes.size:
            return codes, np.empty(0, np.int64)
        ends = ends.reshape(-1, 2)
        links = sparse.coo_array((np.ones(len(ends), np.bool_), ends.T), (codes.size, codes.size))
        _, group = csgraph.connected_components(links, directed=False)
        totals = np.bincount(group, weights=codes & FACT_MAX).astype(np.int64)
        return codes, totals[group]


def join_contacts(a: Contacts, b: Contacts) -> Contacts:
    """Join the contacts of two sets of tiles."""
    return replace(a, tiles=a.tiles + b.tiles)


def contacts_in(codes: Codes, *, place: Place, connectivity: int) -> Contacts:
    """Return the contacts of a tile: its edges, where its codes may touch others."""
    return Contacts(connectivity, (edges_of(place.core, codes, None),))


def contacts(connectivity: int) -> Measure:
    """Return the measure that finds the codes that touch, in the whole image."""
    return Measure(partial(contacts_in, connectivity=connectivity), join_contacts)


def choose(
    codes: Codes, place: Place, found: Contacts, limit: int, *, above: bool, out: Image | None
) -> Image:
    """Return the mask of the regions whose sum of facts exceeds a limit, or of all other pixels.

    The mask is of the regions if `above` is true. The sum of pixels without a region is 0.
    """
    known, totals = found.groups
    return components.chosen(codes, place, known, totals, limit, above, out)


# Some operations want only some regions: those with a mark, or those without. Then the pixels of a
# tile get seats, which `kernels.components` defines, and seats touch where tiles meet.


@dataclass(frozen=True)
class Seams:
    """The seats at the edges of tiles, from which the wanted regions follow.

    Attributes
    ----------
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    wanted : bool
        Whether the regions with marks are wanted, or those without.
    tiles : tuple of Edges
        Edges of the tiles that have seats.
    """

    connectivity: int
    wanted: bool
    tiles: tuple[Edges, ...] = ()

    @cached_property
    def spans(self) -> NDArray[np.intp]:
        """The spans of the tiles."""
        return spans_of(self.tiles)

    @cached_property
    def tables(self) -> tuple[NDArray[np.bool_], ...]:
        """For each tile, a table of which of its seats are wanted."""
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
        links = sparse.coo_array(
            (np.ones(len(pairs), np.bool_), pairs.T), (marked.size, marked.size)
        )
        _, group = csgraph.connected_components(links, directed=False)
        wanted = (np.bincount(group, weights=marked)[group] > 0) == self.wanted
        return tuple(
            np.concatenate([[False, True], np.repeat(wanted[first + 1 : end + 1], 2)])
            for first, end in pairwise(ends.astype(np.int64))
        )

    def fill(self, seats: Image, place: Place, result: Image) -> None:
        """Fill the result for a core with the wanted regions.

        Parameters
        ----------
        seats : ndarray of uint32 or uint64
            (rows, columns), without a halo.
        place : Place
            Where the block lies in the whole image.
        result : ndarray
            (rows, columns): a mask, or labels.
        """
        core = place.core
        shared = list(shared_with(core, self.spans))
        if core not in [span for _, span in shared]:
            copies.clear(result)
        for i, span in shared:
            within = span.relative_to(core).slices
            components.look_up(seats[within], self.tables[i], result[within])


def number(edge: Edge, first: np.uint64) -> Edge:
    """Number the regions of an edge over all tiles; a seat of 1 touches no other tile."""
    return after(edge._replace(regions=edge.regions // 2), first)


def seams(connectivity: int, *, wanted: bool = True) -> Measure:
    """Return the measure of the seats at the edges of all tiles."""
    return Measure(partial(seams_in, connectivity=connectivity, wanted=wanted), join_seams)


def seams_in(block: Image, *, place: Place, connectivity: int, wanted: bool) -> Seams:
    """Return the seams of a tile: its edges, if it has seats."""
    if block[0, 0] == components.NOTHING:
        return Seams(connectivity, wanted)
    # The label lies above the seat; in seats of 32 bits it is 0.
    above = np.uint64(32)
    edges = edges_of(place.core, block, block)
    split = (
        edge._replace(regions=edge.regions & components.SEAT_MASK, labels=edge.labels >> above)
        for edge in edges[1:]
    )
    return Seams(connectivity, wanted, (Edges(place.core, *split),))


def join_seams(a: Seams, b: Seams) -> Seams:
    """Join the seams of two sets of tiles."""
    return replace(a, tiles=a.tiles + b.tiles)


def wanted_labels(
    block: Image, *, place: Place, statistics: tuple[Seams], out: Image | None, dtype: str
) -> Image:
    """Return the labels of the wanted regions, and 0 elsewhere."""
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
    """Return the mask of the wanted regions, or a picture of it if `target` is a picture's type."""
    dtype = target or "bool"
    return wanted_labels(block, place=place, statistics=statistics, out=out, dtype=dtype)


def selection_stages(
    first: Callable[..., Image],
    connectivity: int,
    *,
    like: Callable[[Image], Image] | None = None,
    measures: tuple[Measure, ...] = (),
    wanted: bool = True,
    dtype: str = "bool",
) -> tuple[Stage, Stage]:
    """Return the two stages of an operation that selects regions with marks, or without.

    Parameters
    ----------
    first : callable
        From a tile to the seats of its regions; it asks for ``place`` and ``out``.
    connectivity, wanted
        As in `Seams`.
    like : callable, optional
        As in `Stage`, for the first stage; by default, it makes an image of the type of seats.
    measures : tuple of Measure
        Measures of the first stage.
    dtype : str
        Type of the result: "bool" for a mask, or the type of the labels.
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
    """Reconstruct a state by dilation or erosion within a mask, in a block."""
    return floods.reconstructed(state, mask, method)


def spread_beside(state: Image, _: Image, method: str) -> Image:
    """Reconstruct the first channel of a state within its second."""
    grown = spread(state[..., 0], state[..., 1], method=method)
    return np.stack([grown, state[..., 1]], axis=2)


def reconstruct(method: str) -> Rounds:
    """Reconstruct the first channel of a state within its second, until no tile changes."""
    return Rounds(partial(spread_beside, method=method), far=True)
