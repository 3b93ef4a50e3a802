"""TGA, PSD, SGI, DDS, icons, JPEG-LS, JPEG XL, HEIC, FITS and NIfTI: read as their references."""

import base64
import gzip
import struct

import imagecodecs
import numpy as np
import pi_heif
import pytest
from PIL import Image

from cluster_worker.engine.file_results import choose_format
from cluster_worker.imagefiles import formats
from tests.cluster_worker.imagefiles.image_files import picture, read, refusal

# Of 48 x 64 pixels, made with libheif and x265: 8 bits with EXIF data and a turn, and 10 bits.
HEIC_8 = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABw"
    "aWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAVgAAgAAAAAD"
    "RAABAAAAAAAAADgAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAA"
    "AQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAA"
    "AAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMA"
    "kAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgA"
    "AQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAA"
    "Av////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMF"
    "hIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAZhtZGF0AAABVCgBrwT4cXXhe1tH/vNM9R6B"
    "r97+XAep/frfMXMDUR8FZiicqH/p2LP4r58+mj7W/2YXLzMq5om5KWWuwHXLoLfkOBp7ii2msnqY"
    "qPLbYUbJYom4TxpU8Lv/AW/r5l1WJhqD9FbRV2gm8P36VPUHQ9DYLQPUSu6pN83pIidPAWOB49FU"
    "+r8xtBdhrzjUrPHLOw6YN62cRrF8h6qzJEr8MDAqBVvnvn3uq7hnM86TdfBTi7RGM7FugPGIPBp3"
    "vFuvGfYmeM//mR7tONqXSKPP8KtofuPW8byiBwQU9Ra6BGr2cf2rVwjqvMYbBalBCo3tcpodxzDi"
    "xuvSIOcjitAMOvMWF178laKH3A1IJn97Z4x7iwEokPwnBJYZ/O/nl3FDckYNkEEkeVdgOtmRZUG2"
    "BEiTu0HVDOqsI80MdKhnCbh9tMSZy2YNOSGyMi7pcTYYRCYi/MAAAAAGRXhpZgAATU0AKgAAAAgA"
    "AgEQAAIAAAAIAAAAJgESAAMAAAABAAYAAAAAAABBIHBob25lAA=="
)
HEIC_10 = base64.b64decode(
    "AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABw"
    "aWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAATMAAAAjaWlu"
    "ZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBj"
    "bwAAAHVodmNDAQQIAAAAnbgAAAAAHvAA/P36+gAADwNgAAEAF0ABDAH//wQIAAADAJ24AAADAAAe"
    "ugJAYQABACpCAQEECAAAAwCduAAAAwAAHqAggQTZbq5Ka5uAhoMCAAADADIAAAMAAhBiAAEABkQB"
    "wXPAiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAQAAA"
    "AAEAAAAwAAAAAQAAAAAAAAAC////8AAAAAIAAAAQcGl4aQAAAAADCgoKAAAAGGlwbWEAAAAAAAAA"
    "AQABBYECAwWEAAABO21kYXQAAAEvKAGvBjiJI6unoT2hQcOXXFI2SSI05SUkEerDxUgEdFl+R7J/"
    "+A/4r6ue2j7oT8Na+CDx/6TI/xDvwTw/HTSMSbpR7ACvFIcXxYWtOQWw6wNkn8jAwoMkKp3I2id8"
    "/x5m47Lynn9ka6zDtS6+UEjj+SUZVIbBIJUtD2I+fCJ6vaJvJiKm9a6MMqulBhx3efri5aPLV+cO"
    "AsrRNyZnzsyyLE50jq+EJ82JckZN4GblEOq+Gc+ct38GhY2rL3D+4Hda6U5BufjTlP82jJsWzdo1"
    "+0+kLoXtNP5nDu2PXafPmrkIlhqyMn+Gt6B83JYFufZv6O/0ChTbW+NRa397bZE4qTUI50f24l3l"
    "suuWHJzGI4g167FBu0frvQcG1gH0oZ5Eolk//qfJ/9HYbJs5ItOm"
)

SHAPES = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}


@pytest.mark.parametrize(
    ("form", "name", "modes"),
    [
        ("TGA", "tga", ("L", "LA", "RGB", "RGBA")),
        ("SGI", "sgi", ("L", "RGB", "RGBA")),
        ("DDS", "dds", ("L", "RGB", "RGBA")),
        ("ICO", "ico", ("RGB", "RGBA")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_is_read_as_pillow_reads_it(tmp_path, form, name, modes, packed):
    for mode in modes:
        path = tmp_path / f"a.{name}"
        options = {"compression": "tga_rle"} if packed and form == "TGA" else {}
        image = picture("uint8", 32, 48 if form != "ICO" else 32, *SHAPES[mode])
        Image.fromarray(image).save(path, form, **options)
        header, pixels = read(path)
        assert header.format == name
        with Image.open(path) as file:
            np.testing.assert_array_equal(pixels, np.asarray(file))


def photoshop(image, bits=8):
    rows, columns, channels = image.shape
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, rows, columns, bits, 3)
    planes = np.moveaxis(image, 2, 0).astype(f">u{bits // 8}").tobytes()
    return head + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + planes


def test_a_photoshop_document_is_read_flattened_and_of_8_bits(tmp_path):
    path, image = tmp_path / "a.psd", picture("uint8", 20, 30, 3)
    path.write_bytes(photoshop(image))
    np.testing.assert_array_equal(read(path)[1], image)
    path.write_bytes(photoshop(image.astype("uint16"), 16))
    assert refusal(path) == (
        "is a document of 16 bits, and Photoshop files of 8 bits are read; save a TIFF"
    )


# imagecodecs takes the bits of gray alone from the values.
@pytest.mark.parametrize(
    ("bits", "channels"), [(2, ()), (8, ()), (10, ()), (12, ()), (16, ()), (8, (3,)), (16, (3,))]
)
def test_a_jpeg_ls_is_read_with_all_its_bits(tmp_path, bits, channels):
    dtype = "uint8" if bits <= 8 else "uint16"
    path, image = tmp_path / "a.jls", picture(dtype, 20, 30, *channels) & ((1 << bits) - 1)
    path.write_bytes(imagecodecs.jpegls_encode(image))
    header, pixels = read(path)
    assert header.format == "jpegls"
    np.testing.assert_array_equal(pixels, image)


def test_a_jpeg_ls_without_an_end_mark_is_read_and_one_that_is_cut_is_not_searched_for_it(tmp_path):
    path, image = tmp_path / "a.jls", picture("uint8", 200, 300) & 31
    content = imagecodecs.jpegls_encode(image)
    path.write_bytes(content[:-2])
    header = formats.read_header(path, "a.jls", 100_000)
    out = np.empty(header.shape, header.dtype)
    assert formats.read_pixels(path, header, out) == (
        "the file has no end mark; all pixels are there",
    )
    np.testing.assert_array_equal(out, image)
    for end in (100, len(content) // 2, len(content) - 5):
        path.write_bytes(content[:end])
        assert refusal(path) == "the file ends too early; save or upload it again"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_a_jpeg_xl_is_read_and_written_without_loss(tmp_path, dtype, channels):
    path, image = tmp_path / "a.jxl", picture(dtype, 21, 30, *channels)
    path.write_bytes(imagecodecs.jpegxl_encode(image, lossless=True))
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image)
    assert header.has_alpha == (channels in ((2,), (4,)))
    formats.write(tmp_path / "b.jxl", pixels, "jpegxl", header)
    np.testing.assert_array_equal(read(tmp_path / "b.jxl")[1], image)


@pytest.mark.parametrize("shape", [(8, 8), (16, 256), (300, 300), (100, 133), (2000, 40)])
def test_the_size_of_a_jpeg_xl_is_known_before_its_pixels(tmp_path, shape):
    path = tmp_path / "a.jxl"
    path.write_bytes(imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8)))
    with pytest.raises(formats.Rejected, match="megapixels"):
        formats.read_header(path, "a.jxl", 10)
    assert formats.read_header(path, "a.jxl", 1_000_000).shape == shape


def test_a_picture_of_a_phone_is_read_upright_with_its_exif(tmp_path):
    path, out = tmp_path / "phone.heic", tmp_path / "out.jpg"
    path.write_bytes(HEIC_8)
    header, pixels = read(path)
    assert (header.format, header.shape, header.orientation) == ("heic", (64, 48, 3), 1)
    reference = pi_heif.open_heif(path)[0]
    np.testing.assert_array_equal(pixels, np.asarray(reference))
    formats.write(out, pixels, "jpeg", header)
    with Image.open(out) as file:
        exif = file.getexif()
        assert exif[0x0110] == "A phone"
        assert exif.get(0x0112, 1) == 1


def test_all_bits_of_a_heic_are_kept(tmp_path):
    path = tmp_path / "phone.heic"
    path.write_bytes(HEIC_10)
    header, pixels = read(path)
    assert (header.dtype, header.bits) == ("uint16", 10)
    reference = pi_heif.open_heif(path, convert_hdr_to_8bit=False)[0]
    np.testing.assert_array_equal(pixels << 6, np.asarray(reference))


def fits(cards, image):
    lines = [f"{key:8}= {value:>20}".ljust(80) for key, value in cards] + ["END".ljust(80)]
    head = "".join(lines).encode()
    body = image.astype(image.dtype.newbyteorder(">")).tobytes()
    return head.ljust(-(-len(head) // 2880) * 2880) + body.ljust(
        -(-len(body) // 2880) * 2880, b"\0"
    )


def fits_of(image, **cards):
    bits = 8 * image.dtype.itemsize * (-1 if image.dtype.kind == "f" else 1)
    axes = [(f"NAXIS{k}", size) for k, size in enumerate(image.shape[::-1], 1)]
    own = [("SIMPLE", "T"), ("BITPIX", bits), ("NAXIS", image.ndim), *axes]
    return fits([*own, *cards.items()], image)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float32", "float64"])
def test_a_fits_image_is_read_in_its_planes(tmp_path, dtype):
    path, image = tmp_path / "a.fits", picture(dtype, 3, 20, 30)
    path.write_bytes(fits_of(image))
    whole = formats.read_header(path, "a.fits", 10_000)
    assert (whole.stack.axes, whole.stack.shape) == ("p", (3,))
    for plane, expected in enumerate(image):
        header = formats.read_header(path, "a.fits", 10_000, plane)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        np.testing.assert_array_equal(out, expected)


def test_unsigned_scaled_and_blank_numbers_of_fits_are_what_they_stand_for(tmp_path):
    path, image = tmp_path / "a.fits", picture("int16", 20, 30)
    path.write_bytes(fits_of(image, BZERO=32768, BSCALE=1))
    header, pixels = read(path)
    assert header.dtype == "uint16"
    np.testing.assert_array_equal(pixels, (image.astype(int) + 32768).astype("uint16"))
    path.write_bytes(fits_of(image, BZERO=2.5, BSCALE=0.5, BLANK=int(image[3, 4])))
    header, pixels = read(path)
    expected = (image * 0.5 + 2.5).astype("float32")
    expected[image == image[3, 4]] = np.nan
    np.testing.assert_array_equal(pixels, expected)
    path.write_bytes(fits_of(image, BLANK=-5))
    assert read(path)[0].image.nodata == -5
    path.write_bytes(path.read_bytes()[:2900])
    assert refusal(path) == "the file ends too early; save or upload it again"


def test_scaled_numbers_of_many_digits_stay_exact(tmp_path):
    path = tmp_path / "a.fits"
    for dtype, value in (("float64", 1e300), ("float32", 0.5)):
        image = np.full((4, 5), value, dtype)
        path.write_bytes(fits_of(image, BSCALE=2))
        header, pixels = read(path)
        assert header.dtype == dtype
        np.testing.assert_array_equal(pixels, image * 2)
    path = tmp_path / "a.nii"
    for kind, dtype, value in [
        (64, "float64", 1e300),
        *((8, "int32", (1 << 30) + 1), (768, "uint32", (1 << 31) + 1)),
        *((1024, "int64", (1 << 40) + 1), (1280, "uint64", (1 << 40) + 1)),
    ]:
        image = np.full((4, 5), value, dtype)
        path.write_bytes(nifti(image, kind, 2))
        header, pixels = read(path)
        assert header.dtype == "float64"
        np.testing.assert_array_equal(pixels, image * 2.0)


def test_exponents_of_fits_may_be_written_with_d(tmp_path):
    path, image = tmp_path / "a.fits", picture("int16", 20, 30)
    path.write_bytes(fits_of(image, BZERO="32768.0D0", BSCALE="1.D0"))
    header, pixels = read(path)
    assert header.dtype == "uint16"
    np.testing.assert_array_equal(pixels, (image.astype(int) + 32768).astype("uint16"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "cards",
    [
        {"NAXIS": 2, "NAXIS1": 0, "NAXIS2": 4, "GCOUNT": -1, "PCOUNT": 2880},
        {"NAXIS": 1, "NAXIS1": 10, "PCOUNT": -2890},
        {"NAXIS": 2, "NAXIS1": -2880, "NAXIS2": 1},
        {"NAXIS": 1_000_000_000},
        {"NAXIS": -1},
    ],
)
def test_impossible_sizes_of_fits_are_refused(tmp_path, cards):
    path = tmp_path / "a.fits"
    own = [("SIMPLE", "T"), ("BITPIX", 8)]
    path.write_bytes(fits([*own, *cards.items()], np.zeros((4, 5), np.uint8)))
    assert refusal(path).startswith("the file is damaged and cannot be read as FITS; ")


def nifti(image, kind, slope=0.0, intercept=0.0):
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, image.ndim, *image.shape[::-1], *[1] * (7 - image.ndim))
    struct.pack_into("<2h", head, 70, kind, 8 * image.dtype.itemsize)
    struct.pack_into("<8f", head, 76, 1, 0.5, 0.25, 2, 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, slope, intercept)
    head[123] = 2
    head[344:348] = b"n+1\0"
    return bytes(head) + image.tobytes()


@pytest.mark.parametrize(("dtype", "kind"), [("uint8", 2), ("int16", 4), ("float32", 16)])
@pytest.mark.parametrize("packed", [False, True])
def test_a_nifti_volume_is_read_slice_by_slice(tmp_path, dtype, kind, packed):
    path, image = tmp_path / "brain.nii.gz", picture(dtype, 2, 3, 20, 30)
    content = nifti(image, kind)
    path.write_bytes(gzip.compress(content) if packed else content)
    whole = formats.read_header(path, "brain.nii.gz", 10_000)
    assert (whole.stack.axes, whole.stack.shape, whole.stack.step) == ("tz", (2, 3), 0.002)
    assert whole.image.pixel_size == (0.00025, 0.0005)
    for plane, expected in enumerate(image.reshape(6, 20, 30)):
        header = formats.read_header(path, "brain.nii.gz", 10_000, plane)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        np.testing.assert_array_equal(out, expected)


def test_numbers_of_nifti_are_rescaled_and_that_is_said(tmp_path):
    path, image = tmp_path / "a.nii", picture("int16", 20, 30)
    path.write_bytes(nifti(image, 4, 0.5, 3))
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, (image * 0.5 + 3).astype("float32"))
    assert "numbers were rescaled: stored × 0.5 + 3" in header.notes


@pytest.mark.parametrize("length", [np.nan, np.inf, 0])
def test_a_length_of_nifti_that_is_none_is_left_out(tmp_path, length):
    path = tmp_path / "a.nii"
    content = bytearray(nifti(picture("int16", 3, 20, 30), 4))
    struct.pack_into("<3f", content, 80, 0.5, length, length)
    path.write_bytes(content)
    header = formats.read_header(path, "a.nii", 10_000)
    assert (header.image.pixel_size, header.stack.step) == (None, None)


def test_a_volume_in_two_files_is_refused_in_both_versions(tmp_path):
    path, image = tmp_path / "a.nii", picture("int16", 20, 30)
    sentence = "is the header of a volume in two files; save it as .nii"
    content = bytearray(nifti(image, 4))
    content[344:348] = b"ni1\0"
    path.write_bytes(content)
    assert refusal(path) == sentence
    second = bytearray(544)
    struct.pack_into("<i8s", second, 0, 540, b"ni2\0\r\n\x1a\n")
    struct.pack_into("<2h", second, 12, 4, 16)
    struct.pack_into("<8q", second, 16, 2, 30, 20, *[1] * 5)
    struct.pack_into("<q", second, 168, 544)
    path.write_bytes(bytes(second) + image.tobytes())
    assert refusal(path) == sentence
    second[4:7] = b"n+2"
    path.write_bytes(bytes(second) + image.tobytes())
    np.testing.assert_array_equal(read(path)[1], image)


def test_a_gzip_archive_is_no_volume(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(1000)))
    assert refusal(path) == "is packed by gzip and no NIfTI volume; unpack it"


class Planned:
    """What a plan says of its result, as far as the choice of a format asks."""

    result_kind, result_dtype = "picture", "uint8"


def test_the_same_format_becomes_tiff_where_a_format_is_read_only():
    chosen = choose_format("same", "heic", Planned())
    assert chosen == ("tiff", ("written as TIFF: HEIC is read and not written",))
