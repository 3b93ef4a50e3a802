"""Files of many kinds are read as the reference reads them, whole and by windows, bit for bit.

Container × compression × depth × colour × layout; the references are tifffile and Pillow.
"""

import zlib
from itertools import product

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from cluster_worker.imagefiles import formats
from tests.cluster_worker.imagefiles.image_files import RANDOM, picture, read

ROWS, COLUMNS = 40, 56

# Lossless compressions, and the dtypes that each holds.
WHOLE = ("uint8", "uint16")
ALL = (
    *WHOLE,
    "int8",
    "int16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)
LOSSLESS = {
    None: ALL,
    "zlib": ALL,
    "lzw": ALL,
    "zstd": ALL,
    "lzma": ALL,
    "packbits": ("uint8", "int16", "float32"),
    "lerc": ("uint8", "uint16", "int16", "uint32", "float32", "float64"),
    "png": WHOLE,
    "jpeg2000": WHOLE,
    "jpegxl": WHOLE,
    "jpegxr": ("uint8",),
}
LOSSY = (("jpeg", "gray"), ("jpeg", "rgb"), ("webp", "rgb"))
COLOURS = {"gray": (), "rgb": (3,), "bands": (5,), "alpha": (4,)}


def check(path, expected):
    """Read a file whole and by windows."""
    header, pixels = read(path)
    assert pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)
    rows, columns = pixels.shape[:2]
    for left, right in ((0, 7), (columns // 2, columns)) if header.block else ():
        out = np.empty_like(pixels[3:, left:right])
        formats.read_window(path, header, 3, rows, left, right, out)
        np.testing.assert_array_equal(out, pixels[3:, left:right])
    return header


def options_of(colour, **options):
    if colour == "alpha":
        options["extrasamples"] = ["unassalpha"]
    photometric = "rgb" if colour in ("rgb", "alpha") else "minisblack"
    planar = {} if colour == "gray" else {"planarconfig": "contig"}
    return {"photometric": photometric, "metadata": None, **planar, **options}


TIFFS = [
    (compression, dtype, "gray") for compression, dtypes in LOSSLESS.items() for dtype in dtypes
]
TIFFS += [
    (compression, "uint8", colour)
    for compression, colour in product((None, "zlib", "lzw", "zstd"), ("rgb", "bands", "alpha"))
]
TIFFS += [(compression, "uint16", "rgb") for compression in ("zlib", "jpeg2000", "png", "jpegxl")]


@pytest.mark.parametrize(("compression", "dtype", "colour"), TIFFS)
def test_a_tiff_is_read_in_every_lossless_compression(tmp_path, compression, dtype, colour):
    image, path = picture(dtype, ROWS, COLUMNS, *COLOURS[colour]), tmp_path / "scan.tif"
    layout = {"rowsperstrip": 9} if compression in (None, "zlib") else {"tile": (16, 32)}
    tifffile.imwrite(path, image, compression=compression, **options_of(colour, **layout))
    header = check(path, tifffile.imread(path))
    np.testing.assert_array_equal(read(path)[1], image)
    assert header.has_alpha == (colour == "alpha")
    assert header.image.kind == {"bands": "bands", "rgb": "picture", "alpha": "picture"}.get(
        colour, header.image.kind
    )


@pytest.mark.parametrize(("compression", "colour"), LOSSY)
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_a_tiff_is_read_in_every_lossy_compression(tmp_path, compression, colour, tile):
    image, path = picture("uint8", 64, 64, *COLOURS[colour]), tmp_path / "scan.tif"
    tifffile.imwrite(path, image, compression=compression, tile=tile, **options_of(colour))
    check(path, tifffile.imread(path))


@pytest.mark.parametrize("predictor", [2, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_a_tiff_is_read_with_every_predictor(tmp_path, predictor, dtype):
    if (predictor == 3) != dtype.startswith("float"):
        predictor = 3 if dtype.startswith("float") else 2
    image, path = picture(dtype, ROWS, COLUMNS, 3), tmp_path / "scan.tif"
    kept = options_of("rgb", predictor=predictor, rowsperstrip=11)
    tifffile.imwrite(path, image, compression="zlib", byteorder=">", **kept)
    check(path, image)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_that_end_within_a_byte_keep_their_values_and_their_size(tmp_path, bits, channels):
    dtype, shape = "uint8" if bits < 8 else "uint16", (ROWS, 53) + (3,) * (channels == 3)
    image = RANDOM.integers(0, 1 << bits, shape).astype(dtype)
    path, out = tmp_path / "camera.tif", tmp_path / "out.tif"
    colour = "rgb" if channels == 3 else "gray"
    tifffile.imwrite(path, image, bitspersample=bits, **options_of(colour))
    header = check(path, image)
    assert header.bits == bits
    assert formats.write(out, image, "tiff", header) == ()
    with tifffile.TiffFile(out) as file:
        assert file.pages[0].bitspersample == bits
    check(out, image)


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("tiled", [False, True])
def test_what_is_read_is_written_again_in_its_type(tmp_path, dtype, tiled):
    image, path, out = picture(dtype, 300, 270), tmp_path / "in.tif", tmp_path / "out.tif"
    tifffile.imwrite(path, image, **options_of("gray"))
    header, pixels = read(path)
    if tiled:
        ranges = formats.encode_tiles(tmp_path / "spool", pixels, "tiff", "in.tif")
        pieces = [(tmp_path / "spool", *each) for each in ranges]
        formats.assemble(out, pieces, pixels.shape, dtype, "tiff", header)
    else:
        formats.write(out, pixels, "tiff", header)
    np.testing.assert_array_equal(tifffile.imread(out), image)
    check(out, image)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits"])
def test_a_fax_is_read_as_pillow_reads_it(tmp_path, compression):
    path = tmp_path / "fax.tif"
    # Libtiff calls the compressions so.
    Image.fromarray(picture("bool", ROWS, 64)).save(path, compression=compression)
    with Image.open(path) as expected:
        check(path, np.asarray(expected))


@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 7}])
@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
def test_planes_one_after_the_other_are_put_together(tmp_path, layout, compression):
    image, path = picture("uint16", 4, ROWS, COLUMNS), tmp_path / "planes.tif"
    tifffile.imwrite(
        path,
        image,
        photometric="minisblack",
        planarconfig="separate",
        metadata=None,
        compression=compression,
        **layout,
    )
    header = check(path, np.moveaxis(image, 0, -1))
    assert header.image.kind == "bands"


@pytest.mark.parametrize("nodata", [None, "0", "-9999", "77"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiles_that_are_left_out_hold_nodata(tmp_path, nodata, compression):
    image, path = picture("int16", 64, 96), tmp_path / "sparse.tif"
    parts = [image[:32, :32], None, None, image[32:, :32], None, image[32:, 64:]]
    tags = [(42113, "s", 0, nodata, True)] if nodata else []
    tifffile.imwrite(
        path,
        iter(parts),
        shape=image.shape,
        dtype=image.dtype,
        tile=(32, 32),
        compression=compression,
        extratags=tags,
        metadata=None,
    )
    expected = np.full_like(image, int(nodata or 0))
    expected[:32, :32], expected[32:, :32] = image[:32, :32], image[32:, :32]
    expected[32:, 64:] = image[32:, 64:]
    header = check(path, expected)
    assert header.image.nodata == (float(nodata) if nodata else None)


def test_cmyk_is_converted_to_rgb_and_that_is_said(tmp_path):
    inks = picture("uint8", ROWS, COLUMNS, 4)
    expected = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated", metadata=None)
    tifffile.imwrite(
        tmp_path / "b.tif", inks.astype(np.uint16) * 257, photometric="separated", metadata=None
    )
    for name in ("a.tif", "b.tif"):
        header = check(tmp_path / name, expected)
        assert header.notes == (
            "CMYK was converted to RGB by a formula, as the file has no colour profile for it",
        )
    Image.fromarray(inks, "CMYK").save(tmp_path / "c.jpg", quality=90)
    with Image.open(tmp_path / "c.jpg") as opened:
        check(tmp_path / "c.jpg", np.asarray(opened.convert("RGB")))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_lab_is_converted_to_srgb(tmp_path, dtype):
    path = tmp_path / "lab.tif"
    scale = 1 if dtype == "uint8" else 257
    samples = np.zeros((1, 3, 3), dtype)
    # Black, white, and a middle gray: lightness 0, 100 and 53.39.
    samples[0, :, 0] = np.array([0, 255, 136]) * scale
    tifffile.imwrite(path, samples, photometric="cielab", metadata=None)
    header, pixels = read(path)
    white = np.iinfo(dtype).max
    np.testing.assert_allclose(pixels[0] / white, [[0] * 3, [1] * 3, [0.5] * 3], atol=0.01)
    assert header.notes == ("Lab was converted to sRGB",)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_jpeg_is_read_in_every_depth(tmp_path, bits, channels):
    path = tmp_path / "camera.jpg"
    image = RANDOM.integers(0, 1 << bits, (ROWS, COLUMNS, *channels)).astype(
        "uint8" if bits == 8 else "uint16"
    )
    lossless = {"lossless": True} if bits == 16 else {}
    path.write_bytes(imagecodecs.jpeg8_encode(image, bitspersample=bits, **lossless))
    header = check(path, imagecodecs.jpeg8_decode(path.read_bytes()))
    assert header.bits == (12 if bits == 12 else 0)


@pytest.mark.parametrize("spare", [b"\0" * 40, b"spare bytes"])
def test_a_strip_with_bytes_to_spare_is_read_and_that_is_said(tmp_path, spare):
    image, path = picture("uint8", ROWS, COLUMNS), tmp_path / "long.tif"
    longer = zlib.compress(image.tobytes() + spare)
    tifffile.imwrite(
        path, iter([longer]), shape=image.shape, dtype="uint8", compression="zlib", metadata=None
    )
    header = formats.read_header(path, "long.tif", 10_000)
    out = np.empty(header.shape, header.dtype)
    notes = formats.read_pixels(path, header, out)
    np.testing.assert_array_equal(out, image)
    assert len(notes) == 1
