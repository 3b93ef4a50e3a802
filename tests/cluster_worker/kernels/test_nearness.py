"""Round dilations and growing labels equal scikit-image's, ties between labels included."""

import numpy as np
import pytest
from skimage import morphology, segmentation

from cluster_worker.kernels import nearness

SHAPES = [(23, 41), (1, 30), (30, 1), (7, 150)]
RANDOM = np.random.default_rng(0)


def some(shape, share):
    """Return a mask with at least one pixel that is set and one that is not."""
    mask = RANDOM.random(shape) < share
    mask.flat[:2] = True, False
    return mask


@pytest.mark.parametrize("radius", [0.5, 1, 1.5, 3, 7.2, 50**0.5, 10, 33.3, 200])
@pytest.mark.parametrize("share", [0.005, 0.1, 0.9])
def test_masks_grow_and_shrink_by_an_exact_distance(share, radius):
    for shape in SHAPES:
        mask = some(shape, share)
        grown = morphology.isotropic_dilation(mask, radius)
        np.testing.assert_array_equal(nearness.dilated(mask, radius), grown)
        shrunk = morphology.isotropic_erosion(mask, radius)
        np.testing.assert_array_equal(nearness.eroded(mask, radius), shrunk)


@pytest.mark.parametrize("distance", [0, 0.5, 1, 2.3, 5, 10, 50, 200])
@pytest.mark.parametrize("share", [0.005, 0.1, 0.9])
def test_the_nearest_label_is_scikit_images_also_if_several_are_as_near(share, distance):
    for shape in SHAPES:
        for dtype in nearness.TYPES:
            labels = (some(shape, share) * RANDOM.integers(1, 200, shape)).astype(dtype)
            expected = segmentation.expand_labels(labels, distance)
            found = nearness.expanded(labels, distance)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_nothing_grows_from_an_empty_image():
    assert not nearness.dilated(np.zeros((4, 9), bool), 3).any()
    assert not nearness.expanded(np.zeros((4, 9), np.uint16), 3).any()
    assert nearness.eroded(np.ones((4, 9), bool), 3).all()
