"""The check of a chain of steps against the catalogue, the same for API, engine and shell.

The catalogue has each operation's parameters as JSON Schema. It uses few keywords (type, minimum,
maximum, enum, items), and an error sentence must name range and unit together, which no general
validator does.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from config.contract.references import WORDS, check_references, check_words, is_chain
from config.contract.show import show

Schema = Mapping[str, Any]
Step = Mapping[str, Any]

TYPES: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "string": (str,),
    "null": (type(None),),
    "array": (list, tuple),
}
NOUNS: Mapping[str, str] = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "null": "null",
    "array": "a list",
}


def check(
    steps: Any, catalogue: Schema, steps_max: int, inputs: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Check steps and fill in the defaults.

    Parameters
    ----------
    steps : list of mapping
        Each ``{"operation": name, parameter: value, ...}``.
    catalogue : mapping
        As exported to ``config/contract/catalogue.json``.
    steps_max : int
        Longest chain accepted.
    inputs : collection of str, optional
        Names of the other images that are given; by default they are not known yet.

    Returns
    -------
    list of dict
        The steps with every parameter present. Second images, ids and the like are there only where
        they are given.

    Raises
    ------
    ValueError
        With one sentence: where, which rule, what was found.
    """
    if not isinstance(steps, Sequence) or isinstance(steps, str | bytes):
        raise ValueError(f"steps: must be a list, got {show(steps)}")
    if not 1 <= len(steps) <= steps_max:
        raise ValueError(f"steps: must hold 1 to {steps_max} operations, got {len(steps)}")
    operations = by_name(catalogue)
    found = [check_step(f"steps[{i}]", step, operations) for i, step in enumerate(steps)]
    if inputs or not is_chain(found, operations):
        check_references(found, operations, inputs)
    return found


def by_name(catalogue: Schema) -> dict[str, Schema]:
    """Return the entries of a catalogue by the names of the operations."""
    return {each["name"]: each for each in catalogue["operations"]}


def without_unset(steps: Sequence[Step], catalogue: Schema) -> list[dict[str, Any]]:
    """Leave out the parameters that are null by default and in the steps, as for the worker.

    They are the ones that operations are given later, and a worker of an older version refuses what
    it does not know. A worker fills them in again.

    Parameters
    ----------
    steps : sequence of mapping
        As `check` returns them.
    catalogue : mapping
        That they were checked against.
    """
    operations = by_name(catalogue)
    return [
        {name: value for name, value in step.items() if name not in unset(step, operations)}
        for step in steps
    ]


def with_unset(steps: Sequence[Step], catalogue: Schema) -> list[dict[str, Any]]:
    """Put in again what `without_unset` has left out."""
    operations = by_name(catalogue)
    return [{**dict.fromkeys(unset(step, operations)), **step} for step in steps]


def unset(step: Step, operations: Mapping[str, Schema]) -> set[str]:
    """Return the parameters of a step that are null by default, and that it does not set."""
    known = operations.get(step["operation"])
    properties: Mapping[str, Schema] = known["parameters"]["properties"] if known else {}
    return {
        name
        for name, schema in properties.items()
        if schema["default"] is None and step.get(name) is None
    }


def check_step(where: str, step: Any, operations: Mapping[str, Schema]) -> dict[str, Any]:
    """Check one step and fill in its defaults; `where` begins the error sentences."""
    if not isinstance(step, Mapping):
        raise ValueError(f"{where}: must be an object with an operation, got {show(step)}")
    name = step.get("operation")
    if not isinstance(name, str):
        raise ValueError(f"{where}.operation: must be the name of an operation, got {show(name)}")
    if name not in operations:
        raise ValueError(
            f"{where}.operation: no operation is called {show(name)}{hint(name, operations)}"
        )
    properties: Mapping[str, Schema] = operations[name]["parameters"]["properties"]
    inputs: Mapping[str, Schema] = operations[name].get("inputs", {})
    known = {**inputs, **properties}
    for parameter in step:
        if parameter not in ("operation", *WORDS) and parameter not in known:
            raise ValueError(
                f"{where}.{parameter}: {name} has no such parameter"
                f"{hint(parameter, known) or list_of(known)}"
            )
    filled: dict[str, Any] = {"operation": name}
    for parameter, schema in properties.items():
        value = step.get(parameter, schema["default"])
        filled[parameter] = check_value(f"{where}.{parameter}", value, schema)
    return filled | check_words(where, step, inputs)


def check_value(where: str, value: Any, schema: Schema) -> Any:
    """Check one parameter's value and return it as the type of its parameter.

    3.0 becomes 3 for an integer, and 3 becomes 3.0 for a number: JSON writes both alike, and
    pixels plus an integer would not become floats.
    """
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if isinstance(value, float) and value.is_integer() and "integer" in kinds:
        value = int(value)
    if not any(is_of(value, kind) for kind in kinds):
        wanted = " or ".join(NOUNS[kind] for kind in kinds)
        raise ValueError(f"{where}: must be {wanted}, got {show(value)}")
    if "items" in schema:
        return check_list(where, value, schema)
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{where}: must be one of {', '.join(schema['enum'])}, got {show(value)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not low <= value <= high:
            unit = f" {schema['x-unit']}" if "x-unit" in schema else ""
            raise ValueError(f"{where}: must lie between {low} and {high}{unit}, got {show(value)}")
        return float(value) if "number" in kinds else value
    return value


def check_list(where: str, values: Sequence[Any], schema: Schema) -> list[Any]:
    """Check a list's length and each of its items, and return the items."""
    least, most = schema["minItems"], schema["maxItems"]
    if not least <= len(values) <= most:
        raise ValueError(f"{where}: must hold {least} to {most} values, got {len(values)}")
    unit = {"x-unit": schema["x-unit"]} if "x-unit" in schema else {}
    items = {**schema["items"], **unit}
    return [check_value(f"{where}[{i}]", value, items) for i, value in enumerate(values)]


def is_of(value: Any, kind: str) -> bool:
    """Return whether a value is of a JSON Schema type; true, false and NaN are not numbers."""
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and math.isnan(value):
        return False
    return isinstance(value, TYPES[kind])


def hint(name: str, known: Mapping[str, Any]) -> str:
    """Return the end of a sentence that suggests the nearest known name; "" if none is near."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def list_of(known: Mapping[str, Any]) -> str:
    """Return the end of a sentence that lists the known names."""
    return f"; it has {', '.join(known)}" if known else "; it has none"
