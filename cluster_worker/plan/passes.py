"""A plan: its passes over tiles, the cores of the tiles, and the memory that the passes need.

Pure: numbers in, values out.
"""

from dataclasses import dataclass
from functools import cached_property
from math import lcm, prod
from typing import NamedTuple

import numpy as np

from cluster_worker.operations.declare import Stage
from cluster_worker.pixels.header import Kind
from cluster_worker.pixels.placement import Density, Placement
from cluster_worker.pixels.tiling import (
    TILE_COLUMNS,
    Span,
    all_of,
    core_shape,
    even_height,
    span_count,
    square_side,
    tiles,
)
from cluster_worker.plan.seconds import Second

# Pixels of a tile's core. Large enough that the overhead of a tile is small beside its work. Small
# enough that a rank checks for a cancel within a second, and that the arrays of a tile stay near
# the caches.
TILE_PIXELS = 1 << 20
# Bytes of a core for kernels that allocate no array of a tile's size. Large tiles suit them best:
# fewer halos and fewer calls.
LIGHT_TILE_BYTES = 1 << 24
# The same where ranks read windows of files. A rank and its decoder each hold a core then, and one
# decodes while the other computes: with smaller cores they take a third of the memory and no more
# processor time.
STREAMED_TILE_BYTES = 1 << 21
# Most columns of such a core: whole rows in nearly all images, as they lie in memory.
LIGHT_TILE_COLUMNS = 1 << 16
# Expensive operations use smaller tiles, but no smaller ones: the halos would outweigh the cores.
TILE_PIXELS_MIN = 1 << 16
# Work of a tile, in units of one pixel of a Gaussian: about a quarter of a second. Tiles of more
# work are cut into squares, which have the smallest halos, but with sides of at least
# TILE_SIDE_MIN pixels.
TILE_WORK = 1 << 23
TILE_SIDE_MIN = 32
# A rank gets at least two tiles, so that it reports progress and checks for a cancel between them.
# One tile is enough if its work is less than this, in the same units.
QUICK_WORK = 1 << 21
# A tile of a geometric stage reads at most WINDOW_TILES_MAX times the pixels of its core. Where an
# image is made smaller, every tile reads more pixels than its core has. So a small core counts as
# one of usual size, but as WINDOW_TILE_PIXELS at most.
WINDOW_TILES_MAX = 4
WINDOW_TILE_PIXELS = 1 << 22

# Strips of whole columns are at least so wide, in pixels: surfaces lie in memory row by row, and a
# narrower strip would read no fewer cache lines.
STRIP_WIDTH_MIN = 64

# Cores begin at the cells of an operation, unless the grid of all stages is larger than this.
GRID_MAX = 1 << 10


class Buffer(NamedTuple):
    """An image between two passes.

    Attributes
    ----------
    slot : int
        Buffers of the same slot share its memory: they are never needed at the same time.
    shape : tuple of int
        (rows, columns) or (rows, columns, channels).
    dtype : str
    """

    slot: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class Load(NamedTuple):
    """The work of one stage, for the estimate of time.

    Attributes
    ----------
    name, input_dtype : str
        Name of the stage's operation, and dtype of the stage's input.
    work, once : float
        Work for one pixel with all its channels, a Gaussian takes about 1 per channel; and work of
        every rank besides, however large the image is.
    """

    name: str
    input_dtype: str
    work: float
    once: float = 0.0


@dataclass(frozen=True)
class Pass:
    """Stages that run together on each tile.

    Attributes
    ----------
    stages : tuple of Stage
        In the order in which they run. Only the first may have measures or rounds, or wrap.
    shapes : tuple of tuple of int
        (rows, columns) before each stage, and after the last.
    channels : tuple of int
        Channels of the result without alpha: () or (channels,).
    dtype : str
        Dtype of the result.
    arrays : int
        Number of floating-point arrays of a tile's size that exist at the same time.
    table : int
        Bytes that are needed in addition, whatever the size of the tile.
    cost : float
        Work for one pixel of one channel; a Gaussian takes about 1.
    loads : tuple of Load
        Work of each stage.
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
        """Whether the whole image must be one tile."""
        return any(stage.whole for stage in self.stages)

    @property
    def strips(self) -> str:
        """Whether its tiles are strips of whole "rows" or "columns"; "" if not."""
        return self.stages[0].strips

    @property
    def halo(self) -> int:
        """Sum of the halos of all stages and of the rounds, in pixels."""
        rounds = self.stages[0].rounds
        return sum(stage.halo for stage in self.stages) + (rounds.halo if rounds else 0)

    @property
    def is_local(self) -> bool:
        """Whether a pixel depends only on pixels within the halo, and not on its own place."""
        return not any(
            stage.whole
            or stage.strips
            or stage.measures
            or stage.wraps
            or stage.geometry
            or stage.rounds
            # The cells begin at the corner of the image, so the place of a pixel matters.
            or stage.grid > 1
            # A kernel needs the place only to find the core. So check the operation's function.
            or "place" in (stage.model or stage).context
            for stage in self.stages
        )

    @property
    def work(self) -> float:
        """Work for one pixel with all its channels; a Gaussian takes about 1 per channel."""
        return max(self.cost, 0.1) * prod(self.channels)

    def tile_pixels(self, streamed: bool) -> int:
        """Return how many pixels a core should have, roughly, if the work for them is cheap."""
        pixel = prod(self.channels) * np.dtype(self.dtype).itemsize
        light = STREAMED_TILE_BYTES if streamed else LIGHT_TILE_BYTES
        return TILE_PIXELS if self.arrays else light // pixel

    @property
    def grid(self) -> int:
        """Multiple at which cores should begin, in pixels, so that no cell is computed twice."""
        return lcm(*(stage.grid for stage in self.stages))

    def spans(self, core: Span) -> list[Span]:
        """Return the span before each stage, and after the last, for a core of the result."""
        found = [core]
        for stage, shape in zip(reversed(self.stages), reversed(self.shapes[:-1]), strict=True):
            found.append(stage.reads(found[-1], shape))
        return found[::-1]


@dataclass(frozen=True)
class Plan:
    """All passes of a chain over one image.

    Attributes
    ----------
    passes : tuple of Pass
        In the order in which they run.
    shape, dtype : tuple of int, str
        Shape and dtype of the source, alpha included.
    result_shape, result_dtype : tuple of int, str
        Shape and dtype of the result, alpha included.
    result_kind : {"picture", "intensity", "bands", "mask", "labels"}
        What the result is; a mask may have been converted to black and white of the source's type.
    source_alpha, result_alpha : bool
        Whether the last channel of source or result is alpha.
    alphas : tuple of Plan
        Plans for the alpha channel alone, because alpha must move with the pixels: the first one
        takes the alpha of the source, each other one that of the plan before. Empty if alpha stays
        as it is.
    float_bytes : int
        Bytes of one float in the computation.
    density : Density or None
        How the resolution changes; None if it is no longer the same for all pixels.
    placement : Placement or None
        Where the pixels of the result lie in the source; None if that is not affine.
    values_kept, units_kept : bool
        Whether all steps only move pixels; whether values count in the same units as before.
    core : tuple of int or None
        Largest (rows, columns) of a core, in pixels, instead of a computed one.
    grid, chunk : int
        Cores of the last pass begin at multiples of `grid` pixels, those of all at ones of `chunk`.
    seconds : tuple of Second
        The second images that its stages read.
    gives_table : bool
        Whether the last pass only measures, for a table, and computes no pixels.
    """

    passes: tuple[Pass, ...]
    shape: tuple[int, ...]
    dtype: str
    result_shape: tuple[int, ...]
    result_dtype: str
    result_kind: Kind
    source_alpha: bool
    result_alpha: bool
    alphas: tuple["Plan", ...]
    float_bytes: int
    density: Density | None
    placement: Placement | None = None
    values_kept: bool = False
    units_kept: bool = False
    core: tuple[int, int] | None = None
    grid: int = 1
    chunk: int = 1
    streamed: bool = False
    seconds: tuple[Second, ...] = ()
    gives_table: bool = False

    @property
    def results(self) -> tuple["Plan"]:
        """The plan itself: it writes the only result. As in `RecipePlan`."""
        return (self,)

    @property
    def inputs(self) -> tuple[()]:
        """Other images that are given: none. As in `RecipePlan`."""
        return ()

    @property
    def tables(self) -> tuple[()]:
        """Names of tables: none. As in `RecipePlan`."""
        return ()

    @property
    def kept(self) -> tuple[()]:
        """Kept images: none. As in `RecipePlan`."""
        return ()

    @property
    def margin(self) -> int | None:
        """How far from a cut of the source, in pixels, the result changes; None if everywhere."""
        if not all(each.is_local for each in self.passes):
            return None
        return sum(each.halo for each in self.passes)

    def has_bands(self, each: Pass) -> bool:
        """Return whether ranks keep bands of a pass with rounds: where passes leave chunks."""
        return self.chunk > 1 and each.stages[0].rounds is not None

    def grid_of(self, each: Pass) -> int:
        """Return the grid of a pass's cores; the file's grid holds for the last pass only."""
        grid = 1 if self.has_bands(each) else self.chunk
        grid = lcm(grid, self.grid) if each is self.passes[-1] else grid
        both = lcm(grid, each.grid)
        return grid if self.core or both > GRID_MAX else both

    @cached_property
    def cores(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Cache of `core_of`, by identity of the pass and number of ranks."""
        return {}

    def core_of(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Return the largest (rows, columns) of a core in one pass over `ranks` ranks."""
        found = self.cores.get((id(each), ranks))
        if found is None:
            found = self.cores[id(each), ranks] = self.choose_core(each, ranks)
        return found

    def choose_core(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Compute what `core_of` returns."""
        rows, columns = each.shape
        if each.whole:
            return rows, columns
        if each.strips:
            return self.choose_strip(each, ranks)
        if self.core:
            return self.core
        grid = self.grid_of(each)
        full_pixels = each.tile_pixels(self.streamed)
        rounds = each.stages[0].rounds
        far = (rounds is not None and rounds.far) or each.stages[0].reach is not None
        cost = 1.0 if far else max(each.cost / (rounds.expected if rounds else 1), 1.0)
        pixels = max(int(full_pixels / cost), TILE_PIXELS_MIN)
        columns_max = TILE_COLUMNS if each.arrays else LIGHT_TILE_COLUMNS
        is_quick = rounds is None and rows * columns * each.work <= QUICK_WORK * ranks
        tiles_min = ranks if is_quick else 2 * ranks
        height, width = core_shape((rows, columns), each.halo, tiles_min, pixels, grid, columns_max)
        whole_rows = (height, columns if self.has_bands(each) else width)
        height = even_height((rows, columns), whole_rows, each.halo, ranks)
        side = square_side(int(TILE_WORK / each.work), each.halo, TILE_SIDE_MIN, grid)
        # A round spreads values within a tile only, so smaller tiles would need more rounds.
        if rounds is None and height * width > max(side**2, TILE_WORK / each.work):
            height, width = min(side, rows), min(side, columns)
        while (
            max(span.pixels for span in each.spans(middle((rows, columns), height, width)))
            > WINDOW_TILES_MAX * max(min(full_pixels, WINDOW_TILE_PIXELS), height * width)
            and max(height, width) > grid
            and any(stage.geometry for stage in each.stages)
        ):
            height, width = (height, -(-width // 2)) if width > height else (-(-height // 2), width)
        return height, width

    def choose_strip(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Return the (rows, columns) of a strip of whole rows, or of whole columns."""
        along = each.strips == "rows"
        length, across = each.shape[::-1] if along else each.shape
        if self.core:
            width = self.core[0] if along else self.core[1]
        else:
            share = -(-across // (2 * ranks))
            width = min(max(each.tile_pixels(self.streamed) // length, STRIP_WIDTH_MIN), share)
            width = -(-width // self.grid_of(each)) * self.grid_of(each)
        return (width, length) if along else (length, width)

    def tiles(self, each: Pass, ranks: int) -> list[Span]:
        """Cut the result of a pass into cores, for `ranks` ranks."""
        return tiles(each.shape, self.core_of(each, ranks), self.grid_of(each))

    def tile_count(self, each: Pass, ranks: int) -> int:
        """Return the number of tiles of a pass without making them: there may be millions."""
        height, width = self.core_of(each, ranks)
        grid = self.grid_of(each)
        return span_count(each.shape[0], height, grid) * span_count(each.shape[1], width, grid)

    def is_cut(self, ranks: int) -> bool:
        """Return whether a pass has tiles for more than one rank."""
        return ranks > 1 and any(self.tile_count(each, ranks) > 1 for each in self.passes)

    def measure_tiles(self, each: Pass, ranks: int) -> list[Span]:
        """Cut the input of a pass into the blocks that its measures run on."""
        shape = each.shapes[0]
        if each.stages[0].whole:
            return [all_of(shape)]
        if each.stages[0].reach:
            return self.tiles(each, ranks)
        core = self.core or core_shape(
            shape,
            0,
            2 * ranks,
            each.tile_pixels(self.streamed),
            columns_max=LIGHT_TILE_COLUMNS,
        )
        return tiles(shape, core)

    def tiles_total(self, ranks: int) -> int:
        """Return the number of tiles of all passes, with those of measures and expected rounds."""
        total = sum(each.tiles_total(ranks) for each in self.alphas)
        return total + sum(self.tiles_of(i, ranks) for i in range(len(self.passes)))

    def tiles_of(self, i: int, ranks: int) -> int:
        """Return the number of tiles of pass `i`, with those of measures and expected rounds."""
        each = self.passes[i]
        first = each.stages[0]
        rounds = 1 + (first.rounds.expected if first.rounds else 0)
        measures = len(first.measures) - self.measures_early(i)
        total = len(self.measure_tiles(each, ranks)) * measures if measures else 0
        if not self.gives_table or each is not self.passes[-1]:
            total += self.tile_count(each, ranks) * rounds
        return total

    @property
    def synchronizes(self) -> bool:
        """Whether the ranks synchronize at all."""
        return bool(self.alphas) or any(map(self.synchronizations, range(len(self.passes))))

    def synchronizations(self, i: int) -> int:
        """Return how often the ranks synchronize in pass `i`.

        They do so after each measure, after each expected round, and before the next pass; also
        when bands have been read and written.
        """
        first = self.passes[i].stages[0]
        rounds = first.rounds.expected if first.rounds else 0
        pauses = (i < len(self.passes) - 1) + self.has_bands(self.passes[i])
        return rounds + len(first.measures) - self.measures_early(i) + pauses

    def measures_early(self, i: int) -> bool:
        """Return whether the first measure of pass `i` runs on the tiles of the pass before.

        Each tile is measured when it has been computed, so that it need not be read again.
        """
        measures = self.passes[i].stages[0].measures
        return (
            i > 0
            and bool(measures)
            and measures[0].halo == 0
            and not self.passes[i].stages[0].inputs
            and self.passes[i - 1].stages[0].rounds is None
        )

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """Images between passes, in the order in which `run` uses them.

        First those of the plans for alpha and their results, then one for each pass but the last. A
        pass with rounds has a second one, unless ranks keep bands: its rounds write to the two in
        turn, and either may hold the last state. Passes use two slots in turn, because a pass needs
        only the result of the pass before. Second buffers have two slots of their own, for rounds
        that follow rounds.
        """
        found: list[Buffer] = []
        base = 0
        for alpha in self.alphas:
            found += [each._replace(slot=base + each.slot) for each in alpha.buffers]
            base = 1 + max((each.slot for each in found), default=-1)
            found.append(Buffer(base, alpha.result_shape, alpha.result_dtype))
            base += 1
        follows_rounds = False
        spare = 0
        for i, each in enumerate(self.passes):
            shape = each.shape + each.channels
            if i < len(self.passes) - 1:
                found.append(Buffer(base + i % 2, shape, each.dtype))
            if each.stages[0].rounds and not self.has_bands(each):
                spare = 1 - spare if follows_rounds else 0
                found.append(Buffer(base + 2 + spare, shape, each.dtype))
            follows_rounds = each.stages[0].rounds is not None
        return tuple(found)

    def slots(self) -> list[int]:
        """Return the size of each slot in bytes: that of its largest buffer."""
        count = 1 + max((each.slot for each in self.buffers), default=-1)
        return [
            max((each.nbytes for each in self.buffers if each.slot == slot), default=0)
            for slot in range(count)
        ]

    def rank_bytes(self, ranks: int) -> int:
        """Return an upper estimate of the private bytes that the busiest rank will need."""
        channels = max([(*self.shape, 1)[2], *(max((*each.channels, 1)) for each in self.passes)])

        def need(each: Pass) -> int:
            height, width = self.core_of(each, ranks)
            spans = each.spans(middle(each.shape, height, width))
            pixels = max(span.pixels for span in spans)
            pixels = max(pixels, min(each.stages[0].reach_pixels, prod(each.shapes[0])))
            return pixels * (each.arrays + 2) * channels * self.float_bytes + each.table

        own = max(need(each) for each in self.passes)
        return max(own, *(each.rank_bytes(ranks) for each in self.alphas), 0)


def middle(shape: tuple[int, int], height: int, width: int) -> Span:
    """Return a core in the middle of an image, where its halo is clipped least."""
    height, width = min(height, shape[0]), min(width, shape[1])
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    return Span(top, top + height, left, left + width)
