"""Ten real kinds of work, run as people run them: by `dip`, from file to file, on small images.

Each result is compared with what scikit-image gives for the same pixels. They run by
`make test-long PART=files`, since each starts an engine of its own. `python -m tests.real_work`
makes pictures of their files.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import skimage
import tifffile
from PIL import Image
from skimage import data, filters, morphology, transform

from cluster_worker.imagefiles import formats
from tests.cluster_worker.imagefiles.image_files import read
from tests.cluster_worker.imagefiles.test_dicom import dicom
from tests.cluster_worker.imagefiles.test_more_formats import HEIC_8
from tests.cluster_worker.imagefiles.test_slides import slide

pytestmark = pytest.mark.long

DIP = Path(sys.executable).with_name("dip")
RANDOM = np.random.default_rng(3)


def dip(*words):
    """Run the command, which must succeed; return its notes."""
    command = [str(DIP), *map(str, words), "--ranks", "1"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert found.returncode == 0, found.stderr
    return found.stderr


def planes(path):
    whole = formats.read_header(path, path.name, 10_000_000)
    for number in range(whole.planes):
        header = formats.read_header(path, path.name, 10_000_000, number)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        yield out


def close(pixels, expected, levels=1):
    """Check pixels that were rounded once, against those of scikit-image."""
    difference = np.abs(pixels.astype(float) - expected.astype(float))
    assert difference.max() <= levels
    assert pixels.shape == expected.shape


def test_a_slide_is_separated_into_its_stains(tmp_path):
    path, target = tmp_path / "tissue.svs", tmp_path / "stain.tif"
    slide(path, data.immunohistochemistry()[:256, :320], "zlib")
    dip("run", path, target, "isolate_stain")
    given = tifffile.imread(path, key=0)
    hed = skimage.color.rgb2hed(given)
    only = np.stack([hed[..., 0], np.zeros_like(hed[..., 0]), np.zeros_like(hed[..., 0])], axis=-1)
    close(read(target)[1], np.rint(skimage.color.hed2rgb(only) * 255))
    assert read(target)[0].image.pixel_size is not None or read(target)[0].resolution is not None


def test_the_background_of_cells_is_removed_in_all_slices_and_channels(tmp_path):
    path, target = tmp_path / "cells.ome.tif", tmp_path / "flat.ome.tif"
    light = np.add.outer(np.linspace(0, 2000, 96), np.linspace(300, 900, 128))
    cells = [
        filters.gaussian(
            data.binary_blobs(128, 0.05, volume_fraction=0.3, rng=number)[:96].astype(float), 1.5
        )
        * 2500
        for number in range(15)
    ]
    image = np.stack([light + each for each in cells]).reshape(5, 3, 96, 128).astype("uint16")
    unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm", "PhysicalSizeZUnit": "µm"}
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    names = {"Channel": {"Name": ["DAPI", "GFP", "RFP"]}}
    described = {"axes": "ZCYX", **sizes, **unit, **names}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=described)
    dip("run", path, target, "white_tophat radius=5")
    whole = formats.read_header(target, "flat.ome.tif", 10_000_000)
    assert (whole.stack.axes, whole.stack.shape) == ("zc", (5, 3))
    assert whole.stack.channels == ("DAPI", "GFP", "RFP")
    assert whole.stack.step == pytest.approx(2e-6)
    assert whole.image.pixel_size == pytest.approx((0.5e-6, 0.5e-6))
    footprint = morphology.disk(5)
    for pixels, given in zip(planes(target), image.reshape(15, 96, 128), strict=True):
        np.testing.assert_array_equal(pixels, morphology.white_tophat(given, footprint))


def test_thirteen_bands_of_a_satellite_are_smoothed_in_their_place(tmp_path):
    path, target = tmp_path / "bands.tif", tmp_path / "smooth.tif"
    colours = data.rocket()[:300, :400].astype(float)
    mixed = colours @ RANDOM.random((3, 10)) / 2
    image = np.concatenate([colours, mixed], axis=2) * 30 + RANDOM.normal(0, 400, (300, 400, 13))
    image = np.clip(image, 0, 10_000).astype("uint16")
    keys = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632)
    tags = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 600_000.0, 5_000_000.0, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    options = {"photometric": "minisblack", "planarconfig": "contig", "tile": (16, 16)}
    tifffile.imwrite(path, image, metadata=None, extratags=tags, **options)
    dip("run", path, target, "median", "--layout", "cog", "--compression", "zstd")
    with tifffile.TiffFile(target) as file:
        # The largest picture is last, and the smaller copy has a directory of its own.
        large, small = file.pages
        assert (large.offset, small.is_reduced, small.imagewidth) == (8, True, 200)
        assert min(large.dataoffsets) > max(small.dataoffsets) > small.offset
        page = large
        assert page.tags[33550].value == (10.0, 10.0, 0.0)
        assert page.tags[33922].value[3:5] == (600_000.0, 5_000_000.0)
        assert tuple(page.tags[34735].value) == keys
        result = page.asarray()
    footprint = np.ones((3, 3))
    for band in range(13):
        expected = filters.median(image[..., band], footprint)
        np.testing.assert_array_equal(result[1:-1, 1:-1, band], expected[1:-1, 1:-1])


def test_a_model_of_heights_is_smoothed_without_its_holes(tmp_path):
    path, target = tmp_path / "heights.tif", tmp_path / "smooth.tif"
    hills = filters.gaussian(RANDOM.normal(size=(120, 160)), 12) * 9000
    image = (hills + RANDOM.normal(0, 25, hills.shape)).astype("int16")
    hole = np.zeros(image.shape, bool)
    hole[30:50, 60:90] = True
    image[hole] = -9999
    tags = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(path, image, photometric="minisblack", metadata=None, extratags=tags)
    dip("run", path, target, "gaussian sigma=2")
    header, pixels = read(target)
    assert (header.dtype, header.image.nodata) == ("int16", -9999)
    assert (pixels[hole] == -9999).all()
    there = (~hole).astype(float)
    sums = filters.gaussian(np.where(hole, 0.0, image), 2, preserve_range=True)
    close(pixels[~hole], sums[~hole] / filters.gaussian(there, 2)[~hole])


def test_a_fax_is_cleaned_and_stays_a_page_of_1_bit(tmp_path):
    path, target = tmp_path / "fax.tif", tmp_path / "clean.tif"
    page = data.page() > 120
    page[RANDOM.random(page.shape) > 0.99] = False
    Image.fromarray(page).save(path, compression="group4")
    dip("run", path, target, "remove_small_holes max_size=6 connectivity=2")
    with tifffile.TiffFile(target) as file:
        assert file.pages.first.compression.name == "CCITTFAX4"
    assert target.stat().st_size < path.stat().st_size
    header, pixels = read(target)
    assert (header.dtype, header.image.kind) == ("bool", "mask")
    expected = morphology.remove_small_holes(page, max_size=6, connectivity=2)
    np.testing.assert_array_equal(pixels, expected)


def test_a_picture_for_print_becomes_one_for_a_screen(tmp_path):
    path, target = tmp_path / "print.jpg", tmp_path / "screen.png"
    Image.fromarray(data.astronaut()[:128, :160]).convert("CMYK").save(path, quality=95)
    said = dip("run", path, target, "unsharp_mask radius=2")
    assert "CMYK was converted to RGB" in said
    with Image.open(path) as file:
        given = np.asarray(file.convert("RGB"))
    expected = filters.unsharp_mask(given, radius=2, channel_axis=2)
    close(read(target)[1], np.rint(expected * 255))


def test_a_picture_of_a_phone_becomes_a_jpeg_with_its_exif(tmp_path):
    path, target = tmp_path / "phone.heic", tmp_path / "phone.jpg"
    path.write_bytes(HEIC_8)
    dip("run", path, target, "gaussian sigma=1")
    given = read(path)[1]
    with Image.open(target) as file:
        assert file.getexif()[0x0110] == "A phone"
        assert file.size == (48, 64)
        expected = filters.gaussian(given, 1, channel_axis=2) * 255
        assert np.abs(np.asarray(file) - expected).mean() < 2


def test_an_animation_is_resized_and_still_moves(tmp_path):
    path, target = tmp_path / "cat.gif", tmp_path / "small.gif"
    coins = data.coins()[:96:2, :128:2]
    image = np.stack([np.roll(coins, 8 * number, axis=1) for number in range(4)])
    frames = [Image.fromarray(each) for each in image]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, loop=0)
    dip("run", path, target, "resize rows=24 columns=32 order=0 anti_aliasing=false")
    whole = formats.read_header(target, "small.gif", 10_000_000)
    assert whole.stack.milliseconds == (80,) * 4
    for pixels, given in zip(planes(target), planes(path), strict=True):
        expected = transform.resize(
            given, (24, 32), order=0, anti_aliasing=False, preserve_range=True
        )
        np.testing.assert_array_equal(pixels, expected)


def test_an_x_ray_of_12_bits_keeps_its_numbers(tmp_path):
    path, target = tmp_path / "ct.dcm", tmp_path / "ct.tif"
    image = skimage.util.img_as_float(data.shepp_logan_phantom()[::3, ::3])
    image = np.clip(image * 3500 + RANDOM.normal(0, 150, image.shape), 0, 4095).astype("uint16")
    scale = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}
    dicom(path, image, BitsStored=12, PixelSpacing=[0.5, 0.5], **scale)
    said = dip("run", path, target, "median")
    assert "rescaled to HU" in said
    assert "patient" in said
    found = pydicom.dcmread(path)
    given = pydicom.pixels.apply_rescale(found.pixel_array, found).astype("int16")
    header, pixels = read(target)
    assert header.dtype == "int16"
    expected = filters.median(given, np.ones((3, 3)))
    np.testing.assert_array_equal(pixels[1:-1, 1:-1], expected[1:-1, 1:-1])


def test_a_mask_of_classes_keeps_its_numbers_and_its_colours(tmp_path):
    path, target = tmp_path / "classes.png", tmp_path / "turned.png"
    image = (data.coins()[:192:2, :256:2] // 52).astype("uint8")
    picture = Image.fromarray(image)
    table = RANDOM.integers(0, 256, (5, 3)).astype("uint8")
    picture.putpalette(table.tobytes())
    picture.save(path)
    dip("run", path, target, "rot90")
    with Image.open(target) as file:
        assert file.mode == "P"
        np.testing.assert_array_equal(np.asarray(file), np.rot90(image))
        kept = np.array(file.getpalette()).reshape(-1, 3)[:5]
    np.testing.assert_array_equal(kept, table)
