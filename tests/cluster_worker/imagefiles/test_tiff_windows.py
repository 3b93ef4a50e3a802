"""TIFF by windows: they equal the whole image cut, and tiles put together are the image."""

import os
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import tiff_windows, tiff_writing
from cluster_worker.imagefiles.formats import TILE, Header
from cluster_worker.pixels.header import header_of
from tests.cluster_worker.imagefiles.image_files import picture

PIXELS_MAX = 10_000_000
ROWS, COLUMNS = 1500, 1250
HALO = 40

# Borders of cores, apart from those of tiles and strips; the last core is a single pixel wide.
DOWN = (0, 350, 701, 1499, ROWS)
ACROSS = (0, 500, 1249, COLUMNS)


@pytest.fixture(autouse=True)
def few_pieces(monkeypatch):
    """Keep fewer pieces than these small files have."""
    monkeypatch.setattr(tiff_windows, "KEPT_BYTES_MAX", 4 << 20)


def smooth(dtype, *shape):
    """Return a picture that compresses well, in which neighbouring rows and columns differ."""
    ramps = np.add.outer(np.arange(shape[0]) * 7, np.arange(shape[1]) * 3)
    image = ramps[..., None] + np.arange(shape[2]) * 50 if len(shape) == 3 else ramps
    if dtype == "bool":
        return image % 19 < 9
    return image.astype(dtype) if dtype.startswith("float") else (image % 251).astype(dtype)


def whole(path):
    header = formats.read_header(path, path.name, PIXELS_MAX)
    out = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, out)
    return header, out


def window(path, header, top, bottom, left, right):
    out = np.empty((bottom - top, right - left, *header.shape[2:]), header.dtype)
    formats.read_window(path, header, top, bottom, left, right, out)
    return out


def check_windows(path):
    """Read each core with its halo as a window and compare it with the whole; return the header."""
    header, expected = whole(path)
    rows, columns = header.shape[:2]
    for (top, bottom), (left, right) in product(pairwise(DOWN), pairwise(ACROSS)):
        span = (
            max(top - HALO, 0),
            min(bottom + HALO, rows),
            max(left - HALO, 0),
            min(right + HALO, columns),
        )
        found = window(path, header, *span)
        np.testing.assert_array_equal(found, expected[span[0] : span[1], span[2] : span[3]])
    return header


LAYOUTS = {
    "tiles": ({"tile": (256, 512), "compression": "zlib"}, (256, 512)),
    "small tiles": ({"tile": (16, 16), "compression": "lzw"}, (16, 16)),
    "tiles as they are": ({"tile": (256, 256)}, (256, 256)),
    "strips": ({"rowsperstrip": 64, "compression": "zlib"}, (64, COLUMNS)),
    "differences": ({"rowsperstrip": 7, "compression": "lzw", "predictor": True}, (7, COLUMNS)),
    "zstd": ({"rowsperstrip": 300, "compression": "zstd"}, (300, COLUMNS)),
    "packbits": ({"rowsperstrip": 50, "compression": "packbits"}, (50, COLUMNS)),
    "one strip as it is": ({"rowsperstrip": ROWS}, (1, COLUMNS)),
    "strips as they are": ({"rowsperstrip": 17}, (1, COLUMNS)),
    "big-endian": ({"byteorder": ">", "compression": "zlib", "rowsperstrip": 99}, (99, COLUMNS)),
    "big-endian rows": ({"byteorder": ">"}, (1, COLUMNS)),
    "large": ({"bigtiff": True, "tile": (128, 128), "compression": "zlib"}, (128, 128)),
}


EVERY_KIND = ("tiles", "differences", "strips as they are", "big-endian", "big-endian rows")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "dtype", "channels"),
    [(layout, "uint8", (3,)) for layout in LAYOUTS]
    + [(layout, "uint16", ()) for layout in EVERY_KIND]
    + [(layout, "float32", ()) for layout in EVERY_KIND]
    + [(layout, "uint16", (4,)) for layout in EVERY_KIND[:3]],
)
def test_windows_are_the_whole_cut(tmp_path, layout, dtype, channels):
    options, block = LAYOUTS[layout]
    if dtype == "float32" and layout == "differences":
        options = {**options, "compression": "zlib"}
    path = tmp_path / "scan.tif"
    colour = "rgb" if channels else "minisblack"
    tifffile.imwrite(
        path, smooth(dtype, ROWS, COLUMNS, *channels), photometric=colour, metadata=None, **options
    )
    assert check_windows(path).block == block


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 100, "compression": "zlib"},
        {"tile": (256, 256), "compression": "lzw", "predictor": True},
        {},
        {"rowsperstrip": 11},
        {"byteorder": ">", "rowsperstrip": 11},
    ],
)
def test_windows_of_separate_planes_are_the_whole_cut(tmp_path, options):
    image, path = smooth("uint16", ROWS, COLUMNS, 3), tmp_path / "planes.tif"
    planes = np.moveaxis(image, -1, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **options)
    check_windows(path)
    np.testing.assert_array_equal(whole(path)[1], image)


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["zlib", None])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16"])
def test_windows_that_count_from_white_are_the_whole_cut(tmp_path, dtype, compression):
    image, path = smooth(dtype, ROWS, COLUMNS), tmp_path / "fax.tif"
    tifffile.imwrite(path, image, photometric="miniswhite", compression=compression)
    check_windows(path)


def palette_file(folder, indices, bits, colours, compression):
    """Write a TIFF with a palette of few colours, which tifffile does not write by itself."""
    path = folder / "map.tif"
    tifffile.imwrite(
        path,
        indices.astype(bool) if bits == 1 else indices,
        photometric="minisblack",
        compression=compression,
        rowsperstrip=100,
        bitspersample=bits,
        extratags=[(320, "H", colours.size, colours.ravel(), True)],
    )
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[262].overwrite(3)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bits", "compression"),
    [(1, None), (2, None), (4, None), (8, None), (1, "zlib"), (8, "zlib")],
)
def test_windows_of_a_palette_are_the_whole_cut(tmp_path, bits, compression):
    indices = smooth("uint8", ROWS, COLUMNS) & np.uint8(2**bits - 1)
    colours = np.arange(3 * 2**bits, dtype=np.uint16).reshape(3, -1) * 80
    path = palette_file(tmp_path, indices, bits, colours, compression)
    header = check_windows(path)
    assert header.shape == (ROWS, COLUMNS, 3)
    np.testing.assert_array_equal(whole(path)[1], (colours >> 8).astype(np.uint8).T[indices])


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["zlib", None])
def test_windows_of_colours_multiplied_by_alpha_are_the_whole_cut(tmp_path, compression):
    image, path = smooth("uint8", ROWS, COLUMNS, 4), tmp_path / "layer.tif"
    tifffile.imwrite(
        path, image, photometric="rgb", extrasamples=["assocalpha"], compression=compression
    )
    check_windows(path)


def test_a_file_of_another_program_is_read_by_windows(tmp_path):
    path = tmp_path / "libtiff.tif"
    Image.fromarray(smooth("uint8", ROWS, COLUMNS, 3)).save(path, compression="tiff_lzw")
    assert check_windows(path).block[1] == COLUMNS


def test_pieces_that_a_window_shares_with_the_last_are_not_decoded_again(tmp_path):
    image, path = smooth("uint8", 512, 512), tmp_path / "scan.tif"
    tifffile.imwrite(path, image, tile=(256, 256), compression="zlib")
    header, _ = whole(path)
    tiff_windows.forget()
    window(path, header, 0, 300, 0, 250)
    # Overwrite the pieces with zeros but keep the file's identity: only decoding would notice.
    before = path.stat()
    with tifffile.TiffFile(path) as file:
        spans = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts, strict=True))
    with path.open("r+b") as opened:
        for offset, size in (spans[0], spans[2]):
            opened.seek(offset)
            opened.write(bytes(size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    np.testing.assert_array_equal(window(path, header, 9, 500, 0, 300), image[9:500, :300])
    tiff_windows.forget()
    with pytest.raises(Rejected, match=r"scan.tif: the file is damaged"):
        window(path, header, 9, 500, 0, 300)


def test_a_file_that_replaced_another_is_read_anew(tmp_path):
    path = tmp_path / "scan.tif"
    for first in (1, 2):
        image = smooth("uint8", 300, 400) + np.uint8(first)
        tifffile.imwrite(tmp_path / "new", image, compression="zlib")
        (tmp_path / "new").replace(path)
        header, _ = whole(path)
        np.testing.assert_array_equal(window(path, header, 0, 9, 0, 9), image[:9, :9])


def test_no_more_pieces_are_kept_than_the_limit(tmp_path):
    path = tmp_path / "scan.tif"
    image = smooth("float32", ROWS, COLUMNS, 3)
    tifffile.imwrite(path, image, photometric="rgb", rowsperstrip=25, compression="zlib")
    header, _ = whole(path)
    assert header.pixels_bytes > tiff_windows.KEPT_BYTES_MAX
    for top in range(0, ROWS, 300):
        window(path, header, top, top + 300, 0, COLUMNS)
    found = path.stat()
    identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    kept = tiff_windows.pieces_of(path, 0, *identity)
    held = sum(piece.nbytes for piece in kept.kept.values())
    assert 0.9 * tiff_windows.KEPT_BYTES_MAX < held == kept.kept_bytes
    assert held <= tiff_windows.KEPT_BYTES_MAX


def test_no_file_stays_open_or_mapped(tmp_path):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, smooth("uint8", 300, 400), tile=(64, 64))
    header, _ = whole(path)
    window(path, header, 0, 9, 0, 9)
    opened = [each.resolve() for each in Path("/proc/self/fd").iterdir()]
    assert path not in opened
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_what_is_one_large_piece_has_no_block(tmp_path):
    path = tmp_path / "scan.tif"
    rows = (64 << 20) // 4096
    image = np.zeros((rows + 1, 4096), np.uint8)
    tifffile.imwrite(path, image[:rows], compression="zlib", rowsperstrip=rows + 1)
    assert formats.read_header(path, "a", 10**9).block == (rows, 4096)
    tifffile.imwrite(path, image, compression="zlib", rowsperstrip=rows + 1)
    assert formats.read_header(path, "a", 10**9).block is None
    tifffile.imwrite(path, image, rowsperstrip=rows + 1)
    assert formats.read_header(path, "a", 10**9).block == (1, 4096)


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp"])
def test_other_formats_have_no_block(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(picture("uint8", 20, 30, 3)).save(path)
    header, _ = whole(path)
    assert header.block is None
    with pytest.raises(ValueError, match="is not read by windows"):
        window(path, header, 0, 3, 0, 3)


def test_a_file_that_is_not_upright_has_no_block(tmp_path):
    path = tmp_path / "turned.tif"
    image = picture("uint8", 20, 30)
    tifffile.imwrite(path, image, extratags=[(274, "H", 1, 6, True)])
    assert whole(path)[0].block is None
    tifffile.imwrite(path, image, extratags=[(274, "H", 1, 1, True)])
    assert whole(path)[0].block == (1, 30)


@pytest.mark.parametrize(
    "span", [(-1, 3, 0, 3), (0, 21, 0, 3), (0, 3, 0, 31), (3, 3, 0, 3), (0, 3, 5, 4)]
)
def test_a_window_outside_the_image_is_a_fault_of_the_caller(tmp_path, span):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture("uint8", 20, 30))
    header, _ = whole(path)
    with pytest.raises(ValueError, match="window: must lie within 20 × 30 pixels"):
        formats.read_window(path, header, *span, np.empty((3, 3), np.uint8))
    with pytest.raises(ValueError, match="out: must be uint8 of shape"):
        formats.read_window(path, header, 0, 3, 0, 3, np.empty((3, 4), np.uint8))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", None])
def test_a_damaged_piece_is_refused_where_it_lies_and_nowhere_else(tmp_path, compression):
    image, path = picture("uint8", 512, 512), tmp_path / "scan.tif"
    tifffile.imwrite(path, image, tile=(256, 256), compression=compression)
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[3], file.pages[0].databytecounts[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = b"\xff" * size
    path.write_bytes(content)
    header = formats.read_header(path, "scan.tif", PIXELS_MAX)
    np.testing.assert_array_equal(window(path, header, 0, 512, 0, 256), image[:, :256])
    if compression is None:
        assert (window(path, header, 400, 512, 400, 512) == 255).all()
        return
    with pytest.raises(Rejected, match=r"^scan.tif: the file is damaged and cannot be read as TIF"):
        window(path, header, 0, 512, 200, 300)


@pytest.mark.parametrize("options", [{"tile": (64, 64), "compression": "zlib"}, {}])
def test_a_file_that_ends_too_early_is_refused_by_windows_too(tmp_path, options):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture("uint8", 300, 400), **options)
    header = formats.read_header(path, "scan.tif", PIXELS_MAX)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(Rejected, match=r"^scan.tif: the file ends too early"):
        window(path, header, 0, 9, 0, 9)


KINDS = [
    ("bool", (520, 700)),
    ("uint8", (520, 700)),
    ("uint8", (520, 700, 3)),
    ("uint8", (520, 700, 4)),
    ("uint16", (520, 700, 2)),
    ("uint16", (512, 512, 3)),
    ("uint32", (520, 700)),
    ("float32", (520, 700, 3)),
    ("float64", (520, 700)),
    ("uint8", (5, 7)),
    ("uint8", (1, 1, 1)),
    ("bool", (1, 600)),
]


def tiled(folder, image, header, block=(512, 256)):
    """Write an image by blocks, alternately into two spools as two ranks would, and assemble it."""
    rows, columns = image.shape[:2]
    down, across = -(-rows // TILE), -(-columns // TILE)
    ranges = {}
    for top, left in product(range(0, rows, block[0]), range(0, columns, block[1])):
        pixels = image[top : top + block[0], left : left + block[1]]
        spool = folder / f"spool-{left // block[1] % 2}"
        found = formats.encode_tiles(spool, pixels, "tiff", header.name, header.compression)
        tiles = product(
            range(top // TILE, top // TILE + -(-pixels.shape[0] // TILE)),
            range(left // TILE, left // TILE + -(-pixels.shape[1] // TILE)),
        )
        ranges |= {tile: (spool, *each) for tile, each in zip(tiles, found, strict=True)}
    pieces = [ranges[tile] for tile in product(range(down), range(across))]
    path = folder / "result.tif"
    dtype = str(image.dtype)
    return path, formats.assemble(path, pieces, image.shape, dtype, "tiff", header)


@pytest.mark.parametrize("compression", ["", "zstd"])
@pytest.mark.parametrize(("dtype", "shape"), KINDS)
def test_tiles_put_together_are_the_image(tmp_path, dtype, shape, compression):
    image = picture(dtype, *shape)
    original = Header("cat.tif", "tiff", header_of(shape, dtype), compression=compression)
    path, notes = tiled(tmp_path, image, original)
    assert notes == ()
    flat = image[..., 0] if shape[2:] == (1,) else image
    np.testing.assert_array_equal(tifffile.imread(path), flat)
    header, pixels = whole(path)
    assert header.dtype == dtype
    assert (header.block, header.compression) == ((TILE, TILE), compression)
    assert header.has_alpha == (shape[2:] in ((2,), (4,)))
    np.testing.assert_array_equal(pixels, flat)
    found = window(path, header, 0, shape[0], shape[1] // 2, shape[1])
    np.testing.assert_array_equal(found, flat[:, shape[1] // 2 :])


def test_another_program_reads_tiles_put_together(tmp_path):
    image = picture("uint8", 520, 700, 4)
    path, _ = tiled(tmp_path, image, Header("cat.tif", "tiff", header_of(image.shape, "uint8")))
    with Image.open(path) as found:
        np.testing.assert_array_equal(np.asarray(found), image)


def test_a_result_of_more_than_four_gigabytes_is_a_bigtiff(tmp_path, monkeypatch):
    image = picture("uint8", 520, 700)
    header = Header("cat.tif", "tiff", header_of(image.shape, "uint8"))
    path, _ = tiled(tmp_path, image, header)
    assert path.read_bytes()[2] == 42
    monkeypatch.setattr(tiff_writing, "CLASSIC_BYTES_MAX", 1000)
    path, _ = tiled(tmp_path, image, header)
    assert path.read_bytes()[2] == 43
    np.testing.assert_array_equal(whole(path)[1], image)


def test_many_gigapixels_of_nothing_are_put_together_from_one_tile(tmp_path):
    spool, path = tmp_path / "spool", tmp_path / "huge.tif"
    (byte_range,) = formats.encode_tiles(
        spool, np.zeros((TILE, TILE), np.uint8), "tiff", "huge.tif"
    )
    shape = (70_000, 70_000)
    header = Header("huge.tif", "tiff", header_of(shape, "uint8"))
    count = (-(-70_000 // TILE)) ** 2
    formats.assemble(path, [(spool, *byte_range)] * count, shape, "uint8", "tiff", header)
    found = formats.read_header(path, "huge.tif", 10**10)
    assert found.shape == shape
    assert not window(path, found, 69_000, 70_000, 69_000, 70_000).any()


def test_profile_and_resolution_are_carried_over_to_tiles(tmp_path):
    from tests.cluster_worker.imagefiles.test_formats import SRGB

    image = picture("uint8", 300, 300, 3)
    given = Header(
        "a", "png", header_of(image.shape, "uint8"), icc_profile=SRGB, resolution=(300.0, 150.0)
    )
    path, notes = tiled(tmp_path, image, given)
    header, _ = whole(path)
    assert notes == ()
    assert header.icc_profile == SRGB
    assert header.resolution == (300, 150)
    (tmp_path / "gray").mkdir()
    _, notes = tiled(tmp_path / "gray", image[..., 0], given)
    assert notes == ("colour profile dropped: it is for RGB, the result is gray",)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_formats_that_are_not_written_by_tiles_are_refused_with_what_to_choose(tmp_path, name):
    sentence = "cat: the result is too large to be written as .*; choose TIFF"
    with pytest.raises(Rejected, match=sentence):
        formats.encode_tiles(tmp_path / "spool", picture("uint8", 9, 9), name, "cat")
    header = Header("cat", "png", header_of((9, 9), "uint8"))
    with pytest.raises(Rejected, match=sentence):
        formats.assemble(tmp_path / "out", [], (9, 9), "uint8", name, header)


def test_a_tile_too_few_or_cut_short_is_a_fault_and_no_file_of_zeros(tmp_path):
    spool, header = tmp_path / "spool", Header("a", "tiff", header_of((300, 300), "uint8"))
    ranges = formats.encode_tiles(spool, picture("uint8", 300, 300), "tiff", "a")
    pieces = [(spool, *each) for each in ranges]
    with pytest.raises(ValueError, match=r"has 4 tiles, got 3"):
        formats.assemble(tmp_path / "out", pieces[:3], (300, 300), "uint8", "tiff", header)
    spool.write_bytes(spool.read_bytes()[:-1])
    with pytest.raises(EOFError, match="spool ends before the tile at"):
        formats.assemble(tmp_path / "out", pieces, (300, 300), "uint8", "tiff", header)
