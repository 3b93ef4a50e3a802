"""The memory that a plan states before work starts is enough for every operation."""

import json
import subprocess
import sys
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from skimage import data

from cluster_worker.errors import Rejected
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.surfaces import Array
from cluster_worker.plan.chain import plan
from cluster_worker.plan.group import SingleRank
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run, run_alone
from config.contract import recipe
from tests.cluster_worker.operations.images import ALONE

CATALOGUE = catalogue()
# Interpreter objects, kernels, and tables of histograms, none of which grow with the image.
CONSTANT_BYTES = 6 << 20
# Work per pixel, in units of the work of a Gaussian with sigma 1.
EXPENSIVE = 100


def peak_of(planned, image):
    """Return the most bytes that passes take beside source, result and the buffers between them."""
    scratch = [Array(np.empty(each.shape, each.dtype)) for each in planned.buffers]
    result = Array(np.empty(planned.result_shape, planned.result_dtype))
    tracemalloc.start()
    try:
        run(planned, Array(image), scratch, result, SingleRank(), lambda tiles: None)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def suited(operation):
    """Return an image that the operation takes, a small one if the operation is slow."""
    defaults = {name: each["default"] for name, each in operation.parameters.items()}
    rows, columns = (100, 130) if operation.cost_of(defaults) > EXPENSIVE else (300, 380)
    if operation.takes != "picture":
        mask = data.coins()[:rows, :columns] > 100
        return mask.astype(np.uint32) if operation.takes == "labels" else mask
    return np.ascontiguousarray(data.coffee()[:rows, :columns])


def assert_planned(step, image, constant_bytes):
    steps = json.dumps(recipe.check([step], CATALOGUE, 1))
    small = np.ascontiguousarray(image[:40, :50])
    for depth in ("input", "native"):
        # A first small run loads what is loaded only once.
        with suppress(Rejected):
            run_alone(
                plan(PlanRequest(header_of(small.shape, str(image.dtype)), steps, depth)), small
            )
        planned = plan(PlanRequest(header_of(image.shape, str(image.dtype)), steps, depth))
        assert peak_of(planned, image) <= planned.rank_bytes(1) + constant_bytes


@pytest.mark.parametrize("name", ALONE)
def test_no_operation_takes_more_memory_than_planned(name):
    assert_planned({"operation": name}, suited(OPERATIONS[name]), CONSTANT_BYTES)


@pytest.mark.parametrize(
    "step",
    [
        {"operation": "felzenszwalb"},
        {"operation": "watershed", "on": "distance"},
        # The border is as large, relative to the image, as the widest border of 12 megapixels.
        {"operation": "butterworth", "npad": 100},
    ],
)
def test_an_image_in_gray_takes_no_more_memory_than_planned(step):
    assert_planned(step, np.ascontiguousarray(data.camera()[:300, :380]), 1 << 20)


# Prints by how many bytes a chain on a small image raises the peak memory of a process, and what
# is planned for it, where no kernel serves it.
MEASURE = """
import sys
from pathlib import Path
import numpy as np
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

image = np.zeros((90, 90), np.uint8)
header = header_of((90, 90), "uint8")
small, planned = (plan(PlanRequest(header, steps, kernels=False)) for steps in sys.argv[1:])
run_alone(small, image)  # what is loaded once
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = peak()
run_alone(planned, image)
print(peak() - before, planned.rank_bytes(1))
"""


@pytest.mark.parametrize(
    "step",
    [
        {"operation": "median", "footprint": "disk", "radius": 25},
        {"operation": "threshold_local", "method": "median", "block_size": 51},
    ],
    ids=lambda step: step["operation"],
)
def test_the_tables_of_a_wide_neighbourhood_are_planned(step):
    small = {name: value for name, value in step.items() if name in ("operation", "footprint")}
    defaults, steps = (json.dumps(recipe.check([each], CATALOGUE, 1)) for each in (small, step))
    command = [sys.executable, "-c", MEASURE, defaults, steps]
    ran = subprocess.run(command, capture_output=True, timeout=60, check=True)
    measured, planned = map(int, ran.stdout.split())
    assert measured <= planned + CONSTANT_BYTES
    assert planned < 2 * measured
