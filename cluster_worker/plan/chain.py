"""Plan a chain of steps as passes over tiles. Pure: numbers in, values out.

A step's operation gives *stages*. A pass runs neighbouring stages together on each tile: from the
core of a result backwards, each stage says which span of its input it reads. A stage that needs a
statistic of the whole image, the opposite edge, rounds, or the whole image itself begins a new
pass, since it must see the finished result of the stages before it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels import depths
from cluster_worker.operations import OPERATIONS, Operation
from cluster_worker.operations.color import gray2rgb
from cluster_worker.operations.declare import Kernel, Place, Stage
from cluster_worker.operations.support import statistics
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.tiling import Span
from cluster_worker.plan.blocks import operation_errors, run_stage, whole_place
from cluster_worker.plan.passes import Density, Load, Pass, Plan

Image = NDArray[Any]
Depth = Literal["input", "native"]

DTYPES = ("bool", "uint8", "uint16", "uint32", "float32", "float64")

# Types of pictures to which kernels round by themselves.
ROUNDED = ("uint8", "uint16")

# Rows and columns of the image that shows what type and channels a stage gives. It is no constant,
# since that has no threshold and no edge.
EXAMPLE_SIDE = 16
# Pixels of the window that one pixel of a result is tried on.
EXAMPLE_WINDOW_MAX = 1 << 16


class PlanRequest(NamedTuple):
    """What a plan is made from; equal requests give equal plans, in the engine and in all ranks.

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
    returns : bool
        Whether a picture returns to the input's type at the end; if not, floats stay what they are.
    """

    shape: tuple[int, ...]
    dtype: str
    steps: str
    depth: Depth = "input"
    core: tuple[int, int] | None = None
    grid: int = 1
    returns: bool = True


@lru_cache(maxsize=256)
def plan(request: PlanRequest) -> Plan:
    """Plan a chain.

    Raises
    ------
    Rejected
        If such an image cannot be processed.
    """
    source_alpha = check_image(request.shape, request.dtype)
    steps = json.loads(request.steps)
    built = build_chain(request, steps, source_alpha)
    links = built.links
    last = links[-1]
    consumed = any("alpha" in link.stage.context for link in links)
    # Labels are no picture, and have nothing that could show through.
    result_alpha = source_alpha and not consumed and not is_labels(last.dtype)
    channels = last.channels
    if result_alpha:
        channels = ((channels or (1,))[0] + 1,)
    return Plan(
        passes=tuple(fuse(group) for group in split_into_passes(links)),
        shape=request.shape,
        dtype=request.dtype,
        result_shape=last.after + channels,
        result_dtype=last.dtype,
        source_alpha=source_alpha,
        result_alpha=result_alpha,
        alpha=alpha_plan(request, steps) if source_alpha else None,
        float_bytes=8 if request.dtype == "float64" or request.depth == "native" else 4,
        density=built.density,
        core=request.core,
        grid=request.grid,
    )


def alpha_plan(request: PlanRequest, steps: Sequence[Mapping[str, Any]]) -> Plan | None:
    """Plan what becomes of alpha: it goes with the pixels where a step moves them.

    Where a step consumes it, it is not rounded before.
    """
    moving: list[Mapping[str, Any]] = []
    consumed = False
    for step in steps:
        operation = OPERATIONS[step["operation"]]
        consumed = operation.consumes_alpha
        if consumed:
            break
        if operation.moves_pixels(step):
            moving.append(step)
    if not moving:
        return None
    alone = request._replace(shape=request.shape[:2], steps=json.dumps(moving), grid=1)
    return plan(alone._replace(returns=not consumed))


class Link(NamedTuple):
    """A stage of the chain, and what it makes of the example."""

    stage: Stage
    before: tuple[int, int]
    after: tuple[int, int]
    channels: tuple[int, ...]
    dtype: str
    arrays: int
    table: int
    cost: float
    input_dtype: str


class Chain:
    """Follows type, rows, columns, channels and resolution of an image from stage to stage."""

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

    def add(self, stage: Stage, arrays: int = 2, table: int = 0, cost: float = 0.1) -> None:
        """Append a stage.

        Raises
        ------
        Rejected
            If it refuses such an image.
        """
        before, after, input_dtype = self.shape, stage.shape_after(self.shape), self.dtype
        result = try_stage(stage, self.example, before)
        self.shape, self.channels, self.dtype = after, result.shape[2:], str(result.dtype)
        link = Link(
            stage, before, after, self.channels, self.dtype, arrays, table, cost, input_dtype
        )
        self.links.append(link)

    def round_in_last_stage(self, dtype: str, shows: tuple[float, float] = (0, 1)) -> bool:
        """Let the last stage round its result to the depth of a picture, if it can."""
        last = self.links[-1]
        if dtype not in ROUNDED or (shows != (0, 1) and "shows" not in last.stage.context):
            return False
        if "dtype" not in last.stage.context or np.dtype(self.dtype).kind != "f":
            return self.convert_in_last_stage(dtype)
        stage = replace(last.stage, dtype=dtype, shows=shows)
        self.links[-1] = last._replace(stage=stage, dtype=dtype)
        self.dtype = dtype
        return True

    def convert_in_last_stage(self, dtype: str) -> bool:
        """Let the last stage give its result in another type, if it asks for that."""
        last = self.links[-1]
        if "target" not in last.stage.context:
            return False
        self.links[-1] = last._replace(stage=replace(last.stage, target=dtype), dtype=dtype)
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


def try_stage(stage: Stage, example: Image, shape: tuple[int, int]) -> Image:
    """Run a stage on a small image, or its geometry on one pixel of the result."""
    if stage.like is not None:
        with operation_errors(stage.name):
            return stage.like(example)
    if stage.model is not None:
        floats = "dtype" in stage.context
        found = try_stage(stage.model, to_depth(example, "float32") if floats else example, shape)
        return found.astype(stage.dtype) if floats else found
    if stage.geometry is None:
        alpha = np.ones(example.shape[:2], example.dtype) if "alpha" in stage.context else None
        return run_stage(stage, example, whole_place(example), alpha)
    corner = Span(0, 1, 0, 1)
    window = stage.geometry.window(corner, shape)
    if window.pixels > EXAMPLE_WINDOW_MAX:
        # A pixel may be made from a whole gigapixel; what type it has, a few of those tell.
        shape = min(shape[0], EXAMPLE_SIDE), min(shape[1], EXAMPLE_SIDE)
        window = stage.geometry.window(corner, shape)
    block = np.zeros(window.shape + example.shape[2:], example.dtype)
    return run_stage(stage, block, Place(window, corner, shape))


def example_of(channels: tuple[int, ...], dtype: str) -> Image:
    """Make a small image in which no two neighbours are alike."""
    ramp = np.arange(EXAMPLE_SIDE**2).reshape(EXAMPLE_SIDE, EXAMPLE_SIDE)
    kind = np.dtype(dtype).kind
    image = ramp / ramp.max() if kind == "f" else ramp % 3 == 0 if kind == "b" else ramp
    return np.broadcast_to(
        image.reshape(image.shape + (1,) * len(channels)), image.shape + channels
    ).astype(dtype)


def build_chain(request: PlanRequest, steps: Sequence[Mapping[str, Any]], alpha: bool) -> Chain:
    """Follow an image through the steps, adding the conversions between them."""
    colours = (3,) if len(request.shape) == 3 and request.shape[2] >= 3 else ()
    found = Chain((request.shape[0], request.shape[1]), colours, request.dtype)
    shows: Any = None
    for given in steps:
        operation = OPERATIONS[given["operation"]]
        parameters = {name: value for name, value in given.items() if name != "operation"}
        check_kind(operation, request.depth, found, alpha)
        kernel = prepare(operation, parameters, request.depth, found)
        before = found.shape
        with operation_errors(operation.name):
            stages = operation.stages(parameters, kernel)
        for stage in stages:
            found.add(
                stage if alpha else without_alpha(stage),
                operation.arrays_of(kernel),
                0 if kernel else operation.table(**parameters),
                operation.cost_of(parameters, found.dtype, kernel),
            )
        found.change_density(operation, before)
        alpha = alpha and not operation.consumes_alpha
        # Moving pixels leaves their values what they were.
        if not operation.moves_pixels(given):
            shows = operation.shows
    if request.depth == "input" and request.returns:
        return_to_depth(found, request.dtype, shows)
    if found.links[-1].stage.rounds:
        # Rounds end in either of two buffers; what is last must be the result.
        found.add(Stage(same))
    return found


def without_alpha(stage: Stage) -> Stage:
    """Give a stage that asks for alpha none."""
    if "alpha" not in stage.context:
        return stage
    return replace(stage, function=partial(stage.function, alpha=None))


def same(image: Image) -> Image:
    """Leave an image as it is."""
    return image


def is_labels(dtype: str) -> bool:
    """Whether images of this type hold labels; pictures have at most 16 bits, without sign."""
    return np.dtype(dtype).kind in "iu" and dtype not in ("uint8", "uint16")


def check_kind(operation: Operation, depth: Depth, chain: Chain, alpha: bool) -> None:
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
            chain.add(Stage(regions))
        return operation.kernel(parameters, chain.dtype, depth, chain.channels)
    to_gray = operation.channels == "gray" and len(chain.channels) > 0
    if to_gray:
        gray = OPERATIONS["rgb2gray"]
        kernel = gray.kernel({}, chain.dtype, depth)
        if kernel is None:
            to_float(depth, chain)
        for stage in gray.stages({}, kernel):
            chain.add(stage)
    if operation.channels == "rgb" and not chain.channels:
        chain.add(Stage(partial(gray2rgb, alpha=None), name="gray2rgb"))
    if operation.takes == "mask" and depth == "input" and chain.dtype != "bool":
        chain.add(Stage(partial(to_depth, dtype="bool"), name="to_mask"))
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
        if chain.dtype != "uint32" and not chain.convert_in_last_stage("uint32"):
            chain.add(Stage(partial(np.asarray, dtype=np.uint32), name="to_labels"))
        return
    target = "uint8" if is_labels(dtype) else dtype
    if np.dtype(chain.dtype).kind == "f" and np.dtype(target).kind != "f":
        if shows == "extent":
            chain.add(Stage(statistics.stretch, measures=statistics.EXTENT, name="to_range"))
        elif not chain.round_in_last_stage(target, shows or (0, 1)) and shows is not None:
            low, high = shows
            chain.add(Stage(partial(statistics.scale, low=low, high=high), name="to_range"))
    if chain.dtype != target and not chain.round_in_last_stage(target):
        chain.add(conversion(chain.dtype, target, "to_depth"))


def conversion(source: str, target: str, name: str) -> Stage:
    """Give the stage that converts from one type to another, by a kernel if there is one."""
    stage = Stage(partial(to_depth, dtype=target), name=name)
    if not depths.converts(source, target):
        return stage
    return Stage(partial(depths.to_depth, dtype=target), model=stage, name=name)


def split_into_passes(links: Sequence[Link]) -> list[list[Link]]:
    """Stage a chain into passes."""
    found: list[list[Link]] = []
    for link in links:
        stage = link.stage
        needs_all = stage.measures or stage.rounds or stage.wraps or stage.whole
        last = found[-1][0].stage if found else None
        # After one whole tile, or rounds, all ranks share the work again.
        after = last is not None and (
            last.rounds or (last.whole and (stage.halo or stage.geometry))
        )
        if last is None or needs_all or after:
            found.append([])
        found[-1].append(link)
    return found


def fuse(links: Sequence[Link]) -> Pass:
    """Fuse neighbouring stages to one pass."""
    last = links[-1]
    return Pass(
        stages=tuple(link.stage for link in links),
        shapes=(*(link.before for link in links), last.after),
        channels=last.channels,
        dtype=last.dtype,
        arrays=max(link.arrays for link in links),
        table=max(link.table for link in links),
        cost=sum(link.cost for link in links),
        loads=tuple(
            Load(link.stage.name, link.input_dtype, link.cost * prod(link.channels))
            for link in links
        ),
    )


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
