"""Properties of Wiener's filters that the claims of the catalogue do not test separately."""

import json

import numpy as np
import pytest
from skimage import restoration
from skimage.restoration import uft

from cluster_worker.kernels.deconvolution import draw_normals, inverse_of, transfer_of
from cluster_worker.operations import catalogue
from cluster_worker.operations.deconvolution import psf_of
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe

NOISE = np.random.default_rng(5).random((530, 517))


def run(image, step):
    steps = json.dumps(recipe.check([step], catalogue(), 1))
    return run_alone(
        plan(PlanRequest(header_of(image.shape, str(image.dtype)), steps, "native")), image
    )


def test_normal_numbers_are_those_of_numpy_as_far_as_its_tails():
    """Compare many numbers: one in 3700 lies in a tail, one in 150 needs the second look-up."""
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    found = np.empty((3, 400_000))
    for row in found:
        draw_normals(ours, row)
        np.testing.assert_array_equal(row, theirs.standard_normal(row.size))
        assert ours.gamma(5.5, 0.3) == theirs.gamma(5.5, 0.3)
    assert abs(found).max() > 3.7


@pytest.mark.parametrize("shape", [(9, 9), (64, 31), (10, 200)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_transform_of_a_spread_and_its_inverse_are_those_of_scikit_image(shape, dtype):
    spread = psf_of("disk", 4).astype(dtype)
    expected = uft.ir2tf(spread, shape)
    found = transfer_of(spread, shape)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    expected = uft.uirfftn(found, shape=shape)
    np.testing.assert_array_equal(inverse_of(found, shape), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["wiener", "unsupervised_wiener"])
def test_images_too_large_for_the_first_cache_are_restored_to_the_last_bit(name, dtype):
    """Compare large arrays, for which numpy swaps the factors of a product."""
    image, spread = NOISE.astype(dtype), psf_of("box", 3)
    step = {"operation": name, "psf": "box", "radius": 3}
    expected = (
        restoration.wiener(image, spread, 0.1)
        if name == "wiener"
        else restoration.unsupervised_wiener(image, spread, rng=0)[0]
    )
    np.testing.assert_array_equal(run(image, step), expected)


@pytest.mark.parametrize("name", ["wiener", "unsupervised_wiener"])
def test_a_spread_as_large_as_the_transform_is_taken_for_one(name):
    image = NOISE[:5, :9]
    spread = psf_of("gaussian", 2)
    expected = (
        restoration.wiener(image, spread, 0.1)
        if name == "wiener"
        else restoration.unsupervised_wiener(image, spread, rng=0)[0]
    )
    np.testing.assert_array_equal(run(image, {"operation": name}), expected)
