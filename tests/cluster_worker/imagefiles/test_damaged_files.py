"""Damaged files yield their pixels or one sentence, never anything else."""

import contextlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagecodecs import Jpeg8Error
from PIL import Image

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.formats import FORMATS, Header
from cluster_worker.pixels.header import header_of
from tests.cluster_worker.imagefiles.image_files import PIXELS_MAX, picture, read, refusal


def small_files(tmp_path):
    gray, colour = picture("uint8", 30, 40), picture("uint8", 30, 40, 3)
    deep = picture("uint16", 30, 40, 3)
    Image.fromarray(colour).save(tmp_path / "plain.jpg", quality=40)
    Image.fromarray(colour).save(tmp_path / "progressive.jpg", progressive=True, quality=40)
    Image.fromarray(colour).save(tmp_path / "plain.png")
    formats.write(
        tmp_path / "deep.png", deep, "png", Header("cat", "png", header_of(deep.shape, "uint16"))
    )
    Image.fromarray(colour).save(tmp_path / "lossy.webp", quality=40)
    Image.fromarray(colour).save(tmp_path / "lossless.webp", lossless=True)
    Image.fromarray(gray).quantize(9).save(tmp_path / "palette.png")
    Image.fromarray(colour).save(tmp_path / "libtiff.tif", compression="tiff_lzw")
    tifffile.imwrite(tmp_path / "raw.tif", gray)
    tifffile.imwrite(tmp_path / "tiled.tif", colour, photometric="rgb", tile=(16, 16))
    tifffile.imwrite(tmp_path / "zstd.tif", colour, photometric="rgb", compression="zstd")
    tifffile.imwrite(tmp_path / "mask.tif", gray > 99, compression="zlib")
    tifffile.imwrite(
        tmp_path / "strips.tif", deep, photometric="rgb", byteorder=">", rowsperstrip=4
    )
    tifffile.imwrite(
        tmp_path / "planes.tif", np.moveaxis(colour, -1, 0), photometric="rgb", rowsperstrip=7
    )
    return sorted(tmp_path.iterdir())


FILES = ("deep.png", "libtiff.tif", "lossless.webp", "lossy.webp", "mask.tif", "palette.png")
FILES += ("plain.jpg", "plain.png", "planes.tif", "progressive.jpg", "raw.tif", "strips.tif")
FILES += ("tiled.tif", "zstd.tif")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = {path.name: path for path in small_files(tmp_path_factory.mktemp("files"))}
    assert sorted(made) == sorted(FILES)
    return made


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_too_early_is_refused_unless_all_its_pixels_are_there(
    files, tmp_path, name
):
    whole, path = files[name].read_bytes(), tmp_path / name
    _, expected = read(files[name])
    ends = {*range(0, len(whole), max(1, len(whole) // 150)), *range(len(whole) - 20, len(whole))}
    for end in sorted(ends):
        path.write_bytes(whole[:end])
        if end < len(whole) - 30:
            refusal(path)
            continue
        with contextlib.suppress(Rejected):
            np.testing.assert_array_equal(read(path)[1], expected)
    path.write_bytes(whole[: len(whole) // 2])
    # In the mask file the tags are cut off. Missing tags look like wrong ones to the reader.
    assert "ends too early" in refusal(path) or name == "mask.tif"


@pytest.mark.parametrize(("dtype", "shape"), [("uint8", (5, 6)), ("uint16", (3, 4, 3))])
def test_a_png_with_one_flipped_bit_never_yields_other_pixels(tmp_path, dtype, shape):
    image, path = picture(dtype, *shape), tmp_path / "cat.png"
    formats.write(path, image, "png", Header("cat.png", "png", header_of(shape, dtype)))
    whole = path.read_bytes()
    for bit in range(8 * 8, 8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            _, pixels = read(path)
        except Rejected:
            continue
        np.testing.assert_array_equal(pixels, image)


def check_windows(path, header, pixels):
    """Read a file again by windows, and compare them with the whole image."""
    rows, columns = pixels.shape[:2]
    for left, right in ((0, 1), (columns // 2, columns)) if header.block else ():
        out = np.empty_like(pixels[:, left:right])
        formats.read_window(path, header, 0, rows, left, right, out)
        np.testing.assert_array_equal(out, pixels[:, left:right])


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(FILES),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8),
    early=st.booleans(),
    end=st.floats(0, 1),
)
def test_whatever_a_damaged_file_holds_it_is_read_or_refused(
    files, tmp_path, name, flips, early, end
):
    damaged, path = bytearray(files[name].read_bytes()), tmp_path / "cat"
    for position, value in flips:
        # In half of the examples only the first bytes are changed, where the structure is.
        span = 300 if early else len(damaged)
        damaged[int(position * min(span, len(damaged)))] ^= value
    path.write_bytes(damaged[: max(1, int(end * len(damaged)))] if end < 0.5 else damaged)
    sentence = "cat: "
    try:
        check_windows(path, *read(path))
    except Rejected as refused:
        sentence = str(refused)
    assert sentence.startswith("cat: ")
    assert "\n" not in sentence


@pytest.mark.parametrize("tag", [256, 257], ids=["columns", "rows"])
def test_a_tiff_without_a_number_of_rows_or_columns_is_damaged(tmp_path, tag):
    path = tmp_path / "cat"
    tifffile.imwrite(path, picture("uint8", 20, 30, 3), photometric="rgb")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags[tag].offset
    damaged = bytearray(path.read_bytes())
    # A tag begins with its number and its type, of 2 bytes each; the count of values follows.
    damaged[offset + 4 : offset + 8] = bytes(4)
    path.write_bytes(damaged)
    with pytest.raises(
        Rejected,
        match=r"^cat: the file is damaged and cannot be read as TIFF; save",
    ):
        read(path)


def test_damaged_exif_data_does_not_make_a_picture_unreadable(tmp_path):
    path = tmp_path / "cat.jpg"
    Image.fromarray(picture("uint8", 20, 30, 3)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    header, _ = read(path)
    assert header.orientation == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SyntaxError("odd"), "cat.jpg: the file is damaged and cannot be read as JPEG"),
        (ZeroDivisionError(), "cat.jpg: the file is damaged and cannot be read as JPEG"),
        (RecursionError(), "cat.jpg: the file is damaged and cannot be read as JPEG"),
        (EOFError(), "cat.jpg: the file ends too early; save or upload it again"),
        (MemoryError(), "cat.jpg: needs more memory to decode than is allowed"),
        (Jpeg8Error("Insufficient memory (case 4)"), "cat.jpg: needs more memory to decode than"),
    ],
)
def test_whatever_a_codec_raises_becomes_one_sentence(error, sentence):
    with (
        pytest.raises(Rejected, match=sentence),
        formats.reject_codec_errors("cat.jpg", FORMATS["jpeg"], "decode"),
    ):
        raise error


def test_pixels_are_only_decoded_into_an_array_that_fits(files):
    header = formats.read_header(files["plain.png"], "plain.png", PIXELS_MAX)
    with pytest.raises(ValueError, match="out: must be uint8 of shape"):
        formats.read_pixels(files["plain.png"], header, np.empty((3, 3), np.uint8))
