"""Parts of JSON Schema of which requests and answers are made."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

BATCH_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
JOB_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
MOMENT: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970."}
SIZE: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}


def reference(name: str) -> Schema:
    """Refer to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Build the schema of an object that has these members and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
