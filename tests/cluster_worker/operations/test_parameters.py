"""No accident of parameters: at their ends an operation reads no more than a few images."""

import json

import pytest

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.header import header_of
from cluster_worker.plan import links
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from tests.cluster_worker.operations.images import ALONE

SHAPE = (38, 25)
TIMES = 20


def ends(schema):
    """Return both ends of a parameter's range, or all of its options."""
    if "enum" in schema:
        return schema["enum"]
    if schema["type"] == "array":
        return [[end] for end in ends({**schema, **schema["items"]})]
    return [schema["minimum"], schema["maximum"]] if "minimum" in schema else [False, True]


def steps_at_ends(operation):
    """Yield steps with one parameter at an end, in each border mode."""
    defaults = {name: each["default"] for name, each in operation.parameters.items()}
    modes = operation.parameters.get("mode", {"enum": [None]})["enum"]
    for name, schema in operation.parameters.items():
        for value in ends(schema):
            for mode in modes:
                step = {"operation": operation.name, **defaults, name: value}
                yield step if mode is None or name == "mode" else step | {"mode": mode}


class Examples:
    """Run a stage on the planner's example once for all border modes.

    A wide neighbourhood takes scipy long. The dtype that is found does not depend on the border.
    """

    def __init__(self):
        self.known = {}
        self.step = None

    def try_stage(self, stage, example, *given, run=links.try_stage):
        key = self.step, stage.name, str(example.dtype), example.shape
        if key not in self.known or not stage.name:
            self.known[key] = run(stage, example, *given)
        return self.known[key]


@pytest.mark.parametrize("name", ALONE)
def test_the_blocks_of_a_small_image_are_not_much_larger_than_it(name, monkeypatch):
    operation, examples = OPERATIONS[name], Examples()
    monkeypatch.setattr(links, "try_stage", examples.try_stage)
    dtype = "uint8" if operation.takes == "picture" else "bool"
    for step in steps_at_ends(operation):
        examples.step = json.dumps(step | {"mode": None})
        for depth in ("input", "native"):
            try:
                planned = plan(PlanRequest(header_of(SHAPE, dtype), json.dumps([step]), depth))
            except Rejected:
                continue
            for each in planned.passes:
                read = sum(each.spans(core)[0].pixels for core in planned.tiles(each, 1))
                images = max(SHAPE[0] * SHAPE[1], each.shape[0] * each.shape[1])
                assert read <= TIMES * images, (step, depth, read / images)
