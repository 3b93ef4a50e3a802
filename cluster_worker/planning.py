"""Plan a chain of steps as passes over tiles. Pure: numbers in, values out.

A step's operation gives *parts*. A pass runs neighbouring parts together on each tile: from the
core of a result backwards, each part says which span of its input it reads. A part that needs a
statistic of the whole image, the opposite edge, rounds, or the whole image itself begins a new
pass, since it must see the finished result of the parts before it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from math import lcm, prod
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.depths import to_depth
from cluster_worker.errors import Rejected
from cluster_worker.kernels import depths
from cluster_worker.operations import OPERATIONS, Operation, color, statistics
from cluster_worker.operations.declare import Kernel, Measure, Part, Place, asked
from cluster_worker.tiling import (
    TILE_COLUMNS,
    Span,
    all_of,
    core_shape,
    parts_of,
    square_side,
    tiles,
)

Image = NDArray[Any]
Depth = Literal["input", "native"]

DTYPES = ("bool", "uint8", "uint16", "uint32", "float32", "float64")

# Types of pictures to which kernels round by themselves.
ROUNDED = ("uint8", "uint16")

# Pixels of a tile's core: large enough that a tile's overhead is small beside its work, small
# enough that a cancel is heard within a second and its arrays stay near the caches.
TILE_PIXELS = 1 << 20
# A kernel that makes no array of a tile's size does best with large ones: few halos, few calls.
LIGHT_TILE_PIXELS = 1 << 22
# It takes whole rows, which lie in memory as it wants them; others are cut into shorter ones.
LIGHT_TILE_COLUMNS = 1 << 16
# Tiles of dear operations are smaller, but not so small that their halos outweigh them.
TILE_PIXELS_MIN = 1 << 16
# Work of a tile, in pixels of a Gaussian: a quarter of a second or so. What would take longer is
# cut into squares, which read the least around them, down to a side that is still worth a tile.
TILE_WORK = 1 << 23
TILE_SIDE_MIN = 32
# A tile may read so many times the pixels that it has; where an image is made smaller, it must.
WINDOW_TILES_MAX = 4

# Cores begin with the cells of an operation, unless that makes them larger than this.
GRID_MAX = 1 << 10

# Rows and columns of the image that shows what type and channels a part gives. It is no constant,
# since that has no threshold and no edge.
EXAMPLE_SIDE = 16
# Pixels of the window that one pixel of a result is tried on.
EXAMPLE_WINDOW_MAX = 1 << 16


class Order(NamedTuple):
    """What is asked of a plan; the same order gives the same plan, in engine and ranks.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns) or (rows, columns, channels); 2 or 4 channels end with alpha.
    dtype : str
        One of `DTYPES`; uint32 is a label image.
    steps : str
        JSON list, checked, with every parameter present.
    depth : {"input", "native"}
        Whether the result returns to the input's type, or keeps what scikit-image makes.
    core : tuple of int or None
        Largest (rows, columns) of a tile's core, instead of one chosen by size and cost.
    grid : int
        Cores of the result begin at multiples of it, as a file of tiles wants.
    """

    shape: tuple[int, ...]
    dtype: str
    steps: str
    depth: Depth = "input"
    core: tuple[int, int] | None = None
    grid: int = 1


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
    """Work of one part, for the estimate of time.

    Attributes
    ----------
    name : str
        Of the part's operation.
    takes : str
        Type of what it is given.
    work : float
        For a pixel of all its colours, the Gaussian of one pixel being about 1.
    """

    name: str
    takes: str
    work: float


@dataclass(frozen=True)
class Pass:
    """Parts that run together on each tile.

    Attributes
    ----------
    parts : tuple of Part
        In order; only the first may have measures, rounds, or wrap.
    shapes : tuple of tuple of int
        (rows, columns) before each part, and after the last.
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
        The same, of each part.
    """

    parts: tuple[Part, ...]
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
        return any(part.whole for part in self.parts)

    @property
    def halo(self) -> int:
        """Sum of the parts' halos, in pixels."""
        rounds = self.parts[0].rounds
        return sum(part.halo for part in self.parts) + (rounds.halo if rounds else 0)

    @property
    def is_local(self) -> bool:
        """Whether a pixel depends on those within the halo alone, wherever it lies."""
        return not any(
            part.whole
            or part.measures
            or part.wraps
            or part.geometry
            or part.rounds
            # Cells begin at the image's corner.
            or part.grid > 1
            # A kernel is told its place to find the core; what it stands for may need it.
            or "place" in (part.model or part).asks
            for part in self.parts
        )

    @property
    def work(self) -> float:
        """Work for a pixel of all its colours."""
        return max(self.cost, 0.1) * prod(self.channels)

    @property
    def grid(self) -> int:
        """Where cores should begin, so that no part works on a cell twice."""
        return lcm(*(part.grid for part in self.parts))

    def spans(self, core: Span) -> list[Span]:
        """Give the span before each part, and after the last, for a core of the result."""
        found = [core]
        for part, shape in zip(reversed(self.parts), reversed(self.shapes[:-1]), strict=True):
            found.append(part.reads(found[-1], shape))
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
            found = self.cores[id(each), ranks] = self.chosen_core(each, ranks)
        return found

    def chosen_core(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Choose what `core_of` gives."""
        rows, columns = each.shape
        if each.whole:
            return rows, columns
        if self.core:
            return self.core
        grid = self.grid_of(each)
        most = TILE_PIXELS if each.arrays else LIGHT_TILE_PIXELS
        rounds = each.parts[0].rounds
        cost = 1.0 if rounds and rounds.far else max(each.cost, 1.0)
        pixels = max(int(most / cost), TILE_PIXELS_MIN)
        wide = TILE_COLUMNS if each.arrays else LIGHT_TILE_COLUMNS
        height, width = core_shape((rows, columns), each.halo, ranks, pixels, grid, wide)
        side = square_side(int(TILE_WORK / each.work), each.halo, TILE_SIDE_MIN, grid)
        # Rounds spread as far as a tile reaches: more tiles would make more rounds.
        if rounds is None and height * width > max(side**2, TILE_WORK / each.work):
            height, width = min(side, rows), min(side, columns)
        while (
            max(span.pixels for span in each.spans(middle((rows, columns), height, width)))
            > WINDOW_TILES_MAX * max(most, height * width)
            and max(height, width) > grid
            and any(part.geometry for part in each.parts)
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
        return parts_of(each.shape[0], height, grid) * parts_of(each.shape[1], width, grid)

    def is_cut(self, ranks: int) -> bool:
        """Whether there are tiles for more ranks than one."""
        return ranks > 1 and any(self.tile_count(each, ranks) > 1 for each in self.passes)

    def measure_tiles(self, each: Pass, ranks: int) -> list[Span]:
        """Cut what a pass is given, for its measures."""
        rows, columns = each.shapes[0]
        shape = (rows, columns)
        core = self.core or core_shape(shape, 0, ranks, TILE_PIXELS, wide=LIGHT_TILE_COLUMNS)
        return tiles((rows, columns), core)

    def tiles_total(self, ranks: int) -> int:
        """Count the tiles of all passes, those of measures and expected rounds included."""
        total = self.alpha.tiles_total(ranks) if self.alpha else 0
        for i, each in enumerate(self.passes):
            first = each.parts[0]
            rounds = 1 + (first.rounds.expected if first.rounds else 0)
            total += self.tile_count(each, ranks) * rounds
            measures = len(first.measures) - self.measures_early(i)
            if measures:
                total += len(self.measure_tiles(each, ranks)) * measures
        return total

    @property
    def meets(self) -> bool:
        """Whether ranks wait for each other at all."""
        return self.alpha is not None or any(map(self.meetings, range(len(self.passes))))

    def meetings(self, i: int) -> int:
        """How often ranks meet in a pass: after its measures and rounds, and before the next."""
        first = self.passes[i].parts[0]
        rounds = first.rounds.expected if first.rounds else 0
        last = i == len(self.passes) - 1
        return rounds + len(first.measures) - self.measures_early(i) + (not last)

    def measures_early(self, i: int) -> bool:
        """Whether a pass's first measure is taken as the pass before makes its tiles.

        That saves reading all of them again.
        """
        measures = self.passes[i].parts[0].measures
        return (
            i > 0
            and bool(measures)
            and measures[0].halo == 0
            and self.passes[i - 1].parts[0].rounds is None
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
            if each.parts[0].rounds:
                spare = 1 - spare if follows_rounds else 0
                found.append(Buffer(base + 2 + spare, shape, each.dtype))
            follows_rounds = each.parts[0].rounds is not None
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


@lru_cache(maxsize=256)
def plan(order: Order) -> Plan:
    """Plan a chain.

    Raises
    ------
    Rejected
        If such an image cannot be processed.
    """
    source_alpha = check_image(order.shape, order.dtype)
    steps = json.loads(order.steps)
    followed = chain(order, steps, source_alpha)
    links = followed.links
    last = links[-1]
    consumed = any("alpha" in link.part.asks for link in links)
    # Labels are no picture, and have nothing that could show through.
    result_alpha = source_alpha and not consumed and not is_labels(last.dtype)
    channels = last.channels
    if result_alpha:
        channels = ((channels or (1,))[0] + 1,)
    return Plan(
        passes=tuple(pass_of(group) for group in groups(links)),
        shape=order.shape,
        dtype=order.dtype,
        result_shape=last.after + channels,
        result_dtype=last.dtype,
        source_alpha=source_alpha,
        result_alpha=result_alpha,
        alpha=alpha_plan(order, steps) if source_alpha else None,
        float_bytes=8 if order.dtype == "float64" or order.depth == "native" else 4,
        density=followed.density,
        core=order.core,
        grid=order.grid,
    )


def alpha_plan(order: Order, steps: Sequence[Mapping[str, Any]]) -> Plan | None:
    """Plan what becomes of alpha: it goes with the pixels where a step moves them."""
    moving: list[Mapping[str, Any]] = []
    for step in steps:
        operation = OPERATIONS[step["operation"]]
        if operation.consumes_alpha:
            break
        if operation.moves_pixels(step):
            moving.append(step)
    if not moving:
        return None
    return plan(Order(order.shape[:2], order.dtype, json.dumps(moving), order.depth, order.core))


class Link(NamedTuple):
    """A part of the chain, and what it makes of the example."""

    part: Part
    before: tuple[int, int]
    after: tuple[int, int]
    channels: tuple[int, ...]
    dtype: str
    arrays: int
    table: int
    cost: float
    takes: str


class Chain:
    """Follows type, rows, columns, channels and resolution of an image from part to part."""

    def __init__(self, shape: tuple[int, int], channels: tuple[int, ...], dtype: str) -> None:
        self.links: list[Link] = []
        self.shape = shape
        self.channels = channels
        self.dtype = dtype
        self.density: Density | None = Density()

    @property
    def example(self) -> Image:
        """A small image of today's type and channels."""
        return example_of(self.channels, self.dtype)

    def add(self, part: Part, arrays: int = 2, table: int = 0, cost: float = 0.1) -> None:
        """Append a part.

        Raises
        ------
        Rejected
            If it refuses such an image.
        """
        before, after, takes = self.shape, part.shape_after(self.shape), self.dtype
        result = try_part(part, self.example, before)
        self.shape, self.channels, self.dtype = after, result.shape[2:], str(result.dtype)
        link = Link(part, before, after, self.channels, self.dtype, arrays, table, cost, takes)
        self.links.append(link)

    def rounds_by_itself(self, dtype: str, shows: tuple[float, float] = (0, 1)) -> bool:
        """Let the last part round its result to the depth of a picture, if it can."""
        last = self.links[-1]
        if dtype not in ROUNDED or (shows != (0, 1) and "shows" not in last.part.asks):
            return False
        if "dtype" not in last.part.asks or np.dtype(self.dtype).kind != "f":
            return self.gives_by_itself(dtype)
        part = replace(last.part, dtype=dtype, shows=shows)
        self.links[-1] = last._replace(part=part, dtype=dtype)
        self.dtype = dtype
        return True

    def gives_by_itself(self, dtype: str) -> bool:
        """Let the last part give its result in another type, if it asks for that."""
        last = self.links[-1]
        if "target" not in last.part.asks:
            return False
        self.links[-1] = last._replace(part=replace(last.part, target=dtype), dtype=dtype)
        self.dtype = dtype
        return True

    def change_density(self, operation: Operation, before: tuple[int, int]) -> None:
        """Take in what an operation has done to the size of a pixel."""
        if self.density is None or operation.pixels == "lost":
            self.density = None
        elif operation.pixels == "turned":
            across, down, turned = self.density
            self.density = Density(down, across, not turned)
        elif operation.pixels == "scaled":
            across, down, turned = self.density
            rows, columns = self.shape[0] / before[0], self.shape[1] / before[1]
            self.density = Density(across * columns, down * rows, turned)


def try_part(part: Part, example: Image, shape: tuple[int, int]) -> Image:
    """Run a part on a small image, or its geometry on one pixel of the result."""
    if part.like is not None:
        with refusals(part.name):
            return part.like(example)
    if part.model is not None:
        floats = "dtype" in part.asks
        found = try_part(part.model, to_depth(example, "float32") if floats else example, shape)
        return found.astype(part.dtype) if floats else found
    if part.geometry is None:
        alpha = np.ones(example.shape[:2], example.dtype) if "alpha" in part.asks else None
        return run_part(part, example, whole_place(example), alpha)
    corner = Span(0, 1, 0, 1)
    window = part.geometry.window(corner, shape)
    if window.pixels > EXAMPLE_WINDOW_MAX:
        # A pixel may be made from a whole gigapixel; what type it has, a few of those tell.
        shape = min(shape[0], EXAMPLE_SIDE), min(shape[1], EXAMPLE_SIDE)
        window = part.geometry.window(corner, shape)
    block = np.zeros(window.shape + example.shape[2:], example.dtype)
    return run_part(part, block, Place(window, corner, shape))


def example_of(channels: tuple[int, ...], dtype: str) -> Image:
    """Make a small image in which no two neighbours are alike."""
    ramp = np.arange(EXAMPLE_SIDE**2).reshape(EXAMPLE_SIDE, EXAMPLE_SIDE)
    kind = np.dtype(dtype).kind
    image = ramp / ramp.max() if kind == "f" else ramp % 3 == 0 if kind == "b" else ramp
    return np.broadcast_to(
        image.reshape(image.shape + (1,) * len(channels)), image.shape + channels
    ).astype(dtype)


def whole_place(image: Image) -> Place:
    """Place of a block that is the whole image."""
    span = all_of(image.shape)
    return Place(span, span, span.shape)


def chain(order: Order, steps: Sequence[Mapping[str, Any]], alpha: bool) -> Chain:
    """Follow an image through the steps, adding the conversions between them."""
    colours = (3,) if len(order.shape) == 3 and order.shape[2] >= 3 else ()
    found = Chain((order.shape[0], order.shape[1]), colours, order.dtype)
    shows: Any = None
    for given in steps:
        operation = OPERATIONS[given["operation"]]
        parameters = {name: value for name, value in given.items() if name != "operation"}
        check_taken(operation, order.depth, found, alpha)
        kernel = prepare(operation, parameters, order.depth, found)
        before = found.shape
        with refusals(operation.name):
            parts = operation.parts(parameters, kernel)
        for part in parts:
            found.add(
                part if alpha else without_alpha(part),
                operation.arrays_of(kernel),
                0 if kernel else operation.table(**parameters),
                operation.cost_of(parameters, found.dtype, kernel),
            )
        found.change_density(operation, before)
        alpha = alpha and not operation.consumes_alpha
        # Moving pixels leaves their values what they were.
        if not operation.moves_pixels(given):
            shows = operation.shows
    if order.depth == "input":
        return_to_depth(found, order.dtype, shows)
    if found.links[-1].part.rounds:
        # Rounds end in either of two buffers; what is last must be the result.
        found.add(Part(same))
    return found


def without_alpha(part: Part) -> Part:
    """Give a part that asks for alpha none."""
    if "alpha" not in part.asks:
        return part
    return replace(part, function=partial(part.function, alpha=None))


def same(image: Image) -> Image:
    """Leave an image as it is."""
    return image


def is_labels(dtype: str) -> bool:
    """Whether images of this type hold labels; pictures have at most 16 bits, without sign."""
    return np.dtype(dtype).kind in "iu" and dtype not in ("uint8", "uint16")


def check_taken(operation: Operation, depth: Depth, chain: Chain, alpha: bool) -> None:
    """Refuse labels where a picture is meant, and the other way round."""
    if is_labels(chain.dtype) and operation.takes == "picture":
        raise Rejected(
            f"{operation.name}: takes a picture, got labels; colour them with label2rgb first"
        )
    clear = alpha and chain.dtype != "bool" and not is_labels(chain.dtype)
    picture = np.dtype(chain.dtype).kind == "f" or chain.channels or clear
    if operation.takes == "labels" and picture and depth == "input":
        raise Rejected(
            f"{operation.name}: takes labels or a mask, got a picture; "
            "put a threshold and label before it"
        )


def prepare(
    operation: Operation, parameters: Mapping[str, Any], depth: Depth, chain: Chain
) -> Kernel | None:
    """Add the conversions that must go before an operation, and choose its kernel if one holds."""
    if is_labels(chain.dtype):
        if operation.takes == "mask" and depth == "input":
            chain.add(Part(regions))
        return operation.kernel(parameters, chain.dtype, depth, chain.channels)
    to_gray = operation.channels == "gray" and len(chain.channels) > 0
    if to_gray:
        gray = OPERATIONS["rgb2gray"]
        kernel = gray.kernel({}, chain.dtype, depth)
        if kernel is None:
            to_float(depth, chain)
        for part in gray.parts({}, kernel):
            chain.add(part)
    if operation.channels == "rgb" and not chain.channels:
        chain.add(Part(partial(color.gray2rgb, alpha=None), name="gray2rgb"))
    if operation.takes == "mask" and depth == "input" and chain.dtype != "bool":
        chain.add(Part(partial(to_depth, dtype="bool"), name="to_mask"))
    kernel = operation.kernel(parameters, chain.dtype, depth, chain.channels)
    if kernel is None and operation.floats:
        to_float(depth, chain)
        kernel = operation.kernel(parameters, chain.dtype, depth, chain.channels)
    return kernel


def to_float(depth: Depth, chain: Chain) -> None:
    """Make floats of a picture, if they are not; natively each operation does that itself."""
    if depth == "input" and np.dtype(chain.dtype).kind != "f":
        chain.add(conversion(chain.dtype, "float32", "to_float"))


def regions(labels: Image) -> Image:
    """Make a mask of labels: all that has one."""
    mask: Image = labels != 0
    return mask


def return_to_depth(chain: Chain, dtype: str, shows: Any) -> None:
    """Add what makes a picture of the input's depth; labels stay labels."""
    if is_labels(chain.dtype):
        if chain.dtype != "uint32" and not chain.gives_by_itself("uint32"):
            chain.add(Part(partial(np.asarray, dtype=np.uint32), name="to_labels"))
        return
    target = "uint8" if is_labels(dtype) else dtype
    if np.dtype(chain.dtype).kind == "f" and np.dtype(target).kind != "f":
        if shows == "extent":
            chain.add(Part(statistics.stretch, measures=statistics.EXTENT, name="to_range"))
        elif not chain.rounds_by_itself(target, shows or (0, 1)) and shows is not None:
            low, high = shows
            chain.add(Part(partial(statistics.scale, low=low, high=high), name="to_range"))
    if chain.dtype != target and not chain.rounds_by_itself(target):
        chain.add(conversion(chain.dtype, target, "to_depth"))


def conversion(source: str, target: str, name: str) -> Part:
    """Give the part that converts from one type to another, by a kernel if there is one."""
    part = Part(partial(to_depth, dtype=target), name=name)
    if not depths.converts(source, target):
        return part
    return Part(partial(depths.to_depth, dtype=target), model=part, name=name)


def groups(links: Sequence[Link]) -> list[list[Link]]:
    """Part a chain into passes."""
    found: list[list[Link]] = []
    for link in links:
        part = link.part
        needs_all = part.measures or part.rounds or part.wraps or part.whole
        last = found[-1][0].part if found else None
        # After one whole tile, or rounds, all ranks share the work again.
        after = last is not None and (last.rounds or (last.whole and (part.halo or part.geometry)))
        if last is None or needs_all or after:
            found.append([])
        found[-1].append(link)
    return found


def pass_of(links: Sequence[Link]) -> Pass:
    """Fuse neighbouring parts to one pass."""
    last = links[-1]
    return Pass(
        parts=tuple(link.part for link in links),
        shapes=(*(link.before for link in links), last.after),
        channels=last.channels,
        dtype=last.dtype,
        arrays=max(link.arrays for link in links),
        table=max(link.table for link in links),
        cost=sum(link.cost for link in links),
        loads=tuple(
            Load(link.part.name, link.takes, link.cost * prod(link.channels)) for link in links
        ),
    )


def run_part(
    part: Part,
    block: Image,
    place: Place,
    alpha: Image | None = None,
    statistics: tuple[Any, ...] | None = None,
    out: Image | None = None,
) -> Image:
    """Run a part on a block, measuring the block itself where no statistics are given.

    `out` is an array for its core, which a part that asks for one may give back.

    Raises
    ------
    Rejected
        If the operation refuses the image.
    """
    extra: dict[str, Any] = {}
    if "alpha" in part.asks and alpha is not None:
        extra["alpha"] = alpha
    if "place" in part.asks:
        extra["place"] = place
    if "dtype" in part.asks:
        extra["dtype"] = part.dtype
    if "shows" in part.asks:
        extra["shows"] = part.shows
    if "target" in part.asks:
        extra["target"] = part.target
    if "model" in part.asks and part.model is not None:
        extra["model"] = part.model.function
    if "out" in part.asks:
        extra["out"] = out
    with refusals(part.name):
        if part.measures:
            extra["statistics"] = measured(part, block) if statistics is None else statistics
        result: Image = part.function(block, **extra)
    return result


@contextmanager
def refusals(name: str) -> Iterator[None]:
    """Put what an operation raises into one sentence that names it.

    Raises
    ------
    Rejected
        If it refuses the image.
    """
    try:
        yield
    except ValueError as error:
        raise Rejected(f"{name}: {(str(error) or type(error).__name__).splitlines()[0]}") from error


def measured(part: Part, image: Image) -> tuple[Any, ...]:
    """Measure all statistics of one array."""
    found: tuple[Any, ...] = ()
    for measure in part.measures:
        found += (take(measure, image, whole_place(image), found),)
    return found


def take(measure: Measure, block: Image, place: Place, earlier: tuple[Any, ...]) -> Any:
    """Measure one block."""
    extra = {"place": place} if "place" in asked(measure.of) else {}
    return measure.of(block, *earlier, **extra)


def check_image(shape: tuple[int, ...], dtype: str) -> bool:
    """Check that an image can be processed, and tell whether it has alpha.

    Raises
    ------
    Rejected
        With one sentence.
    """
    if dtype not in DTYPES:
        raise Rejected(f"image: must be of {', '.join(DTYPES)}, got {dtype}")
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= 4):
        raise Rejected(
            "image: must be rows × columns, or rows × columns × 1 to 4 channels, "
            f"got {' × '.join(map(str, shape))}"
        )
    if min(shape) < 1:
        raise Rejected(f"image: must hold a pixel, got {' × '.join(map(str, shape))}")
    return len(shape) == 3 and shape[2] in (2, 4)
