"""Bands: what each rank keeps of a pass with rounds, where passes leave chunks in a store. Pure.

The state of the rounds does not go to the store. Each rank keeps a band of whole rows of it, and of
the images that the rounds read. Before each round it receives the rows around its band from the
ranks that have them. After the last one it writes its rows to the store, as whole chunks: those
that begin in its band.

    rows     0 ┬───────────┬ 0        rank 0 owns rows 0 … 349, receives row 350 before each round,
               │  chunks   │          and rows 350 … 511 at the end
           350 │           ├ 350
           512 ├───────────┤          rank 1 owns rows 350 … 699, receives row 349 before each
               │           │          round, and writes the chunks that begin in row 512
           700 ┴───────────┴ 700
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.surfaces import Band, Sink, Source, Surface
from cluster_worker.pixels.tiling import TILE_COLUMNS, Span, rank_share, spans, tiles
from cluster_worker.plan.group import RankGroup
from cluster_worker.plan.passes import Pass, Plan
from cluster_worker.plan.recipe import RecipePlan

Image = NDArray[Any]
# From a shape and a dtype to a new array, whose numbers may be any.
Allocate = Callable[[tuple[int, ...], Any], Image]


class Bands:
    """The rows that each rank keeps of a pass.

    Parameters
    ----------
    planned, each : Plan, Pass
        The plan, and its pass.
    ranks : int
        Number of ranks.

    Attributes
    ----------
    cores : list of Span
        The tiles of the pass.
    owned : list of Span
        What each rank computes: whole rows of tiles. Without rows if there are fewer than ranks.
    """

    def __init__(self, planned: Plan, each: Pass, ranks: int) -> None:
        self.each, self.ranks, self.chunk = each, ranks, planned.chunk
        height, grid = planned.core_of(each, ranks)[0], planned.grid_of(each)
        found = spans(each.shape[0], height, grid)
        self.owned = []
        for rank in range(ranks):
            own = rank_share(found, rank, ranks)
            self.owned.append(self.rows_of(own[0][0], own[-1][1]) if own else self.rows_of(0, 0))

    def rows_of(self, top: int, bottom: int) -> Span:
        """Return the span of some rows."""
        return Span(top, bottom, 0, self.each.shape[1])

    @cached_property
    def updated(self) -> list[Span]:
        """The rows of the state that each rank reads in a round; none if it owns none."""
        rounds = self.each.stages[0].rounds
        halo = rounds.halo if rounds else 0
        near = (own.grown(halo).clipped(self.each.shape) for own in self.owned)
        return [a if own.pixels else own for a, own in zip(near, self.owned, strict=True)]

    @cached_property
    def read(self) -> list[Span]:
        """The rows of the images that each rank reads: for the first state, and for all rounds."""
        rows = self.each.shape[0]
        found = []
        for own, near in zip(self.owned, self.updated, strict=True):
            first = self.each.spans(own)[0]
            if not own.pixels:
                found.append(own)
            elif first.top < 0 or first.bottom > rows:
                # Beyond the border is the opposite edge.
                found.append(self.rows_of(0, rows))
            else:
                edges = min(first.top, near.top), max(first.bottom, near.bottom)
                found.append(self.rows_of(*edges))
        return found

    @cached_property
    def written(self) -> list[Span]:
        """The rows that each rank writes to the store: those of the chunks that begin in its own.

        They may reach beyond its own rows, and it may have none.
        """
        rows = self.each.shape[0]
        edges = [
            [min(-(-edge // self.chunk) * self.chunk, rows) for edge in own[:2]]
            for own in self.owned
        ]
        return [self.rows_of(*each) for each in edges]

    @cached_property
    def kept(self) -> list[Span]:
        """The rows of the state that each rank has room for."""
        together = zip(self.updated, self.written, strict=True)
        return [
            near._replace(bottom=max(near.bottom, whole.bottom if whole.pixels else 0))
            for near, whole in together
        ]

    def received(self, rank: int, wanted: Sequence[Span]) -> dict[int, Span]:
        """Return the rows that a rank receives so that it has what it wants, by their owners."""
        return shared_with(wanted[rank], self.owned, rank)

    def sent(self, rank: int, wanted: Sequence[Span]) -> dict[int, Span]:
        """Return the rows that a rank sends, so that all have what they want, by the receivers."""
        return shared_with(self.owned[rank], wanted, rank)

    def exchanged_pixels(self, times: int) -> int:
        """Return the pixels of the state that all ranks receive in some rounds and at the end."""
        return sum(
            count * sum(rows.pixels for rows in self.received(rank, wanted).values())
            for count, wanted in ((times, self.updated), (1, self.written))
            for rank in range(self.ranks)
        )

    def parts(self, rows: Span) -> Iterable[Span]:
        """Yield some rows in parts of a chunk's height, which begin where chunks do."""
        for part in tiles(self.each.shape, (self.chunk, TILE_COLUMNS), self.chunk):
            inside = part.intersection(rows)
            if inside.top < inside.bottom:
                yield inside


def shared_with(rows: Span, others: Sequence[Span], rank: int) -> dict[int, Span]:
    """Return which of a rank's rows are also those of another rank, by that rank."""
    found = {other: rows.intersection(each) for other, each in enumerate(others) if other != rank}
    return {other: both for other, both in found.items() if both.top < both.bottom}


class OwnBands:
    """What one rank keeps while the rounds of a pass run.

    Parameters
    ----------
    bands : Bands
        Of all ranks.
    group : RankGroup
        The ranks.
    allocate : callable
        Makes the arrays.
    report : callable
        Called after each part that is read or written, with 0 tiles: a cancel is heard there.

    Attributes
    ----------
    image : Band
        The image that the pass reads.
    states : tuple of Band
        The state of the rounds, and the one that the next round writes.
    """

    image: Band
    states: tuple[Band, Band]

    def __init__(
        self, bands: Bands, group: RankGroup, allocate: Allocate, report: Callable[[int], None]
    ) -> None:
        self.bands, self.group, self.allocate, self.report = bands, group, allocate, report

    def make(self, image: Source) -> None:
        """Read this rank's rows of the image, and make room for those of the state."""
        each = self.bands.each
        state = self.bands.kept, each.channels, each.dtype
        self.image, self.states = self.keep(image), (self.new(*state), self.new(*state))

    def keep(self, image: Source) -> Band:
        """Read this rank's rows of an image."""
        kept = None
        for part in self.bands.parts(self.bands.read[self.group.rank]):
            block = image.read(part)
            kept = kept or self.new(self.bands.read, block.shape[2:], block.dtype)
            kept.write(part, block)
            self.report(0)
        return kept or self.new(self.bands.read, (), bool)

    def new(self, rows: Sequence[Span], channels: tuple[int, ...], dtype: Any) -> Band:
        """Make room for this rank's rows of an image."""
        own = rows[self.group.rank]
        array = self.allocate((*own.shape, *channels), dtype)
        return Band(array, own.top, self.bands.each.shape[0])

    def exchange(self, state: Surface, wanted: Sequence[Span]) -> None:
        """Send the rows of a state that other ranks want, and receive those that this one wants."""
        rank = self.group.rank
        sent, received = self.bands.sent(rank, wanted), self.bands.received(rank, wanted)
        self.group.exchange(
            {other: state.read(rows) for other, rows in sent.items()},
            {other: state.read(rows) for other, rows in received.items()},
        )

    def write(self, state: Surface, target: Sink) -> None:
        """Write the chunks of a state that begin in this rank's rows."""
        for part in self.bands.parts(self.bands.written[self.group.rank]):
            target.write(part, state.read(part))
            self.report(0)


def band_bytes(planned: Plan | RecipePlan, ranks: int) -> int:
    """Return the most bytes that the bands of one pass take in a rank."""
    if isinstance(planned, RecipePlan):
        return max(band_bytes(each.plan, ranks) for each in planned.chains)
    most = max((band_bytes(each, ranks) for each in planned.alphas), default=0)
    pixel = pixel_bytes(planned.dtype, planned.shape[2:])
    for each in planned.passes:
        own = pixel_bytes(each.dtype, each.channels)
        if planned.has_bands(each):
            bands = Bands(planned, each, ranks)
            beside = [planned.seconds[i] for _, i in each.stages[0].inputs]
            read = pixel + sum(pixel_bytes(one.dtype, one.channels) for one in beside)
            together = zip(bands.read, bands.kept, strict=True)
            most = max(most, *(read * a.pixels + 2 * own * b.pixels for a, b in together))
        pixel = own
    return most


def private_bytes(planned: Plan | RecipePlan, ranks: int, bytes_max: int) -> int:
    """Return the private bytes that a plan needs in the busiest rank, bands included if they fit.

    Parameters
    ----------
    planned, ranks : Plan or RecipePlan, int
        The plan, and the number of its ranks.
    bytes_max : int
        What a rank may take. Bands for which this is too little lie in files.
    """
    need = planned.rank_bytes(ranks)
    return need + band_bytes(planned, ranks) if bands_fit(planned, ranks, bytes_max) else need


def bands_fit(planned: Plan | RecipePlan, ranks: int, bytes_max: int) -> bool:
    """Return whether the bands of all passes fit a rank's memory, beside what the passes need."""
    return planned.rank_bytes(ranks) + band_bytes(planned, ranks) <= bytes_max


def pixel_bytes(dtype: str, channels: tuple[int, ...]) -> int:
    """Return the bytes of one pixel."""
    return int(np.dtype(dtype).itemsize * prod(channels))
