"""Request bodies: read them, check them against the contract, and refuse them with a sentence."""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import fastjsonschema
from fastjsonschema import JsonSchemaValueException

from chalicelib.calls import CALLS
from chalicelib.images import FORMATS, UploadError, bytes_max, check_size
from chalicelib.preview_schemas import PREVIEW_CONTENT_MAX
from chalicelib.problems import Problem
from chalicelib.schema_parts import reference
from chalicelib.schemas import Limits, components
from config.contract import recipe
from config.contract.reading import RULES
from config.contract.show import show

# Larger sizes are shown as this one: no file has it, and a sentence can still show it.
SIZE_SHOWN_MAX = 10**18
# A hundred images take 20 kB. API Gateway's own limit is ten million bytes, Lambda's six million.
BODY_BYTES_MAX = 1_000_000
# A preview may carry a file.
PREVIEW_BYTES_MAX = PREVIEW_CONTENT_MAX + 100_000

KINDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
}

Validate = Callable[[Any], Any]


class Bodies:
    """The validators of request bodies, compiled once from the components of the contract."""

    def __init__(self, catalogue: Mapping[str, Any], limits: Limits) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._schemas = components(catalogue, limits)
        names = {"Image", *(call.body for call in CALLS.values() if call.body)}
        # `config.contract.recipe` checks the steps. To compile the schemas of all operations, too,
        # would take longer than the rest of a cold start.
        compiled = {**self._schemas, "Steps": {"type": "array"}}
        self._validators = {name: compile_schema(compiled, name) for name in names}

    def check(self, name: str, raw: str | bytes) -> dict[str, Any]:
        """Read a body and check it against a component of the contract.

        Parameters
        ----------
        name : str
            Name of the component.
        raw : str or bytes
            The body as sent.

        Returns
        -------
        dict
            The body; its steps have every default filled in, and whole numbers are `int`.

        Raises
        ------
        Problem
            400 or 413 if it is not JSON or too large, 422 if it breaks a rule.
        """
        body = read(raw, PREVIEW_BYTES_MAX if name == "NewPreview" else BODY_BYTES_MAX)
        if "steps" in self._schemas[name]["properties"]:
            body = self._with_steps(body)
        try:
            self._validators[name](body)
        except JsonSchemaValueException as error:
            faults = self._faults_of_images(error, body)
            raise refused(faults[0]["detail"] if faults else sentence(error), faults) from error
        # The schema knows the largest size of all families of formats.
        if faults := self._faults_in(body.get("images", ())):
            raise refused(faults[0]["detail"], faults)
        return with_whole_numbers(body)

    def _with_steps(self, body: dict[str, Any]) -> dict[str, Any]:
        if "steps" not in body:
            return body
        try:
            inputs = names_of_inputs(body)
            steps = recipe.check(body["steps"], self._catalogue, self._limits.steps_max, inputs)
        except ValueError as error:
            raise refused(str(error)) from error
        return body | {"steps": steps}

    def _faults_of_images(
        self, error: JsonSchemaValueException, body: Mapping[str, Any]
    ) -> list[dict[str, str]]:
        """List what is wrong with every image, if it is an image that is at fault."""
        if error.path[1:2] != ["images"] or len(error.path) <= 2:
            return []
        return self._faults_in(body["images"])

    def _faults_in(self, images: Sequence[Any]) -> list[dict[str, str]]:
        return [
            {"detail": found, "pointer": pointer}
            for index, image in enumerate(images)
            for found, pointer in self._faults(f"images[{index}]", image)
        ]

    def _faults(self, where: str, image: Any) -> list[tuple[str, str]]:
        """Return what is wrong with one image, so that a page can drop it and send the rest."""
        try:
            self._validators["Image"](image)
        except JsonSchemaValueException as error:
            found = self._of_image(error, image) or sentence(error, where)
            return [(found, pointer_to(path_of(error, where)))]
        try:
            self._check_size(image)
        except UploadError as refusal:
            return [(str(refusal), pointer_to(f"{where}.bytes"))]
        return []

    def _check_size(self, image: Mapping[str, Any]) -> None:
        """Check the announced size by the file's family; raises UploadError."""
        size = min(image["bytes"], SIZE_SHOWN_MAX)
        most = bytes_max(self._limits, image.get("type", ""), image["name"])
        check_size(image["name"], size, size, most)

    def _of_image(self, error: JsonSchemaValueException, image: Any) -> str:
        """Return the sentence that names the file, if the file is at fault and not the field."""
        member = error.path[-1]
        name = image.get("name") if isinstance(image, dict) else None
        if not isinstance(name, str) or not name:
            return ""
        if member == "type" and error.rule == "enum":
            return f"{name}: {show(error.value)} is not a type this app reads; use {FORMATS}"
        if member == "bytes" and error.rule in ("minimum", "maximum"):
            try:
                self._check_size(image)
            except UploadError as refusal:
                return str(refusal)
        return ""


def names_of_inputs(body: Mapping[str, Any]) -> Collection[str] | None:
    """Return the names of the other images of a body; None if they cannot be read."""
    inputs = body.get("inputs", {})
    return list(inputs) if isinstance(inputs, dict) else None


def compile_schema(schemas: Mapping[str, Any], name: str) -> Validate:
    """Compile one component, which may refer to the others."""
    root = {**reference(name), "components": {"schemas": schemas}}
    # config.contract.recipe fills in the defaults, so that its sentences can name the step.
    validate: Validate = fastjsonschema.compile(root, use_default=False)
    return validate


def with_whole_numbers(body: dict[str, Any]) -> dict[str, Any]:
    """Convert numbers such as 100.0, which JSON Schema takes for whole, to `int` for the table."""
    if "images" in body:
        images = [each | {"bytes": int(each["bytes"])} for each in body["images"]]
        whole: dict[str, Any] = {"quality": int(body["quality"])} if "quality" in body else {}
        if "bytes_max" in body.get("write", {}):
            whole["write"] = body["write"] | {"bytes_max": int(body["write"]["bytes_max"])}
        return body | {"images": images} | whole
    if "parts" in body:
        return body | {"parts": [int(number) for number in body["parts"]]}
    return body


def read(raw: str | bytes, bytes_max: int = BODY_BYTES_MAX) -> dict[str, Any]:
    """Read a JSON object; raises as `Bodies.check`."""
    if len(raw) > bytes_max:
        raise Problem(413, f"the body must not exceed {bytes_max:,} bytes, got {len(raw):,}")
    try:
        body = json.loads(raw, parse_float=finite, parse_constant=finite)
        # The reader accepts half a surrogate pair, which could not be written anywhere later.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise refused(f"the body must be an object, got {show(body)}")
    return body


def finite(text: str) -> float:
    """Read a finite number; infinity and NaN are no JSON, and the table cannot hold them."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number that JSON has")
    return number


def refused(detail: str, errors: list[dict[str, str]] | None = None) -> Problem:
    """Make the answer 422 for a body that breaks a rule; `detail` begins with where it does."""
    pointer = errors[0]["pointer"] if errors else pointer_to(detail.partition(":")[0])
    return Problem(422, detail, pointer, **({"errors": errors} if errors else {}))


def pointer_to(where: str) -> str:
    """Convert a path such as ``steps[1].sigma`` to a JSON pointer; "" if it is not a path."""
    if not re.fullmatch(r"\w+(\[\d+\]|\.\w+)*", where):
        return ""
    return "/" + re.sub(r"\[(\d+)\]|\.", lambda found: f"/{found[1] or ''}", where)


def path_of(error: JsonSchemaValueException, root: str = "") -> str:
    """Return the path of an error as ``images[0].bytes``; `root` is where checking began."""
    text = root
    for each in error.path[1:]:
        text += f"[{each}]" if each.isdigit() else f".{each}" if text else each
    return text


def sentence(error: JsonSchemaValueException, root: str = "") -> str:
    """Return one sentence: where, which rule, what was found."""
    where = path_of(error, root) or "the body"
    schema, rule, value = error.definition, error.rule, error.value
    told = ("type", "pattern", "minimum", "maximum")
    if rule in told and error.path[-2:-1] == ["read"] and error.path[-1] in RULES:
        return f"{where}: {RULES[error.path[-1]]}, got {show(value)}"
    if rule == "type":
        return f"{where}: must be {KINDS.get(schema['type'], schema['type'])}, got {show(value)}"
    if rule == "required":
        missing = [name for name in schema["required"] if name not in value]
        return f"{where}: must have {' and '.join(missing)}"
    if rule == "additionalProperties":
        known = schema["properties"]
        extra = next(name for name in value if name not in known)
        return f"{where}: has no member {show(extra)}; it has {', '.join(known)}"
    if rule == "enum":
        choices = ", ".join(each for each in schema["enum"] if each)
        return f"{where}: must be one of {choices}, got {show(value)}"
    if rule == "not":
        return f"{where}: must have source or reuse, not both"
    if rule in ("minItems", "maxItems"):
        least, most = schema["minItems"], schema["maxItems"]
        return f"{where}: must hold {least} to {most} {where}, got {len(value)}"
    if rule == "maxProperties":
        return f"{where}: must hold at most {schema['maxProperties']} images, got {len(value)}"
    if rule in ("minLength", "maxLength"):
        least, most = schema["minLength"], schema["maxLength"]
        return f"{where}: must have {least} to {most} characters, got {len(value)}"
    if rule in ("minimum", "maximum"):
        least, most = schema["minimum"], schema["maximum"]
        return f"{where}: must lie between {least} and {most}, got {show(value)}"
    if rule == "pattern" and error.path[-1] == "picture":
        return f"{where}: must be a SHA-256 in 64 hexadecimal digits, got {show(value)}"
    if rule == "pattern" and error.path[-1] in ("batch", "job"):
        return f"{where}: must be the id of a {error.path[-1]}, got {show(value)}"
    if rule == "pattern":
        return f"{where}: must hold no control characters, got {show(value)}"
    return f"{where}: {error.message}"
