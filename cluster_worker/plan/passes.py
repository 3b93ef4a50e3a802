"""What a plan is: passes over tiles, the cores they are cut in, and the memory that they need.

Pure: numbers in, values out.
"""

from dataclasses import dataclass
from functools import cached_property
from math import lcm, prod
from typing import NamedTuple

import numpy as np

from cluster_worker.operations.declare import Stage
from cluster_worker.pixels.tiling import (
    TILE_COLUMNS,
    Span,
    core_shape,
    even_height,
    span_count,
    square_side,
    tiles,
)

# Pixels of a tile's core: large enough that a tile's overhead is small beside its work, small
# enough that a cancel is heard within a second and its arrays stay near the caches.
TILE_PIXELS = 1 << 20
# A kernel that makes no array of a tile's size does best with large ones: few halos, few calls.
LIGHT_TILE_BYTES = 1 << 24
# It takes whole rows, which lie in memory as it wants them; others are cut into shorter ones.
LIGHT_TILE_COLUMNS = 1 << 16
# Tiles of dear operations are smaller, but not so small that their halos outweigh them.
TILE_PIXELS_MIN = 1 << 16
# Work of a tile, in pixels of a Gaussian: a quarter of a second or so. What would take longer is
# cut into squares, which read the least around them, down to a side that is still worth a tile.
TILE_WORK = 1 << 23
TILE_SIDE_MIN = 32
# A rank has two tiles at least, so that progress shows and a cancel is soon heard, or one of less
# work than this.
QUICK_WORK = 1 << 21
# A tile may read so many times the pixels that it has, or that a tile of no more than so many would
# have; where an image is made smaller, it must.
WINDOW_TILES_MAX = 4
WINDOW_TILE_PIXELS = 1 << 22

# Cores begin with the cells of an operation, unless that makes them larger than this.
GRID_MAX = 1 << 10


class Density(NamedTuple):
    """How the resolution of a result follows from that of its source."""

    across: float = 1.0
    down: float = 1.0
    turned: bool = False

    def of(self, resolution: tuple[float, float]) -> tuple[float, float]:
        """Give pixels per inch along (columns, rows) of the result."""
        across, down = resolution[::-1] if self.turned else resolution
        return across * self.across, down * self.down


class Buffer(NamedTuple):
    """An image between two passes; those of one slot are never needed at the same time."""

    slot: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class Load(NamedTuple):
    """Work of one stage, for the estimate of time.

    Attributes
    ----------
    name : str
        Of the stage's operation.
    input_dtype : str
        Type of what it is given.
    work : float
        For a pixel of all its colours, the Gaussian of one pixel being about 1.
    """

    name: str
    input_dtype: str
    work: float


@dataclass(frozen=True)
class Pass:
    """Stages that run together on each tile.

    Attributes
    ----------
    stages : tuple of Stage
        In order; only the first may have measures, rounds, or wrap.
    shapes : tuple of tuple of int
        (rows, columns) before each stage, and after the last.
    channels : tuple of int
        Of the result: () or (channels,); alpha is not among them.
    dtype : str
        Of the result.
    arrays : int
        Arrays as large as a tile, in floating point, that live at once.
    table : int
        Bytes that are needed besides, whatever the tile.
    cost : float
        Work for a pixel, the Gaussian of one pixel being 1.
    loads : tuple of Load
        The same, of each stage.
    """

    stages: tuple[Stage, ...]
    shapes: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]
    dtype: str
    arrays: int
    table: int
    cost: float
    loads: tuple[Load, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the result."""
        return self.shapes[-1]

    @property
    def whole(self) -> bool:
        """Whether the image must be one tile."""
        return any(stage.whole for stage in self.stages)

    @property
    def halo(self) -> int:
        """Sum of the stages' halos, in pixels."""
        rounds = self.stages[0].rounds
        return sum(stage.halo for stage in self.stages) + (rounds.halo if rounds else 0)

    @property
    def is_local(self) -> bool:
        """Whether a pixel depends on those within the halo alone, wherever it lies."""
        return not any(
            stage.whole
            or stage.measures
            or stage.wraps
            or stage.geometry
            or stage.rounds
            # Cells begin at the image's corner.
            or stage.grid > 1
            # A kernel is told its place to find the core; what it stands for may need it.
            or "place" in (stage.model or stage).context
            for stage in self.stages
        )

    @property
    def work(self) -> float:
        """Work for a pixel of all its colours."""
        return max(self.cost, 0.1) * prod(self.channels)

    @property
    def tile_pixels(self) -> int:
        """About how many pixels a core should have, if its work is cheap."""
        pixel = prod(self.channels) * np.dtype(self.dtype).itemsize
        return TILE_PIXELS if self.arrays else LIGHT_TILE_BYTES // pixel

    @property
    def grid(self) -> int:
        """Where cores should begin, so that no stage works on a cell twice."""
        return lcm(*(stage.grid for stage in self.stages))

    def spans(self, core: Span) -> list[Span]:
        """Give the span before each stage, and after the last, for a core of the result."""
        found = [core]
        for stage, shape in zip(reversed(self.stages), reversed(self.shapes[:-1]), strict=True):
            found.append(stage.reads(found[-1], shape))
        return found[::-1]


@dataclass(frozen=True)
class Plan:
    """All passes of a chain over one image.

    Attributes
    ----------
    shape, dtype : tuple of int, str
        Of the source, alpha included.
    result_shape, result_dtype : tuple of int, str
        Of the result, alpha included.
    source_alpha, result_alpha : bool
        Whether the last channel is alpha.
    alpha : Plan or None
        How the source's alpha becomes what the passes need of it, if it does not stay as it is:
        the steps that move pixels move alpha too.
    float_bytes : int
        Bytes of the floats that it computes with.
    density : Density or None
        What becomes of the resolution; None if it is no longer the same everywhere.
    """

    passes: tuple[Pass, ...]
    shape: tuple[int, ...]
    dtype: str
    result_shape: tuple[int, ...]
    result_dtype: str
    source_alpha: bool
    result_alpha: bool
    alpha: "Plan | None"
    float_bytes: int
    density: Density | None

    @property
    def margin(self) -> int | None:
        """How far, in pixels, a cut through the source is felt; None if everywhere."""
        if not all(each.is_local for each in self.passes):
            return None
        return sum(each.halo for each in self.passes)

    core: tuple[int, int] | None = None
    grid: int = 1

    def grid_of(self, each: Pass) -> int:
        """Grid of a pass's cores: only the last pass fills a file of tiles."""
        grid = self.grid if each is self.passes[-1] else 1
        both = lcm(grid, each.grid)
        return grid if self.core or both > GRID_MAX else both

    @cached_property
    def cores(self) -> dict[tuple[int, int], tuple[int, int]]:
        """What `core_of` has found, by identity of the pass, and ranks: every job asks again."""
        return {}

    def core_of(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Give the largest (rows, columns) of a core in one pass over so many ranks."""
        found = self.cores.get((id(each), ranks))
        if found is None:
            found = self.cores[id(each), ranks] = self.choose_core(each, ranks)
        return found

    def choose_core(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Choose what `core_of` gives."""
        rows, columns = each.shape
        if each.whole:
            return rows, columns
        if self.core:
            return self.core
        grid = self.grid_of(each)
        most = each.tile_pixels
        rounds = each.stages[0].rounds
        cost = 1.0 if rounds and rounds.far else max(each.cost, 1.0)
        pixels = max(int(most / cost), TILE_PIXELS_MIN)
        wide = TILE_COLUMNS if each.arrays else LIGHT_TILE_COLUMNS
        is_quick = rounds is None and rows * columns * each.work <= QUICK_WORK * ranks
        least = ranks if is_quick else 2 * ranks
        height, width = core_shape((rows, columns), each.halo, least, pixels, grid, wide)
        height = even_height((rows, columns), (height, width), each.halo, ranks)
        side = square_side(int(TILE_WORK / each.work), each.halo, TILE_SIDE_MIN, grid)
        # Rounds spread as far as a tile reaches: more tiles would make more rounds.
        if rounds is None and height * width > max(side**2, TILE_WORK / each.work):
            height, width = min(side, rows), min(side, columns)
        while (
            max(span.pixels for span in each.spans(middle((rows, columns), height, width)))
            > WINDOW_TILES_MAX * max(min(most, WINDOW_TILE_PIXELS), height * width)
            and max(height, width) > grid
            and any(stage.geometry for stage in each.stages)
        ):
            height, width = (height, -(-width // 2)) if width > height else (-(-height // 2), width)
        return height, width

    def tiles(self, each: Pass, ranks: int) -> list[Span]:
        """Cut a pass's result for so many ranks."""
        return tiles(each.shape, self.core_of(each, ranks), self.grid_of(each))

    def tile_count(self, each: Pass, ranks: int) -> int:
        """Count the tiles of one pass without making them: an image may have millions."""
        height, width = self.core_of(each, ranks)
        grid = self.grid_of(each)
        return span_count(each.shape[0], height, grid) * span_count(each.shape[1], width, grid)

    def is_cut(self, ranks: int) -> bool:
        """Whether there are tiles for more ranks than one."""
        return ranks > 1 and any(self.tile_count(each, ranks) > 1 for each in self.passes)

    def measure_tiles(self, each: Pass, ranks: int) -> list[Span]:
        """Cut what a pass is given, for its measures."""
        rows, columns = each.shapes[0]
        shape = (rows, columns)
        wide = LIGHT_TILE_COLUMNS
        core = self.core or core_shape(shape, 0, 2 * ranks, each.tile_pixels, wide=wide)
        return tiles((rows, columns), core)

    def tiles_total(self, ranks: int) -> int:
        """Count the tiles of all passes, those of measures and expected rounds included."""
        total = self.alpha.tiles_total(ranks) if self.alpha else 0
        for i, each in enumerate(self.passes):
            first = each.stages[0]
            rounds = 1 + (first.rounds.expected if first.rounds else 0)
            total += self.tile_count(each, ranks) * rounds
            measures = len(first.measures) - self.measures_early(i)
            if measures:
                total += len(self.measure_tiles(each, ranks)) * measures
        return total

    @property
    def synchronizes(self) -> bool:
        """Whether ranks wait for each other at all."""
        return self.alpha is not None or any(map(self.synchronizations, range(len(self.passes))))

    def synchronizations(self, i: int) -> int:
        """How often ranks meet in a pass: after its measures and rounds, and before the next."""
        first = self.passes[i].stages[0]
        rounds = first.rounds.expected if first.rounds else 0
        last = i == len(self.passes) - 1
        return rounds + len(first.measures) - self.measures_early(i) + (not last)

    def measures_early(self, i: int) -> bool:
        """Whether a pass's first measure is taken as the pass before makes its tiles.

        That saves reading all of them again.
        """
        measures = self.passes[i].stages[0].measures
        return (
            i > 0
            and bool(measures)
            and measures[0].halo == 0
            and self.passes[i - 1].stages[0].rounds is None
        )

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """Images between passes: of the alpha's plan, then one after each pass but the last.

        A pass with rounds has a second one, where it keeps every other round, and where its result
        may end. Two slots serve all passes in turn, since a pass needs none but the result of the
        last; so do two for the second buffers of rounds that follow each other.
        """
        found: list[Buffer] = []
        if self.alpha:
            found += self.alpha.buffers
            slot = 1 + max((each.slot for each in found), default=-1)
            found.append(Buffer(slot, self.alpha.result_shape, self.alpha.result_dtype))
        base = 1 + max((each.slot for each in found), default=-1)
        follows_rounds = False
        spare = 0
        for i, each in enumerate(self.passes):
            shape = each.shape + each.channels
            if i < len(self.passes) - 1:
                found.append(Buffer(base + i % 2, shape, each.dtype))
            if each.stages[0].rounds:
                spare = 1 - spare if follows_rounds else 0
                found.append(Buffer(base + 2 + spare, shape, each.dtype))
            follows_rounds = each.stages[0].rounds is not None
        return tuple(found)

    def slots(self) -> list[int]:
        """Bytes of each slot."""
        count = 1 + max((each.slot for each in self.buffers), default=-1)
        return [
            max((each.nbytes for each in self.buffers if each.slot == slot), default=0)
            for slot in range(count)
        ]

    def rank_bytes(self, ranks: int) -> int:
        """Bytes that the busiest rank will need of its own, as an upper estimate."""
        channels = max([(*self.shape, 1)[2], *(max((*each.channels, 1)) for each in self.passes)])

        def need(each: Pass) -> int:
            height, width = self.core_of(each, ranks)
            spans = each.spans(middle(each.shape, height, width))
            pixels = max(span.pixels for span in spans)
            return pixels * (each.arrays + 2) * channels * self.float_bytes + each.table

        own = max(need(each) for each in self.passes)
        return max(own, self.alpha.rank_bytes(ranks) if self.alpha else 0)


def middle(shape: tuple[int, int], height: int, width: int) -> Span:
    """Span a core in the middle of an image, whose halo is clipped least."""
    height, width = min(height, shape[0]), min(width, shape[1])
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    return Span(top, top + height, left, left + width)
