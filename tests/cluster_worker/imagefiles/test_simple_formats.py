"""GIF, BMP, PNM, JPEG 2000 and AVIF: what we and Pillow read and write is the same."""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.pixels.header import header_of

# Tags of EXIF data.
ORIENTATION, AUTHOR = 274, 315
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


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((23, 37), "uint8"),
        ((23, 37), "uint16"),
        ((23, 37, 3), "uint8"),
        ((23, 37, 3), "uint16"),
        ((23, 37, 13), "uint16"),
    ],
)
def test_a_jpeg_2000_keeps_bands_and_all_bits(tmp_path, shape, dtype):
    image, path = rng.integers(0, np.iinfo(dtype).max, shape).astype(dtype), tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(image, level=0, reversible=True))
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image)
    assert header.image.kind == ("bands" if shape[2:] == (13,) else header.image.kind)
    assert formats.write(tmp_path / "b.jp2", pixels, "jpeg2000", header) == ()
    again, other = read(tmp_path / "b.jp2")
    np.testing.assert_array_equal(other, image)
    assert again.image == header.image


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("bare", [True, False])
def test_a_jpeg_2000_is_read_as_pillow_reads_it(tmp_path, mode, bare):
    image, path = picture(mode), tmp_path / "a.jp2"
    Image.fromarray(image).save(path, "JPEG2000", no_jp2=bare)
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, by_pillow(path))
    # A bare stream does not say which channel is alpha.
    assert header.has_alpha is (mode == "RGBA" and not bare)
    formats.write(tmp_path / "b.jp2", pixels, "jpeg2000", header)
    assert read(tmp_path / "b.jp2")[0].has_alpha is header.has_alpha


def test_a_jpeg_2000_that_ends_early_or_is_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.jp2"
    Image.fromarray(picture("RGB", 200, 200)).save(path, "JPEG2000")
    content = path.read_bytes()
    for cut in (40, 90, 150):
        path.write_bytes(content[:cut])
        with pytest.raises(Rejected, match=r"^a\.jp2: "):
            read(path)
    signed = imagecodecs.jpeg2k_encode(np.zeros((9, 9), np.int16), level=0, reversible=True)
    path.write_bytes(signed)
    with pytest.raises(Rejected, match="has numbers with sign; export it as TIFF"):
        read(path)


@pytest.mark.parametrize(
    ("shape", "bits"), [((23, 37), 8), ((23, 37, 3), 8), ((23, 37, 4), 8), ((23, 37, 3), 10)]
)
def test_an_avif_is_read_with_all_its_bits(tmp_path, shape, bits):
    image = rng.integers(0, 1 << bits, shape).astype("uint8" if bits == 8 else "uint16")
    path = tmp_path / "a.avif"
    path.write_bytes(imagecodecs.avif_encode(image, level=100, speed=10, bitspersample=bits))
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image)
    assert (header.bits, header.has_alpha) == (0 if bits == 8 else bits, shape[2:] == (4,))


def test_an_avif_is_turned_upright_and_keeps_profile_and_exif(tmp_path):
    path, smooth = tmp_path / "a.avif", np.add.outer(np.arange(60), np.arange(90)).astype(np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ORIENTATION], exif[AUTHOR] = 6, "somebody"
    source = Image.fromarray(np.dstack([smooth] * 3))
    source.save(path, quality=95, icc_profile=profile, exif=exif)
    header, pixels = read(path)
    assert pixels.shape == (90, 60, 3)
    np.testing.assert_array_equal(pixels, np.rot90(by_pillow(path), -1))
    assert formats.write(tmp_path / "b.avif", pixels, "avif", header) == ()
    again, other = read(tmp_path / "b.avif")
    assert (again.orientation, again.icc_profile) == (1, profile)
    assert np.abs(other.astype(int) - pixels).max() < 12
    with Image.open(tmp_path / "b.avif") as file:
        assert file.getexif()[AUTHOR] == "somebody"
