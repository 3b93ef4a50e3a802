"""The values of an image, stored for the page."""

import json
import zlib

import numpy as np
import pytest
from skimage import data

from cluster_worker.imagefiles.codecs.values import BINS, ENTRY, HEAD, SIDE, ValuesWriter
from cluster_worker.imagefiles.drawing import write_values
from cluster_worker.imagefiles.viewing import has_data
from cluster_worker.pixels.header import header_of

GRAY = np.tile(data.camera(), (1, 2))[:300, :700]


def values_of(content):
    """Read a file of values as the page does; return its summary and the values."""
    magic, version, side, columns, rows, offset, size = HEAD.unpack_from(content)
    assert (magic, version, side) == (b"DIPV", 1, SIDE)
    summary = json.loads(content[offset : offset + size])
    stored = np.dtype(summary["stored"])
    channels = summary["channels"]
    across, down = -(-columns // side), -(-rows // side)
    index = np.frombuffer(content, ENTRY, across * down, HEAD.size).tolist()
    found = np.zeros((rows, columns, channels), stored)
    for number, (place, length) in enumerate(index):
        top, left = number // across * side, number % across * side
        tile = found[top : top + side, left : left + side]
        apart = np.frombuffer(zlib.decompress(content[place : place + length]), np.uint8)
        samples = np.ascontiguousarray(apart.reshape(stored.itemsize, -1).T).view(stored)
        tile[...] = samples.reshape(tile.shape)
    return summary, found[..., 0] if channels == 1 else found


def written(path, image):
    write_values(path, image, header_of(image.shape, image.dtype.name))
    return values_of(path.read_bytes())


IMAGES = {
    "bool": GRAY > 100,
    "uint8": np.dstack([GRAY, 255 - GRAY, GRAY // 2]),
    "uint16": GRAY.astype(np.uint16) * 16 + 300,
    "int16": GRAY.astype(np.int16) - 100,
    "uint32": GRAY.astype(np.uint32) * 1_000_000,
    "float16": GRAY.astype(np.float16) / 3,
    "float32": np.where(GRAY > 250, np.nan, GRAY.astype(np.float32) / 7),
    "float64": np.dstack([GRAY / 7.0, -GRAY / 3.0]),
}


@pytest.mark.parametrize("dtype", IMAGES)
def test_every_value_comes_back_as_it_was(tmp_path, dtype):
    image = IMAGES[dtype]
    summary, found = written(tmp_path / "values", image)
    np.testing.assert_array_equal(found, image)
    assert summary["dtype"] == image.dtype.name
    counted = np.isfinite(image).sum()
    assert sum(map(sum, summary["histogram"]["counts"])) == counted


def test_a_histogram_of_sixteen_bits_counts_each_value_between_the_ends(tmp_path):
    image = IMAGES["uint16"]
    histogram = written(tmp_path / "values", image)[0]["histogram"]
    low, high, [counts] = histogram["low"], histogram["high"], histogram["counts"]
    assert low == image.min()
    assert len(counts) <= BINS
    expected, _ = np.histogram(image, len(counts), (low, high - 1e-9))
    np.testing.assert_array_equal(counts, expected)


def test_histograms_of_eight_bits_and_masks_have_their_whole_range(tmp_path):
    gray = written(tmp_path / "values", GRAY)[0]["histogram"]
    assert (gray["low"], gray["high"]) == (0, 256)
    np.testing.assert_array_equal(gray["counts"][0], np.bincount(GRAY.ravel(), minlength=256))
    mask = written(tmp_path / "values", GRAY > 100)[0]
    assert mask["histogram"]["counts"] == [[(GRAY <= 100).sum(), (GRAY > 100).sum()]]
    assert mask["limits"] == [0, 1]


def test_values_beyond_the_range_that_was_expected_count_in_the_last_bins(tmp_path):
    image = np.array([[-5.0, 0.5, 2.0, np.inf]])
    writer = ValuesWriter(tmp_path / "values", header_of(image.shape, "float64"), (0, 1), (0, 1))
    writer.add(image)
    writer.finish()
    summary, _ = values_of((tmp_path / "values").read_bytes())
    [counts] = summary["histogram"]["counts"]
    assert (counts[0], counts[BINS // 2], counts[-1]) == (1, 1, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_pixels_without_data_count_neither_for_the_contrast_nor_for_the_histogram(tmp_path, dtype):
    image = np.arange(300 * 200).reshape(300, 200).astype(dtype) % 500
    expected, _ = written(tmp_path / "whole", image[100:])
    image[:100] = -9999
    described = header_of(image.shape, dtype)._replace(kind="intensity", nodata=-9999.0)
    write_values(tmp_path / "values", image, described)
    summary, found = values_of((tmp_path / "values").read_bytes())
    np.testing.assert_array_equal(found, image)
    assert summary["limits"] == expected["limits"]
    assert summary["histogram"] == expected["histogram"]


def test_a_pixel_of_a_picture_has_data_unless_all_its_colours_have_the_value():
    image = np.array([[[0, 0, 0], [0, 9, 0]]], np.uint16)
    described = header_of(image.shape, "uint16")._replace(nodata=0.0)
    np.testing.assert_array_equal(has_data(image, described), [[[False] * 3, [True] * 3]])
    bands = described._replace(kind="bands")
    np.testing.assert_array_equal(has_data(image, bands), image > 0)
    assert has_data(image, described._replace(nodata=None)) is None


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_an_image_of_one_value_or_none_is_written_too(tmp_path, value):
    _, found = written(tmp_path / "values", np.full((3, 3), value, np.float32))
    np.testing.assert_array_equal(found, value)
