"""Files that end within their pixels, and are read as far as they go because that was asked."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs.header import as_stored
from cluster_worker.imagefiles.codecs.png_bands import SIGNATURE, chunk
from cluster_worker.imagefiles.reading import as_told
from cluster_worker.pixels.stack import Choice
from tests.cluster_worker.imagefiles.image_files import read, refusal

PHOTO = data.astronaut()[:130, :120]
GRAY = PHOTO[..., 0]
ASKED = Choice(incomplete=True)


def jpeg(path, **options):
    Image.fromarray(PHOTO).save(path, "JPEG", quality=90, **options)


def png(path, mode, **options):
    picture = Image.fromarray(PHOTO)
    picture = picture.quantize(9) if mode == "P" else picture.convert(mode)
    picture.save(path, "PNG", **options)


def deep_png(path):
    Image.fromarray(GRAY.astype("uint16") * 200).save(path, "PNG")


def tiff(path, image=PHOTO, **options):
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    tifffile.imwrite(path, image, metadata=None, **({"photometric": photometric} | options))


FILES = {
    "plain.jpg": lambda path: jpeg(path, subsampling=0),
    "colours.jpg": lambda path: jpeg(path, subsampling=2),
    "restarts.jpg": lambda path: jpeg(path, subsampling=0, restart_marker_rows=1),
    "turned.jpg": lambda path: jpeg(path, subsampling=0, exif=turned(6)),
    "colours.png": lambda path: png(path, "RGB"),
    "palette.png": lambda path: png(path, "P"),
    "mask.png": lambda path: png(path, "1"),
    "clear.png": lambda path: png(path, "RGBA"),
    "deep.png": deep_png,
    "turned.png": lambda path: png(path, "RGB", exif=turned(8)),
    "raw.tif": tiff,
    "strips.tif": lambda path: tiff(path, rowsperstrip=7),
    "deflate.tif": lambda path: tiff(path, compression="zlib", predictor=True, rowsperstrip=130),
    "lzw.tif": lambda path: tiff(path, compression="lzw", rowsperstrip=16),
    "float.tif": lambda path: tiff(path, GRAY.astype("float32"), compression="zlib"),
    "white.tif": lambda path: tiff(path, GRAY > 99, photometric="miniswhite"),
}


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def rows_in(note):
    """Return the number of rows that a note says are there."""
    start = "the file ends within its pixels: "
    assert note.startswith(start)
    there, of, _ = note.removeprefix(start).split(maxsplit=2)
    assert of == "of"
    return int(there)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", FILES)
def test_the_rows_that_are_there_are_read_and_the_others_are_0(tmp_path, name, share):
    whole, path = tmp_path / name, tmp_path / "cat"
    FILES[name](whole)
    header, expected = read(whole)
    content = whole.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert refusal(path).endswith(", or read what is there with the option incomplete")
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    out = np.full(asked.shape, 77, asked.dtype)
    (note,) = formats.read_pixels(path, asked, out)
    there = rows_in(note)
    stored, given = (as_stored(each, header.orientation) for each in (out, expected))
    assert 0 < there < len(stored)
    np.testing.assert_array_equal(stored[:there], given[:there])
    assert not stored[there:].any()
    # About as many rows as bytes: of a photograph, each takes about as many.
    assert abs(there / len(stored) - share) < 0.2


def test_rows_are_there_once_all_their_planes_are(tmp_path):
    whole, path = tmp_path / "whole.tif", tmp_path / "cat"
    tiff(whole, np.moveaxis(PHOTO, -1, 0), photometric="rgb", rowsperstrip=10)
    content = whole.read_bytes()
    path.write_bytes(content[: int(0.9 * len(content))])
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    out = np.empty(asked.shape, asked.dtype)
    there = rows_in(formats.read_pixels(path, asked, out)[0])
    assert 80 < there < 100
    np.testing.assert_array_equal(out[:there], PHOTO[:there])
    assert not out[there:].any()


def test_tiles_that_are_missing_have_the_value_of_pixels_without_data(tmp_path):
    whole, path = tmp_path / "whole.tif", tmp_path / "cat"
    image = GRAY.astype("int16") - 300
    tiff(whole, image, tile=(32, 32), compression="zlib", extratags=[(42113, "s", 0, "-999", True)])
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    out = np.empty(asked.shape, asked.dtype)
    (note,) = formats.read_pixels(path, asked, out)
    assert rows_in(note) in range(5, 15)
    assert note.endswith("of 20 tiles are there, and the others are -999")
    missing = out == -999
    assert (missing[-1].all(), missing[0].any()) == (True, False)
    np.testing.assert_array_equal(out[~missing], image[~missing])


def test_a_progressive_jpeg_is_coarse_all_over(tmp_path):
    whole, path = tmp_path / "whole.jpg", tmp_path / "cat"
    jpeg(whole, progressive=True)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    out = np.empty(asked.shape, asked.dtype)
    assert formats.read_pixels(path, asked, out) == (
        "the file ends within its pixels: all rows are there, but with less detail",
    )
    assert np.abs(out.astype(int) - PHOTO).mean() < 20


@pytest.mark.parametrize("name", ["plain.jpg", "colours.png", "lzw.tif"])
def test_a_whole_file_is_read_as_ever(tmp_path, name):
    path = tmp_path / name
    FILES[name](path)
    header, expected = read(path)
    out = np.empty(header.shape, header.dtype)
    assert formats.read_pixels(path, replace(header, incomplete=True), out) == ()
    np.testing.assert_array_equal(out, expected)


def test_a_file_without_any_row_is_refused(tmp_path):
    whole, path = tmp_path / "whole.png", tmp_path / "cat"
    png(whole, "RGB", icc_profile=None)
    content = whole.read_bytes()
    path.write_bytes(content[: content.index(b"IDAT") + 20])
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    with pytest.raises(Rejected) as caught:
        formats.read_pixels(path, asked, np.empty(asked.shape, asked.dtype))
    assert str(caught.value) == "cat: the file ends too early; save or upload it again"


def test_an_engine_and_the_shell_read_what_is_there(warm_engine, tmp_path):
    whole, path = tmp_path / "whole.tif", tmp_path / "cat.tif"
    tiff(whole, rowsperstrip=10, compression="zlib")
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    target = tmp_path / "out.png"
    with pytest.raises(Rejected, match=r"too early.*with the option incomplete"):
        warm_engine.run_file(path, target, [{"operation": "invert"}])
    notes = warm_engine.run_file(path, target, [{"operation": "invert"}], choice=ASKED)
    there = rows_in(notes[0])
    _, pixels = read(target)
    np.testing.assert_array_equal(pixels[:there], 255 - PHOTO[:there])
    assert (pixels[there:] == 255).all()


@pytest.mark.slow
def test_the_shell_reads_what_is_there(dip, tmp_path):
    whole, path = tmp_path / "whole.jpg", tmp_path / "cat.jpg"
    jpeg(whole)
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    words = f"run {path} {tmp_path / 'out.png'} flip --incomplete --ranks 1"
    ran = dip(*words.split())
    assert ran.returncode == 0
    assert "the file ends within its pixels: " in ran.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 1},
        {"subsampling": 2},
        {"subsampling": 2, "restart_marker_blocks": 3},
        {"subsampling": 0, "progressive": True},
        {"subsampling": 0, "progressive": True, "restart_marker_blocks": 3},
        {"subsampling": 2, "progressive": True, "restart_marker_rows": 1},
    ],
    ids=["422", "420", "restarts", "scans", "scans and restarts", "scans and rows"],
)
def test_no_cut_of_a_jpeg_gives_other_pixels(tmp_path, options):
    # The last columns and rows are in blocks whose greater part lies beyond the border.
    path, cut = tmp_path / "whole.jpg", tmp_path / "cat"
    Image.fromarray(PHOTO[:41, :34]).save(path, "JPEG", quality=50, **options)
    header, expected = read(path)
    asked, content = as_told(header, ASKED), path.read_bytes()
    out = np.empty(header.shape, header.dtype)
    start = content.index(b"\xff\xda") + 14
    claimed = set()
    # All near the end, where only a few pixels are missing; of the others, as many as take seconds.
    ends = range(start, len(content) - 1)
    step = 7 if "progressive" in options else 3
    for end in sorted({*ends[::step], *ends[-60:]}):
        cut.write_bytes(content[:end])
        try:
            formats.read_pixels(cut, header, out)
        except Rejected:
            pass
        else:
            np.testing.assert_array_equal(out, expected)
        try:
            (note,) = formats.read_pixels(cut, asked, out)
        except Rejected:
            continue
        if "less detail" in note:
            continue
        there = rows_in(note) if "rows" in note else len(out)
        np.testing.assert_array_equal(out[:there], expected[:there], f"{end} bytes")
        claimed.add(there)
    assert len(claimed) > 2 or "progressive" in options


def test_a_jpeg_without_a_channel_is_refused(tmp_path):
    path = tmp_path / "cat"
    jpeg(path, progressive=True, subsampling=0)
    content = path.read_bytes()
    # The first scan is of gray alone, as some programs write it.
    start = content.index(b"\xff\xda")
    head = bytes((0, 8, 1, 1, 0, 0, 0, content[start + 13]))
    path.write_bytes(content[: start + 2] + head + content[start + 14 :][:300])
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    with pytest.raises(Rejected, match="ends too early"):
        formats.read_pixels(path, asked, np.empty(asked.shape, asked.dtype))


def test_pixels_of_a_png_behind_a_wrong_checksum_are_missing(tmp_path):
    path = tmp_path / "cat"
    lines = b"".join(b"\0" + GRAY[row].tobytes() for row in range(len(GRAY)))
    stream = zlib.compress(lines, 0)
    fifth = len(stream) // 5
    chunks = [stream[start : start + fifth] for start in range(0, len(stream), fifth)]
    head = struct.pack(">IIBBBBB", GRAY.shape[1], GRAY.shape[0], 8, 0, 0, 0, 0)
    content = SIGNATURE + chunk(b"IHDR", head)
    content += b"".join(chunk(b"IDAT", each) for each in chunks) + chunk(b"IEND", b"")
    place = content.index(chunks[2]) + 50
    path.write_bytes(content[:place] + bytes((content[place] ^ 1,)) + content[place + 1 :])
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    out = np.empty(asked.shape, asked.dtype)
    there = rows_in(formats.read_pixels(path, asked, out)[0])
    assert 48 <= there <= 52
    np.testing.assert_array_equal(out[:there], GRAY[:there])
    assert not out[there:].any()


def test_a_strip_whose_checksum_is_wrong_is_not_read(tmp_path):
    whole, path = tmp_path / "whole.tif", tmp_path / "cat"
    tiff(whole, GRAY, compression="zlib", rowsperstrip=26)
    with tifffile.TiffFile(whole) as file:
        page = file.pages.first
        ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)]
    content = bytearray(whole.read_bytes())
    content[ends[2] - 1] ^= 1
    path.write_bytes(bytes(content))
    asked = as_told(formats.read_header(path, "cat", 10**6), ASKED)
    out = np.empty(asked.shape, asked.dtype)
    with pytest.raises(Rejected, match="is damaged"):
        formats.read_pixels(path, replace(asked, incomplete=False), out)
    assert rows_in(formats.read_pixels(path, asked, out)[0]) == 104
    np.testing.assert_array_equal(
        np.delete(out, range(52, 78), 0), np.delete(GRAY, range(52, 78), 0)
    )
    assert not out[52:78].any()
