"""Image files are read and written; those that cannot be are refused with one sentence."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs.header import as_stored
from cluster_worker.imagefiles.formats import FORMATS, Header
from cluster_worker.pixels.header import header_of
from tests.cluster_worker.imagefiles.image_files import PIXELS_MAX, RANDOM, picture, read
from tests.cluster_worker.imagefiles.pngs import SIGNATURE, chunk, png_of

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def header_like(image, **fields):
    bits = int(image.dtype == bool)
    return Header("cat.png", "png", header_of(image.shape, str(image.dtype)), bits=bits, **fields)


SHAPES = [(1, 1), (1, 9), (9, 1), (37, 53), (37, 53, 2), (37, 53, 3), (37, 53, 4), (1, 1, 4)]
DEPTHS = ("uint8", "uint16", "float32", "float64")
LOSSLESS = (
    [("png", dtype, shape) for dtype in ("uint8", "uint16") for shape in SHAPES]
    + [("png", "bool", shape) for shape in SHAPES[:4]]
    + [("webp", "uint8", shape) for shape in SHAPES if shape[2:] in ((3,), (4,))]
    + [("tiff", dtype, shape) for dtype in DEPTHS for shape in SHAPES]
    + [("tiff", dtype, shape) for dtype in ("bool", "uint32") for shape in SHAPES[:4]]
)

PROFILED = [name for name, form in FORMATS.items() if "profile" in form.carries]
IN_COLOUR = [(name, "uint8") for name in PROFILED] + [("png", "uint16"), ("tiff", "uint16")]


@pytest.mark.parametrize(("name", "dtype", "shape"), LOSSLESS)
def test_what_is_written_is_read_again_in_the_same_depth(tmp_path, name, dtype, shape):
    image, path = picture(dtype, *shape), tmp_path / "cat"
    assert formats.write(path, image, name, header_like(image)) == ()
    header, pixels = read(path)
    assert (header.format, header.shape, header.dtype) == (name, shape, dtype)
    assert header.has_alpha == (shape[2:] in ((2,), (4,)))
    np.testing.assert_array_equal(pixels, image)


@pytest.mark.parametrize("name", ["png", "webp", "tiff"])
def test_other_programs_read_what_is_written(tmp_path, name):
    image, path = picture("uint8", 40, 50, 4), tmp_path / f"cat.{name}"
    formats.write(path, image, name, header_like(image))
    with Image.open(path) as found:
        np.testing.assert_array_equal(np.asarray(found), image)


@pytest.mark.parametrize("shape", [(64, 80), (64, 80, 3)])
def test_a_jpeg_is_close_to_what_was_written(tmp_path, shape):
    image, path = np.full(shape, 90, np.uint8), tmp_path / "cat.jpg"
    image[20:40, 20:40] = 200
    assert formats.write(path, image, "jpeg", header_like(image)) == ()
    header, pixels = read(path)
    assert (header.format, header.shape, header.dtype) == ("jpeg", shape, "uint8")
    assert abs(pixels.astype(int) - image).max() < 12


@pytest.mark.parametrize(
    "options", [{"subsampling": 2}, {"progressive": True}, {"restart_marker_blocks": 3}]
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_jpeg_of_a_camera_is_read_as_other_programs_read_it(tmp_path, options, channels):
    path = tmp_path / "cat.jpg"
    Image.fromarray(picture("uint8", 41, 57, *channels)).save(path, quality=80, **options)
    with Image.open(path) as expected:
        np.testing.assert_array_equal(read(path)[1], np.asarray(expected))


@pytest.mark.parametrize("shape", [(1501, 900, 3), (1200, 1003)])
def test_a_large_jpeg_is_written_in_bands_as_other_programs_write_it_whole(tmp_path, shape):
    image, path = picture("uint8", *shape), tmp_path / "cat.jpg"
    assert formats.write(path, image, "jpeg", header_like(image)) == ()
    Image.fromarray(image).save(tmp_path / "whole.jpg", quality=95, subsampling=0)
    with Image.open(path) as found, Image.open(tmp_path / "whole.jpg") as expected:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert b"\xff\xd0" in path.read_bytes()


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_one_channel_is_written_as_gray(tmp_path, name):
    image, path = picture("uint8", 20, 30, 1), tmp_path / "cat"
    formats.write(path, image, name, header_like(image))
    assert read(path)[0].shape == (20, 30)


@pytest.mark.parametrize("channels", [(), (1,), (2,)])
def test_gray_in_a_webp_is_the_same_gray_in_colour(tmp_path, channels):
    image, path = picture("uint8", 20, 30, *channels), tmp_path / "cat"
    assert formats.write(path, image, "webp", header_like(image)) == ()
    gray = image[..., :1] if channels else image[..., None]
    _, pixels = read(path)
    np.testing.assert_array_equal(pixels[..., :3], gray.repeat(3, axis=2))
    if channels == (2,):
        np.testing.assert_array_equal(pixels[..., 3], image[..., 1])


def test_a_webp_of_a_camera_is_read_as_other_programs_read_it(tmp_path):
    image, path = Image.fromarray(picture("uint8", 40, 50, 3)), tmp_path / "cat.webp"
    for mode in ("RGB", "RGBA"):
        image.convert(mode).save(path, quality=80)
        with Image.open(path) as expected:
            np.testing.assert_array_equal(read(path)[1], np.asarray(expected.convert("RGB")))
    clear = image.convert("RGBA")
    clear.putalpha(99)
    clear.save(path, quality=80)
    header, pixels = read(path)
    assert header.has_alpha
    assert (pixels[..., 3] == 99).all()


@pytest.mark.parametrize("name", ["png", "tiff"])
@pytest.mark.parametrize(("largest", "dtype"), [(65_535, "uint16"), (65_536, "uint32")])
def test_labels_are_written_in_16_bits_where_the_largest_fits(tmp_path, name, largest, dtype):
    labels, path = picture("uint32", 20, 30) % (largest + 1), tmp_path / "cells"
    labels[3, 4] = largest
    if (name, dtype) == ("png", "uint32"):
        with pytest.raises(Rejected, match=r"labels up to 65536, and PNG holds .*; choose TIFF"):
            formats.write(path, labels, name, header_like(labels))
        return
    assert formats.write(path, labels, name, header_like(labels)) == ()
    header, pixels = read(path)
    assert header.dtype == dtype
    np.testing.assert_array_equal(pixels, labels)


def test_a_mask_is_written_as_black_and_white_unless_the_original_had_one_bit(tmp_path):
    mask, path = picture("bool", 20, 30), tmp_path / "mask.png"
    formats.write(path, mask, "png", Header("cat.png", "png", header_of(mask.shape, "uint8")))
    np.testing.assert_array_equal(read(path)[1], mask * np.uint8(255))
    formats.write(path, mask, "png", header_like(mask))
    np.testing.assert_array_equal(read(path)[1], mask)


@pytest.mark.parametrize(
    ("options", "dtype", "shape"),
    [
        ({}, "uint16", (40, 50, 3)),
        ({"compression": "lzw", "predictor": True}, "uint16", (40, 50, 3)),
        ({"compression": "zstd", "tile": (16, 32)}, "uint8", (40, 50, 3)),
        ({"compression": "packbits"}, "uint8", (40, 50)),
        ({"compression": "zlib", "predictor": True, "tile": (32, 32)}, "float32", (40, 50)),
        ({"planarconfig": "separate", "compression": "zlib"}, "uint8", (3, 40, 50)),
        ({"byteorder": ">"}, "uint16", (40, 50)),
        ({"byteorder": ">", "compression": "lzw"}, "float64", (40, 50, 3)),
        ({"bigtiff": True, "rowsperstrip": 7}, "float32", (40, 50)),
        ({"extrasamples": ["unassalpha"]}, "uint16", (40, 50, 4)),
        ({"compression": "zlib", "predictor": True}, "uint32", (40, 50)),
    ],
)
def test_tiffs_of_many_layouts_are_read(tmp_path, options, dtype, shape):
    image, path = picture(dtype, *shape), tmp_path / "scan.tif"
    colour = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(path, image, photometric=colour, metadata=None, **options)
    expected = np.moveaxis(image, 0, -1) if shape[0] == 3 else image
    header, pixels = read(path)
    assert pixels.dtype.isnative
    assert header.dtype == dtype
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("given", "kept"), [("zstd", "ZSTD"), ("zlib", "ADOBE_DEFLATE"), ("lzw", "ADOBE_DEFLATE")]
)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32"])
def test_zstd_stays_zstd_and_all_else_becomes_deflate(tmp_path, given, kept, dtype):
    image, path = picture(dtype, 40, 50), tmp_path / "scan.tif"
    tifffile.imwrite(path, image, compression=given)
    header, _ = read(path)
    formats.write(path, image, "tiff", header)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].compression.name == kept
    np.testing.assert_array_equal(read(path)[1], image)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16"])
def test_a_tiff_that_counts_from_white_is_turned_round(tmp_path, dtype):
    image, path = picture(dtype, 20, 30), tmp_path / "fax.tif"
    tifffile.imwrite(path, image, photometric="miniswhite")
    np.testing.assert_array_equal(read(path)[1], np.invert(image))


@pytest.mark.parametrize("name", ["map.png", "map.tif"])
def test_a_palette_becomes_its_colours(tmp_path, name):
    image, path = picture("uint8", 20, 30, 3), tmp_path / name
    indexed = Image.fromarray(image).quantize(13)
    indexed.save(path)
    np.testing.assert_array_equal(read(path)[1], np.asarray(indexed.convert("RGB")))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_becomes_alpha(tmp_path, mode):
    image, path = Image.fromarray(picture("uint8", 20, 30, 3)).convert(mode), tmp_path / "map.png"
    clear = image.getpixel((0, 0))
    image.save(path, transparency=clear)
    header, pixels = read(path)
    assert header.has_alpha
    assert pixels[0, 0, -1] == 0
    assert pixels[..., -1].max() == 255


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_gray_keep_their_brightness(tmp_path, bits):
    levels = np.arange(2**bits, dtype=np.uint8)[None, :].repeat(3, 0)
    path = tmp_path / "few.png"
    path.write_bytes(png_of(levels, bits))
    header, pixels = read(path)
    assert header.dtype == ("bool" if bits == 1 else "uint8")
    np.testing.assert_array_equal(pixels, (levels * (255 // (2**bits - 1))).astype(header.dtype))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.tif", "cat.webp"])
def test_a_picture_is_turned_upright(tmp_path, name, orientation):
    stored, path = Image.fromarray(picture("uint8", 16, 24, 3)), tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = orientation
    if name == "cat.webp":
        exif[0x011A], exif[0x011B], exif[0x0128] = 100, 200, 2
    stored.save(path, exif=exif, dpi=(100, 200), lossless=True)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    header, pixels = read(path)
    assert header.orientation == orientation
    assert header.shape == expected.shape
    np.testing.assert_array_equal(pixels, expected)
    assert header.resolution == pytest.approx((100, 200) if orientation < 5 else (200, 100), 1e-3)


def test_turning_upright_copies_nothing():
    upright = picture("uint8", 16, 24, 3)
    assert all(np.shares_memory(as_stored(upright, each), upright) for each in range(1, 9))


@pytest.mark.parametrize(("name", "dtype"), IN_COLOUR)
def test_profile_and_resolution_are_carried_over(tmp_path, name, dtype):
    image, path = picture(dtype, 20, 30, 3), tmp_path / "cat"
    given = header_like(image, icc_profile=SRGB, resolution=(300.0, 150.0))
    assert formats.write(path, image, name, given) == ()
    header, _ = read(path)
    assert header.icc_profile == SRGB
    assert header.resolution == pytest.approx((300, 150), 1e-3)


@pytest.mark.parametrize("resolution", [(72.45, 72.45), (25_400.0, 12_700.0), (4e6, 2.54e7)])
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_the_size_of_a_pixel_survives_from_screens_to_electron_microscopes(
    tmp_path, name, resolution
):
    image, path = picture("uint8", 20, 30, 3), tmp_path / "cells"
    formats.write(path, image, name, header_like(image, resolution=resolution))
    assert read(path)[0].resolution == pytest.approx(resolution, 2e-4)
    written = tmp_path / "again"
    formats.write(written, image, name, header_like(image, resolution=read(path)[0].resolution))
    assert read(written)[0].resolution == pytest.approx(resolution, 2e-4)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_pixels_per_centimetre_keep_their_size_in_every_format(tmp_path, name):
    image, path = picture("uint8", 20, 30), tmp_path / "scan.tif"
    tifffile.imwrite(path, image, resolution=(118.11, 50), resolutionunit="CENTIMETER")
    header, _ = read(path)
    assert header.resolution == pytest.approx((300, 127), 1e-4)
    formats.write(tmp_path / "out", image, name, header)
    assert read(tmp_path / "out")[0].resolution == pytest.approx((300, 127), 1e-3)


@pytest.mark.parametrize("unit", ["micron", "um", "\\u00B5m"])
def test_the_unit_of_an_imagej_resolution_is_read_from_its_description(tmp_path, unit):
    path = tmp_path / "cells.tif"
    kept = {"unit": unit}
    tifffile.imwrite(
        path, picture("uint8", 20, 30), imagej=True, resolution=(2.5, 5), metadata=kept
    )
    assert read(path)[0].resolution == pytest.approx((2.5 * 25_400, 5 * 25_400))


def test_exif_data_left_behind_does_not_outweigh_a_jpegs_own_density(tmp_path):
    exif, path = Image.Exif(), tmp_path / "cat.jpg"
    exif[0x011A], exif[0x011B], exif[0x0128] = 72.0, 72.0, 2
    Image.fromarray(picture("uint8", 20, 30)).save(path, exif=exif, dpi=(300, 300))
    assert read(path)[0].resolution == (300, 300)
    Image.fromarray(picture("uint8", 20, 30)).save(path, exif=exif)
    assert read(path)[0].resolution == (72, 72)
    del exif[0x011A], exif[0x011B]
    exif[0x0112] = 1
    Image.fromarray(picture("uint8", 20, 30)).save(path, exif=exif)
    assert read(path)[0].resolution is None


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_a_profile_for_colours_is_dropped_from_a_gray_result_and_that_is_said(tmp_path, name):
    image, path = picture("uint8", 20, 30), tmp_path / "cat"
    notes = formats.write(path, image, name, header_like(image, icc_profile=SRGB))
    assert notes == ("colour profile dropped: it is for RGB, the result is gray",)
    assert read(path)[0].icc_profile == b""


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp", "cat.tif"])
def test_a_profile_that_is_damaged_or_too_large_is_dropped_and_that_is_said(tmp_path, name):
    cat, path = Image.fromarray(picture("uint8", 20, 30, 3)), tmp_path / name
    cat.save(path, icc_profile=b"no profile at all, though long enough to be one")
    header, _ = read(path)
    assert header.icc_profile == b""
    assert header.notes == ("colour profile dropped: it is damaged",)
    if name != "cat.png":
        cat.save(path, icc_profile=SRGB + bytes(8 * 2**20))
        header, _ = read(path)
        assert header.icc_profile == b""
        assert header.notes == ("colour profile dropped: it has more than 8 MiB",)


@pytest.mark.parametrize(("name", "dtype"), IN_COLOUR)
def test_a_printers_profile_of_megabytes_is_carried_over(tmp_path, name, dtype):
    image, path = picture(dtype, 20, 30, 3), tmp_path / "cat"
    profile = SRGB + RANDOM.bytes(3 * 2**20)
    assert formats.write(path, image, name, header_like(image, icc_profile=profile)) == ()
    assert read(path)[0].icc_profile == profile


def test_a_profile_for_gray_is_dropped_from_a_webp_and_that_is_said(tmp_path):
    image, path = picture("uint8", 20, 30), tmp_path / "cat"
    gray = SRGB[:16] + b"GRAY" + SRGB[20:]
    notes = formats.write(path, image, "webp", header_like(image, icc_profile=gray))
    assert notes == ("colour profile dropped: it is for GRAY, the result is RGB",)
    assert formats.write(path, image, "webp", header_like(image, icc_profile=SRGB)) == ()
    assert read(path)[0].icc_profile == SRGB


@pytest.mark.parametrize("name", ["map.png", "map.tif"])
def test_a_palette_keeps_profile_and_resolution_with_its_colours(tmp_path, name):
    path = tmp_path / name
    indexed = Image.fromarray(picture("uint8", 20, 30, 3)).quantize(13)
    indexed.save(path, icc_profile=SRGB, dpi=(300, 300))
    header, pixels = read(path)
    for each in PROFILED:
        formats.write(tmp_path / "out", pixels, each, header)
        found, _ = read(tmp_path / "out")
        assert found.icc_profile == SRGB
        assert found.resolution == pytest.approx((300, 300), 1e-3)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_in_a_jpeg_lies_on_white_and_that_is_said(tmp_path, channels):
    image, path = np.zeros((32, 32, channels), np.uint8), tmp_path / "cat.jpg"
    image[:16, :, -1] = 255
    (note,) = formats.write(path, image, "jpeg", header_like(image))
    assert note.startswith("transparency dropped: JPEG cannot hold it")
    _, pixels = read(path)
    assert pixels[:12].max() < 5
    assert pixels[20:].min() > 250


def test_colours_multiplied_by_alpha_are_divided_again(tmp_path):
    image, path = np.full((4, 5, 4), 200, np.uint8), tmp_path / "layer.tif"
    image[..., 3], image[0, 0] = 100, 0
    stored = image.copy()
    stored[..., :3] = np.rint(image[..., :3] * (image[..., 3:] / 255))
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["assocalpha"])
    header, pixels = read(path)
    assert abs(pixels.astype(int) - image).max() <= 1
    assert header.notes


@pytest.mark.parametrize(
    ("format", "image", "sentence"),
    [
        (
            "jpeg",
            picture("uint16", 4, 5),
            "of 16 bits, which JPEG cannot hold; choose PNG or TIFF",
        ),
        ("jpeg", picture("uint16", 4, 5, 3), "which JPEG cannot hold; choose PNG or TIFF"),
        ("jpeg", picture("float32", 4, 5), "32-bit floats, which JPEG cannot hold; choose TIFF"),
        ("jpeg", np.zeros((1, 65_501), np.uint8), "1 × 65501 pixels, and JPEG holds at most"),
        ("png", picture("float64", 4, 5), "64-bit floats, which PNG cannot hold; choose TIFF"),
        ("webp", picture("uint16", 4, 5), "of 16 bits, which WebP cannot hold; choose PNG or TIFF"),
        ("webp", picture("float32", 4, 5), "32-bit floats, which WebP cannot hold; choose TIFF"),
        ("webp", np.zeros((16_384, 1), np.uint8), "16384 × 1 pixels, and WebP holds at most 16383"),
        (
            "jpeg",
            picture("uint32", 4, 5),
            "labels, which JPEG cannot hold; colour them (label2rgb)",
        ),
        ("webp", picture("uint32", 4, 5), "which WebP cannot hold; colour them (label2rgb) or ch"),
        ("tiff", picture("uint32", 4, 5, 3), "labels in 3 channels; labels have one"),
        (
            "png",
            np.zeros((4, 5), np.int16),
            "of 16 bits with sign, which PNG cannot hold; choose T",
        ),
        (
            "png",
            np.zeros((4, 5, 5), np.uint8),
            "5 channels beside transparency, and PNG holds gray",
        ),
        (
            "tiff",
            np.zeros((4, 5), np.complex64),
            "the result is of complex64; files hold bool, uin",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_what_to_choose(
    tmp_path, format, image, sentence
):
    with pytest.raises(Rejected) as caught:
        formats.write(tmp_path / "out", image, format, header_like(image))
    assert str(caught.value).startswith("cat.png: the result ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bits_of_colour_in_a_png_are_kept(tmp_path, channels, orientation):
    image, path, exif = picture("uint16", 4, 5, channels), tmp_path / "deep.png", Image.Exif()
    exif[0x0112] = orientation
    turned = chunk(b"eXIf", exif.tobytes()[6:])
    path.write_bytes(png_of(image, 16, {2: 4, 3: 2, 4: 6}[channels], extra=turned))
    header, pixels = read(path)
    assert header.dtype == "uint16"
    np.testing.assert_array_equal(as_stored(pixels, orientation), image)


def test_16_bits_of_colour_in_an_interlaced_png_are_kept(tmp_path):
    image, path = picture("uint16", 20, 30, 3), tmp_path / "deep.png"
    starts = [(0, 0), (0, 4), (4, 0), (0, 2), (2, 0), (0, 1), (1, 0)]
    steps = [(8, 8), (8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1)]
    lines = [
        b"\0" + row.astype(">u2").tobytes()
        for (top, left), (down, across) in zip(starts, steps, strict=True)
        for row in image[top::down, left::across]
    ]
    head = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 1)
    pixels = chunk(b"IDAT", zlib.compress(b"".join(lines)))
    path.write_bytes(SIGNATURE + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b""))
    np.testing.assert_array_equal(read(path)[1], image)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits_becomes_alpha(tmp_path, channels):
    image, path = picture("uint16", 4, 5, channels), tmp_path / "deep.png"
    image[1:, 0] = image[0, 0]
    image[0, 1] = image[0, 0] ^ 1
    clear = chunk(b"tRNS", image[0, 0].astype(">u2").tobytes())
    path.write_bytes(png_of(image, 16, {1: 0, 3: 2}[channels], extra=clear))
    header, pixels = read(path)
    assert header.notes == ()
    np.testing.assert_array_equal(pixels[..., :-1], image)
    np.testing.assert_array_equal(pixels[..., -1] == 0, (image == image[0, 0]).all(axis=2))


def test_a_missing_file_is_not_refused_as_an_image(tmp_path):
    with pytest.raises(FileNotFoundError):
        formats.read_header(tmp_path / "none", "none", PIXELS_MAX)


def test_the_format_of_a_result_follows_from_its_name():
    assert formats.format_of("out.PNG") == "png"
    assert formats.format_of("a/b.tiff") == "tiff"
    assert formats.format_of("out.webp") == "webp"
    with pytest.raises(Rejected, match=r"out.xyz: .* use one of .jpg, .png, .webp, .tif"):
        formats.format_of("out.xyz")
