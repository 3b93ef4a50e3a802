"""Distances in a mask equal scipy's to the last bit, in strips and as a whole."""

import numpy as np
import pytest
from scipy import ndimage

from cluster_worker.engine.steps import checked_steps
from cluster_worker.kernels import distances
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from tests.cluster_worker.operations.test_catalogue import run

STEPS = [{"operation": "distance_transform_edt"}]
RANDOM = np.random.default_rng(7)


def but_for(rows, columns, *pixels):
    """Return a mask that is set everywhere but at some pixels."""
    mask = np.ones((rows, columns), bool)
    for pixel in pixels:
        mask[pixel] = False
    return mask


MASKS = {
    "all set": but_for(23, 31),
    "none set": ~but_for(23, 31),
    "checkerboard": np.indices((40, 53)).sum(axis=0) % 2 == 1,
    "one far corner": but_for(71, 90, (70, 89)),
    "equally near": but_for(41, 60, (20, 10), (20, 49), (0, 30), (40, 30)),
    "one row": RANDOM.random((1, 200)) > 0.02,
    "one column": RANDOM.random((200, 1)) > 0.02,
    "sparse": RANDOM.random((83, 97)) > 0.003,
    "dense": RANDOM.random((83, 97)) > 0.4,
    "blobs": ndimage.gaussian_filter(RANDOM.random((150, 170)), 6) > 0.5,
}


@pytest.mark.parametrize("name", MASKS)
def test_distances_have_the_bits_of_scipy_in_every_tiling(name):
    mask = MASKS[name]
    expected = ndimage.distance_transform_edt(mask)
    for core in (None, (7, 5), (64, 64), (1, 1)):
        found = run(mask, STEPS, core, "native")
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, expected, str(core))


def test_a_far_pixel_is_found_where_squares_exceed_32_bits():
    mask = np.ones((2, 70_000), bool)
    mask[1, 0] = False
    found = distances.along_rows(distances.along_columns(mask), 0)
    np.testing.assert_array_equal(found, ndimage.distance_transform_edt(mask))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_strips_hold_whole_columns_and_then_whole_rows(ranks):
    planned = plan(PlanRequest(header_of((9000, 7000), "bool"), checked_steps(STEPS), "native"))
    columns, rows = planned.passes[1:]
    for each, length in ((columns, 9000), (rows, 7000)):
        cores = planned.tiles(each, ranks)
        assert sum(core.pixels for core in cores) == 9000 * 7000
        assert {core.shape[each is rows] for core in cores} == {length}
        assert all(core.pixels <= 1 << 20 for core in cores)
        assert all(each.spans(core)[0] == core for core in cores)


def test_strips_of_the_result_begin_where_the_tiles_of_a_file_do():
    request = PlanRequest(header_of((900, 700), "bool"), checked_steps(STEPS), "native", grid=16)
    planned = plan(request)
    assert all(core.top % 16 == 0 for core in planned.tiles(planned.passes[-1], 2))
