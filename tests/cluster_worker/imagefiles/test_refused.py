"""Files that are refused: each by a sentence that names it, and the way out."""

import numpy as np
import pytest
import tifffile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from tests.cluster_worker.imagefiles.image_files import picture, read, refusal
from tests.cluster_worker.imagefiles.pngs import png_of


def test_a_huge_image_is_refused_by_its_header(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png_of(np.zeros((1, 1), np.uint8), size=(60_000, 60_000)))
    with pytest.raises(Rejected) as caught:
        formats.read_header(path, "huge.png", 400_000_000)
    assert str(caught.value) == (
        "huge.png: 60000 × 60000 = 3600 megapixels; at most 400 megapixels are accepted, so send "
        "a part of it or a smaller copy"
    )


def test_a_file_that_is_no_image_is_refused_by_its_first_bytes(tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(b"%PDF-1.7")
    assert refusal(path) == (
        "is a PDF document, which this app does not read; export its pages as PNG or TIFF"
    )
    path.write_bytes(b"")
    assert (
        refusal(path)
        == "the file is empty; use JPEG, PNG, WebP, TIFF or another format of docs/formats.md"
    )
    path.write_text("this is a text file named .png")
    assert refusal(path) == "is text, which this app does not read; send the image itself"
    path.write_bytes(b"\x07this is none")
    assert refusal(path).startswith("not an image this app reads (starts with 07 74 68 69)")


def test_smaller_copies_in_a_tiff_are_no_pages(tmp_path):
    image, path = picture("uint8", 64, 64), tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(image)
        writer.write(image[::2, ::2].copy(), subfiletype=1)
    np.testing.assert_array_equal(read(path)[1], image)


@pytest.mark.parametrize(
    ("image", "options", "sentence"),
    [
        (np.zeros((4, 5), np.int32), {"photometric": "miniswhite"}, "has int32 that count from"),
        (np.zeros((4, 5), np.complex64), {}, "has samples of 64 bits (complex numbers)"),
        (np.zeros((4, 5, 3), np.float32), {"photometric": "cielab"}, "has Lab colours as float32"),
        (np.zeros((4, 5, 3), np.float32), {"photometric": "logluv"}, "has LOGLUV colours in 3 cha"),
    ],
)
def test_tiffs_of_kinds_that_are_not_processed_are_refused(tmp_path, image, options, sentence):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, image, **({"photometric": "minisblack", "metadata": None} | options))
    assert refusal(path).startswith(sentence)


@pytest.mark.parametrize("is_beside", [False, True])
@pytest.mark.parametrize("colours", [32803, 34892])
def test_a_raw_file_of_a_camera_is_named_and_its_preview_is_not_taken_for_it(
    tmp_path, colours, is_beside
):
    path = tmp_path / "photo.nef"
    pixels = picture("uint16", 30, 40, *((3,) if colours == 34892 else ()))
    with tifffile.TiffWriter(path) as writer:
        if is_beside:
            writer.write(picture("uint8", 3, 4), subfiletype=1, subifds=1, metadata=None)
        writer.write(pixels, photometric=colours, metadata=None)
    sentence = (
        "is a raw file of a camera, which this app does not read; save it as TIFF with a raw "
        "converter"
    )
    assert refusal(path) == sentence
    tifffile.imwrite(path, pixels, extratags=[(50706, "B", 4, b"\1\4\0\0", True)])
    assert refusal(path) == sentence
    path.write_bytes(b"\0\0\0\x18ftypcrx " + bytes(40))
    assert refusal(path) == sentence


def test_what_stands_before_an_image_is_counted(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x07\x08\x09" + png_of(picture("uint8", 3, 4)))
    assert refusal(path) == (
        "is a PNG behind 3 other bytes, which this app does not read; save or download it again "
        "without them"
    )


def test_a_sentence_has_no_control_characters(tmp_path):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture("uint8", 30, 40), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[259]
    content = bytearray(path.read_bytes())
    # The compression becomes a text of three characters.
    content[tag.offset + 2 : tag.offset + 12] = b"\2\0\4\0\0\0a\7b\0"
    path.write_bytes(content)
    assert refusal(path).startswith("is compressed by a?b, which this app does not read; ")


def test_what_is_no_image_at_all_is_named(tmp_path):
    path = tmp_path / "cat"
    for content, name in (
        (b"PK\x03\x04", "a zip archive"),
        (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "an Office document"),
        (b"ZISRAWFILE", "a Zeiss image (CZI)"),
        (b"ID3\x03", "a sound"),
        (b"<!DOCTYPE html>", "an HTML page"),
        (b"\0\0\0\x18ftypmp42", "a video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="', "an SVG drawing"),
        (b'{"a": 1}', "JSON"),
    ):
        path.write_bytes(content)
        assert refusal(path).startswith(f"is {name}, which this app does not read; ")
