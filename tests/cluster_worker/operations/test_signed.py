"""Numbers with sign, as instruments give them: natively they are computed as scikit-image does."""

import numpy as np
import pytest

from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.operations.images import ALONE
from tests.cluster_worker.operations.reference import is_labels, is_meant_for
from tests.cluster_worker.operations.test_catalogue import (
    assert_equal_to_scikit_image,
    assert_same,
    default,
    named,
    outcome,
)

SHAPE = (23, 31)
# Six tiles; smaller ones are those of test_catalogue.py.
CORE = (10, 30)


def signed():
    """Return images of numbers with sign. None spans more than half of its type.

    scikit-image's differences of numbers that do wrap around.
    """
    random = np.random.default_rng(0)
    return [
        random.integers(-40, 60, SHAPE).astype(np.int8),
        random.integers(-300, 500, SHAPE).astype(np.int16),
        np.where(random.random(SHAPE) > 0.3, 1000, -700).astype(np.int16),
        random.integers(0, 30, SHAPE).astype(np.int16),
    ]


@pytest.mark.parametrize("name", ALONE)
def test_numbers_with_sign_have_the_results_of_scikit_image(name):
    for image in signed():
        if is_meant_for(name, image, "native") and not is_labels(image):
            with named(image.dtype, image.min(), image.max()):
                whole = outcome(image.copy(), default(name), None, "native")
                assert_equal_to_scikit_image({"native": whole}, image, default(name))
                assert_same(whole, image, default(name), CORE, "native")


@pytest.mark.parametrize("name", [n for n in ALONE if OPERATIONS[n].takes == "picture"])
def test_negative_numbers_in_one_tile_alone_count_in_all(name):
    image = np.random.default_rng(0).integers(0, 500, SHAPE).astype(np.int16)
    image[:4, :4] -= 700
    whole = outcome(image.copy(), default(name), None, "native")
    assert_equal_to_scikit_image({"native": whole}, image, default(name))
    assert_same(whole, image, default(name), CORE, "native")


def test_negative_labels_are_refused_with_a_sentence():
    [image] = [each for each in signed() if each.dtype == np.int8]
    refused = outcome(image, default("remove_small_objects"), None, "native")
    assert refused == (
        "remove_small_objects: takes labels from 0 on or a mask, got negative numbers; "
        "put label before"
    )


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint64"])
def test_the_mean_of_large_numbers_does_not_overflow(dtype):
    limits = np.iinfo(dtype)
    image = np.random.default_rng(0).integers(limits.min // 3, limits.max // 3, SHAPE, dtype)
    found = outcome(image, default("threshold_mean"), None, "native")
    assert_equal_to_scikit_image({"native": found}, image, default("threshold_mean"))


@pytest.mark.parametrize("name", ["h_maxima", "h_minima"])
def test_heights_of_numbers_that_span_their_whole_type_are_found(name):
    image = np.zeros((15, 15), np.int16)
    image[3, 4], image[9, 10], image[12, 3] = -32768, 32767, -300
    step = default(name)[0]
    whole = outcome(image, [step | {"h": 1.0}], None, "native")
    assert 0 < np.count_nonzero(whole) < whole.size
    marked = {"h_maxima": (9, 10), "h_minima": (3, 4)}[name]
    assert whole[marked]


def test_percentiles_of_numbers_with_sign_are_those_of_scikit_image():
    step = default("rescale_intensity")[0] | {"in_range": "percentiles"}
    for image in signed():
        whole = outcome(image.copy(), [step], None, "native")
        assert_equal_to_scikit_image({"native": whole}, image, [step])
        assert_same(whole, image, [step], CORE, "native")
