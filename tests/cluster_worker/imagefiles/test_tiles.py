"""Pictures in tiles, and how images of any bit depth are shown."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from cluster_worker.imagefiles.codecs.tiles import (
    ENTRY,
    HEAD,
    SIDE,
    Pyramid,
    halved,
    level_shapes,
    tile_count,
)
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.viewing import contrast_limits, over_white, sample_windows, viewable
from cluster_worker.pixels.shared_memory import Pixels
from tests.cluster_worker.imagefiles.test_values import values_of

# Limits of the error of a photograph in JPEG tiles, in levels: its mean and its maximum.
MEAN_OFF, MOST_OFF = 3.0, 60

PHOTOGRAPH = np.tile(data.astronaut(), (3, 2, 1))[:1100, :900]


def levels_of(path):
    """Read a file of tiles as the page does; return each level as one array."""
    content = path.read_bytes()
    magic, version, side, columns, rows, _ = HEAD.unpack_from(content)
    assert (magic, version, side) == (b"DIPT", 2, SIDE)
    shapes = level_shapes((rows, columns))
    index = np.frombuffer(content, ENTRY, sum(map(tile_count, shapes)), HEAD.size)
    entries = iter(index.tolist())
    found = []
    for height, width in shapes:
        level = None
        for top in range(0, height, SIDE):
            for left in range(0, width, SIDE):
                offset, size = next(entries)
                tile = np.asarray(Image.open(io.BytesIO(content[offset : offset + size])))
                if level is None:
                    level = np.zeros((height, width, *tile.shape[2:]), np.uint8)
                level[top : top + SIDE, left : left + SIDE] = tile
        found.append(level)
    return found


def drawn(path, image, rows):
    """Draw an image in bands of `rows` rows; return the content of the file."""
    pyramid = Pyramid(path, image.shape)
    for top in range(0, len(image), rows):
        pyramid.add(image[top : top + rows])
    pyramid.finish()
    return path.read_bytes()


def close_to(found, expected):
    off = abs(found.astype(int) - expected.astype(int))
    return off.mean() < MEAN_OFF and off.max() < MOST_OFF


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((512, 512), [(512, 512)]),
        ((513, 1), [(513, 1), (257, 1)]),
        ((1100, 900), [(1100, 900), (550, 450), (275, 225)]),
        ((1, 3000), [(1, 3000), (1, 1500), (1, 750), (1, 375)]),
    ],
)
def test_each_level_is_half_of_the_one_before_down_to_one_tile(shape, levels):
    assert level_shapes(shape) == levels
    assert tile_count(levels[-1]) == 1


@pytest.mark.parametrize("image", [PHOTOGRAPH, PHOTOGRAPH[..., 1]], ids=["colour", "gray"])
def test_tiles_hold_the_pixels_of_the_image_and_of_its_halves(tmp_path, image):
    drawn(tmp_path / "tiles", image, len(image))
    expected = image
    for found in levels_of(tmp_path / "tiles"):
        assert found.shape == expected.shape
        assert close_to(found, expected)
        expected = halved(np.ascontiguousarray(expected))


@pytest.mark.parametrize("rows", [1, 37, 512, 600])
def test_bands_of_any_height_give_the_file_that_the_whole_image_gives(tmp_path, rows):
    whole = drawn(tmp_path / "whole", PHOTOGRAPH, len(PHOTOGRAPH))
    assert drawn(tmp_path / "bands", PHOTOGRAPH, rows) == whole


@pytest.mark.parametrize("shape", [(1, 1), (1, 1500), (1500, 1, 3), (513, 511)])
def test_thin_and_small_images_are_drawn_too(tmp_path, shape):
    image = np.full(shape, 77, np.uint8)
    drawn(tmp_path / "tiles", image, 512)
    assert all((abs(level.astype(int) - 77) < 3).all() for level in levels_of(tmp_path / "tiles"))


def in_memory(path, image):
    """Write an image to a file that a decoder's child can map."""
    path.write_bytes(np.ascontiguousarray(image).tobytes())
    return Pixels(str(path), image.shape, image.dtype.name)


@pytest.mark.slow
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32", "bool"])
def test_a_file_in_windows_is_drawn_as_the_same_pixels_in_memory(tmp_path, depth):
    gray = PHOTOGRAPH[..., 1]
    image = gray > 100 if depth == "bool" else gray.astype(depth) * 3
    source = tmp_path / "in.tif"
    options = {"photometric": "minisblack", "compression": "adobe_deflate"}
    tifffile.imwrite(source, image, tile=(256, 256), **options)
    with Decoder() as decoder:
        header = decoder.read_header(source, "in.tif")
        progress = list(decoder.draw(tmp_path / "file", (source, header), "in.tif"))
        list(decoder.draw(tmp_path / "memory", in_memory(tmp_path / "pixels", image), "in.tif"))
    assert progress == [(512, 1100), (1024, 1100), (1100, 1100)]
    assert (tmp_path / "file").read_bytes() == (tmp_path / "memory").read_bytes()
    values = HEAD.unpack_from((tmp_path / "file").read_bytes())[-1]
    np.testing.assert_array_equal(values_of((tmp_path / "file").read_bytes()[values:])[1], image)
    assert not list(tmp_path.glob("*.values"))
    shown = levels_of(tmp_path / "file")[0]
    assert close_to(shown, viewable(image))


@pytest.mark.slow
def test_a_picture_that_was_given_up_is_no_hindrance_to_the_next(tmp_path):
    pixels = in_memory(tmp_path / "pixels", PHOTOGRAPH)
    with Decoder() as decoder:
        next(decoder.draw(tmp_path / "given up", pixels, "a.tif"))
        list(decoder.draw(tmp_path / "whole", pixels, "a.tif"))
    assert close_to(levels_of(tmp_path / "whole")[0], PHOTOGRAPH)


@pytest.mark.slow
def test_a_picture_of_sixteen_bits_is_a_png_with_contrast(tmp_path):
    image = PHOTOGRAPH.astype(np.uint16) * 4 + 300
    with Decoder() as decoder:
        source = tmp_path / "in.tif"
        tifffile.imwrite(source, image, photometric="rgb")
        header = decoder.read_header(source, "in.tif")
        decoder.write_picture(tmp_path / "out.png", in_memory(tmp_path / "pixels", image), header)
    found = np.asarray(Image.open(tmp_path / "out.png"))
    np.testing.assert_array_equal(found, viewable(image))
    assert found.min() == 0
    assert found.max() == 255


@pytest.mark.slow
def test_pixels_without_data_are_left_out_of_the_contrast_of_a_picture_in_tiles(tmp_path):
    image = PHOTOGRAPH[..., 1].astype(np.int16) + 300
    image[:, ::2] = -9999
    source = tmp_path / "in.tif"
    tag = (42113, "s", 0, "-9999", True)
    tifffile.imwrite(source, image, tile=(256, 256), extratags=[tag], metadata=None)
    with Decoder() as decoder:
        header = decoder.read_header(source, "in.tif")
        list(decoder.draw(tmp_path / "file", (source, header), "in.tif"))
        pixels = in_memory(tmp_path / "pixels", image)
        list(decoder.draw(tmp_path / "memory", pixels, "in.tif", header.image))
        decoder.write_picture(tmp_path / "out.png", pixels, header)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "memory").read_bytes()
    found = np.asarray(Image.open(tmp_path / "out.png"))
    expected = viewable(image[:, 1::2])
    assert abs(found[:, 1::2].astype(int) - expected).max() <= 1
    assert (found[:, ::2] == 0).all()


def test_contrast_is_that_of_all_pixels_where_an_image_is_small_and_of_windows_elsewhere():
    image = np.random.default_rng(0).integers(0, 4000, (700, 300)).astype(np.uint16)
    shown = viewable(image)
    low, high = np.percentile(image, (0.5, 99.5))
    expected = np.clip(np.rint((image - low) * (255 / (high - low))), 0, 255)
    assert abs(shown - expected).max() <= 1
    windows = sample_windows((30_000, 50_000))
    assert len(windows) == 64
    assert windows[-1].bottom == 30_000
    assert windows[-1].right == 50_000


def test_alpha_is_not_stretched_and_a_picture_in_tiles_lies_on_white():
    image = np.zeros((2, 2, 2), np.uint16)
    image[..., 0] = [[0, 1000], [0, 1000]]
    image[..., 1] = [[65_535, 65_535], [0, 0]]
    shown = viewable(image)
    np.testing.assert_array_equal(shown[..., 0], [[0, 255], [0, 255]])
    np.testing.assert_array_equal(shown[..., 1], [[255, 255], [0, 0]])
    np.testing.assert_array_equal(over_white(shown), [[0, 255], [255, 255]])


def test_what_is_no_number_and_a_constant_image_are_shown_as_well():
    image = np.array([[np.nan, np.inf], [1e300, 0.0]])
    assert viewable(image).dtype == np.uint8
    assert contrast_limits([np.full((3, 3), 7.0)]) == (7.0, 7.0)
    np.testing.assert_array_equal(viewable(np.full((3, 3), 7.0)), 0)
