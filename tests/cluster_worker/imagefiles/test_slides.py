"""Slides and pyramids: the slide is read; label, macro and smaller copies are named and chosen."""

import numpy as np
import pytest
import tifffile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.describe import description
from cluster_worker.imagefiles.planes import choose_planes, read_plane_header
from cluster_worker.pixels.stack import Choice
from tests.cluster_worker.imagefiles.image_files import picture

APERIO = "Aperio Image Library v11.2.1\r\n46000x32914 (256x256) JPEG/RGB Q=30"


def slide(path, image, compression):
    """Write a slide as Aperio's scanners do: slide, thumbnail, smaller copy, label, macro."""
    coded = {"photometric": "rgb", "compression": compression, "metadata": None}
    with tifffile.TiffWriter(path) as writer:
        described = f"{APERIO}|AppMag = 20|MPP = 0.4990"
        writer.write(image, tile=(64, 64), description=described, **coded)
        writer.write(image[::8, ::8].copy(), description=APERIO, **coded)
        writer.write(image[::4, ::4].copy(), tile=(64, 64), description=described, **coded)
        label = {"photometric": "rgb", "compression": "lzw", "metadata": None, "subfiletype": 1}
        writer.write(image[:30, :40].copy(), description=f"{APERIO}\r\nlabel 40x30", **label)
        macro = f"{APERIO}\r\nmacro 60x50"
        writer.write(image[:50, :60].copy(), description=macro, subfiletype=9, **coded)


@pytest.mark.parametrize("compression", ["jpeg", 33005, "zlib"])
def test_a_slide_is_read_and_its_other_pictures_are_chosen_by_their_number(tmp_path, compression):
    path, image = tmp_path / "tissue.svs", picture("uint8", 320, 400, 3)
    slide(path, image, compression)
    whole = formats.read_header(path, "tissue.svs", 1_000_000)
    assert whole.parts == (
        "slide: 320 × 400",
        "slide, 1 times reduced: 80 × 100",
        "thumbnail: 40 × 50",
        "label: 30 × 40",
        "macro: 50 × 60",
    )
    assert whole.planes == 1
    assert whole.image.pixel_size == pytest.approx((0.499e-6, 0.499e-6))
    assert whole.block == (64, 64)
    assert choose_planes(whole).stack is None
    pages = (0, 2, 1, 3, 4)
    with Decoder() as decoder:
        for number, page in enumerate(pages):
            planes = choose_planes(whole, Choice(page=str(number + 1)))
            header = read_plane_header(decoder, path, planes, 0)
            out = np.empty(header.shape, header.dtype)
            formats.read_pixels(path, header, out)
            np.testing.assert_array_equal(out, tifffile.imread(path, key=page))
            if number == 1:
                assert header.image.pixel_size == pytest.approx((4 * 0.499e-6, 4 * 0.499e-6))
    shown = dict(description(whole))
    assert shown["page 4"] == "label: 30 × 40"
    with pytest.raises(Rejected, match="choose a part by page"):
        choose_planes(whole, Choice(z="2"))


@pytest.mark.parametrize("ome", [False, True])
def test_smaller_copies_of_a_pyramid_are_named_and_the_image_is_read(tmp_path, ome):
    path, image = tmp_path / ("a.ome.tif" if ome else "a.tif"), picture("uint8", 128, 192)
    with tifffile.TiffWriter(path, ome=ome) as writer:
        options = {"tile": (64, 64), "photometric": "minisblack"}
        writer.write(image, subifds=1, **options)
        writer.write(image[::2, ::2].copy(), subfiletype=1, **options)
    whole = formats.read_header(path, path.name, 1_000_000)
    assert whole.parts == ("image: 128 × 192", "image, 1 times reduced: 64 × 96")
    out = np.empty(whole.shape, whole.dtype)
    formats.read_pixels(path, whole, out)
    np.testing.assert_array_equal(out, image)
    header = formats.read_header(path, path.name, 1_000_000, 1)
    out = np.empty(header.shape, header.dtype)
    formats.read_window(path, header, 0, 64, 10, 96, small := np.empty((64, 86), "uint8"))
    np.testing.assert_array_equal(small, image[::2, ::2][:, 10:])
