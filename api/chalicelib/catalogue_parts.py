"""The catalogue in two parts: what a form is built of, and the sentences about it.

The sentences are two thirds of the catalogue, and a page shows them only on demand: it may fetch
them later. Both parts have the shape of the whole, so that laid on each other they are it
again.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.problems import Problem

PARTS = ("whole", "forms", "texts")

# Members of an operation that are read, not computed with.
SENTENCES = ("help", "note", "source")


def part(catalogue: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a part of the catalogue, or the whole.

    Raises
    ------
    Problem
        400 if there is no such part.
    """
    if name not in PARTS:
        raise Problem(400, f"part: must be one of {', '.join(PARTS)}, got {name[:20]}")
    if name == "whole":
        return dict(catalogue)
    cut = form_of if name == "forms" else texts_of
    return {**catalogue, "operations": [cut(each) for each in catalogue["operations"]]}


def form_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation without its sentences."""
    found = {name: value for name, value in operation.items() if name not in SENTENCES}
    schema = operation["parameters"]
    found["parameters"] = {**schema, "properties": each_without(schema["properties"])}
    if "inputs" in operation:
        found["inputs"] = each_without(operation["inputs"])
    return found


def each_without(described: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return parameters or inputs without their descriptions."""
    return {
        name: {key: value for key, value in each.items() if key != "description"}
        for name, each in described.items()
    }


def texts_of(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name of an operation and its sentences."""
    found = {name: operation[name] for name in ("name", *SENTENCES) if name in operation}
    found["parameters"] = {"properties": descriptions(operation["parameters"]["properties"])}
    if "inputs" in operation:
        found["inputs"] = descriptions(operation["inputs"])
    return found


def descriptions(described: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the descriptions of parameters or inputs."""
    return {name: {"description": each["description"]} for name, each in described.items()}
