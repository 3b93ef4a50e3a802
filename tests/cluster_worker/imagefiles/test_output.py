"""How results are written: compressions and layouts of TIFF, sizes in bytes, options of JPEG."""

import struct
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from skimage import data

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs import ome, tiff_writing
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.items import Item
from cluster_worker.imagefiles.output import Output, coding, is_coding, unfit
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.stack import Stack
from config.contract.writing import COMPRESSIONS, FORMATS, LAYOUTS, OPTIONS, fault
from tests.cluster_worker.imagefiles.image_files import picture, read

PHOTO = data.astronaut()[:330, :290]
IMAGES = {
    "rgb": PHOTO,
    "gray": PHOTO[..., 0],
    "deep": PHOTO[..., 0].astype("uint16") * 200,
    "float": PHOTO[..., 1].astype("float32") / 3,
    "signed": PHOTO[..., 1].astype("int32") * -7000,
    "mask": PHOTO[..., 0] > 100,
    "clear": np.dstack([PHOTO, PHOTO[..., 0]]),
    "bands": np.dstack([PHOTO, PHOTO])[..., :5],
}
# tifffile's names of the compressions.
NAMES = {"": "ADOBE_DEFLATE", "none": "NONE", "deflate": "ADOBE_DEFLATE", "lzw": "LZW"}
NAMES |= {"zstd": "ZSTD", "jpeg": "JPEG", "g4": "CCITTFAX4"}
# Largest mean difference of a sample in JPEG.
CLOSE = 3.0


def header_for(image, output, **fields):
    described = header_of(image.shape, image.dtype.name)
    return Header("cat", "tiff", described, output=output, compression=coding(output, ""), **fields)


def write(path, image, output, format="tiff", **fields):
    return formats.write(path, image, format, header_for(image, output, **fields))


@pytest.mark.parametrize("layout", ["", *LAYOUTS])
@pytest.mark.parametrize("name", IMAGES)
def test_a_tiff_of_any_compression_and_layout_is_read_by_us_and_by_others(tmp_path, name, layout):
    image = IMAGES[name]
    for compression in ("", *COMPRESSIONS):
        output = Output(compression=compression, layout=layout)
        if unfit(output, header_of(image.shape, image.dtype.name)):
            continue
        if fault("tiff", {"compression": compression, "layout": layout})[0]:
            continue
        path = tmp_path / "out.tif"
        assert write(path, image, output) == ()
        difference = np.abs(read(path)[1].astype(float) - image)
        assert difference.mean() <= CLOSE if compression == "jpeg" else not difference.any()
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            assert page.compression.name == NAMES[compression]
            assert page.is_tiled == (layout in ("tiles", "pyramid", "cog"))
            assert file.is_ome == (layout == "ome")
            given = page.asarray()
        white = page.photometric.name == "MINISWHITE"
        np.testing.assert_array_equal(~given if white else given, read(path)[1])
        if image.ndim == 2 or image.shape[2] < 5:
            with Image.open(path) as file:
                file.load()


def places(path):
    """Return offset, size, first and last byte of the tiles, and kind of each page in a file."""
    with tifffile.TiffFile(path) as file:
        file.pages.useframes = False
        return [
            (each.offset, each.shape, min(each.dataoffsets), max(each.dataoffsets), each.is_reduced)
            for each in file.pages
        ]


@pytest.mark.parametrize("big", [False, True])
def test_a_cog_has_its_directories_first_and_its_largest_picture_last(tmp_path, big, monkeypatch):
    if big:
        monkeypatch.setattr(tiff_writing, "CLASSIC_BYTES_MAX", 1000)
    path = tmp_path / "out.tif"
    image = np.tile(PHOTO, (3, 3, 1))
    write(path, image, Output(layout="cog"))
    found = places(path)
    assert path.read_bytes()[2] == (43 if big else 42)
    assert [shape[:2] for _, shape, *_ in found] == [(990, 870), (495, 435), (248, 218)]
    assert found[0][0] == (16 if big else 8)
    assert [reduced for *_, reduced in found] == [False, True, True]
    offsets = [offset for offset, *_ in found]
    assert offsets == sorted(offsets)
    assert all(first > offsets[-1] for _, _, first, _, _ in found)
    for larger, smaller in pairwise(found):
        assert larger[2] > smaller[3]
    np.testing.assert_array_equal(read(path)[1], image)


def test_a_cog_keeps_coordinates_and_the_value_of_pixels_without_data(tmp_path):
    path, image = tmp_path / "out.tif", IMAGES["deep"].copy()
    image[:100] = 0
    items = (
        Item("coordinates", "33550:12:3", struct.pack("<3d", 10, 10, 0)),
        Item("coordinates", "33922:12:6", struct.pack("<6d", 0, 0, 0, 600_000, 5_000_000, 0)),
    )
    header = header_for(image, Output(layout="cog"), items=items)
    header = replace(header, image=header.image._replace(nodata=0.0))
    formats.write(path, image, "tiff", header)
    with tifffile.TiffFile(path) as file:
        assert [each.tags[42113].value for each in file.pages] == ["0", "0"]
        assert file.pages.first.tags[33550].value == (10.0, 10.0, 0.0)
        small = file.pages[1].asarray()
    assert read(path)[0].image.nodata == 0
    # The border of what has data is not mixed with what has none.
    assert (small[:50] == 0).all()
    assert abs(float(small[50:].mean()) - image[100:].mean()) < 0.01 * image[100:].mean()


def test_smaller_copies_are_means_and_those_of_masks_have_two_values(tmp_path):
    path = tmp_path / "out.tif"
    write(path, IMAGES["gray"], Output(layout="pyramid"))
    with tifffile.TiffFile(path) as file:
        levels = file.series[0].levels
        assert [each.shape for each in levels] == [(330, 290), (165, 145)]
        given = IMAGES["gray"].reshape(165, 2, 145, 2).mean(axis=(1, 3))
        np.testing.assert_array_equal(levels[1].asarray(), np.rint(given))
    write(path, IMAGES["mask"], Output(layout="pyramid"))
    with tifffile.TiffFile(path) as file:
        small = file.series[0].levels[1].asarray()
    np.testing.assert_array_equal(small, IMAGES["mask"][::2, ::2])


def test_colours_of_smaller_copies_count_by_their_alpha(tmp_path):
    image = np.zeros((300, 300, 4), "uint8")
    image[:, ::2] = (250, 200, 30, 255)
    path = tmp_path / "out.tif"
    write(path, image, Output(layout="pyramid"))
    with tifffile.TiffFile(path) as file:
        small = file.series[0].levels[1].asarray()
    assert np.unique(small.reshape(-1, 4), axis=0).tolist() == [[250, 200, 30, 128]]


def test_an_ome_tiff_says_how_large_pixels_are_and_names_the_channels(tmp_path):
    path, image = tmp_path / "out.tif", IMAGES["deep"]
    header = header_for(image, Output(layout="ome"), resolution=(25_400.0, 12_700.0))
    stack = Stack("c", (2,), ("DAPI", "GFP"))
    writer = formats.FORMATS["tiff"].open_stack(path, stack, header)
    for _ in range(2):
        assert writer.add(image, header) == ()
    writer.close()
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert (file.series[0].axes, file.series[0].shape) == ("CYX", (2, *image.shape))
        found = ome.described(file.ome_metadata.encode())
    assert found.channels == ("DAPI", "GFP")
    assert found.pixel_size == pytest.approx((2e-6, 1e-6))


def test_what_an_ome_tiff_has_no_place_for_is_noted(tmp_path):
    image = IMAGES["gray"]
    items = (Item("text", "Description", b"a cat"), Item("imagej", "", b"ImageJ=1.54f\n"))
    notes = write(tmp_path / "out.tif", image, Output(layout="ome"), items=items)
    assert notes == (
        "description dropped: OME-XML stands in its place",
        "ImageJ metadata dropped: OME-XML stands in its place",
    )


def test_the_pages_of_a_stack_are_written_in_any_layout_and_compression(tmp_path):
    stack = Stack("p", (3,))
    for layout, compression in (("pyramid", "lzw"), ("tiles", "jpeg"), ("", "g4"), ("", "jpeg")):
        image = IMAGES["mask" if compression == "g4" else "gray"]
        path = tmp_path / "out.tif"
        header = header_for(image, Output(layout=layout, compression=compression))
        writer = formats.FORMATS["tiff"].open_stack(path, stack, header)
        for _ in range(3):
            writer.add(image, header)
        writer.close()
        whole = formats.read_header(path, "out.tif", 10_000_000)
        assert (whole.stack.axes, whole.planes) == ("p", 3)
        for number in range(3):
            each = formats.read_header(path, "out.tif", 10_000_000, number)
            out = np.empty(each.shape, each.dtype)
            formats.read_pixels(path, each, out)
            difference = np.abs(out.astype(float) - image)
            assert difference.mean() <= CLOSE if compression == "jpeg" else not difference.any()


def test_a_fax_stays_in_g4_and_its_result_is_no_larger(tmp_path):
    page = data.page() > 120
    fax, result = tmp_path / "fax.tif", tmp_path / "out.tif"
    Image.fromarray(page).save(fax, compression="group3")
    header, pixels = read(fax)
    assert header.compression == "g4"
    formats.write(result, pixels, "tiff", header)
    with tifffile.TiffFile(result) as file:
        assert file.pages.first.compression.name == "CCITTFAX4"
    assert result.stat().st_size < fax.stat().st_size
    np.testing.assert_array_equal(read(result)[1], page)


def test_a_progressive_jpeg_stays_so_unless_it_is_large(tmp_path, monkeypatch):
    path, out = tmp_path / "in.jpg", tmp_path / "out.jpg"
    for progressive in (False, True):
        Image.fromarray(picture("uint8", 40, 50, 3)).save(path, progressive=progressive)
        header, pixels = read(path)
        assert formats.write(out, pixels, "jpeg", header) == ()
        with Image.open(out) as file:
            assert bool(file.info.get("progressive")) == progressive
    monkeypatch.setattr("cluster_worker.imagefiles.codecs.jpeg.PROGRESSIVE_PIXELS_MAX", 1999)
    (note,) = formats.write(out, pixels, "jpeg", header)
    assert note.startswith("written from top to bottom: ")
    with Image.open(out) as file:
        assert not file.info.get("progressive")


def test_a_jpeg_has_the_subsampling_that_was_chosen_and_may_be_progressive(tmp_path):
    path = tmp_path / "out.jpg"
    for subsampling, number in (("444", 0), ("422", 1), ("420", 2)):
        for progressive in (False, True):
            output = Output(subsampling=subsampling, progressive=progressive, quality=90)
            items = (Item("comment", "", b"a cat"),)
            assert write(path, PHOTO, output, "jpeg", items=items) == ()
            with Image.open(path) as file:
                assert get_sampling(file) == number
                assert bool(file.info.get("progressive")) == progressive
                assert file.info["comment"] == b"a cat"
                assert np.abs(np.asarray(file).astype(float) - PHOTO).mean() < CLOSE


def test_an_avif_has_the_subsampling_that_was_chosen(tmp_path):
    sizes = []
    for subsampling in ("444", "420"):
        path = tmp_path / f"{subsampling}.avif"
        assert write(path, PHOTO, Output(subsampling=subsampling), "avif") == ()
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "jpegxl"])
def test_a_size_is_kept_to_by_the_best_quality(tmp_path, format):
    path = tmp_path / "out"
    output = Output(bytes_max=9000)
    (note,) = write(path, PHOTO, output, format)
    size = path.stat().st_size
    assert size <= 9000
    quality = int(note.removeprefix("written in quality ").partition(":")[0])
    assert note.endswith(f"{size:,} bytes, at most 9,000 were chosen")
    write(path, PHOTO, Output(quality=quality), format)
    assert path.stat().st_size == size
    write(path, PHOTO, Output(quality=quality + 1), format)
    assert path.stat().st_size > 9000


def test_a_picture_that_is_small_enough_is_written_as_usual(tmp_path):
    usual, path = tmp_path / "usual.jpg", tmp_path / "out.jpg"
    write(usual, PHOTO, Output(), "jpeg")
    assert write(path, PHOTO, Output(bytes_max=10_000_000), "jpeg") == ()
    assert path.read_bytes() == usual.read_bytes()


def test_a_size_that_no_quality_reaches_is_refused(tmp_path):
    with pytest.raises(Rejected) as caught:
        write(tmp_path / "out.jpg", PHOTO, Output(bytes_max=500), "jpeg")
    said = str(caught.value)
    assert said.startswith("cat: the result has ")
    assert said.endswith(
        "bytes in quality 1, more than the 500 of bytes_max; make it smaller by resize, or allow "
        "more bytes"
    )


def test_a_format_without_loss_says_that_it_is_larger(tmp_path):
    (note,) = write(tmp_path / "out.png", PHOTO, Output(bytes_max=500), "png")
    assert note.startswith("PNG is written without loss: ")


@pytest.mark.parametrize("format", ["webp", "jpegxl"])
def test_a_mask_that_is_larger_is_written_without_loss_and_says_so(tmp_path, format):
    path = tmp_path / "out"
    (note,) = write(path, IMAGES["mask"], Output(bytes_max=50), format)
    assert "is written without loss: " in note
    # WebP has no gray.
    found = read(path)[1].reshape(330, 290, -1)[..., 0]
    assert np.array_equal(found > 0, IMAGES["mask"])


def test_the_options_are_those_that_the_contract_declares():
    assert set(OPTIONS) == set(FORMATS) == set(Output._fields) - {"quality"}
    assert all(is_coding(coding(Output(compression=each), "")) for each in COMPRESSIONS)
    assert not any(map(is_coding, ("jpeg:0:444", "jpeg:101:444", "jpeg:90:411", "gzip")))


@pytest.mark.parametrize(
    ("format", "options", "sentence"),
    [
        ("png", {"compression": "lzw"}, "compression: is for tiff, and results are png; leave it"),
        ("jpeg", {"layout": "cog"}, "layout: is for tiff, and results are jpeg; leave it out"),
        ("webp", {"progressive": True}, "progressive: is for jpeg, and results are webp; leave"),
        (
            "png",
            {"bytes_max": 900},
            "bytes_max: is for jpeg, webp, avif and jpegxl, and results",
        ),
        ("tiff", {"subsampling": "420"}, "subsampling: is for TIFF with compression jpeg; choose"),
        ("tiff", {"compression": "g4", "layout": "cog"}, "compression: g4 is written in strips,"),
        ("same", {"bytes_max": 900, "quality": 9}, "bytes_max: searches the quality, and quality"),
        ("same", {"compression": "lzw", "progressive": True, "layout": "cog"}, ""),
        ("tiff", {"compression": "jpeg", "subsampling": "420", "layout": "cog"}, ""),
    ],
)
def test_options_that_do_not_go_together_are_named(format, options, sentence):
    name, why = fault(format, options)
    assert f"{name}: {why}".startswith(sentence or ": ")


@pytest.mark.parametrize(
    ("name", "compression", "sentence"),
    [
        ("gray", "g4", "g4 holds masks of 1 bit, and the result is a picture of uint8; choose"),
        ("mask", "jpeg", "jpeg changes values, and the result is a mask; choose g4 or deflate"),
        (
            "deep",
            "jpeg",
            "jpeg holds gray or RGB of 8 bits, and the result has 1 channel of uint16",
        ),
        (
            "clear",
            "jpeg",
            "jpeg holds gray or RGB of 8 bits, and the result has 3 channels and tra",
        ),
        (
            "bands",
            "jpeg",
            "jpeg holds gray or RGB of 8 bits, and the result has 5 channels of uint",
        ),
        ("mask", "g4", ""),
        ("rgb", "jpeg", ""),
    ],
)
def test_a_compression_says_what_it_cannot_hold(name, compression, sentence):
    image = IMAGES[name]
    described = header_of(image.shape, image.dtype.name)
    why = unfit(Output(compression=compression), described)
    assert why.startswith(sentence)
    assert bool(why) == bool(sentence)


def test_a_jpeg_of_a_jpeg_keeps_its_tables_within_a_size(tmp_path):
    buffer = BytesIO()
    Image.fromarray(PHOTO).save(buffer, "JPEG", quality=70, subsampling=2)
    source, path = tmp_path / "in.jpg", tmp_path / "out.jpg"
    source.write_bytes(buffer.getvalue())
    header, pixels = read(source)
    header = replace(header, output=Output(bytes_max=3 * source.stat().st_size))
    assert formats.write(path, pixels, "jpeg", header) == ()
    with Image.open(path) as file, Image.open(source) as given:
        assert file.quantization == given.quantization
        assert get_sampling(file) == get_sampling(given) == 2
