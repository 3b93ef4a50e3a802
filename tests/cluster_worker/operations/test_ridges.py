"""Properties of the ridge filters that the claims of the catalogue do not test separately."""

import json

import numpy as np
import pytest
from skimage import feature, filters

from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.operations.support.curvatures import curvatures, curvatures_by_loop, kernels
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.blocks import whole_place
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe

NOISE = np.random.default_rng(7).random((70, 83))


def run(image, step, core=None):
    steps = json.dumps(recipe.check([step], catalogue(), 1))
    return run_alone(
        plan(PlanRequest(header_of(image.shape, str(image.dtype)), steps, "native", core)), image
    )


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.0, 1.1, 4.0])
@pytest.mark.parametrize("mode", ["reflect", "constant", "wrap"])
def test_a_shortened_kernel_gives_the_same_curvatures(sigma, mode):
    elements = feature.hessian_matrix(NOISE, sigma, mode=mode, use_gaussian_derivatives=True)
    expected = feature.hessian_matrix_eigvals(elements)
    np.testing.assert_array_equal(curvatures(NOISE, sigma, mode, 0.0, whole_place(NOISE)), expected)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("mode", ["reflect", "constant", "nearest", "mirror"])
@pytest.mark.parametrize("shape", [(70, 83), (1, 9), (13, 1), (9, 1700)])
def test_a_compiled_loop_gives_the_same_curvatures(sigma, mode, shape):
    for dtype in ("float32", "float64"):
        image = np.random.default_rng(8).random(shape).astype(dtype)
        given = (image, sigma, mode, 0.3, whole_place(image))
        np.testing.assert_array_equal(curvatures_by_loop(*given), curvatures(*given))


def test_the_kernel_of_a_scale_of_one_pixel_ends_where_its_weights_vanish():
    assert len(kernels(1.0)[0]) <= 2 * 27 + 1


def test_an_automatic_gamma_is_measured_across_the_opposite_edge():
    """Test an image whose strongest curvature lies where a bright edge meets a dark one."""
    image = np.tile(np.linspace(0, 1, 60), (40, 1))
    step = {"operation": "frangi", "sigmas": [1.5, 3], "mode": "wrap", "black_ridges": False}
    found = run(image, step, (11, 13))
    expected = filters.frangi(image, [1.5, 3], black_ridges=False, mode="wrap")
    np.testing.assert_array_equal(found, expected)


def test_a_parameter_named_alpha_is_no_transparency():
    assert not OPERATIONS["meijering"].consumes_alpha
    found = run(NOISE, {"operation": "meijering", "alpha": -0.2, "sigmas": [2]})
    np.testing.assert_allclose(found, filters.meijering(NOISE, [2], alpha=-0.2), atol=1e-6, rtol=0)


def test_an_automatic_gamma_is_made_from_the_first_scale():
    """Test that the order of scales matters: scikit-image keeps the gamma of the first scale."""
    one, other = (run(NOISE, {"operation": "frangi", "sigmas": s}) for s in ([1, 4], [4, 1]))
    assert (one != other).any()
    np.testing.assert_array_equal(other, filters.frangi(NOISE, [4, 1]))
