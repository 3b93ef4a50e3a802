"""The pages in docs/operations match the present catalogue."""

import numpy as np
import pytest
from PIL import Image

from cluster_worker.operations import OPERATIONS
from tests import documents


@pytest.mark.parametrize("name", documents.page_names())
def test_a_page_is_fresh(name):
    assert (documents.FOLDER / name).read_text() == documents.pages()[name], "run: make generate"


def test_every_page_is_compared():
    assert list(documents.pages()) == documents.page_names()


def test_every_operation_has_its_picture_and_its_distance_and_no_other_has():
    pictures = {each.stem for each in (documents.FOLDER / "pictures").iterdir()}
    images = {name for name, each in OPERATIONS.items() if each.gives == "image"}
    assert pictures == images, "run: make generate"
    distances = (documents.FOLDER / "faithful.md").read_text()
    assert all(f"| `{name}` | " in distances for name in images), "run: make generate"


def test_nan_where_scikit_image_has_numbers_counts_as_a_difference(monkeypatch):
    image, blurred = documents.PHOTOGRAPHS["coins"](), OPERATIONS["gaussian"]
    assert documents.difference(blurred, image) == 0
    expected = np.full(image.shape, np.nan)
    monkeypatch.setattr(documents.reference, "run", lambda *_: (expected, None))
    assert documents.difference(blurred, image) == np.inf


@pytest.mark.parametrize("name", ["gaussian", "threshold_otsu", "label", "canny", "resize"])
def test_a_picture_shows_what_the_operation_does_today(name):
    kept = np.asarray(Image.open(documents.FOLDER / "pictures" / f"{name}.webp")).astype(float)
    made = documents.picture(OPERATIONS[name])
    assert kept.shape == made.shape
    # The stored picture is compressed with losses.
    assert abs(kept - made).mean() < 8
