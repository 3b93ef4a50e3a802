"""Levels of objects: pixels without a value, labels in several places, no label at all."""

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from cluster_worker.errors import Rejected
from tests.cluster_worker.operations.test_inputs import run

CORES = (None, (24, 45), (17, 9))
STEP = {"operation": "threshold_objects", "labels": "input:labels"}
METHODS = {"otsu": threshold_otsu, "mean": np.mean}


@pytest.fixture
def image():
    return np.random.default_rng(4).gamma(2, 100, (60, 70))


@pytest.fixture
def labels():
    """Return labels of which each lies in several places, and some are 0 or less."""
    rows, columns = np.indices((60, 70)) // 11
    return ((rows * 3 + columns) % 5 - 1).astype(np.int16)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_each_label_has_its_own_level(image, labels, method, dtype):
    image = np.minimum(image, 250).astype(dtype) if dtype == "uint8" else image.astype(dtype)
    expected = np.zeros(image.shape, bool)
    for label in (1, 2, 3):
        inside = labels == label
        expected[inside] = image[inside] > METHODS[method](image[inside].astype(image.dtype))
    for core in CORES:
        found = run(image, [STEP | {"method": method}], {"labels": labels}, "native", core)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", METHODS)
def test_nan_has_no_part_in_a_level(image, labels, method):
    image[labels == 1] = np.nan
    image[:30:7] = np.nan
    expected = np.zeros(image.shape, bool)
    for label in (2, 3):
        there = (labels == label) & ~np.isnan(image)
        expected[there] = image[there] > METHODS[method](image[there])
    for core in CORES:
        found = run(image, [STEP | {"method": method}], {"labels": labels}, "native", core)
        np.testing.assert_array_equal(found, expected)


def test_an_image_without_objects_becomes_black(image, labels):
    for core in CORES:
        assert not run(image, [STEP], {"labels": 0 * labels}, "native", core).any()


def test_infinity_is_refused(image, labels):
    image[5, 5] = np.inf
    with pytest.raises(Rejected, match="the image holds infinity, from which no level"):
        run(image, [STEP], {"labels": labels}, "native")
