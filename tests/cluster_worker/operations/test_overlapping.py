"""Of blobs that overlap those are left that scikit-image leaves, however many there are."""

import numpy as np
import pytest
from skimage import data, feature, util
from skimage.feature import blob

from cluster_worker.errors import Rejected
from cluster_worker.operations.support import overlapping
from tests.cluster_worker.operations.test_measured_tables import tables

SIGMAS = (0.1, 1.0, 2.0, 5.0, 20.0, 50.0, 200.0)


def blobs_of(seed):
    """Make blobs at random pixels, of a few sizes, in random order."""
    rng = np.random.default_rng(seed)
    kind = (np.float32, np.float64)[seed % 2]
    count, side = int(rng.integers(1, 250)), rng.choice([30, 200, 6000])
    ends = sorted(rng.choice(SIGMAS, 2, replace=False))
    sizes = rng.choice(np.linspace(*ends, int(rng.integers(1, 12))), count)
    found = np.column_stack([rng.integers(0, side, (count, 2)), sizes]).astype(kind)
    return rng.permutation(np.unique(found, axis=0))


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.5, 0.999, 1.0])
def test_the_blobs_that_scikit_image_leaves_are_left(overlap):
    for seed in range(20):
        blobs = blobs_of(seed)
        expected = blob._prune_blobs(blobs.copy(), overlap)
        found = overlapping.without_overlaps(blobs, overlap)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", ["blob_log", "blob_dog", "blob_doh"])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_a_threshold_that_every_peak_exceeds_leaves_scikit_images_blobs(name, kind, threshold):
    image = data.camera()[200:240, 200:250]
    image = image if kind == "uint8" else util.img_as_float32(image)
    given = {"max_sigma": 8, "threshold": threshold}
    expected = getattr(feature, name)(image, **given)
    for table in tables(image, name, **given):
        np.testing.assert_array_equal(np.column_stack(list(table.values())), expected)


def test_few_pairs_are_left_to_scikit_images_slow_function(monkeypatch):
    asked, slow = [], blob._blob_overlap
    monkeypatch.setattr(blob, "_blob_overlap", lambda *pair: asked.append(pair) or slow(*pair))
    rng = np.random.default_rng(0)
    blobs = np.column_stack(
        [rng.permutation(64 * 64)[:400], np.zeros(400), rng.choice(SIGMAS, 400)]
    )
    blobs[:, 0], blobs[:, 1] = np.divmod(blobs[:, 0], 64)
    overlapping.without_overlaps(blobs, 0.5)
    assert len(asked) < 400 * 399 / 2 / 100


@pytest.mark.parametrize("name", ["blob_log", "blob_dog", "blob_doh"])
def test_more_pairs_than_are_compared_are_refused(name, monkeypatch):
    monkeypatch.setattr(overlapping, "PAIRS_MAX", 100)
    said = (
        f"{name}: threshold: more than 100 pairs of blobs are near enough to overlap; "
        "raise threshold, or lower max_sigma"
    )
    with pytest.raises(Rejected) as refused:
        next(iter(tables(data.camera()[200:240, 200:250], name, max_sigma=8, threshold=-1.0)))
    assert str(refused.value) == said


@pytest.mark.parametrize("side", [40, 4000])
def test_the_pairs_of_a_crowd_are_counted_as_they_would_be_compared(side, monkeypatch):
    places = np.random.default_rng(3).integers(0, side, (300, 2)).astype(np.float32)
    near = sum(map(len, overlapping.near_pairs(places, 50.0)))
    monkeypatch.setattr(overlapping, "PAIRS_MAX", near)
    overlapping.refuse_crowd(places, 50.0)
    monkeypatch.setattr(overlapping, "PAIRS_MAX", near - 1)
    with pytest.raises(ValueError, match="near enough to overlap"):
        overlapping.refuse_crowd(places, 50.0)
