"""Signatures and docstrings of operations, read as JSON Schema and help."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cluster_worker.operations.declare.stages import context_of

# Most numbers in a parameter that is a list.
LIST_MAX = 12


@dataclass(frozen=True)
class Number:
    """Range of a numeric parameter: hard limits, and the narrower ones that a slider offers."""

    low: float
    high: float
    unit: str = ""
    slider: tuple[float, float] | None = None
    step: float | None = None


@dataclass(frozen=True)
class Options:
    """The names that a parameter may list."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Input:
    """A second image, which an operation reads beside its own at the same place.

    Attributes
    ----------
    takes : {"picture", "mask", "labels", "values"}
        *picture*: converted as the operation's own image is. *mask*: becomes bool; with depth
        "input" a picture of many levels is refused. *labels*: whole numbers, one for each region.
        *values*: the numbers as they are.
    beyond : {"opposite", "nothing"}
        What a block that wraps around has of it beyond the image's border: its opposite edge, or
        zeros.
    """

    takes: Literal["picture", "mask", "labels", "values"]
    beyond: Literal["opposite", "nothing"] = "opposite"


def input_of(hint: Any) -> Input | None:
    """Return the `Input` that a type is annotated with, if there is one."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note for note in notes if isinstance(note, Input)), None)


def read_inputs(
    function: Callable[..., Any], helps: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Read the second images of an operation.

    Returns
    -------
    dict
        From the name of each to its title, its description, what it takes, and whether it must be
        given: it need not if the signature has a default.

    Raises
    ------
    TypeError
        If neither docstring nor type describe one of them.
    """
    hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, each in inspect.signature(function).parameters.items():
        declared = input_of(hints.get(name))
        if declared is None:
            continue
        text = helps.get(name) or text_of(hints[name])
        if not text:
            raise TypeError(
                f"{name} has no help; describe it in the docstring or annotate its type"
            )
        found[name] = {
            "title": title_of(name),
            "description": text,
            "takes": declared.takes,
            "required": each.default is each.empty,
        }
        if declared.beyond == "nothing":
            found[name]["beyond"] = "nothing"
    return found


def text_of(hint: Any) -> str | None:
    """Return the help that a type is annotated with, which operations share, if there is any."""
    return next((note for note in get_args(hint)[1:] if isinstance(note, str)), None)


def title_of(name: str) -> str:
    """Return the title of a parameter."""
    return name.replace("_", " ").capitalize()


def read_signature(
    function: Callable[..., Any], helps: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Read the parameters of an operation: all but its images and its context.

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
        if name not in others and input_of(hints[name]) is None
    }


def schema(name: str, hint: Any, default: Any, text: str | None) -> dict[str, Any]:
    """Turn one annotated parameter into JSON Schema, with unit and slider as extensions.

    Parameters
    ----------
    name : str
        Of the parameter.
    hint : type
        May be annotated with `Number` or `Options`, and with the help that operations share, as
        a string.
    default : object
        Its default.
    text : str, optional
        The operation's own help, taken instead of that of the type.

    Raises
    ------
    TypeError
        If neither docstring nor type describe the parameter.
    """
    number, listed = None, None
    if get_origin(hint) is Annotated:
        text = text or text_of(hint)
        hint, *notes = get_args(hint)
        number = next((note for note in notes if isinstance(note, Number)), None)
        listed = next((note for note in notes if isinstance(note, Options)), None)
    if not text:
        raise TypeError(f"{name} has no help; describe it in the docstring or annotate its type")
    found: dict[str, Any] = {"title": title_of(name), "description": text}
    limits = {} if number is None else {"minimum": number.low, "maximum": number.high}
    options = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is Literal:
        found |= {"type": "string", "enum": list(get_args(hint))}
    elif get_origin(hint) is tuple:
        items: dict[str, Any] = {"type": type_name(options[0])} | limits
        most = LIST_MAX
        if listed is not None:
            items["enum"], most = list(listed.names), len(listed.names)
        found |= {"type": "array", "items": items, "minItems": 1, "maxItems": most}
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


def type_name(given: type) -> str:
    """Return JSON Schema's name of a Python type."""
    return {float: "number", int: "integer", bool: "boolean", str: "string"}[given]


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
