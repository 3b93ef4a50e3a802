"""PNG pixels by bands: other programs read ours, and ours are read from theirs."""

import io
import zlib

import numpy as np
import pytest
import skimage.data
from imagecodecs import PNG, png_decode, png_encode, spng_decode
from PIL import Image

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import png_bands
from cluster_worker.imagefiles.codecs.png_bands import SIGNATURE, DeflatedBand, chunk, header_chunk
from cluster_worker.imagefiles.formats import Header
from cluster_worker.pixels.header import header_of
from tests.cluster_worker.imagefiles.image_files import RANDOM, picture, read, refusal

FILTERS = [PNG.FILTER.NONE, PNG.FILTER.SUB, PNG.FILTER.UP, PNG.FILTER.AVG, PNG.FILTER.PAETH]

KINDS = [(dtype, channels) for dtype in ("uint8", "uint16") for channels in ((), (2,), (3,), (4,))]


def slopes(dtype, rows, columns, *channels):
    """Return noise on a slope, which each PNG filter encodes differently."""
    row, column = np.mgrid[:rows, :columns]
    slope = (row * 3 + column * 2).reshape(rows, columns, *(1 for _ in channels))
    return (slope + RANDOM.integers(0, 9, (rows, columns, *channels))).astype(dtype)


def written(path, image):
    formats.write(
        path,
        image,
        "png",
        Header("cat.png", "png", header_of(image.shape, str(image.dtype)), bits=1),
    )
    return path.read_bytes()


def pillow_decode(content):
    with Image.open(io.BytesIO(content)) as opened:
        return np.asarray(opened)


@pytest.mark.parametrize("number", png_bands.PREDICTORS)
@pytest.mark.parametrize(("dtype", "channels"), KINDS)
def test_bands_are_one_picture_to_two_other_programs(monkeypatch, number, dtype, channels):
    monkeypatch.setattr(png_bands, "best_filter", lambda *_: number)
    monkeypatch.setattr(png_bands, "BAND_BYTES", 20_000)
    image = slopes(dtype, 301, 200, *channels)
    pixels = list(png_bands.encoded(image))
    assert len(pixels) > 3
    content = SIGNATURE + header_chunk(image.shape, 8 * image.itemsize) + b"".join(pixels)
    content += chunk(b"IEND", b"")
    np.testing.assert_array_equal(png_decode(content), image)
    # Pillow keeps 16 bits only for gray, and the binding of libspng reads only RGBA.
    if dtype == "uint8" or channels == ():
        np.testing.assert_array_equal(pillow_decode(content), image)
    elif channels == (4,):
        np.testing.assert_array_equal(spng_decode(content), image)


def test_a_large_file_is_read_by_two_other_programs(tmp_path):
    image = slopes("uint8", 1_500, 1_000, 3)
    content = written(tmp_path / "cat.png", image)
    assert content.count(b"IDAT") > 3
    np.testing.assert_array_equal(pillow_decode(content), image)
    np.testing.assert_array_equal(spng_decode(content), image)


def test_a_mask_of_one_bit_is_read_by_another_program(tmp_path):
    mask = picture("bool", 700, 999)
    found = pillow_decode(written(tmp_path / "cat.png", mask))
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("dtype", "channels"), KINDS)
def test_filters_are_undone_across_bands(tmp_path, monkeypatch, filter, dtype, channels):
    monkeypatch.setattr(png_bands, "READ_BAND_BYTES", 20_000)
    image, path = slopes(dtype, 301, 200, *channels), tmp_path / "cat.png"
    path.write_bytes(png_encode(image, 1, filter=filter))
    np.testing.assert_array_equal(read(path)[1], image)


def test_a_photograph_is_no_larger_than_another_program_would_write_it(tmp_path):
    image, other = skimage.data.astronaut(), io.BytesIO()
    Image.fromarray(image).save(other, "PNG", compress_level=1)
    assert len(written(tmp_path / "cat.png", image)) < 1.05 * len(other.getvalue())


def test_each_band_has_the_filter_that_suits_it():
    equal_rows = np.tile(RANDOM.integers(0, 255, 300, np.uint8), (40, 1))
    equal_columns = np.ascontiguousarray(equal_rows[:, :40].T)
    assert png_bands.best_filter(equal_rows, 1) == 2
    assert png_bands.best_filter(equal_columns, 1) == 1


@pytest.mark.parametrize("sizes", [(1, 1), (70_000, 1), (3, 200_000)])
def test_the_checksum_of_a_stream_follows_from_those_of_its_stretches(sizes):
    parts = [RANDOM.bytes(size) for size in sizes]
    checksum = 1
    for part in parts:
        checksum = png_bands.combined_checksum(
            checksum, DeflatedBand(b"", zlib.adler32(part), len(part))
        )
    assert checksum == zlib.adler32(b"".join(parts))


@pytest.mark.parametrize("lines", [0, 1, 39])
def test_whole_chunks_with_too_few_pixels_end_too_early(tmp_path, lines):
    path = tmp_path / "cat.png"
    pixels = chunk(b"IDAT", zlib.compress(bytes(51 * lines)))
    path.write_bytes(SIGNATURE + header_chunk((40, 50), 8) + pixels + chunk(b"IEND", b""))
    assert "ends too early" in refusal(path)


def test_a_filter_that_does_not_exist_is_damage(tmp_path):
    path = tmp_path / "cat.png"
    pixels = chunk(b"IDAT", zlib.compress(b"\5" + bytes(50)))
    path.write_bytes(SIGNATURE + header_chunk((1, 50), 8) + pixels + chunk(b"IEND", b""))
    assert "is damaged" in refusal(path)
