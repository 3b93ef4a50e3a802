"""The schemas of a recipe's steps: one for each operation of the catalogue."""

from collections.abc import Mapping
from typing import Any

from chalicelib.schema_parts import Schema, reference
from config.contract.references import INPUT, NAME, ORIGINAL

# Components of single operations are named by this and the operation.
STEP_PREFIX = "Step_"

# Ids of steps, and the names of images, as `config.contract.references` checks them.
ID: Schema = {"type": ["string", "null"], "pattern": f"^(?!{ORIGINAL}$){NAME.pattern}$"}
NAMED: Schema = {"type": "string", "pattern": f"^({INPUT})?{NAME.pattern}$"}
OPTIONAL: Schema = {**NAMED, "type": ["string", "null"]}
# What a step may say besides the parameters and second images of its operation.
WORDS: Schema = {
    "id": {**ID, "description": "A name for its image or table, by which later steps name it."},
    "image": {
        **OPTIONAL,
        "description": f"The image that it reads instead of that of the step before: the id of an "
        f"earlier step, or `{ORIGINAL}` for the image that the job is about.",
    },
    "keep": {
        "type": "boolean",
        "default": False,
        "description": "Whether its image is a result of the job as well; it then needs an id.",
    },
}


def steps(catalogue: Mapping[str, Any], steps_max: int) -> dict[str, Schema]:
    """Build the schemas of a recipe's steps; every parameter has a default."""
    names = {each["name"]: STEP_PREFIX + each["name"] for each in catalogue["operations"]}
    made = {names[each["name"]]: step(each) for each in catalogue["operations"]}
    chosen = {
        "oneOf": [reference(name) for name in names.values()],
        "discriminator": {
            "propertyName": "operation",
            "mapping": {name: reference(schema)["$ref"] for name, schema in names.items()},
        },
    }
    chain = {
        "type": "array",
        "items": reference("Step"),
        "minItems": 1,
        "maxItems": steps_max,
        "description": "Operations in the order in which they are done. Each reads the image that "
        "the one before it has made, unless it names another one.",
    }
    return {"Steps": chain, "Step": chosen, **made}


def step(entry: Mapping[str, Any]) -> Schema:
    """Build the schema of a step with the operation of an entry of the catalogue."""
    inputs: Mapping[str, Any] = entry.get("inputs", {})
    return {
        **entry["parameters"],
        "title": entry["title"],
        "description": entry["help"],
        "properties": {
            "operation": {"type": "string", "const": entry["name"]},
            **entry["parameters"]["properties"],
            **{
                name: (NAMED if each["required"] else OPTIONAL)
                | {"title": each["title"], "description": each["description"]}
                for name, each in inputs.items()
            },
            **WORDS,
        },
        "required": ["operation", *(name for name, each in inputs.items() if each["required"])],
    }


def is_of_an_operation(name: str) -> bool:
    """Return whether a component is the schema of one operation."""
    return name.startswith(STEP_PREFIX)
