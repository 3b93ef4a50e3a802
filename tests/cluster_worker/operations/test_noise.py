"""Noise is that of scikit-image's generator, in whatever order the tiles are computed."""

import json

import numpy as np
import pytest
from skimage import data, util

from cluster_worker.operations import catalogue, noise
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.tiling import Place, Span, tiles
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe

MODES = {
    "gaussian": {"mean": 0.1, "var": 0.02},
    "speckle": {"mean": -0.1, "var": 0.05},
    "s&p": {"amount": 0.3, "salt_vs_pepper": 0.2},
    "salt": {"amount": 0.1},
    "pepper": {"amount": 0.1},
}
SHAPE = (61, 47)
PICTURE = np.ascontiguousarray(data.astronaut()[: SHAPE[0], : SHAPE[1]])


def block_of(image, tile, **given):
    everything = {"mean": 0.0, "var": 0.01, "amount": 0.05, "salt_vs_pepper": 0.5, "clip": True}
    place = Place(tile, tile, image.shape[:2])
    given = everything | given
    return noise.random_noise(image[tile.slices], place=place, statistics=(False,), **given)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("image", [PICTURE, PICTURE[..., 0]], ids=["colours", "gray"])
def test_tiles_in_any_order_have_the_noise_of_the_whole(mode, image):
    right = util.random_noise(image, mode, rng=17, **MODES[mode])
    # Tall and narrow tiles begin in rows that no earlier tile has reached, or that several have.
    for core in ((61, 5), (7, 47), (13, 11)):
        noise.states_of.cache_clear()
        places = tiles(SHAPE, core)
        for tile in (*places[::-1], *places):
            found = block_of(image, tile, mode=mode, rng=17, **MODES[mode])
            np.testing.assert_array_equal(found, right[tile.slices])


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("salt", [0.0, 0.5, 1.0])
def test_a_share_of_none_or_all_draws_no_numbers(share, salt):
    image = PICTURE[..., 0]
    given = {"amount": share, "salt_vs_pepper": salt}
    right = util.random_noise(image, "s&p", rng=3, **given)
    for tile in tiles(SHAPE, (20, 20)):
        found = block_of(image, tile, mode="s&p", rng=3, **given)
        np.testing.assert_array_equal(found, right[tile.slices])


def test_rows_of_more_numbers_than_are_generated_at_once_are_alike(monkeypatch):
    monkeypatch.setattr(noise, "CHUNK", 100)
    noise.states_of.cache_clear()
    image = PICTURE[..., 0]
    right = util.random_noise(image, rng=5)
    tile = Span(33, 60, 10, 40)
    found = block_of(image, tile, mode="gaussian", rng=5)
    np.testing.assert_array_equal(found, right[tile.slices])


def test_pixels_without_data_stay_so():
    image = (PICTURE[..., 0] / np.float32(255)).astype(np.float32)
    image[10:20, 10:20] = np.nan
    for mode in MODES:
        steps = [{"operation": "random_noise", "mode": mode, "amount": 0.9}]
        checked = json.dumps(recipe.check(steps, catalogue(), 1))
        found = run_alone(plan(PlanRequest(header_of(SHAPE, "float32"), checked)), image)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(image))
