"""Stacks in files: read by us, they are what the library that wrote them reads."""

import numpy as np
import pytest
import tifffile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats

PIXELS_MAX = 1 << 24
rng = np.random.default_rng(3)


def planes_in(path):
    """Return the stack and the pixels of all planes of a file."""
    whole = formats.read_header(path, path.name, PIXELS_MAX)
    found = []
    for plane in range(whole.stack.planes if whole.stack else 1):
        header = formats.read_header(path, path.name, PIXELS_MAX, plane)
        pixels = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, pixels)
        if header.block:
            rows, columns = header.shape[:2]
            window = np.empty((rows - 3, columns - 5, *header.shape[2:]), header.dtype)
            formats.read_window(path, header, 3, rows, 5, columns, window)
            np.testing.assert_array_equal(window, pixels[3:, 5:])
        found.append(pixels)
    return whole.stack, found


def cases(way):
    """Return dtype, compression and further options of the stacks that are written in one way."""
    dtypes = ["uint8", "uint16", "float32", "int16"] + ["bool", "int32"] * (way != "imagej")
    # One page holds all planes only without compression.
    for compression in (None, "zlib", "zstd")[: 1 if way == "truncated" else 3]:
        for dtype in dtypes:
            options = {"compression": compression, "metadata": {"axes": "TZCYX"}}
            if way == "truncated":
                options["metadata"]["truncate"] = True
            if way == "imagej":
                options["imagej"] = True
            else:
                options |= {"ome": way == "ome", "photometric": "minisblack"}
                options |= {"tile": (32, 32)} if compression else {}
            yield dtype, options


@pytest.mark.parametrize("way", ["ome", "shaped", "truncated", "imagej"])
def test_planes_are_those_that_tifffile_reads(tmp_path, way):
    for number, (dtype, options) in enumerate(cases(way)):
        image = rng.integers(0, 2 if dtype == "bool" else 120, (2, 3, 2, 40, 50)).astype(dtype)
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, image, **options)
        stack, found = planes_in(path)
        with tifffile.TiffFile(path) as file:
            assert f"{stack.axes}yx" == file.series[0].axes.lower()
            assert (*stack.shape, 40, 50) == file.series[0].shape
            expected = file.asarray().reshape(-1, 40, 50)
        np.testing.assert_array_equal(np.stack(found), expected)


def test_colours_of_a_stack_belong_to_the_plane(tmp_path):
    path, image = tmp_path / "a.tif", rng.integers(0, 255, (4, 20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", metadata={"axes": "TYXS"})
    stack, found = planes_in(path)
    assert (stack.axes, stack.shape) == ("t", (4,))
    np.testing.assert_array_equal(np.stack(found), image)


def test_axes_without_a_meaning_here_are_pages(tmp_path):
    path, image = tmp_path / "a.tif", rng.integers(0, 255, (2, 3, 20, 30)).astype(np.uint8)
    tifffile.imwrite(path, image, photometric="minisblack", metadata={"axes": "AZYX"})
    stack, found = planes_in(path)
    assert (stack.axes, stack.shape) == ("p", (6,))
    np.testing.assert_array_equal(np.stack(found), image.reshape(6, 20, 30))


def test_smaller_copies_of_pages_are_no_planes(tmp_path):
    path, image = tmp_path / "a.tif", rng.integers(0, 255, (3, 64, 64)).astype(np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for plane in image:
            writer.write(plane, metadata=None)
            writer.write(plane[::2, ::2].copy(), subfiletype=1, metadata=None)
    _, found = planes_in(path)
    np.testing.assert_array_equal(np.stack(found), image)


def test_a_description_that_is_not_true_of_the_file_is_passed_over(tmp_path):
    path, image = tmp_path / "a.tif", rng.integers(0, 255, (3, 20, 30)).astype(np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for number, plane in enumerate(image):
            told = "ImageJ=1.53t\nimages=99\nslices=99\n" if number == 0 else None
            writer.write(plane, metadata=None, description=told)
    stack, found = planes_in(path)
    assert (stack.axes, stack.shape) == ("p", (3,))
    np.testing.assert_array_equal(np.stack(found), image)


def test_planes_in_other_files_are_not_read(tmp_path):
    path, image = tmp_path / "a.ome.tif", rng.integers(0, 255, (3, 20, 30)).astype(np.uint8)
    tifffile.imwrite(path, image, photometric="minisblack", metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        told = file.ome_metadata
    elsewhere = '<TiffData IFD="0" FirstZ="2"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    told = told.replace('<TiffData IFD="0" PlaneCount="3"/>', elsewhere)
    tifffile.tiffcomment(path, told.encode())
    whole = formats.read_header(path, path.name, PIXELS_MAX)
    assert (whole.stack.axes, whole.stack.shape) == ("p", (3,))
    assert "OME-XML places planes in other files; the pages of this file were read" in whole.notes


def test_volumes_in_a_page_are_refused_with_the_way_out(tmp_path):
    path, image = tmp_path / "a.tif", np.zeros((32, 32, 32), np.uint8)
    tifffile.imwrite(path, image, volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    with pytest.raises(Rejected, match="has pages of 32 slices each; save it with one slice to a"):
        formats.read_header(path, path.name, PIXELS_MAX)
