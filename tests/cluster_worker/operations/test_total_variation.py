"""Natively, total variation of 32-bit floats stops in the same round as scikit-image's."""

import json

import numpy as np
import pytest
from skimage import data, restoration

from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone

# Crops and parameters for which the rounding of the energy decides which round is the last.
CLOSE = [
    ("astronaut", np.s_[180:205, 204:238], 2e-4, 0.20652131750711772),
    ("chelsea", np.s_[82:97, 36:51], 7.144231014141285e-06, 0.026863545394353316),
]


@pytest.mark.parametrize(("name", "crop", "eps", "weight"), CLOSE, ids=[each[0] for each in CLOSE])
def test_rounded_energies_end_the_rounds_where_scikit_image_ends_them(name, crop, eps, weight):
    image = (getattr(data, name)()[crop] / 255).astype(np.float32)
    step = {"operation": "denoise_tv_chambolle", "weight": weight, "eps": eps, "max_num_iter": 200}
    request = PlanRequest(header_of(image.shape, "float32"), json.dumps([step]), "native", (9, 9))
    expected = restoration.denoise_tv_chambolle(image, weight, eps, channel_axis=2)
    np.testing.assert_array_equal(run_alone(plan(request), image), expected)
