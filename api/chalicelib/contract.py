"""The OpenAPI 3.1 document, built from the declared calls and the schemas of their bodies.

``python -m chalicelib.contract``, with the top folder and `api/` on the path, writes two files:
`config/contract/openapi.json`, the whole document, which is not committed; and
`docs/api-contract.json`, the same without the schemas of the operations, which is committed so
that a change of the API shows in review.
"""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.calls import CALLS, Call
from chalicelib.schema_parts import Schema, reference
from chalicelib.schemas import Limits, components
from chalicelib.step_schemas import is_of_an_operation
from config.contract.settings import TOP

FILE = TOP / "config" / "contract" / "openapi.json"
COMMITTED_FILE = TOP / "docs" / "api-contract.json"

# Columns that a value in the committed file may take before it is broken into lines.
COLUMNS_MAX = 100


def document(catalogue: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Build the document.

    Parameters
    ----------
    catalogue : mapping
        The operations, as in `config/contract/catalogue.json`.
    limits : Limits
        Limits that show in the schemas.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Distributed Image Processing App",
            "version": "1",
            "description": "Chains of scikit-image operations on many or huge images. A batch id "
            "is the capability to its images: keep it out of logs and links.",
        },
        "servers": [{"url": "/api"}],
        "paths": paths(),
        "components": {
            "schemas": components(catalogue, limits),
            "responses": {
                "Problem": {
                    "description": "What went wrong, in one sentence. 429: a quota of the day is "
                    "used up.",
                    "headers": {
                        "Retry-After": {
                            "description": "Seconds until the same request may succeed, if known.",
                            "schema": {"type": "integer", "minimum": 1},
                        }
                    },
                    "content": {"application/problem+json": {"schema": reference("Problem")}},
                }
            },
        },
    }


def paths() -> dict[str, dict[str, Any]]:
    """Build the document's paths from the calls."""
    found: dict[str, dict[str, Any]] = {}
    for call in CALLS.values():
        found.setdefault(call.path, {})[call.method.lower()] = operation(call)
    return found


def operation(call: Call) -> dict[str, Any]:
    """Build the document's part for one call."""
    made: dict[str, Any] = {"operationId": call.operation_id, "summary": call.summary}
    if call.all_parameters:
        made["parameters"] = call.all_parameters
    if call.body:
        made["requestBody"] = {"required": True, "content": as_content(call.body)}
    made["responses"] = {
        str(status): {"description": call.summary if answer else "Unchanged"}
        | ({"content": as_content(answer, call.media_type)} if answer else {})
        for status, answer in call.answers.items()
    } | {"default": {"$ref": "#/components/responses/Problem"}}
    return made


def as_content(schema: str | Schema, media_type: str = "application/json") -> dict[str, Any]:
    """Wrap a schema, or a component's name, as the content of a body."""
    found = reference(schema) if isinstance(schema, str) else schema
    return {media_type: {"schema": found}}


def without_operations(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without the schemas of the single operations."""
    schemas = {
        name: schema
        for name, schema in whole["components"]["schemas"].items()
        if not is_of_an_operation(name)
    }
    schemas["Step"] = {
        "type": "object",
        "description": "An operation of the catalogue with its parameters; GET /openapi.json has "
        "the schema of each.",
    }
    return {**whole, "components": {**whole["components"], "schemas": schemas}}


def lines(value: Any, indent: str = "") -> str:
    """Write JSON with each value on one line if it fits, so that a change shows as few lines."""
    text = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(text) <= COLUMNS_MAX or not isinstance(value, dict | list):
        return text
    deeper = indent + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {lines(each, deeper)}" for name, each in value.items()]
    else:
        parts = [lines(each, deeper) for each in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = ",\n".join(deeper + part for part in parts)
    return f"{opening}\n{inner}\n{indent}{closing}"


def write_whole() -> dict[str, Any]:
    """Write the whole document, with the default limits, and return it."""
    catalogue = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    whole = document(catalogue, Limits())
    FILE.write_text(json.dumps(whole, indent=1) + "\n")
    return whole


def write_both() -> None:
    """Write the whole document and the committed one."""
    COMMITTED_FILE.write_text(lines(without_operations(write_whole())) + "\n")


if __name__ == "__main__":
    write_both()
