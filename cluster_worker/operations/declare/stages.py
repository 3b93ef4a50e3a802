"""What the planner knows of an operation: stages, and what the pass around each must provide."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, Literal

import numpy as np

from cluster_worker.operations.declare.channels import Image
from cluster_worker.pixels.tiling import Span, all_of

# What a function may ask for by keyword-only parameters, besides its block.
# `valid` comes only where some pixels have no data, and `skips_nan` where NaN in a second image of
# values stands for no data: their defaults stand for other images.
CONTEXT = frozenset(
    (
        *("alpha", "dtype", "history", "model", "out", "place", "shows", "skips_nan"),
        *("statistics", "target", "valid"),
    )
)


@dataclass(frozen=True)
class Measure:
    """One statistic of the whole image, measured per tile and combined.

    Attributes
    ----------
    of : callable
        ``of(block, *earlier)``, where `earlier` are the stage's statistics measured before. The
        block is a core, or a core with a halo if `halo` says so; then `of` asks for ``place`` and
        counts the core alone.
    combine : callable
        Associative and exact, so that any tiling gives the same value.
    halo : int
        Pixels that it reads around a core.
    finish : callable, optional
        From the combined value to the statistic. One rank calls it, and the others get what it
        returns: for what takes much time or memory, and gives little.
    """

    of: Callable[..., Any]
    combine: Callable[[Any, Any], Any]
    halo: int = 0
    finish: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Geometry:
    """How the pixels of a result lie in the image.

    Attributes
    ----------
    shape : callable
        From (rows, columns) of the image to those of the result.
    window : callable
        ``window(core, shape)``: the span of an image of that shape which the pixels of a core of
        the result are made from; within the image, and never empty.
    counts_result : bool
        Whether the pixels of the result make the work, however many of the image lie between them.
        Otherwise those of the image do where they are more.
    """

    shape: Callable[[tuple[int, int]], tuple[int, int]]
    window: Callable[[Span, tuple[int, int]], Span]
    counts_result: bool = False


def changed(old: Image, new: Image) -> bool:
    """Return whether a round has changed a core; NaN equals itself."""
    return not np.array_equal(old, new, equal_nan=new.dtype.kind == "f")


def either(a: bool, b: bool) -> bool:
    """Return whether either is true."""
    return a or b


def none_changed(history: Sequence[Any]) -> bool:
    """Return whether the last round has changed nothing."""
    return not history[-1]


@dataclass(frozen=True)
class Rounds:
    """A state, as large as the image, that is updated tile by tile until a rule says stop.

    The stage's function makes the first state from the image. Every round reads the state of the
    round before and writes another, so that the order of the tiles does not matter.

    Attributes
    ----------
    update : callable
        ``update(state, image)``: both with a halo of `halo` pixels; returns the new state of the
        same shape and type; its core is kept.
    halo : int
        Pixels that one update reads around a pixel. An update that spreads something as far as it
        goes within its block (a flood) reads one.
    measure, combine : callable
        ``measure(old core, new core)`` after each update, combined over all tiles.
    stop : callable
        ``stop(history)``: whether this was the last round. `history` has one measured value for
        each round so far.
    expected : int
        Approximate number of rounds, for the progress and the estimate of time.
    far : bool
        Whether an update spreads something as far as it goes within its block. Tiles are then
        large even if a pixel costs much, because fewer tiles need fewer rounds.
    """

    update: Callable[..., Image]
    halo: int = 1
    measure: Callable[[Image, Image], Any] = changed
    combine: Callable[[Any, Any], Any] = either
    stop: Callable[[Sequence[Any]], bool] = none_changed
    expected: int = 4
    far: bool = False


@dataclass(frozen=True)
class Stage:
    """One function of a block, with what the pass around it must provide.

    Attributes
    ----------
    function : callable
        From a block to its result, rows and columns the same; the result's core is kept. With a
        `geometry` it returns the core alone.
    halo : int
        Pixels that it reads on every side of a pixel.
    measures : tuple of Measure
        Of the whole of the image that the stage is given.
    wraps : bool
        Whether what lies beyond the image's border is its opposite edge.
    geometry, rounds : Geometry or Rounds, optional
        If the result has other rows and columns, or is iterated.
    whole : bool
        Whether the block must be the whole image.
    strips : {"", "rows", "columns"}
        Whether blocks are strips of whole rows, or of whole columns.
    reach : callable, optional
        ``reach(core, *statistics)``: the span that a core of the result is made from, which its
        halo is added to, if that depends on the image: all regions of a mask that the core meets,
        for example. Its measures run on the cores.
    reach_pixels : int
        Most pixels of such a span.
    less_memory : str
        Of a stage that needs the whole image: what users can do where that does not fit, if there
        is anything.
    grid : int
        Side of the cells that it works in, in pixels from the image's corner; it is given all of
        the cells that a core touches, and cores begin with a cell where they can.
    like : callable, optional
        From a small image to another of the result's type and channels, for a function that
        planning cannot try: it refuses images because of their values, or takes long on any image.
    model : Stage, optional
        The stage of the operation's function. Planning tries it instead of a kernel, which would
        have to be loaded.
    dtype, shows, target : str, tuple of float, str
        Values for a function that asks for them.
    alpha_index : int
        Which alpha a function that asks for it is given: 0 for that of the image, others for those
        that steps have moved.
    inputs : tuple of (str, int)
        The second images that its functions are given, by the names of their parameters: where each
        stands in the plan's list of them.
    name : str
        Begins its errors.
    """

    function: Callable[..., Image]
    halo: int = 0
    measures: tuple[Measure, ...] = ()
    wraps: bool = False
    geometry: Geometry | None = None
    rounds: Rounds | None = None
    whole: bool = False
    strips: Literal["", "rows", "columns"] = ""
    reach: Callable[..., Span] | None = None
    reach_pixels: int = 0
    less_memory: str = ""
    grid: int = 1
    like: Callable[[Image], Image] | None = None
    model: "Stage | None" = None
    dtype: str = "float32"
    shows: tuple[float, float] = (0, 1)
    target: str | None = None
    alpha_index: int = 0
    inputs: tuple[tuple[str, int], ...] = ()
    name: str = ""

    @cached_property
    def returns_core(self) -> bool:
        """Whether the function returns the core alone."""
        return self.geometry is not None or "out" in self.context

    @cached_property
    def context(self) -> frozenset[str]:
        """What the function asks for besides its block."""
        return context_of(self.function)

    def takes(self, name: str) -> bool:
        """Return whether one of its functions has a parameter for a second image of this name."""
        functions = [self.function, *(each.of for each in self.measures)]
        functions += [self.rounds.update] if self.rounds else []
        return any(takes_keyword(each, name) for each in functions)

    def reads(self, core: Span, shape: tuple[int, int]) -> Span:
        """Return the span of an image of this shape that a core of the result is made from.

        The span reaches beyond the image only if the stage wraps.
        """
        if self.whole:
            return all_of(shape)
        if self.geometry:
            return self.geometry.window(core, shape)
        if self.strips:
            return strip_of(core, self.strips, shape)
        window = core.aligned(self.grid).grown(self.halo)
        return window if self.wraps else window.clipped(shape)

    def shape_after(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return (rows, columns) of the result for an image of this shape."""
        return self.geometry.shape(shape) if self.geometry else shape


def strip_of(core: Span, strips: str, shape: tuple[int, int]) -> Span:
    """Return the whole rows, or the whole columns, that a core lies in."""
    rows, columns = shape
    if strips == "rows":
        return core._replace(left=0, right=columns)
    return core._replace(top=0, bottom=rows)


def context_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return the context that a function asks for by keyword-only parameters, if not bound yet."""
    if isinstance(function, partial):
        return signature_context(function.func) - function.keywords.keys()
    return signature_context(function)


@lru_cache(maxsize=1024)
def signature_context(function: Callable[..., Any]) -> frozenset[str]:
    """Return the context that a function asks for. Cached, because every tile needs it."""
    parameters = inspect.signature(function).parameters.values()
    return CONTEXT & {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


def takes_keyword(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function has a parameter of this name that is not bound yet."""
    if isinstance(function, partial):
        return name not in function.keywords and takes_keyword(function.func, name)
    return name in signature_names(function)


@lru_cache(maxsize=1024)
def signature_names(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters. Cached, because every tile needs it."""
    return frozenset(inspect.signature(function).parameters)
