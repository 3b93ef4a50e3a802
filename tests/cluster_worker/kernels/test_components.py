"""Runs that are found by words of bits number regions as scikit-image does, for any width."""

import json

import numpy as np
import pytest
from skimage import measure

from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone


def labelled(mask, connectivity, core):
    steps = [{"operation": "label", "background": 0, "connectivity": connectivity}]
    return run_alone(
        plan(PlanRequest(header_of(mask.shape, "bool"), json.dumps(steps), "native", core)), mask
    )


@pytest.mark.parametrize("width", [1, 2, 63, 64, 65, 128, 191])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_regions_of_any_width_are_numbered_in_reading_order(share, width):
    mask = np.random.default_rng(width).random((19, width)) < share
    for connectivity in (1, 2):
        expected = measure.label(mask, connectivity=connectivity)
        for core in (None, (5, 40), (19, 1)):
            found = labelled(mask, connectivity, core)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
