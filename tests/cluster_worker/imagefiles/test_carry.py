"""What a file carries besides its pixels is kept where it is still true, or named in a note."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.carry import Outcome, carried
from cluster_worker.imagefiles.codecs import exif, tiff_items
from cluster_worker.imagefiles.codecs.items import Item
from cluster_worker.imagefiles.codecs.tiff_colours import divide_by_alpha, white_of
from cluster_worker.imagefiles.output import Output
from cluster_worker.pixels.placement import Placement
from tests import carried_items
from tests.cluster_worker.imagefiles.image_files import picture, read


def test_the_table_in_the_documents_is_what_files_hold(tmp_path):
    made = carried_items.page(tmp_path)
    assert carried_items.PAGE.read_text() == made, "run: python -m tests.carried_items"


def camera_exif():
    """EXIF data as a camera writes it: turned, with a thumbnail and notes of its own."""
    found = Image.Exif()
    found[0x0112], found[0x010F], found[0x8298] = 6, "Maker", "(c) somebody"
    camera = found.get_ifd(0x8769)
    camera[0x9003], camera[0xA002], camera[0xA003] = "2026:01:02 03:04:05", 24, 16
    camera[0x927C] = b"notes of the maker"
    found.get_ifd(0x8825)[1] = "N"
    return found.tobytes()


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp"])
def test_exif_data_stays_but_for_orientation_size_and_thumbnail(tmp_path, name):
    path, out = tmp_path / name, tmp_path / "out"
    Image.fromarray(picture("uint8", 16, 24, 3)).save(path, exif=camera_exif())
    header, pixels = read(path)
    assert header.orientation == 6
    assert formats.write(out, pixels[:10], header.format, header) == ()
    with Image.open(out) as opened:
        found = opened.getexif()
    assert found[0x0112] == 1
    assert found[0x8298] == "(c) somebody"
    camera = found.get_ifd(0x8769)
    assert camera[0x9003] == "2026:01:02 03:04:05"
    assert (camera[0xA002], camera[0xA003]) == (16, 10)
    assert camera[0x927C] == b"notes of the maker"
    assert found.get_ifd(0x8825)[1] == "N"


def test_a_thumbnail_is_removed_with_its_bytes():
    block = camera_exif().removeprefix(b"Exif\0\0")
    start = len(block) + 18 + 4 + 12
    directory = struct.pack(">H", 2) + struct.pack(">HHII", 0x0201, 4, 1, start)
    directory += struct.pack(">HHII", 0x0202, 4, 1, 9) + bytes(4)
    (first,) = struct.unpack_from(">I", block, 4)
    (count,) = struct.unpack_from(">H", block, first)
    next_directory = first + 2 + 12 * count
    block = block[:next_directory] + struct.pack(">I", len(block)) + block[next_directory + 4 :]
    block = (block + directory).ljust(start, b"\0") + b"thumbnail"
    found = exif.adapted(block, (16, 24), None, {})
    assert b"thumbnail" not in found
    assert exif.first_directory(found)[1] == 0


def test_exif_data_goes_into_a_tiff_and_out_of_it_again(tmp_path):
    photo, scan, back = tmp_path / "cat.jpg", tmp_path / "cat.tif", tmp_path / "back.jpg"
    Image.fromarray(picture("uint8", 16, 24, 3)).save(photo, exif=camera_exif())
    header, pixels = read(photo)
    assert formats.write(scan, pixels, "tiff", header) == ()
    with tifffile.TiffFile(scan) as file:
        tags = file.pages[0].tags
        assert tags["ExifTag"].value["DateTimeOriginal"] == "2026:01:02 03:04:05"
        assert tags["Copyright"].value == "(c) somebody"
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
    header, again = read(scan)
    np.testing.assert_array_equal(again, pixels)
    formats.write(back, again, "jpeg", header)
    with Image.open(back) as opened:
        found = opened.getexif()
    assert found.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    assert found[0x8298] == "(c) somebody"


GEOGRAPHIC = [
    (33550, "d", 3, (30.0, 20.0, 0.0), True),
    (33922, "d", 6, (0, 0, 0, 1000.0, 5000.0, 0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
]
PLACEMENTS = {
    "crop": Placement(x0=7, y0=3),
    "half": Placement(xx=2, yy=2),
    "mirrored": Placement(xx=-1, x0=24),
    "turned": Placement(xx=0, xy=-1, x0=24, yx=1, yy=0),
}


def world(path, column, row):
    """Return the coordinates of a place in a GeoTIFF."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        if 34264 in tags:
            matrix = np.reshape(tags[34264].value, (4, 4))
            return tuple((matrix @ (column, row, 0, 1))[:2])
        across, down, _ = tags[33550].value
        i, j, _, x, y, _ = tags[33922].value
        return x + (column - i) * across, y - (row - j) * down


@pytest.mark.parametrize("name", PLACEMENTS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_coordinates_move_along_with_the_pixels(tmp_path, name, orientation):
    path, out = tmp_path / "map.tif", tmp_path / "out.tif"
    turned = [(274, "H", 1, orientation, True)] if orientation > 1 else []
    tags = GEOGRAPHIC + turned
    tifffile.imwrite(path, picture("uint8", 16, 24), extratags=tags, metadata=None)
    header, pixels = read(path)
    placement = PLACEMENTS[name]
    outcome = Outcome(header.image, header.resolution, placement, values_kept=True)
    result, notes = carried(header, outcome)
    assert notes == ()
    formats.write(out, pixels, "tiff", result)
    stored = {1: Placement(), 3: Placement(-1, 0, 24, 0, -1, 16), 6: Placement(0, 1, 0, -1, 0, 16)}
    for column, row in ((0, 0), (5, 2), (1.5, 9)):
        place = stored[orientation].of(*placement.of(column, row))
        assert world(out, column, row) == pytest.approx(world(path, *place))
    with tifffile.TiffFile(out) as file:
        assert file.pages[0].tags[34735].value[-1] == 32633


def test_coordinates_are_dropped_where_pixels_are_warped_and_that_is_said(tmp_path):
    path = tmp_path / "map.tif"
    tifffile.imwrite(path, picture("uint8", 16, 24), extratags=GEOGRAPHIC, metadata=None)
    header, _ = read(path)
    result, notes = carried(header, Outcome(header.image, None, None, values_kept=False))
    assert {each.name for each in result.items} == {"text"}
    assert notes[0].startswith("coordinates and reference system dropped: the pixels do not lie")


def test_metadata_is_stripped_but_for_what_a_picture_needs():
    header = carried_items.original("png", (16, 24, 3))
    outcome = Outcome(header.image, header.resolution, Placement(), values_kept=True)
    result, notes = carried(header, outcome, "strip")
    assert {each.name for each in result.items} == {"gamma", "cicp", "sbit"}
    assert result.icc_profile == header.icc_profile
    assert result.resolution is None
    assert notes == ()


def test_names_of_channels_and_sizes_are_read_from_ome_xml_and_written_again(tmp_path):
    path, out = tmp_path / "cells.ome.tif", tmp_path / "out.tif"
    said = {
        "axes": "YXS",
        "PhysicalSizeX": 0.325,
        "PhysicalSizeY": 0.65,
        "Channel": {"Name": "DAPI"},
    }
    tifffile.imwrite(path, picture("uint8", 30, 40, 3), photometric="rgb", metadata=said)
    header, pixels = read(path)
    assert header.image.pixel_size == pytest.approx((0.65e-6, 0.325e-6))
    half = replace(header, image=header.image._replace(pixel_size=(1.3e-6, 0.65e-6)))
    assert formats.write(out, np.ascontiguousarray(pixels[::2, ::2]), "tiff", half) == ()
    with tifffile.TiffFile(out) as file:
        found = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        assert file.series[0].shape == (15, 20, 3)
    assert (found["SizeX"], found["SizeY"]) == (20, 15)
    assert found["PhysicalSizeX"] == pytest.approx(0.65)
    assert found["Channel"]["Name"] == "DAPI"


def test_texts_without_a_field_are_named(tmp_path):
    header = carried_items.original("png", (16, 24, 3))
    plain = header.image._replace(nodata=None)
    more = replace(header, image=plain, items=(Item("text", "Disclaimer", b"none"),))
    notes = formats.write(tmp_path / "out", picture("uint8", 16, 24, 3), "webp", more)
    assert notes == ("text dropped: no field for Disclaimer",)


def test_colours_of_12_bits_are_divided_by_an_alpha_of_12_bits():
    white = float(white_of("uint16", 12))
    assert white == 4095
    colours = np.array([[[2000, 1000, 0]], [[1000, 500, 0]]], np.uint16)
    alpha = np.array([[[4095]], [[2048]]], np.uint16)
    divide_by_alpha(colours, alpha, white)
    np.testing.assert_array_equal(colours[:, 0], [[2000, 1000, 0], [2000, 1000, 0]])


def test_sizes_in_xmp_are_those_of_the_result_and_gdal_s_scale_goes_with_its_values():
    header = carried_items.original("tiff", (16, 24))
    size = b'<d tiff:ImageWidth="24" tiff:ImageLength="16"><exif:PixelXDimension>24</d>'
    scale = b'<Item name="SCALE" sample="0" role="scale">0.1</Item><Item name="A">1</Item>'
    items = Item("xmp", "", size), Item("gdal", "", scale)
    header = replace(header, items=items, image=header.image._replace(nodata=None))
    image = header.image._replace(shape=(5, 7))
    result, notes = carried(header, Outcome(image, None, Placement(), values_kept=False))
    assert notes == ("scale and offset of GDAL dropped: values count in other units",)
    right = b'<d tiff:ImageWidth="7" tiff:ImageLength="5"><exif:PixelXDimension>7</d>'
    assert {each.value for each in result.items} == {right, b'<Item name="A">1</Item>'}


@pytest.mark.parametrize(("dtype", "kept"), [("uint8", True), ("uint16", False)])
def test_scale_and_offset_of_gdal_stay_while_values_count_in_the_same_units(dtype, kept):
    scale = b'<Item name="OFFSET" sample="0" role="offset">273</Item>'
    statistics = b'<Item name="STATISTICS_MEAN">12</Item>'
    header = carried_items.original("tiff", (16, 24))
    header = replace(header, items=(Item("gdal", "", scale + statistics),))
    image = header.image._replace(nodata=None, dtype=dtype)
    outcome = Outcome(image, None, Placement(), values_kept=False, units_kept=True)
    result, _ = carried(header, outcome)
    assert [each.value for each in result.items] == [scale if kept else b""]


def test_a_unit_of_imagej_without_its_scale_is_dropped(tmp_path):
    described = Item("imagej", "", b"ImageJ=1.54f\nunit=km\n")
    header = replace(carried_items.original("tiff", (16, 24)), items=(described,), resolution=None)
    notes = formats.write(tmp_path / "out.tif", picture("uint8", 16, 24), "tiff", header)
    assert "ImageJ's unit km dropped: no scale is kept" in notes
    assert b"unit=" not in (tmp_path / "out.tif").read_bytes()


def test_directories_of_a_bigtiff_have_offsets_of_64_bits(tmp_path):
    path = tmp_path / "big.tif"
    header = carried_items.original("tiff", (16, 24))
    found = tiff_items.exif_directories(header)
    assert found
    tags = [(tiff_items.STAND_INS[code], 4, 1, 0, True) for code in found]
    tifffile.imwrite(path, picture("uint8", 16, 24), bigtiff=True, metadata=None, extratags=tags)
    tiff_items.append_directories(path, header, (16, 24))
    with tifffile.TiffFile(path) as file:
        assert all(int(file.pages[0].tags[code].dtype) == 16 for code in found)
    assert "exif" in {each.name for each in read(path)[0].items}


@pytest.mark.parametrize("layout", ["tiles", "pyramid", "cog", "ome"])
@pytest.mark.parametrize("placement", [Placement(), Placement(2, 0, 1, 0, 2, 3)])
def test_a_tiff_keeps_the_same_in_every_layout(tmp_path, layout, placement):
    kept = {}
    for each in ("", layout):
        header = carried_items.original("tiff", (520, 300, 3))
        # A file has one description; OME-XML takes its place.
        one = [item for item in header.items if item.name not in ("imagej", "ome", "text")]
        header = replace(header, items=tuple(one), output=Output(layout=each))
        result, _ = carried(
            header, Outcome(header.image, (300.0, 300.0), placement, False, holes_kept=True)
        )
        path = tmp_path / "out.tif"
        formats.write(path, picture("uint8", 520, 300, 3), "tiff", result)
        found, _ = read(path)
        items = {item for item in found.items if item.name != "ome"}
        kept[each] = items, found.icc_profile, found.image.nodata, found.resolution
    assert {item.name for item in kept[""][0]} == {"exif", "xmp", "iptc", "coordinates", "gdal"}
    assert kept[layout] == kept[""]
