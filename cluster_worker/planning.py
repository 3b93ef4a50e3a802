"""Plan a chain of steps as passes over tiles. Pure: numbers in, values out.

A pass runs neighbouring pointwise and local steps together on each tile, whose halo is the sum of
theirs. A step that needs a statistic of the whole image, or the whole image itself, begins a new
pass, since it must see the finished result of the steps before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import util

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, Operation, Statistical, Whole, color
from cluster_worker.operations.declare import Measure
from cluster_worker.tiling import Tile, core_shape, tiles

Image = NDArray[Any]
Depth = Literal["input", "native"]

DTYPES = ("bool", "uint8", "uint16", "float32", "float64")

# Pixels of a tile's core: large enough that a tile's overhead is small beside its work, small
# enough that a cancel is heard within a second and its arrays stay near the caches.
TILE_PIXELS = 1 << 20


@dataclass(frozen=True)
class Step:
    """A function of a tile, with what the pass around it must provide."""

    name: str
    function: Callable[..., Image]
    halo: int = 0
    measures: tuple[Measure, ...] = ()
    alpha: bool = False


@dataclass(frozen=True)
class Pass:
    """Steps that run together on each tile.

    Attributes
    ----------
    steps : tuple of Step
        In order; only the first may have measures.
    halo : int
        Sum of the steps' halos, in pixels.
    shape, dtype : tuple of int, str
        Of the pass's result; alpha is not part of it.
    whole : bool
        Whether the image must be one tile.
    arrays : int
        Arrays as large as a tile, in floating point, that live at once.
    """

    steps: tuple[Step, ...]
    halo: int
    shape: tuple[int, ...]
    dtype: str
    whole: bool
    arrays: int


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
    core : tuple of int or None
        Largest (rows, columns) of a core; None leaves it to each pass.
    """

    passes: tuple[Pass, ...]
    shape: tuple[int, ...]
    dtype: str
    result_shape: tuple[int, ...]
    result_dtype: str
    source_alpha: bool
    result_alpha: bool
    core: tuple[int, int] | None = None

    def core_of(self, each: Pass, ranks: int) -> tuple[int, int]:
        """Give the largest (rows, columns) of a core in one pass over so many ranks."""
        rows, columns = self.shape[:2]
        if each.whole:
            return rows, columns
        return self.core or core_shape((rows, columns), each.halo, ranks, TILE_PIXELS)

    def tiles(self, each: Pass, ranks: int) -> list[Tile]:
        """Cut the image for one pass over so many ranks."""
        rows, columns = self.shape[:2]
        return tiles((rows, columns), self.core_of(each, ranks), each.halo)

    def tile_count(self, each: Pass, ranks: int) -> int:
        """Count the tiles of one pass without making them: an image may have millions."""
        height, width = self.core_of(each, ranks)
        return -(-self.shape[0] // height) * -(-self.shape[1] // width)

    def tiles_total(self, ranks: int) -> int:
        """Count the tiles of all passes, those of the measures included."""
        return sum(
            self.tile_count(each, ranks) * (1 + len(each.steps[0].measures)) for each in self.passes
        )

    def scratch(self) -> list[tuple[tuple[int, ...], str]]:
        """Shape and type of each image between two passes."""
        return [(each.shape, each.dtype) for each in self.passes[:-1]]

    def shared_bytes(self) -> int:
        """Bytes that source, result and images between passes take in shared memory."""
        images = [(self.shape, self.dtype), (self.result_shape, self.result_dtype)]
        return sum(
            int(np.prod(shape)) * np.dtype(dtype).itemsize
            for shape, dtype in images + self.scratch()
        )

    def rank_bytes(self, ranks: int) -> int:
        """Bytes that the busiest rank will need of its own, as an upper estimate."""
        channels = self.shape[2] if len(self.shape) == 3 else 1
        size = 8 if self.dtype == "float64" else 4

        def window(each: Pass) -> int:
            height, width = self.core_of(each, ranks)
            rows = min(height + 2 * each.halo, self.shape[0])
            return rows * min(width + 2 * each.halo, self.shape[1])

        return max(window(each) * channels * size * (each.arrays + 2) for each in self.passes)


def plan(
    shape: tuple[int, ...],
    dtype: str,
    steps: Sequence[Mapping[str, Any]],
    depth: Depth = "input",
    core: tuple[int, int] | None = None,
) -> Plan:
    """Plan a chain.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) or (rows, columns, channels); 2 or 4 channels end with alpha.
    dtype : str
        One of bool, uint8, uint16, float32, float64.
    steps : sequence of mapping
        Checked, with every parameter present.
    depth : {"input", "native"}
        Whether the result returns to the input's type, or keeps what scikit-image makes.
    core : tuple of int, optional
        Largest (rows, columns) of a tile's core.

    Raises
    ------
    Rejected
        If such an image cannot be processed.
    """
    source_alpha = check_image(shape, dtype)
    colours = 3 if len(shape) == 3 and shape[2] >= 3 else 1
    source = np.zeros((4, 4, 3) if colours == 3 else (4, 4), dtype)
    links = chain(source, steps, depth, source_alpha)
    result_alpha = source_alpha and not any(link.step.alpha for link in links)
    channels = links[-1].example.shape[2:]
    if result_alpha:
        channels = ((channels or (1,))[0] + 1,)
    return Plan(
        passes=tuple(pass_of(group, shape) for group in groups(links)),
        shape=shape,
        dtype=dtype,
        result_shape=shape[:2] + channels,
        result_dtype=str(links[-1].example.dtype),
        source_alpha=source_alpha,
        result_alpha=result_alpha,
        core=core,
    )


@dataclass(frozen=True)
class Link:
    """A step of the chain, its result on a tiny image, and what it asks of its pass."""

    step: Step
    example: Image
    whole: bool = False
    arrays: int = 2


def chain(
    example: Image, steps: Sequence[Mapping[str, Any]], depth: Depth, alpha: bool
) -> list[Link]:
    """Follow a tiny image through the steps, adding the conversions between them."""
    dtype = str(example.dtype)
    links: list[Link] = []

    def add(step: Step, whole: bool = False, arrays: int = 2) -> None:
        last = links[-1].example if links else example
        opaque = np.zeros(last.shape[:2], dtype) if step.alpha and alpha else None
        links.append(Link(step, run_step(step, last, opaque), whole, arrays))

    for given in steps:
        operation = OPERATIONS[given["operation"]]
        parameters = {name: value for name, value in given.items() if name != "operation"}
        for before in preparations(operation, depth, links[-1].example if links else example):
            add(before)
        measures = operation.kind.measures if isinstance(operation.kind, Statistical) else ()
        step = Step(
            operation.name,
            partial(operation.function, **parameters),
            operation.halo(parameters),
            measures,
            operation.alpha and alpha,
        )
        add(step, isinstance(operation.kind, Whole), operation.arrays)
        alpha = alpha and not operation.alpha
    if depth == "input" and str(links[-1].example.dtype) != dtype:
        add(Step("to_depth", partial(to_depth, dtype=dtype)))
    return links


def preparations(operation: Operation, depth: Depth, example: Image) -> list[Step]:
    """Give the conversions that must go before an operation."""
    to_gray = operation.channels == "gray" and example.ndim == 3
    floats = operation.floats or to_gray
    found = []
    if floats and depth == "input" and example.dtype.kind != "f":
        found.append(Step("to_float", partial(to_depth, dtype="float32")))
    if to_gray:
        found.append(Step("rgb2gray", color.rgb2gray))
    return found


def groups(links: Sequence[Link]) -> list[list[Link]]:
    """Part a chain into passes: a step that must see the whole image begins one."""
    found: list[list[Link]] = []
    for link in links:
        after_whole = bool(found) and found[-1][0].whole and link.step.halo > 0
        if not found or link.step.measures or link.whole or after_whole:
            found.append([])
        found[-1].append(link)
    return found


def pass_of(links: Sequence[Link], shape: tuple[int, ...]) -> Pass:
    """Fuse neighbouring steps to one pass."""
    result = links[-1].example
    return Pass(
        steps=tuple(link.step for link in links),
        halo=sum(link.step.halo for link in links),
        shape=shape[:2] + result.shape[2:],
        dtype=str(result.dtype),
        whole=links[0].whole,
        arrays=max(link.arrays for link in links),
    )


def run_step(
    step: Step,
    image: Image,
    alpha: Image | None = None,
    statistics: tuple[Any, ...] | None = None,
) -> Image:
    """Run a step on a tile, measuring the tile itself where no statistics are given.

    Raises
    ------
    Rejected
        If the operation refuses the image.
    """
    extra: dict[str, Any] = {}
    if step.alpha:
        extra["alpha"] = alpha
    if step.measures:
        extra["statistics"] = measured(step, image) if statistics is None else statistics
    try:
        return step.function(image, **extra)
    except Rejected:
        raise
    except ValueError as error:
        raise Rejected(f"{step.name}: {str(error).splitlines()[0]}") from error


def measured(step: Step, image: Image) -> tuple[Any, ...]:
    """Measure all statistics of one array."""
    found: tuple[Any, ...] = ()
    for measure in step.measures:
        found += (measure.of(image, *found),)
    return found


def to_depth(image: Image, dtype: str) -> Image:
    """Convert between types as scikit-image does, but clip floats to 0…1 instead of refusing."""
    target = np.dtype(dtype)
    if image.dtype == target:
        return image
    if target.kind == "f":
        if image.dtype.kind == "f":
            return image.astype(target)
        convert = util.img_as_float64 if dtype == "float64" else util.img_as_float32
        result: Image = convert(image)
        return result
    if target.kind == "b":
        half = np.iinfo(image.dtype).max / 2 if image.dtype.kind == "u" else 0.5
        mask: Image = image > half
        return mask
    white = np.iinfo(target).max
    if image.dtype.kind == "b":
        levels: Image = image.astype(target) * target.type(white)
    else:
        scaled = np.clip(image, 0, 1) * image.dtype.type(white)
        levels = np.rint(scaled, out=scaled).astype(target)
    return levels


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
