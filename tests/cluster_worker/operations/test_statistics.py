"""Operations that look at the whole image first, on images whose statistics are odd."""

import numpy as np
import pytest

from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.operations import reference
from tests.cluster_worker.operations.images import ALONE
from tests.cluster_worker.operations.test_catalogue import (
    CORES,
    DEPTHS,
    assert_equal_to_scikit_image,
    assert_same,
    default,
    named,
    outcome,
)

SHAPE = (24, 31)
# Six tiles; smaller ones are those of test_catalogue.py.
CORE = (10, 30)
TYPES = ("bool", "uint8", "uint16", "float32", "float64")
# Share of the pixels that have the greater of two values: one pixel, few, many, all but one.
SHARES = (1 / 744, 0.1, 0.49, 0.51, 0.9, 743 / 744)


def measures(operation):
    """Return whether an operation measures a picture before it computes."""
    defaults = {name: each["default"] for name, each in operation.parameters.items()}
    stages = operation.stages(defaults)
    return operation.takes != "labels" and any(stage.measures for stage in stages)


def two_values(dtype, share):
    """Return an image of two values; `share` of its pixels have the greater one."""
    order = np.random.default_rng(7).permutation(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    low, high = {"b": (0, 1), "u": (7, 201), "f": (0.25, 0.75)}[np.dtype(dtype).kind]
    return np.where(order < round(share * order.size), high, low).astype(dtype)


def odd_images():
    """Yield a name and an image, for each type."""
    for dtype in TYPES:
        white = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
        for share in SHARES:
            yield f"{dtype}, {share:.3f} of the pixels", two_values(dtype, share)
        for level in (0, white) if dtype == "bool" else (0, white // 2 or 0.5, white):
            yield f"{dtype}, constant {level}", np.full(SHAPE, level, dtype)
            yield f"{dtype}, one pixel of {level}", np.full((1, 1), level, dtype)


@pytest.mark.parametrize("name", [n for n in ALONE if measures(OPERATIONS[n])])
def test_an_odd_image_has_the_statistics_of_scikit_image(name):
    for words, image in odd_images():
        with named(words):
            whole = {depth: outcome(image, default(name), None, depth) for depth in DEPTHS}
            assert_equal_to_scikit_image(whole, image, default(name), where_it_fails="own rule")
            assert_same(whole["native"], image, default(name), CORE, "native")


LEAVE_NAN_OUT = [
    *(n for n in ALONE if n.startswith("threshold_") and measures(OPERATIONS[n])),
    "rescale_intensity",
    "equalize_hist",
]


@pytest.mark.parametrize("name", LEAVE_NAN_OUT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_counts_nowhere_and_stays(name, dtype):
    image = np.random.default_rng(0).random((61, 52)).astype(dtype) ** 2
    image[:30] += 1
    image[40, 50] = image[10:14, 20:25] = np.nan
    there = ~np.isnan(image)
    # scikit-image, given the numbers alone, as an image of one row.
    expected, _ = reference.run(image[there][np.newaxis], default(name), "native")
    for core in (None, CORES["tiny"]):
        found = outcome(image, default(name), core, "native")
        np.testing.assert_allclose(found[there], expected[0], rtol=0, atol=1e-6)
        absent = found[~there]
        assert np.isnan(absent).all() if found.dtype.kind == "f" else not absent.any()


@pytest.mark.parametrize("name", LEAVE_NAN_OUT)
def test_an_image_without_numbers_is_refused(name):
    image = np.full((9, 11), np.nan, np.float32)
    assert "NaN" in outcome(image, default(name), None, "native")


def test_percentiles_are_taken_as_they_are_given():
    image = np.random.default_rng(0).random((20, 31))
    for percentiles in ((90.0, 10.0), (50.0, 50.0), (0.0, 100.0)):
        [step] = default("rescale_intensity")
        step |= {"in_range": "percentiles"}
        step |= dict(zip(("lower_percentile", "upper_percentile"), percentiles, strict=True))
        found = {depth: outcome(image, [step], None, depth) for depth in DEPTHS}
        assert_equal_to_scikit_image(found, image, [step])
