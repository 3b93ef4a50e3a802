"""OpenEXR and Radiance HDR: pictures of floats, read as their references read them."""

import struct

import cv2
import numpy as np
import OpenEXR
import pytest

from cluster_worker.imagefiles import formats
from tests.cluster_worker.imagefiles.image_files import PIXELS_MAX, read, refusal

RANDOM = np.random.default_rng(11)
COMPRESSIONS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ")


def exr(path, channels, compression="ZIP", **header):
    given = {"compression": getattr(OpenEXR, f"{compression}_COMPRESSION")}
    OpenEXR.File(given | {"type": OpenEXR.scanlineimage} | header, channels).write(str(path))


def values(dtype, *shape):
    if dtype == "uint32":
        return RANDOM.integers(0, 1 << 32, shape, "uint32")
    return (RANDOM.normal(size=shape) * 100).astype(dtype)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint32"])
def test_an_exr_is_read_bit_for_bit(tmp_path, dtype, compression):
    path, image = tmp_path / "cat.exr", values(dtype, 20, 31, 3)
    exr(path, {"RGB": image}, compression)
    header, pixels = read(path)
    assert (header.dtype, header.image.kind, header.image.channels) == (
        dtype,
        "picture",
        ("red", "green", "blue"),
    )
    np.testing.assert_array_equal(pixels, image)


def test_an_exr_in_tiles_is_read(tmp_path):
    path, image = tmp_path / "cat.exr", values("float32", 70, 90)
    exr(path, {"Y": image}, type=OpenEXR.tiledimage, tiles=OpenEXR.TileDescription())
    header, pixels = read(path)
    assert header.image.kind == "intensity"
    np.testing.assert_array_equal(pixels, image)


def test_channels_of_an_exr_keep_their_names_and_no_value_is_lost(tmp_path):
    path = tmp_path / "cat.exr"
    given = {"depth": values("float32", 9, 8), "N.x": values("float16", 9, 8)}
    # The library puts objects of its own into the mapping that it gets.
    exr(path, dict(given))
    header, pixels = read(path)
    assert (header.dtype, header.image.kind) == ("float32", "bands")
    assert header.image.channels == ("N.x", "depth")
    np.testing.assert_array_equal(pixels[..., 0], given["N.x"].astype("float32"))
    np.testing.assert_array_equal(pixels[..., 1], given["depth"])


def test_colours_of_an_exr_are_divided_by_their_alpha(tmp_path):
    path, image = tmp_path / "cat.exr", np.zeros((4, 5, 4), "float32")
    image[:, :3] = (0.5, 0.25, 1.0, 0.5)
    exr(path, {"RGBA": image})
    header, pixels = read(path)
    assert header.image.alpha
    assert header.notes == ("colours were multiplied by transparency; they were divided by it",)
    np.testing.assert_array_equal(pixels[0, 0], (1.0, 0.5, 2.0, 0.5))
    assert not pixels[:, 3:].any()


def test_exrs_of_other_kinds_and_short_ones_are_refused(tmp_path):
    path = tmp_path / "cat.exr"
    exr(path, {"RGB": values("float32", 40, 50, 3)})
    content = path.read_bytes()
    for end in (5, 40, len(content) // 2, len(content) - 9):
        path.write_bytes(content[:end])
        assert "save or upload it again" in refusal(path)
    path.write_bytes(content[:5] + b"\x08" + content[6:])
    assert refusal(path) == "is an OpenEXR of deep data; flatten it, and save it again"
    place = content.index(b"G\0") + 2 + 8
    path.write_bytes(content[:place] + struct.pack("<ii", 2, 2) + content[place + 8 :])
    assert refusal(path).startswith("is an OpenEXR whose channels have several sizes")


def hdr(path, image):
    assert cv2.imwrite(str(path), image[..., ::-1])


def by_cv2(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]


def flat_hdr(image, size):
    """Build a file without run lengths: cv2 writes them always."""
    most = image.max(axis=2)
    exponent = np.ceil(np.log2(most)).astype(int)
    mantissas = np.clip(np.floor(image * np.exp2(8.0 - exponent)[..., None]), 0, 255)
    pixels = np.dstack([mantissas, exponent + 128]).astype("uint8")
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + size + b"\n" + pixels.tobytes()


@pytest.mark.parametrize("shape", [(20, 31, 3), (9, 5, 3), (3, 300, 3)])
def test_a_radiance_hdr_is_read_as_opencv_reads_it(tmp_path, shape):
    path = tmp_path / "cat.hdr"
    image = np.exp(RANDOM.normal(size=shape) * 3).astype("float32")
    image[1:3] = 0.25
    image[0, 0] = 0
    hdr(path, image)
    header, pixels = read(path)
    assert (header.dtype, header.image.kind) == ("float32", "picture")
    np.testing.assert_array_equal(pixels, by_cv2(path))
    assert np.abs(pixels - image).max() <= image.max() / 128


def test_flat_pixels_and_old_runs_and_turned_lines_are_read(tmp_path):
    path = tmp_path / "cat.hdr"
    image = np.exp(RANDOM.normal(size=(12, 20, 3))).astype("float32")
    path.write_bytes(flat_hdr(image, b"-Y 12 +X 20"))
    _, flat = read(path)
    assert np.abs(flat - image).max() <= image.max() / 128
    path.write_bytes(flat_hdr(image, b"+Y 12 -X 20"))
    np.testing.assert_array_equal(read(path)[1], flat[::-1, ::-1])
    head = b"#?RGBE\nEXPOSURE=2\n\n-Y 1 +X 300\n"
    pixel = bytes((10, 20, 30, 136))
    path.write_bytes(head + pixel + bytes((1, 1, 1, 43, 1, 1, 1, 1)))
    header, pixels = read(path)
    assert (pixels == (10, 20, 30)).all()
    assert header.notes == ("the exposure that the file states is not taken out of its values",)


def test_hdrs_of_other_colours_and_short_ones_are_refused(tmp_path):
    path = tmp_path / "cat.hdr"
    hdr(path, np.exp(RANDOM.normal(size=(20, 31, 3))).astype("float32"))
    content = path.read_bytes()
    for end in (12, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        assert refusal(path).startswith("the file ends too early; save or upload it again")
    path.write_bytes(content.replace(b"rle_rgbe", b"rle_xyze"))
    assert refusal(path) == "is a Radiance HDR in XYZ colours; save it as RGB"


@pytest.mark.parametrize("ending", ["exr", "hdr"])
def test_a_result_of_floats_becomes_a_tiff(warm_engine, tmp_path, ending):
    path, target = tmp_path / f"cat.{ending}", tmp_path / "out.tif"
    image = np.exp(RANDOM.normal(size=(20, 31, 3))).astype("float32")
    hdr(path, image) if ending == "hdr" else exr(path, {"RGB": image})
    assert warm_engine.run_file(path, target, [{"operation": "flip"}]) == ()
    header = formats.read_header(target, "out.tif", PIXELS_MAX)
    assert (header.dtype, header.image.kind) == ("float32", "picture")
    np.testing.assert_array_equal(read(target)[1], read(path)[1][:, ::-1])
