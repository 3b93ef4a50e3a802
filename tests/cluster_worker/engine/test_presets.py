"""The ready-made recipes find what they are for."""

import json

import numpy as np
import pytest

from cluster_worker.engine.steps import checked_steps
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract.presets import presets
from tests.cluster_worker.operations.nuclei import nuclei


def plants():
    """Return a photograph of two green disks on brown soil."""
    y, x = np.indices((160, 200))
    soil = np.random.default_rng(2).integers(-12, 12, (160, 200, 3)) + np.array([110, 80, 60])
    green = (np.hypot(y - 50, x - 60) < 30) | (np.hypot(y - 110, x - 140) < 20)
    return np.where(green[..., np.newaxis], [60, 140, 50], soil).astype(np.uint8)


def spots():
    """Return a dark picture with bright spots on a grid."""
    picture = np.zeros((128, 128))
    picture[16::32, 16::32] = 1
    y, x = np.indices((13, 13)) - 6
    for row, column in np.argwhere(picture > 0):
        window = np.s_[row - 6 : row + 7, column - 6 : column + 7]
        picture[window] = np.exp(-(y**2 + x**2) / 8)
    return (picture * 200 + 20).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "picture", "least", "most"),
    [
        ("count_cells", nuclei(240), 70, 100),
        ("particles", nuclei(240), 15, 100),
        ("spots", spots(), 16, 16),
        ("plant_area", plants(), 2, 2),
    ],
)
def test_a_preset_finds_what_it_is_for(name, picture, least, most):
    steps = checked_steps(presets()[name]["steps"])
    header = header_of(picture.shape, str(picture.dtype))
    _, tables = run_recipe_alone(plan_recipe(RecipeRequest(header, steps)), picture, {})
    (table,) = tables.values()
    assert least <= len(next(iter(table.values()))) <= most
    assert json.loads(steps)[-1]["id"] in tables
    if name == "plant_area":
        np.testing.assert_allclose(table["area"], np.pi * np.array([30, 20]) ** 2, rtol=0.05)
