"""Conversions between bit depths, compared with scikit-image's own."""

import numpy as np
import pytest
from skimage import util

from cluster_worker.pixels.depths import to_depth

CONVERT = {
    "uint8": util.img_as_ubyte,
    "uint16": util.img_as_uint,
    "float32": util.img_as_float32,
    "float64": util.img_as_float64,
}


# Labels are signed here, and are converted to floats only.
PAIRS = [
    *((source, target) for source in ("bool", "uint8", "uint16") for target in CONVERT),
    *((source, target) for source in ("int32", "int64") for target in ("float32", "float64")),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_level_is_converted_as_scikit_image_does(source, target):
    if source == "bool":
        levels = np.array([False, True])
    else:
        most = np.iinfo(source).max
        levels = np.append(np.arange(0, most, max(1, most // 65535), source), most).astype(source)
    converted = to_depth(levels, target)
    np.testing.assert_array_equal(converted, CONVERT[target](levels))
    assert converted.dtype == target


def test_dark_levels_are_scaled_like_bright_ones():
    # scikit-image does not scale an image whose levels all fit: then tiles would differ.
    dark = np.array([0, 5, 255], np.uint16)
    np.testing.assert_array_equal(to_depth(dark, "uint8"), [0, 0, 0])


def test_floats_beyond_black_and_white_are_clipped():
    floats = np.array([-0.5, 0.0, 0.5, 1.0, 7.0], np.float32)
    np.testing.assert_array_equal(to_depth(floats, "uint8"), [0, 0, 128, 255, 255])
