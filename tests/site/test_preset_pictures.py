"""The page's ready-made chains are recipes, and the library has a picture of each."""

import numpy as np
import pytest
from PIL import Image

from cluster_worker.operations import catalogue
from config.contract import recipe
from tests.site import preset_pictures


@pytest.mark.parametrize("name", preset_pictures.chains())
def test_a_preset_is_a_recipe_that_the_api_takes(name):
    recipe.check(preset_pictures.chains()[name], catalogue(), 20)


def test_every_preset_has_its_picture_and_nothing_else_has():
    pictures = {path.stem for path in preset_pictures.FOLDER.iterdir()}
    assert pictures == preset_pictures.chains().keys(), "run: make pictures"
    assert sum(path.stat().st_size for path in preset_pictures.FOLDER.iterdir()) < 250_000


@pytest.mark.parametrize("name", ["crisp", "objects", "nuclei"])
def test_a_picture_shows_what_the_preset_does_today(name):
    kept = np.asarray(Image.open(preset_pictures.FOLDER / f"{name}.webp")).astype(float)
    made = preset_pictures.picture(name)
    assert kept.shape == made.shape
    # The stored picture is compressed with losses.
    assert abs(kept - made).mean() < 8
