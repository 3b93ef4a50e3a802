"""From file to file: what a file is and carries survives a chain, or a note says what does not."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from skimage import data, filters

from cluster_worker import Engine
from cluster_worker.cli import main
from cluster_worker.errors import Rejected
from cluster_worker.pixels.stack import Choice

RANDOM = np.random.default_rng(11)
GAUSSIAN = [{"operation": "gaussian", "sigma": 1.0}]


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(1, beside=warm_engine) as found:
        yield found


def classes():
    """Class numbers in a palette."""
    numbers = np.zeros((100, 120), np.uint8)
    numbers[10:40, 10:50], numbers[50:90, 20:70], numbers[30:80, 80:110] = 1, 15, 20
    image = Image.fromarray(numbers, "P")
    image.putpalette(RANDOM.integers(0, 256, 768).tolist())
    return image


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_class_numbers_keep_their_palette_through_steps_on_labels(engine, tmp_path, ending):
    image = classes()
    source, target = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    image.save(source)
    steps = [{"operation": "flip"}, {"operation": "expand_labels", "distance": 3}]
    assert engine.run_file(source, target, steps) == ()
    with Image.open(target) as found:
        assert found.mode == "P"
        assert found.getpalette()[:63] == image.getpalette()[:63]
        assert set(np.unique(found)) == {0, 1, 15, 20}
    assert engine.run_file(source, tmp_path / "labels.tif", [{"operation": "label"}]) == ()
    assert tifffile.imread(tmp_path / "labels.tif").max() == 3
    notes = engine.run_file(source, target, GAUSSIAN)
    assert "palette dissolved: the steps computed with its colours" in notes
    crop = [{"operation": "crop", "top": 5}]
    assert engine.run_file(source, tmp_path / "out.jpg", crop) == ()
    with Image.open(tmp_path / "out.jpg") as found:
        assert found.mode == "RGB"


def test_a_palette_with_transparency_becomes_colours_where_it_cannot_be_kept(engine, tmp_path):
    source, target = tmp_path / "in.png", tmp_path / "out.tif"
    classes().save(source, transparency=15)
    notes = engine.run_file(source, target, [{"operation": "flip"}])
    assert "palette dissolved: its colours were used" in notes
    assert tifffile.imread(target).shape == (100, 120, 4)
    classes().save(source)
    turn = [{"operation": "rotate", "angle": 30, "order": 0, "cval": 1.0}]
    engine.run_file(source, tmp_path / "out.png", turn)
    with Image.open(tmp_path / "out.png") as found:
        assert found.getpixel((0, 0)) == (255, 255, 255)


def test_a_jpeg_is_no_larger_than_its_original_asks_for(engine, tmp_path):
    source, target = tmp_path / "photo.jpg", tmp_path / "out.jpg"
    for tables in ({"quality": 80}, {"qtables": [[9] * 64, [17] * 64]}):
        photo = Image.fromarray(data.astronaut())
        photo.save(source, subsampling=2, **tables)
        engine.run_file(source, target, [{"operation": "flip"}])
        with Image.open(source) as before, Image.open(target) as after:
            assert after.quantization == before.quantization
            assert get_sampling(after) == get_sampling(before)
            assert abs(np.asarray(after).astype(int) - np.asarray(before)[:, ::-1]).mean() < 3
        assert target.stat().st_size < 1.15 * source.stat().st_size


def test_files_with_small_faults_are_read_and_that_is_said(engine, tmp_path):
    image = data.astronaut()[:64, :80]
    png, jpeg = imagecodecs.png_encode(image), imagecodecs.jpeg8_encode(image)
    damaged = struct.pack(">I", 4) + b"tEXtab\0c" + bytes(4)
    files = {
        "text.png": (png[:33] + damaged + png[33:], image, "damaged and was passed over: tEXt"),
        "end.png": (png[:-12], image, "no end mark"),
        "end.jpg": (jpeg[:-2], imagecodecs.jpeg8_decode(jpeg), "no end mark"),
    }
    for name, (content, expected, said) in files.items():
        (tmp_path / name).write_bytes(content)
        notes = engine.run_file(tmp_path / name, tmp_path / "out.tif", [{"operation": "flip"}])
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), expected[:, ::-1])
        assert any(said in note for note in notes)


def test_nodata_and_coordinates_of_heights_survive_a_blur(engine, tmp_path):
    source, target = tmp_path / "dem.tif", tmp_path / "out.tif"
    heights = RANDOM.integers(-100, 2000, (60, 80)).astype(np.int16)
    heights[20:40, 30:50] = -9999
    tags = [
        (33550, "d", 3, (30.0, 30.0, 0.0), True),
        (33922, "d", 6, (0, 0, 0, 440720.0, 3751320.0, 0), True),
        (42113, "s", 0, "-9999", True),
    ]
    tifffile.imwrite(source, heights, extratags=tags, metadata=None)
    assert engine.run_file(source, target, GAUSSIAN) == ()
    with tifffile.TiffFile(target) as file:
        found, kept = file.asarray(), file.pages[0].tags
        assert kept[42113].value == "-9999"
        assert kept[33922].value[3:5] == (440720.0, 3751320.0)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found == -9999, heights == -9999)
    far = filters.gaussian(heights.astype(float), 1.0)[:, :20]
    assert abs(found[:, :20] - far).max() < 0.6
    with pytest.raises(Rejected, match="sobel: has no rule for pixels without data"):
        engine.run_file(source, target, [{"operation": "sobel"}])
    notes = engine.run_file(
        source, target, [{"operation": "sobel"}], choice=Choice(nodata="spread")
    )
    assert any("(-9999) dropped: it was computed with" in note for note in notes)


def with_nodata(path, pixels, value, **options):
    tags = [(42113, "s", 0, str(value), True)]
    tifffile.imwrite(path, pixels, extratags=tags, metadata=None, **options)


@pytest.mark.parametrize(
    ("steps", "depth", "kept"),
    [
        ([{"operation": "flip"}], "native", True),
        (GAUSSIAN, "input", True),
        ([{"operation": "invert"}], "native", False),
        ([{"operation": "median"}], "input", True),
    ],
)
def test_the_value_for_no_data_is_kept_where_it_is_true(engine, tmp_path, steps, depth, kept):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    pixels = RANDOM.integers(1, 200, (30, 40)).astype(np.uint8)
    pixels[4:9, 4:9] = 0
    with_nodata(source, pixels, 0)
    notes = engine.run_file(source, target, steps, depth=depth)
    with tifffile.TiffFile(target) as file:
        assert (42113 in file.pages[0].tags) == kept
    assert any("(0) dropped: the steps computed" in note for note in notes) != kept


def test_the_value_for_no_data_is_one_of_the_stored_samples(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    pixels = RANDOM.integers(1, 200, (30, 40)).astype(np.uint8)
    pixels[4:9, 4:9] = 255
    with_nodata(source, pixels, 255, photometric="miniswhite")
    assert engine.run_file(source, target, GAUSSIAN) == ()
    with tifffile.TiffFile(target) as file:
        assert file.pages[0].tags[42113].value == "0"
        np.testing.assert_array_equal(file.asarray() == 0, pixels == 255)
    table = RANDOM.integers(0, 65536, (3, 256)).astype(np.uint16)
    with_nodata(source, pixels, 0, photometric="palette", colormap=table)
    notes = engine.run_file(source, target, GAUSSIAN)
    assert any("(0) dropped: it is an index of the palette" in note for note in notes)


def test_samples_of_four_bits_become_labels(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    pixels = np.zeros((30, 40), np.uint8)
    pixels[4:9, 4:9] = 15
    tifffile.imwrite(source, pixels, bitspersample=4, metadata=None)
    steps = [{"operation": "threshold", "level": 0.03}, {"operation": "label"}]
    engine.run_file(source, target, steps)
    np.testing.assert_array_equal(tifffile.imread(target) > 0, pixels > 0)


def test_the_resolution_of_blocks_is_that_of_whole_blocks(engine, tmp_path):
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    resolution = {"resolution": (300, 300), "resolutionunit": "INCH"}
    tifffile.imwrite(source, np.full((5, 5), 9, np.uint8), metadata=None, **resolution)
    step = {"operation": "downscale_local_mean", "factor": 2}
    engine.run_file(source, target, [step])
    with tifffile.TiffFile(target) as file:
        assert file.pages[0].get_resolution("INCH") == (150, 150)


def test_whole_numbers_of_32_bits_are_what_the_steps_take_them_for(engine, tmp_path):
    source, target = tmp_path / "counts.tif", tmp_path / "out.tif"
    counts = RANDOM.integers(0, 1 << 20, (40, 50)).astype(np.uint32)
    tifffile.imwrite(source, counts, metadata=None)
    (note,) = engine.run_file(source, target, GAUSSIAN)
    assert "taken as intensities" in note
    found = tifffile.imread(target)
    assert found.dtype == np.uint32
    assert abs(found - filters.gaussian(counts.astype(float), 1.0)).max() < 0.6
    assert engine.run_file(source, target, [{"operation": "remove_small_objects"}]) == ()


def test_metadata_is_stripped_on_request(engine, tmp_path):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(data.astronaut()[:32, :32]).save(source, dpi=(300, 300))
    png = source.read_bytes()
    text = b"tEXtAuthor\0somebody"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    source.write_bytes(png[:33] + chunk + png[33:])
    flip = [{"operation": "flip"}]
    engine.run_file(source, target, flip)
    assert b"somebody" in target.read_bytes()
    engine.run_file(source, target, flip, metadata="strip")
    assert b"somebody" not in target.read_bytes()
    assert b"pHYs" not in target.read_bytes()


def test_the_shell_says_what_a_file_is(tmp_path, capsys):
    path = tmp_path / "cells.ome.tif"
    image = RANDOM.integers(0, 4096, (30, 40)).astype(np.uint16)
    size = {"PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325}
    tifffile.imwrite(path, image, metadata={"axes": "YX", **size})
    assert main(["info", str(path)]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["kind"] == "intensity"
    assert said["shape"] == "30 × 40"
    assert "0.325 × 0.325 µm" in said["pixel"]
    assert "OME" in said
