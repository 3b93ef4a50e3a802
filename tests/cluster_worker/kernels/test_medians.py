"""Medians by networks, by counting and by histograms, for any size, type and border."""

import json
from itertools import product

import numpy as np
import pytest
from skimage import filters

from cluster_worker.kernels.loops.networks import Wire, in_order, merged, ranked
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from tests.cluster_worker.operations.reference.filters import median

SHAPES = [(131, 203), (70, 67, 3), (9, 200), (4, 64), (5, 7), (1, 91), (91, 1), (3, 2)]
DTYPES = ["uint8", "uint16", "float32"]


def noise(shape, dtype):
    found = np.random.default_rng(3).integers(0, 256, shape)
    return found.astype(dtype) if dtype != "float32" else (found / 255).astype(dtype)


def planes_of(image):
    return np.moveaxis(np.atleast_3d(image), 2, 0)


@pytest.mark.parametrize("mode", ["nearest", "reflect", "mirror", "constant", "wrap"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("radius", [1, 2, 3, 4])
def test_medians_of_squares_are_scikit_images(radius, dtype, mode):
    step = {"operation": "median", "footprint": "square", "radius": radius, "mode": mode}
    steps = json.dumps([{**step, "half_width": None}])
    square = np.ones((2 * radius + 1,) * 2)
    for shape in SHAPES:
        image = noise(shape, dtype)
        expected = [filters.median(each, square, mode=mode) for each in planes_of(image)]
        for core in (None, (23, 150)):
            found = run_alone(
                plan(PlanRequest(header_of(image.shape, dtype), steps, "native", core)), image
            )
            np.testing.assert_array_equal(planes_of(found), expected)


# Small ones are counted; the largest, of integers, slide a histogram.
NEIGHBOURHOODS = [("disk", 5, None), ("star", 3, None), ("ellipse", 2, 6), ("octagon", 45, None)]


@pytest.mark.parametrize("mode", ["nearest", "reflect", "mirror", "constant", "wrap"])
@pytest.mark.parametrize("footprint", NEIGHBOURHOODS, ids=str)
def test_medians_of_any_neighbourhood_are_scikit_images(footprint, mode):
    names = ("footprint", "radius", "half_width")
    step = {"operation": "median", **dict(zip(names, footprint, strict=True)), "mode": mode}
    shapes = [(5, 9)] if footprint[1] > 40 else [(17, 141), (13, 17, 3), (1, 9), (2, 2)]
    # A border that is reflected often takes scipy seconds. A median is one of the pixels, so that
    # of bytes is that of all types, which hold the same levels.
    known = {shape: median(noise(shape, "uint8"), *footprint, mode) for shape in shapes}
    for shape, dtype in product(shapes, DTYPES):
        image = typed(noise(shape, "uint8"), dtype)
        expected = typed(known[shape], dtype)
        for core in (None, (11, 90)):
            request = PlanRequest(header_of(shape, dtype), json.dumps([step]), "native", core)
            np.testing.assert_array_equal(run_alone(plan(request), image), expected)


def typed(levels, dtype):
    """Return levels as numbers of a type: floats from 0 to -1."""
    return levels.astype(dtype) if dtype != "float32" else -(levels / 255).astype(dtype)


def value_of(wire, values):
    if wire.of is None:
        return values[wire]
    pair = [value_of(each, values) for each in wire.of]
    return max(pair) if wire.greater else min(pair)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 3), (4, 3), (7, 9), (10, 5)])
def test_networks_merge_and_rank_lists_of_any_lengths(sizes):
    some, others = ([Wire() for _ in range(size)] for size in sizes)
    values = np.random.default_rng(5).permutation(sum(sizes)).tolist()
    both = sorted(values[: len(some)]) + sorted(values[len(some) :])
    given = dict(zip([*some, *others], both, strict=True))
    ordered = sorted(values)
    assert [value_of(each, given) for each in merged(some, others)] == ordered
    for rank, expected in enumerate(ordered):
        assert [value_of(each, given) for each in ranked(rank)(some, others)] == [expected]


def test_a_network_sorts():
    wires = [Wire() for _ in range(9)]
    given = dict(zip(wires, [5, 1, 8, 8, 0, 3, 9, 2, 2], strict=True))
    assert [value_of(each, given) for each in in_order(wires)] == sorted(given.values())
