"""GIF, BMP and PNM of one picture: read as Pillow reads them, and written so that it reads them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.pixels.header import header_of

rng = np.random.default_rng(11)


def read(path):
    header = formats.read_header(path, path.name, 1 << 20)
    pixels = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, pixels)
    return header, pixels


def by_pillow(path, mode=None):
    """Return the pixels that Pillow reads."""
    with Image.open(path) as file:
        return np.asarray(file.convert(mode) if mode else file)


def picture(mode, rows=23, columns=37):
    shape = (rows, columns, len(mode)) if mode in ("RGB", "RGBA") else (rows, columns)
    if mode == "1":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_bmp_is_read_and_written_as_it_is(tmp_path, mode):
    image, path = picture(mode), tmp_path / "a.bmp"
    Image.fromarray(image).save(path, dpi=(300, 200))
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image)
    assert header.resolution == pytest.approx((300, 200), abs=0.1)
    assert formats.write(tmp_path / "b.bmp", pixels, "bmp", header) == ()
    np.testing.assert_array_equal(by_pillow(tmp_path / "b.bmp"), image)
    assert read(tmp_path / "b.bmp")[0].resolution == pytest.approx((300, 200), abs=0.1)


@pytest.mark.parametrize("extension", ["bmp", "gif"])
def test_palettes_are_read_as_colours_or_as_indices(tmp_path, extension):
    indices, path = rng.integers(0, 9, (23, 37)).astype(np.uint8), tmp_path / f"a.{extension}"
    source = Image.fromarray(indices).convert("P")
    source.putpalette(bytes(rng.integers(0, 256, 27).tolist()))
    source.save(path)
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, by_pillow(path, "RGB"))
    table = np.frombuffer(header.palette, np.uint8).reshape(-1, 4)[:, :3]
    np.testing.assert_array_equal(table[indices], pixels)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("number", "most", "dtype"),
    [
        (1, 1, "bool"),
        (2, 15, "uint8"),
        (2, 255, "uint8"),
        (2, 4095, "uint16"),
        (2, 65535, "uint16"),
        (3, 255, "uint8"),
        (3, 1023, "uint16"),
    ],
)
def test_a_pnm_has_its_levels(tmp_path, number, most, dtype, binary):
    shape = (13, 21, 3) if number == 3 else (13, 21)
    levels = rng.integers(0, most + 1, shape)
    head = f"P{number + 3 * binary} # made here\n21 13\n" + (f"{most}\n" if number > 1 else "")
    if not binary:
        content = " ".join(map(str, levels.ravel())).encode()
    elif number == 1:
        content = np.packbits(levels.astype(bool), axis=1).tobytes()
    else:
        content = levels.astype(">u2" if most > 255 else np.uint8).tobytes()
    path = tmp_path / "a.pnm"
    path.write_bytes(head.encode() + content)
    header, pixels = read(path)
    assert header.dtype == dtype
    if most < 256:
        np.testing.assert_array_equal(pixels, by_pillow(path))
    else:
        np.testing.assert_array_equal(pixels, levels)
    assert [each.value for each in header.items] == [b"made here"]
    formats.write(tmp_path / "b.pnm", pixels, "pnm", header)
    again, other = read(tmp_path / "b.pnm")
    np.testing.assert_array_equal(other, pixels)
    assert (again.dtype, again.bits, again.items) == (header.dtype, header.bits, header.items)


def test_a_pnm_that_ends_within_its_pixels_is_refused(tmp_path):
    path = tmp_path / "a.pgm"
    for content in (b"P5 4 4 255\n" + bytes(15), b"P2 4 4 255\n1 2 3", b"P4 20 4\n" + bytes(11)):
        path.write_bytes(content)
        with pytest.raises(Rejected, match=r"^a\.pgm: the file ends too early"):
            read(path)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA"])
def test_what_a_gif_can_hold_is_written_without_loss(tmp_path, mode):
    image = picture(mode)
    if mode in ("RGB", "RGBA"):
        image = image // 64 * 80
        image[..., 3:] = np.where(image[..., 3:] > 100, 255, 0)
    header = Header("a", "png", header_of(image.shape, image.dtype.name))
    path = tmp_path / "a.gif"
    assert formats.write(path, image, "gif", header) == ()
    expected = Image.fromarray(image).convert("RGBA")
    found = by_pillow(path, "RGBA")
    seen = np.asarray(expected)[..., 3:] > 0
    np.testing.assert_array_equal(found * seen, np.asarray(expected) * seen)
    np.testing.assert_array_equal(found[..., 3], np.asarray(expected)[..., 3])


@pytest.mark.parametrize("form", ["bmp", "pnm"])
def test_transparency_is_laid_on_white_where_a_format_has_none(tmp_path, form):
    image = picture("RGBA")
    image[:5, :, 3] = 0
    path = tmp_path / f"a.{form}"
    (note,) = formats.write(path, image, form, Header("a", "png", header_of(image.shape, "uint8")))
    assert note.startswith("transparency dropped: ")
    assert (by_pillow(path)[:5] == 255).all()


@pytest.mark.parametrize("form", ["gif", "bmp", "pnm"])
def test_what_a_format_cannot_hold_is_named(tmp_path, form):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    header = Header("a", "png", header_of((9, 9), "uint8"), icc_profile=profile)
    header = replace(header, resolution=(300.0, 300.0))
    notes = formats.write(tmp_path / f"a.{form}", np.zeros((9, 9), np.uint8), form, header)
    title = formats.FORMATS[form].title
    lost = ["colour profile"] + ["resolution"] * (form != "bmp")
    assert notes == tuple(f"{each} dropped: {title} files cannot hold it" for each in lost)
