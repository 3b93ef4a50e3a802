"""Hundreds of files are read as their references read them, and written again without a loss.

A part of them in `make test`, all of them in `make test-long PART=files`.
"""

from collections import Counter

import numpy as np
import pytest

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.imagefiles.formats import FORMATS
from tests.cluster_worker.imagefiles.many_files import cases

PIXELS_MAX = 1_000_000
CASES = cases()
LOSSY = ("jpeg", "avif")
# Every seventh in `make test`: the number divides none of the lengths that cases come in.
PART = 7


def read_planes(path):
    """Yield header and pixels of all planes."""
    whole = formats.read_header(path, path.name, PIXELS_MAX)
    count = whole.stack.planes if whole.stack else 1
    for plane in range(count):
        header = formats.read_header(path, path.name, PIXELS_MAX, plane)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        yield header, out


def as_pixels(expected, header):
    """Return the reference's pixels in the channels that we say the file has."""
    if expected.ndim == 3 and len(header.shape) == 2:
        # Gray that the reference gives as three equal channels.
        assert (expected == expected[..., :1]).all()
        return expected[..., 0]
    if expected.ndim == 2 and len(header.shape) == 3:
        return np.stack([expected] * header.shape[2], axis=2)
    return expected


def check(case, folder):
    """Read a file as the reference does, whole and by a window; write it, and read it again."""
    path = folder / f"file.{case.ending}"
    case.write(path)
    references = case.reference(path)
    found = list(read_planes(path))
    assert len(found) == len(references)
    for (header, pixels), reference in zip(found, references, strict=True):
        expected = as_pixels(reference, header)
        assert pixels.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(pixels, expected)
        if header.block:
            out = np.empty_like(pixels[5:, 7:31])
            formats.read_window(path, header, 5, pixels.shape[0], 7, 31, out)
            np.testing.assert_array_equal(out, pixels[5:, 7:31])
    round_trip(*found[0], folder)


def round_trip(header, pixels, folder):
    """Write an image in its own format, or as TIFF; pixels and items come back, or a note does."""
    form = header.format if FORMATS[header.format].write else "tiff"
    try:
        formats.check_result(header.name, header.image, form)
    except Rejected:
        form = "tiff"
    path = folder / "again"
    try:
        notes = formats.write(path, pixels, form, header)
    except Rejected:
        # What only the values tell, such as labels beyond 16 bits.
        form = "tiff"
        notes = formats.write(path, pixels, form, header)
    ((again, back),) = read_planes(path)
    if header.has_alpha and not again.has_alpha:
        # WebP leaves out alpha that is opaque everywhere.
        assert (pixels[..., -1] == np.iinfo(pixels.dtype).max).all()
        pixels = pixels[..., :-1]
    if form not in LOSSY:
        np.testing.assert_array_equal(back.reshape(pixels.shape), pixels)
    names = {each.name for each in header.items} - {"sbit"}
    kept = {each.name for each in again.items}
    for name in names - kept:
        assert any(TITLES[name] in note for note in notes), f"{name} is lost without a note"
    if header.resolution:
        assert again.resolution == pytest.approx(header.resolution, rel=1e-3) or notes


@pytest.mark.parametrize("case", CASES[::PART], ids=[case.name for case in CASES[::PART]])
def test_a_file_is_read_as_its_reference_and_comes_back(tmp_path, case):
    check(case, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_file_is_read_as_its_reference_and_comes_back(tmp_path, case):
    check(case, tmp_path)


def test_there_are_files_of_every_kind():
    count = Counter(case.container for case in CASES)
    assert len(CASES) >= 400
    assert {"TIFF", "PNG", "JPEG", "WebP", "GIF", "BMP", "PNM", "JPEG 2000", "AVIF", "DICOM"} < {
        *count
    }
    assert min(count["OME-Zarr 0.4"], count["OME-Zarr 0.5"]) >= 10
