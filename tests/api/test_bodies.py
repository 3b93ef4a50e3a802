import base64
import json

import pytest
from chalicelib.bodies import PREVIEW_BYTES_MAX, Bodies, compile_schema, show
from chalicelib.problems import Problem
from chalicelib.schemas import Limits, components
from chalicelib.step_schemas import STEP_PREFIX
from fastjsonschema import JsonSchemaValueException

from config.contract import recipe
from config.contract.settings import TOP

STEPS = [{"operation": "gaussian"}]
FILE = {"batch": "0" * 32, "job": "0" * 16}
IMAGE = {"name": "cat.jpg", "bytes": 12345, "type": "image/jpeg"}


@pytest.fixture(scope="module")
def bodies():
    return Bodies(
        json.loads((TOP / "config" / "contract" / "catalogue.json").read_text()), Limits()
    )


def refusal(bodies, body):
    raw = body if isinstance(body, bytes) else json.dumps(body)
    with pytest.raises(Problem) as caught:
        bodies.check("NewBatch", raw)
    return caught.value


@pytest.mark.parametrize(
    ("change", "sentence", "pointer"),
    [
        ({"images": []}, "images: must hold 1 to 100 images, got 0", "/images"),
        ({"images": [IMAGE] * 101}, "images: must hold 1 to 100 images, got 101", "/images"),
        ({"images": 3}, "images: must be a list, got 3", "/images"),
        (
            {"format": "bmp"},
            "format: must be one of same, jpeg, png, webp, tiff, avif, jpegxl, gif, zarr, "
            'got "bmp"',
            "/format",
        ),
        (
            {"x": 1},
            'the body: has no member "x"; it has steps, format, depth, metadata, quality, read, '
            "write, across, inputs, images",
            "",
        ),
        (
            {"read": {"z": "4-9"}},
            'read.z: must be numbers such as 2, 1,3 or 4..9, got "4-9"',
            "/read/z",
        ),
        (
            {"read": {"nodata": "none"}},
            "read.nodata: must be a number that a float of 64 bits can hold, nan or spread, got "
            '"none"',
            "/read/nodata",
        ),
        (
            {"read": {"nodata": -(10**400)}},
            "read.nodata: must be a number that a float of 64 bits can hold, nan or spread, got "
            f"{show(-(10**400))}",
            "/read/nodata",
        ),
        (
            {"read": {"kind": "cells"}},
            'read.kind: must be one of picture, intensity, bands, mask, labels, got "cells"',
            "/read/kind",
        ),
        ({"quality": 0}, "quality: must lie between 1 and 100, got 0", "/quality"),
        ({"quality": 101}, "quality: must lie between 1 and 100, got 101", "/quality"),
        ({"quality": 0.5}, "quality: must be a whole number, got 0.5", "/quality"),
        ({"steps": []}, "steps: must hold 1 to 20 operations, got 0", "/steps"),
        ({"steps": STEPS * 21}, "steps: must hold 1 to 20 operations, got 21", "/steps"),
        ({"steps": "gaussian"}, 'steps: must be a list, got "gaussian"', "/steps"),
        (
            {"steps": [*STEPS, {"operation": "gaussian", "sigma": 400}]},
            "steps[1].sigma: must lie between 0.1 and 100 px, got 400",
            "/steps/1/sigma",
        ),
        (
            {"steps": [{"operation": "gausian"}]},
            'steps[0].operation: no operation is called "gausian"; did you mean gaussian?',
            "/steps/0/operation",
        ),
        (
            {"steps": [{"operation": "sobel", "mask": "cells"}]},
            'steps[0].mask: no step has the id "cells"; ids before it are none',
            "/steps/0/mask",
        ),
        (
            {"steps": [{"operation": "sobel", "mask": "input:flat"}]},
            'steps[0].mask: no input is called "flat"; no inputs are given',
            "/steps/0/mask",
        ),
        (
            {"steps": [{"operation": "sobel", "keep": True}]},
            "steps[0].keep: needs an id as well, which names the result",
            "/steps/0/keep",
        ),
        (
            {"steps": [{"operation": "add"}]},
            'steps[0].other: add needs a second image here; give an id, "original" or "input:NAME"',
            "/steps/0/other",
        ),
    ],
)
def test_a_broken_rule_is_told_with_its_place(bodies, change, sentence, pointer):
    problem = refusal(bodies, {"steps": STEPS, "images": [IMAGE], **change})
    assert (problem.status, problem.detail, problem.pointer) == (422, sentence, pointer)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "empty.png", "bytes": 0}, "empty.png: the file is empty"),
        (
            {"name": "huge.png", "type": "image/png", "bytes": 900 * 2**20},
            "huge.png: 900.0 MiB; at most 512 MiB are accepted",
        ),
        (
            {"name": "huge.tif", "type": "image/tiff", "bytes": 2 * 10**12},
            "huge.tif: 1,863 GiB; at most 931 GiB are accepted",
        ),
        (
            {"name": "notes.txt", "type": "text/plain"},
            'notes.txt: "text/plain" is not a type this app reads; '
            "use JPEG, PNG, WebP, TIFF or another format of docs/formats.md",
        ),
        ({"bytes": 1.5}, "images[0].bytes: must be a whole number, got 1.5"),
        ({"bytes": True}, "images[0].bytes: must be a whole number, got true"),
        ({"name": ""}, "images[0].name: must have 1 to 255 characters, got 0"),
        ({"name": "a\nb"}, 'images[0].name: must hold no control characters, got "a\\nb"'),
        ({"key": "x"}, 'images[0]: has no member "key"; it has name, bytes, type, source, reuse'),
        (
            {"source": FILE, "reuse": FILE},
            "images[0]: must have source or reuse, not both",
        ),
        (
            {"reuse": {"batch": "../x", "job": "0" * 16}},
            'images[0].reuse.batch: must be the id of a batch, got "../x"',
        ),
    ],
)
def test_an_image_at_fault_is_told_by_its_name(bodies, change, sentence):
    problem = refusal(bodies, {"steps": STEPS, "images": [{**IMAGE, **change}]})
    assert (problem.status, problem.detail) == (422, sentence)


def test_every_image_at_fault_is_listed_with_its_place(bodies):
    images = [IMAGE, {**IMAGE, "name": "a", "bytes": 0}, IMAGE, "x", {"name": "b"}]
    problem = refusal(bodies, {"steps": STEPS, "images": images})
    assert problem.more["errors"] == [
        {"detail": "a: the file is empty", "pointer": "/images/1/bytes"},
        {"detail": 'images[3]: must be an object, got "x"', "pointer": "/images/3"},
        {"detail": "images[4]: must have bytes", "pointer": "/images/4"},
    ]
    assert problem.detail == "a: the file is empty"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe{}", 400),
        (b'{"steps": NaN}', 400),
        (b'{"steps": 1e999}', 400),
        (b'{"steps": "\\ud800"}', 400),
        (b"[" * 100_000, 400),
        (b" " * 1_000_001, 413),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
    ],
)
def test_what_is_no_json_object_is_refused(bodies, raw, status):
    assert refusal(bodies, raw).status == status


def test_a_preview_may_carry_a_file_that_no_other_body_may(bodies):
    content = base64.b64encode(bytes(3_000_000)).decode()
    body = {"steps": [{"operation": "invert"}], "picture": "a" * 64, "content": content}
    assert bodies.check("NewPreview", json.dumps(body))["content"] == content
    assert refusal(bodies, json.dumps(body).encode()).status == 413
    with pytest.raises(Problem) as caught:
        bodies.check("NewPreview", b" " * (PREVIEW_BYTES_MAX + 1))
    assert caught.value.status == 413


def test_a_huge_number_is_no_accident(bodies):
    body = {"steps": [{"operation": "gaussian", "sigma": 1e9}], "images": [IMAGE]}
    detail = refusal(bodies, body).detail
    assert detail.startswith("steps[0].sigma: must lie between 0.1 and 100 px, got 1000000000")


def wrong_values(schema):
    """Yield values that a parameter's schema in the contract must refuse."""
    yield {"a": 1}
    if "enum" in schema:
        yield "no such choice"
    if "minimum" in schema:
        yield schema["minimum"] - max(1, abs(schema["minimum"]))
    if "maximum" in schema:
        yield schema["maximum"] + max(1, abs(schema["maximum"]))
    if schema.get("type") == "integer":
        yield 1.5
    if schema.get("type") in ("integer", "number"):
        yield True
        yield "1"
    if schema.get("type") == "array":
        yield []
        yield [schema.get("default", [1])[0]] * (schema["maxItems"] + 1)
        yield ["a", {}]


def test_the_recipe_check_refuses_what_the_contract_forbids_in_a_step():
    """So request bodies need not be checked against the schemas of all operations as well."""
    catalogue = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    schemas = components(catalogue, Limits())
    tried = 0
    for operation in catalogue["operations"]:
        allows = compile_schema(schemas, STEP_PREFIX + operation["name"])
        inputs = operation.get("inputs", {})
        step = {"operation": operation["name"], **dict.fromkeys(inputs, "original")}
        allows(recipe.check([step], catalogue, 1)[0])
        parameters = operation["parameters"]["properties"]
        wrong = [step | {"x": 1}, {"operation": 3}, {}, step | {"keep": 1}]
        for name in ("id", "image", *inputs):
            wrong += [step | {name: value} for value in (1, "", "1st", "input:", "a b", "a" * 41)]
        wrong += [
            {key: value for key, value in step.items() if key != name}
            for name, each in inputs.items()
            if each["required"]
        ]
        for name, schema in parameters.items():
            wrong += [step | {name: value} for value in wrong_values(schema)]
        for bad in wrong:
            with pytest.raises(JsonSchemaValueException):
                allows(bad)
            with pytest.raises(ValueError, match=r"steps\[0\]"):
                recipe.check([bad], catalogue, 1)
            tried += 1
    assert tried > 1000
