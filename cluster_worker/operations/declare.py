"""How an operation is declared: one decorated function from which everything else derives.

The signature carries name, type, default, range and unit of each parameter; the docstring the
help; the decorator what the planner must know.

A function is given a *block*: a tile with its halo, clipped at the image border, rows × columns
or rows × columns × 3. It may ask for more by keyword-only parameters of these names:

``place``
    A `Place`: where the block lies in the whole image.
``statistics``
    What the operation's measures found in the whole image, in their order.
``alpha``
    The block's transparency.
``history``
    In the update of an iteration: what was measured in the rounds before.
``dtype``
    The type that its result is to have: float32, or that of the picture which a chain ends in, to
    which it then rounds by itself.
``shows``
    With such a type: which of its values become black and white.
``target``
    The type of picture that its result is to be rounded to, or that of labels, or None for its own
    type.
``model``
    Of a kernel: the operation's function, with its parameters.
``out``
    An array for the core of its result, or None; it returns the core alone.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.tiling import Place, Span, all_of

Image = NDArray[Any]

__all__ = [
    "Composed",
    "Geometric",
    "Geometry",
    "Image",
    "Iterative",
    "Kernel",
    "Kind",
    "Local",
    "Measure",
    "Number",
    "Operation",
    "Place",
    "Pointwise",
    "Rounds",
    "Span",
    "Stage",
    "Statistical",
    "Whole",
    "always",
    "channel_axis",
    "each_channel",
    "operation",
]

CONTEXT = frozenset(
    ("alpha", "dtype", "history", "model", "out", "place", "shows", "statistics", "target")
)
LIST_MAX = 12


@dataclass(frozen=True)
class Number:
    """Range of a numeric parameter: hard limits, and the narrower ones that a slider offers."""

    low: float
    high: float
    unit: str = ""
    slider: tuple[float, float] | None = None
    step: float | None = None


# What the planner is told: stages.


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
    """

    of: Callable[..., Any]
    combine: Callable[[Any, Any], Any]
    halo: int = 0


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
    """

    shape: Callable[[tuple[int, int]], tuple[int, int]]
    window: Callable[[Span, tuple[int, int]], Span]


def changed(old: Image, new: Image) -> bool:
    """Whether a round has changed a core; NaN equals itself."""
    return not np.array_equal(old, new, equal_nan=new.dtype.kind == "f")


def either(a: bool, b: bool) -> bool:
    """Whether one of two parts has it."""
    return a or b


def none_changed(history: Sequence[Any]) -> bool:
    """Stop when the last round has changed nothing."""
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
        same shape and type, of which the core is kept.
    halo : int
        Pixels that one update reads around a pixel. An update that spreads something as far as it
        goes within its block (a flood) reads one.
    measure, combine : callable
        ``measure(old core, new core)`` after each update, combined over all tiles.
    stop : callable
        From what was measured, one value for each round so far, to whether it is over.
    expected : int
        Rounds that it takes about, for the progress.
    far : bool
        Whether an update spreads something as far as it goes within its block: tiles are then
        large however dear a pixel is, since fewer make fewer rounds.
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
    grid : int
        Side of the cells that it works in, in pixels from the image's corner; it is given all of
        the cells that a core touches, and cores begin with a cell where they can.
    like : callable, optional
        From a small image to another of the result's type and channels, for a function that
        refuses images for what they show, so that planning cannot try it.
    model : Stage, optional
        Of the operation's function, which planning tries instead of a kernel: that would have to
        be loaded.
    dtype, shows, target : str, tuple of float, str
        What a function that asks for them is told.
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
    grid: int = 1
    like: Callable[[Image], Image] | None = None
    model: "Stage | None" = None
    dtype: str = "float32"
    shows: tuple[float, float] = (0, 1)
    target: str | None = None
    name: str = ""

    @cached_property
    def returns_core(self) -> bool:
        """Whether the function returns the core alone."""
        return self.geometry is not None or "out" in self.context

    @cached_property
    def context(self) -> frozenset[str]:
        """What the function wants to be told besides its block."""
        return context_of(self.function)

    def reads(self, core: Span, shape: tuple[int, int]) -> Span:
        """Give the span of an image of this shape that a core of the result is made from.

        It reaches beyond the image only if the stage wraps.
        """
        if self.whole:
            return all_of(shape)
        if self.geometry:
            return self.geometry.window(core, shape)
        window = core.aligned(self.grid).grown(self.halo)
        return window if self.wraps else window.clipped(shape)

    def shape_after(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Give (rows, columns) of the result for an image of this shape."""
        return self.geometry.shape(shape) if self.geometry else shape


def context_of(function: Callable[..., Any]) -> frozenset[str]:
    """Name what a function asks for by keyword-only parameters, and has not been given yet."""
    if isinstance(function, partial):
        return signature_context(function.func) - function.keywords.keys()
    return signature_context(function)


@lru_cache(maxsize=1024)
def signature_context(function: Callable[..., Any]) -> frozenset[str]:
    """Name what a function of a module asks for; there are only so many, and tiles ask often."""
    parameters = inspect.signature(function).parameters.values()
    return CONTEXT & {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


# What an operation declares: its kind, which makes stages of parameters.

Stages = tuple[Stage, ...]
Halo = Callable[..., int]


@dataclass(frozen=True)
class Pointwise:
    """A pixel depends on that pixel alone, and on its place if the function asks for it."""

    name = "pointwise"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Make the stage for one set of parameters."""
        return (Stage(partial(function, **parameters)),)


@dataclass(frozen=True)
class Local:
    """A pixel depends on its neighbours up to `halo` pixels away.

    With a parameter ``mode="wrap"`` the neighbours beyond the border are those of the opposite
    edge.

    Attributes
    ----------
    halo : callable
        From the operation's parameters to pixels.
    grid : callable
        From the operation's parameters to the side of the cells that it works in, in pixels.
    """

    halo: Halo
    grid: Halo = lambda **_: 1
    name = "local"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Make the stage for one set of parameters."""
        wraps = parameters.get("mode") == "wrap"
        halo, grid = self.halo(**parameters), self.grid(**parameters)
        return (Stage(partial(function, **parameters), halo, wraps=wraps, grid=grid),)


@dataclass(frozen=True)
class Statistical:
    """A pixel depends on its neighbours up to `halo` pixels away and on statistics of the whole.

    The function takes the combined statistics as the keyword argument ``statistics``.

    Attributes
    ----------
    measures : tuple of Measure, or callable
        The callable makes them from the operation's parameters.
    halo : callable
        From the operation's parameters to pixels.
    name : str
        "contextual" where the place in the whole matters as well.
    like : callable, optional
        As of `Stage`.
    """

    measures: tuple[Measure, ...] | Callable[..., tuple[Measure, ...]]
    halo: Halo = lambda **_: 0
    name: str = "statistical"
    like: Callable[[Image], Image] | None = None

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Make the stage for one set of parameters."""
        measures = self.measures(**parameters) if callable(self.measures) else self.measures
        wraps = parameters.get("mode") == "wrap"
        halo = self.halo(**parameters)
        return (Stage(partial(function, **parameters), halo, measures, wraps, like=self.like),)


@dataclass(frozen=True)
class Geometric:
    """The result has other rows and columns, or pixels that come from elsewhere.

    The function asks for ``place``: it is given the window and returns the core.

    Attributes
    ----------
    shape : callable
        ``shape((rows, columns), **parameters)`` of the result.
    window : callable
        ``window(core, (rows, columns), **parameters)``, as in `Geometry`.
    """

    shape: Callable[..., tuple[int, int]]
    window: Callable[..., Span]
    name = "geometric"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Make the stage for one set of parameters."""
        geometry = Geometry(partial(self.shape, **parameters), partial(self.window, **parameters))
        return (Stage(partial(function, **parameters), geometry=geometry),)


@dataclass(frozen=True)
class Composed:
    """Several stages, one after the other.

    The decorated function takes the parameters alone, and returns a tuple of `Stage`.

    Attributes
    ----------
    name : str
        The kind of the stage that is hardest to cut: "propagating", "iterative", ...
    """

    name: str

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Ask the function for its stages."""
        found: Stages = function(**parameters)
        return found


@dataclass(frozen=True)
class Iterative:
    """Rounds over a state until a rule says stop; the function makes the first state.

    Attributes
    ----------
    rounds : callable
        From the operation's parameters to `Rounds`.
    halo : callable
        Pixels that the first state reads, from the operation's parameters.
    """

    rounds: Callable[..., Rounds]
    halo: Halo = lambda **_: 0
    name: str = "iterative"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Make the stage for one set of parameters."""
        rounds, halo = self.rounds(**parameters), self.halo(**parameters)
        return (Stage(partial(function, **parameters), halo, rounds=rounds),)


@dataclass(frozen=True)
class Whole:
    """No honest decomposition is known; one rank runs it on the whole image."""

    why: str
    name = "whole"

    def stages(self, function: Callable[..., Any], parameters: Mapping[str, Any]) -> Stages:
        """Make the stage for one set of parameters."""
        return (Stage(partial(function, **parameters), whole=True),)


Kind = Pointwise | Local | Statistical | Geometric | Composed | Iterative | Whole


def always(**_: Any) -> bool:
    """Hold for all parameters."""
    return True


@dataclass(frozen=True)
class Kernel:
    """A faster way to the pixels of an operation, taken instead of its function where it holds.

    The catalogue test proves it as it proves the function: seamless bitwise, and faithful.

    Attributes
    ----------
    function : callable
        With the parameters of the operation's function. For floats it asks for ``dtype``.
    takes : tuple of str
        Types of the images that it takes as they are; what would be converted to floats for the
        function is not.
    when : callable
        From the parameters to whether it holds for them.
    gray : bool
        Whether it takes no colours.
    exact : bool
        Whether its result is the function's to the last bit. If not, it serves pictures alone:
        with depth "native" the function runs.
    measures : tuple of Measure, or callable, optional
        Of an image as the kernel takes it, if they are not those of the operation.
    arrays, cost, tolerance
        As in `Traits`, where they are not the operation's.
    """

    function: Callable[..., Any]
    takes: tuple[str, ...] = ("uint8", "uint16", "float32")
    when: Callable[..., bool] = always
    gray: bool = False
    exact: bool = False
    measures: tuple[Measure, ...] | Callable[..., tuple[Measure, ...]] | None = None
    arrays: int | None = None
    cost: float | Callable[..., float] | None = None
    tolerance: float = 0.0

    def stages(self, kind: Kind, parameters: Mapping[str, Any], models: Stages) -> Stages:
        """Make the stages for one set of parameters; `models` are those of the function."""
        if isinstance(kind, Statistical) and self.measures is not None:
            kind = replace(kind, measures=self.measures)
        found = kind.stages(self.function, parameters)
        if isinstance(kind, Composed):
            return found
        return tuple(
            replace(stage, model=model) for stage, model in zip(found, models, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What an operation says of itself besides its kind.

    Attributes
    ----------
    channels : {"each", "gray", "rgb", "any"}
        Whether colours are treated one by one, are turned to gray first, are needed (gray is
        turned to RGB first), or are the operation's business.
    takes : {"picture", "mask", "labels"}
        What it is made for. With depth "input" a picture given to an operation on masks becomes
        one at half of white; labels are integers, one for each region, and a mask is a label
        image with one label.
    floats : bool
        Whether it computes in floating point whatever the image's type.
    shows : tuple of float or "extent", optional
        Least and greatest value of its result, which become black and white when a picture of
        whole numbers is made of it at the end; "extent" stands for those found in the image.
        None: black is 0 and white is 1.
    pixels : {"kept", "scaled", "turned", "lost"}
        What becomes of a pixel's physical size: it stays, changes with rows and columns, swaps
        height and width, or is no longer the same everywhere.
    arrays : int
        Arrays as large as its input, in floating point, that live while it runs.
    table : callable
        From the parameters to bytes that it takes besides, however small its input is.
    cost : float or callable
        Work for a pixel, the Gaussian of one pixel being about 1; the callable makes it from the
        parameters. Tiles of dear operations are smaller, so that a cancel is heard in time.
    cost_deep : float
        How many times as much work a pixel of 16 bits is.
    tolerance : float
        Largest difference from scikit-image, as a share of the range, before rounding.
    seam : float
        Largest difference between two tilings, as a share of the range.
    kernels : tuple of Kernel
        The first that holds is taken.
    fine : tuple of str
        Parameters that most leave as they are: a form shows them when it is asked to.
    """

    channels: Literal["each", "gray", "rgb", "any"] = "each"
    takes: Literal["picture", "mask", "labels"] = "picture"
    floats: bool = False
    shows: tuple[float, float] | Literal["extent"] | None = None
    pixels: Literal["kept", "scaled", "turned", "lost"] = "kept"
    arrays: int = 4
    table: Callable[..., int] = lambda **_: 0
    cost: float | Callable[..., float] = 1.0
    cost_deep: float = 1.0
    tolerance: float = 0.0
    seam: float = 0.0
    kernels: tuple[Kernel, ...] = ()
    fine: tuple[str, ...] = ("mode", "cval", "truncate")


@dataclass(frozen=True, kw_only=True)
class Operation(Traits):
    """An entry of the catalogue."""

    name: str
    title: str
    group: str
    kind: Kind
    function: Callable[..., Any]
    parameters: Mapping[str, Any]
    help: str
    source: str

    def stages(self, parameters: Mapping[str, Any], kernel: Kernel | None = None) -> Stages:
        """Give its stages for one set of parameters, by a kernel if one is given."""
        found = self.named(self.kind.stages(self.function, parameters))
        if kernel is None:
            return found
        return self.named(kernel.stages(self.kind, parameters, found))

    def named(self, stages: Stages) -> Stages:
        """Give stages whose errors begin with the operation's name."""
        return tuple(replace(stage, name=self.name) for stage in stages)

    def kernel(
        self,
        parameters: Mapping[str, Any],
        dtype: str,
        depth: str,
        channels: tuple[int, ...] = (),
    ) -> Kernel | None:
        """Find the kernel for an image of this type and these channels."""
        for each in self.kernels:
            fits = dtype in each.takes and not (each.gray and channels)
            if fits and (each.exact or depth == "input") and each.when(**parameters):
                return each
        return None

    @property
    def consumes_alpha(self) -> bool:
        """Whether it lays what is transparent over something."""
        return "alpha" in context_of(self.function)

    def moves_pixels(self, step: Mapping[str, Any]) -> bool:
        """Whether the pixels of its result come from elsewhere, so that alpha must go with them."""
        parameters = {name: value for name, value in step.items() if name != "operation"}
        return any(stage.geometry is not None for stage in self.stages(parameters))

    def cost_of(
        self, parameters: Mapping[str, Any], dtype: str = "uint8", kernel: Kernel | None = None
    ) -> float:
        """Work for a pixel of this type with these parameters."""
        cost = self.cost if kernel is None or kernel.cost is None else kernel.cost
        found = cost(**parameters) if callable(cost) else cost
        return found * self.cost_deep if dtype == "uint16" and kernel is None else found

    def arrays_of(self, kernel: Kernel | None) -> int:
        """Arrays that live while it runs."""
        return self.arrays if kernel is None or kernel.arrays is None else kernel.arrays

    def entry(self) -> dict[str, Any]:
        """Give its part of the exported catalogue."""
        found = {
            "name": self.name,
            "title": self.title,
            "group": self.group,
            "kind": self.kind.name,
            "help": self.help,
            "source": self.source,
            "channels": self.channels,
            "takes": self.takes,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict(self.parameters),
            },
        }
        if isinstance(self.kind, Whole):
            found["note"] = self.kind.why
        return found


OPERATIONS: dict[str, Operation] = {}


@dataclass(frozen=True)
class operation(Traits):  # noqa: N801 - a decorator
    """Enter a function into the catalogue and return it unchanged.

    The attributes are those of `Operation`; the rest is read from the function.
    """

    title: str = field(kw_only=False)
    group: str = field(kw_only=False)
    kind: Kind = field(kw_only=False)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Read signature and docstring."""
        try:
            summary, helps, source = read_docstring(function)
            parameters = read_signature(function, helps)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from error
        for name in self.fine:
            if name in parameters:
                parameters[name]["x-fine"] = True
        OPERATIONS[function.__name__] = Operation(
            name=function.__name__,
            parameters=parameters,
            function=function,
            help=summary,
            source=source,
            **vars(self),
        )
        return function


def read_signature(
    function: Callable[..., Any], helps: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Read the parameters of an operation: all but its image and its context.

    Parameters
    ----------
    function : callable
        The operation's.
    helps : mapping
        From parameter to its text in the docstring, which is taken instead of that of its type.

    Returns
    -------
    dict
        From parameter to its JSON Schema.
    """
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function).parameters
    others = context_of(function) | {name for name in list(signature)[:1] if name == "image"}
    return {
        name: schema(name, hints[name], each.default, helps.get(name))
        for name, each in signature.items()
        if name not in others
    }


def schema(name: str, hint: Any, default: Any, text: str | None) -> dict[str, Any]:
    """Turn one annotated parameter into JSON Schema, with unit and slider as extensions.

    Parameters
    ----------
    name : str
        Of the parameter.
    hint : type
        May be annotated with a `Number`, and with the help that operations share, as a string.
    default : object
        Its default.
    text : str, optional
        The operation's own help, taken instead of that of the type.

    Raises
    ------
    TypeError
        If neither docstring nor type describe the parameter.
    """
    number = None
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        number = next((note for note in notes if isinstance(note, Number)), None)
        text = text or next((note for note in notes if isinstance(note, str)), None)
    if not text:
        raise TypeError(f"{name} has no help; describe it in the docstring or annotate its type")
    found: dict[str, Any] = {"title": name.replace("_", " ").capitalize(), "description": text}
    limits = {} if number is None else {"minimum": number.low, "maximum": number.high}
    options = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is Literal:
        found |= {"type": "string", "enum": list(get_args(hint))}
    elif get_origin(hint) is tuple:
        items = {"type": type_name(options[0])} | limits
        found |= {"type": "array", "items": items, "minItems": 1, "maxItems": LIST_MAX}
        default = list(default)
    elif options:
        found |= {"type": [type_name(options[0]), "null"]} | limits
    else:
        found |= {"type": type_name(hint)} | limits
    if number is not None:
        found["x-slider"] = list(number.slider or (number.low, number.high))
        found |= {"x-unit": number.unit} if number.unit else {}
        found |= {"x-step": number.step} if number.step else {}
    return found | {"default": default}


def type_name(kind: type) -> str:
    """Name a Python type as JSON Schema does."""
    return {float: "number", int: "integer", bool: "boolean", str: "string"}[kind]


def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str], str]:
    """Read summary, help of each parameter, and source from a numpydoc docstring.

    Returns
    -------
    summary : str
        All text before the first section, as one paragraph.
    helps : dict
        From parameter to its text.
    source : str
        What the section References names first.

    Raises
    ------
    TypeError
        If there is no section References.
    """
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(function) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    helps = {
        name: " ".join(text.split())
        for name, text in re.findall(
            r"^(\w+) : .*\n((?: {4}.*\n?)+)", sections.get("Parameters", ""), flags=re.MULTILINE
        )
    }
    if not (references := sections.get("References", "").split()):
        raise TypeError("the docstring has no section References, which names what it computes")
    return " ".join(parts[0].split()), helps, references[0].rstrip(".,;")


def channel_axis(image: Image) -> int | None:
    """Axis of the colours. Always positive: unsharp_mask of scikit-image 0.26 errs on -1."""
    return 2 if image.ndim == 3 else None


def each_channel(function: Callable[[Image], Image], image: Image) -> Image:
    """Run a function of a gray image on every colour of an image."""
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., i]) for i in range(image.shape[2])], axis=2)
