"""How an operation is declared: one decorated function from which everything else derives.

The signature carries name, type, default, range and unit of each parameter; the docstring the
help; the decorator what the planner must know.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]


@dataclass(frozen=True)
class Number:
    """Range of a numeric parameter: hard limits, and the narrower ones that a slider offers."""

    low: float
    high: float
    unit: str = ""
    slider: tuple[float, float] | None = None
    step: float | None = None


@dataclass(frozen=True)
class Pointwise:
    """A pixel depends on that pixel alone."""

    name = "pointwise"


@dataclass(frozen=True)
class Local:
    """A pixel depends on its neighbours up to `halo` pixels away.

    Attributes
    ----------
    halo : callable
        From the operation's parameters to pixels.
    """

    halo: Callable[..., int]
    name = "local"


@dataclass(frozen=True)
class Measure:
    """One statistic of the whole image, measured per tile and combined.

    Attributes
    ----------
    of : callable
        ``of(tile, *earlier)``, where `earlier` are the operation's statistics measured before.
    combine : callable
        Associative and exact, so that any tiling gives the same value.
    """

    of: Callable[..., Any]
    combine: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Statistical:
    """A pixel depends on its neighbours up to `halo` pixels away and on statistics of the whole.

    The function takes the combined statistics as the keyword argument ``statistics``.
    """

    measures: tuple[Measure, ...]
    halo: Callable[..., int] = lambda **_: 0
    name = "statistical"


@dataclass(frozen=True)
class Whole:
    """No honest decomposition is known; one rank runs it on the whole image."""

    why: str
    name = "whole"


Kind = Pointwise | Local | Statistical | Whole


@dataclass(frozen=True)
class Operation:
    """An entry of the catalogue.

    Attributes
    ----------
    channels : {"each", "gray", "any"}
        Whether colours are treated one by one, are turned to gray first, or are its business.
    floats : bool
        Whether it computes in floating point whatever the image's type.
    alpha : bool
        Whether it consumes the alpha channel, given as keyword argument ``alpha``.
    arrays : int
        Arrays as large as its input, in floating point, that live while it runs.
    tolerance : float
        Largest difference from scikit-image, as a share of the range, before rounding.
    """

    name: str
    title: str
    group: str
    kind: Kind
    function: Callable[..., Image]
    parameters: Mapping[str, Any]
    help: str
    source: str
    channels: Literal["each", "gray", "any"] = "each"
    floats: bool = False
    alpha: bool = False
    arrays: int = 4
    tolerance: float = 0.0

    def halo(self, parameters: Mapping[str, Any]) -> int:
        """Pixels that it reads on every side of a pixel."""
        if isinstance(self.kind, Local | Statistical):
            return self.kind.halo(**parameters)
        return 0

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
class operation:  # noqa: N801 - a decorator
    """Enter a function into the catalogue and return it unchanged.

    The attributes are those of `Operation`; the rest is read from the function.
    """

    title: str
    group: str
    kind: Kind
    channels: Literal["each", "gray", "any"] = "each"
    floats: bool = False
    alpha: bool = False
    arrays: int = 4
    tolerance: float = 0.0
    not_parameters: tuple[str, ...] = field(default=("statistics", "alpha"), repr=False)

    def __call__(self, function: Callable[..., Image]) -> Callable[..., Image]:
        """Read signature and docstring."""
        summary, helps, source = read_docstring(function)
        hints = get_type_hints(function, include_extras=True)
        parameters = {
            name: schema(name, hints[name], parameter.default, helps[name])
            for name, parameter in list(inspect.signature(function).parameters.items())[1:]
            if name not in self.not_parameters
        }
        OPERATIONS[function.__name__] = Operation(
            name=function.__name__,
            title=self.title,
            group=self.group,
            kind=self.kind,
            function=function,
            parameters=parameters,
            help=summary,
            source=source,
            channels=self.channels,
            floats=self.floats,
            alpha=self.alpha,
            arrays=self.arrays,
            tolerance=self.tolerance,
        )
        return function


def schema(name: str, hint: Any, default: Any, help: str) -> dict[str, Any]:
    """Turn one annotated parameter into JSON Schema, with unit and slider as extensions."""
    found: dict[str, Any] = {"title": name.replace("_", " ").capitalize(), "description": help}
    number = None
    if get_origin(hint) is Annotated:
        hint, number = get_args(hint)
    options = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is Literal:
        found |= {"type": "string", "enum": list(get_args(hint))}
    elif options:
        found["type"] = [type_name(options[0]), "null"]
    else:
        found["type"] = type_name(hint)
    if number is not None:
        found |= {"minimum": number.low, "maximum": number.high}
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
    """
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(function) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    helps = {
        name: " ".join(text.split())
        for name, text in re.findall(
            r"^(\w+) : .*\n((?: {4}.*\n?)+)", sections.get("Parameters", ""), flags=re.MULTILINE
        )
    }
    return " ".join(parts[0].split()), helps, sections["References"].split()[0].rstrip(".,;")


def channel_axis(image: Image) -> int | None:
    """Axis of the colours. Always positive: unsharp_mask of scikit-image 0.26 errs on -1."""
    return 2 if image.ndim == 3 else None


def each_channel(function: Callable[[Image], Image], image: Image) -> Image:
    """Run a function of a gray image on every colour of an image."""
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., i]) for i in range(image.shape[2])], axis=2)
