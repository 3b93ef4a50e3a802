"""What a decoder and its child send each other; what the child says is not believed."""

import json

import numpy as np
import pytest
from PIL import Image

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.decoder_messages import (
    header_from_json,
    header_to_json,
    tile_ranges_of,
)
from cluster_worker.imagefiles.formats import Header
from cluster_worker.pixels.header import header_of


def test_a_header_survives_the_way_to_the_child_and_back():
    header = Header(
        "ü.tif", "tiff", header_of((3, 4, 2), "uint16"), 6, b"\0profile", (72.0, 96.0), ("a", "b")
    )
    assert header_from_json(header_to_json(header), "ü.tif") == header
    header = Header("ü.tif", "tiff", header_of((3, 4), "uint32"), block=(1, 4), compression="zstd")
    assert header_from_json(header_to_json(header), "ü.tif") == header


@pytest.mark.parametrize(
    "wrong",
    [
        {"dtype": "object"},
        {"format": "exe"},
        {"shape": [3]},
        {"shape": [3, 4, 5]},
        {"shape": "many"},
        {"icc_profile": 7},
        {"resolution": ["a", "b"]},
        {"block": [3]},
        {"block": [0, 4]},
        {"block": "many"},
        {"compression": "own"},
    ],
)
def test_what_a_child_says_is_not_believed(wrong):
    wire = header_to_json(Header("cat.png", "png", header_of((3, 4), "uint8"))) | wrong
    with pytest.raises(Rejected, match=r"cat.png: the decoder failed on this file"):
        header_from_json(wire, "cat.png")


@pytest.mark.parametrize("wrong", [{}, {"ranges": [[0]]}, {"ranges": [[0, 9]]}, {"ranges": "ab"}])
def test_where_a_child_says_that_tiles_lie_is_not_believed(wrong):
    with pytest.raises(Rejected, match=r"cat.png: the decoder failed on this file"):
        tile_ranges_of(wrong, (300, 200), "cat.png")
    with pytest.raises(Rejected, match=r"cat.png: the decoder failed on this file"):
        tile_ranges_of({"ranges": [[0, 9], [-9, 9]]}, (300, 200), "cat.png")


@pytest.mark.parametrize("number", [0, 1])
def test_a_jpeg_is_read_whatever_its_quantization_tables_say(tmp_path, number):
    path = tmp_path / "cat.jpg"
    Image.fromarray(np.full((20, 30), 99, np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    # Marker, length, and number of the table; then its first number.
    content[content.index(b"\xff\xdb") + 5] = number
    path.write_bytes(content)
    header = formats.read_header(path, "cat.jpg", 1000)
    assert header_from_json(json.loads(json.dumps(header_to_json(header))), "cat.jpg") == header
    assert (header.jpeg is None) == (number == 0)
