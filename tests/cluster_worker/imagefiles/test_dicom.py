"""DICOM: pixels as pydicom and the codecs have them; rescale, frames, sizes and refusals."""

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.pixels.shared_memory import Pixels
from tests.cluster_worker.imagefiles.image_files import RANDOM, read, refusal

JPEG_12, JPEG_LOSSLESS = UID("1.2.840.10008.1.2.4.51"), UID("1.2.840.10008.1.2.4.70")
JPEG_LS, JPEG_2000 = UID("1.2.840.10008.1.2.4.80"), UID("1.2.840.10008.1.2.4.90")
HTJ2K = UID("1.2.840.10008.1.2.4.201")
MPEG = UID("1.2.840.10008.1.2.4.100")
RESCALED = {"RescaleSlope": 2, "RescaleIntercept": -100}

LOSSLESS = {
    JPEG_LOSSLESS: lambda image: imagecodecs.jpeg8_encode(image, lossless=True),
    JPEG_LS: imagecodecs.jpegls_encode,
    JPEG_2000: lambda image: imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True),
}


def dicom(path, image, syntax=ExplicitVRLittleEndian, frames=None, **fields):
    """Write a file; `frames` are compressed."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = syntax
    found = Dataset()
    found.file_meta = meta
    found.SOPClassUID, found.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    found.PatientName, found.Modality = "Somebody", "OT"
    colour = image.shape[-1] == 3
    found.SamplesPerPixel = 3 if colour else 1
    found.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    found.Rows, found.Columns = image.shape[-3:-1] if colour else image.shape[-2:]
    if image.ndim - colour == 3:
        found.NumberOfFrames = len(image)
    if colour:
        found.PlanarConfiguration = 0
    found.BitsAllocated = found.BitsStored = 8 * image.dtype.itemsize
    found.PixelRepresentation = int(image.dtype.kind == "i")
    for name, value in fields.items():
        setattr(found, name, value)
    found.HighBit = found.BitsStored - 1
    if frames is None:
        found.PixelData = image.astype(image.dtype.newbyteorder("<")).tobytes()
    else:
        found.PixelData = encapsulate(frames)
    found["PixelData"].VR = "OB" if image.dtype.itemsize == 1 or frames else "OW"
    found.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize(
    ("dtype", "bits"), [("uint8", 8), ("uint16", 12), ("uint16", 16), ("int16", 16), ("int16", 12)]
)
def test_compressed_pixels_are_read_bit_for_bit_with_their_sign(tmp_path, syntax, dtype, bits):
    low = -(1 << bits - 1) if dtype == "int16" else 0
    image = RANDOM.integers(low, low + (1 << bits), (24, 33)).astype(dtype)
    # Codecs of JPEG know no sign: they hold the bits that are used.
    coded = (image.astype("uint16") & ((1 << bits) - 1)) if dtype == "int16" else image
    path = tmp_path / "scan.dcm"
    dicom(path, image, syntax, [LOSSLESS[syntax](coded)], BitsStored=bits)
    header, pixels = read(path)
    assert (header.dtype, header.bits) == (dtype, bits if (dtype, bits) == ("uint16", 12) else 0)
    np.testing.assert_array_equal(pixels, image)


def test_twelve_bits_with_loss_are_read_as_the_codec_has_them(tmp_path):
    image, path = RANDOM.integers(0, 4096, (24, 32)).astype("uint16"), tmp_path / "scan.dcm"
    coded = imagecodecs.jpeg8_encode(image, bitspersample=12, level=90)
    dicom(path, image, JPEG_12, [coded], BitsStored=12)
    header, pixels = read(path)
    assert header.bits == 12
    np.testing.assert_array_equal(pixels, imagecodecs.jpeg8_decode(coded))


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, -1024, "int16"), (2, 0, "uint16"), (0.5, 3, "float32")]
)
def test_numbers_are_rescaled_as_pydicom_does(tmp_path, slope, intercept, dtype):
    image, path = RANDOM.integers(0, 4096, (24, 33)).astype("uint16"), tmp_path / "ct.dcm"
    window = {"WindowCenter": 40, "WindowWidth": [400, 80]}
    scale = {"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "HU"}
    dicom(path, image, BitsStored=12, **scale, **window)
    header, pixels = read(path)
    assert (header.dtype, header.image.kind) == (dtype, "intensity")
    expected = pydicom.pixels.apply_rescale(image, pydicom.dcmread(path))
    np.testing.assert_array_equal(pixels, expected)
    said = " ".join(header.notes)
    assert f"rescaled to HU: stored × {slope} + {intercept}" in said
    assert "window of the file (centre 40, width 400) is for a screen" in said
    assert "patient" in said


def test_monochrome1_is_inverted_unless_the_numbers_are_measured(tmp_path):
    image, path = RANDOM.integers(0, 4096, (24, 33)).astype("uint16"), tmp_path / "xray.dcm"
    dicom(path, image, BitsStored=12, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(path)[1], 4095 - image)
    fields = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    dicom(path, image, BitsStored=12, PhotometricInterpretation="MONOCHROME1", **fields)
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image.astype("int16") - 1000)
    assert any("MONOCHROME1" in note and "kept" in note for note in header.notes)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("fields", "axes"),
    [({"FrameTime": 40}, "t"), ({"SpacingBetweenSlices": 2.5}, "z"), ({}, "p")],
)
def test_frames_are_planes_with_times_or_distances(tmp_path, compressed, fields, axes):
    image, path = RANDOM.integers(0, 4096, (4, 24, 33)).astype("uint16"), tmp_path / "scan.dcm"
    frames = [LOSSLESS[JPEG_2000](each) for each in image] if compressed else None
    syntax = JPEG_2000 if compressed else ExplicitVRLittleEndian
    dicom(path, image, syntax, frames, BitsStored=12, PixelSpacing=[0.25, 0.5], **fields)
    header = formats.read_header(path, "scan.dcm", 10_000)
    assert (header.stack.axes, header.stack.shape) == (axes, (4,))
    assert header.stack.step == (0.0025 if axes == "z" else None)
    assert header.stack.milliseconds == ((40,) * 4 if axes == "t" else ())
    assert header.image.pixel_size == (0.00025, 0.0005)
    for number, expected in enumerate(image):
        one = formats.read_header(path, "scan.dcm", 10_000, number)
        out = np.empty(one.shape, one.dtype)
        formats.read_pixels(path, one, out)
        np.testing.assert_array_equal(out, expected)


def test_colours_and_run_lengths_are_read(tmp_path):
    image, path = RANDOM.integers(0, 256, (24, 33, 3)).astype("uint8"), tmp_path / "photo.dcm"
    dicom(path, image)
    np.testing.assert_array_equal(read(path)[1], image)
    found = pydicom.dcmread(path)
    found.compress(RLELossless)
    found.save_as(path)
    header, pixels = read(path)
    np.testing.assert_array_equal(pixels, image)
    assert header.image.is_rgb


def test_a_file_of_pydicoms_own_is_read_by_the_child_process(tmp_path):
    path = tmp_path / "scan.dcm"
    image = RANDOM.integers(0, 4096, (24, 33)).astype("uint16")
    dicom(path, image, HTJ2K, [imagecodecs.htj2k_encode(image)], BitsStored=16)
    shared = tmp_path / "pixels"
    shared.write_bytes(bytes(image.nbytes))
    with Decoder() as decoder:
        header = decoder.read_header(path, "scan.dcm")
        pixels = Pixels(str(shared), header.shape, header.dtype)
        assert decoder.read_pixels(path, header, pixels) == ()
    np.testing.assert_array_equal(pixels.map(writable=False), image)


def test_what_is_not_read_is_refused_with_the_way_out(tmp_path):
    image, path = np.zeros((4, 5), np.uint8), tmp_path / "scan.dcm"
    dicom(path, image, MPEG, [b"video"])
    assert refusal(path).startswith("is compressed as MPEG2 Main Profile / Main Level, which is")
    dicom(path, image, PhotometricInterpretation="ARGB")
    assert refusal(path).startswith("has ARGB colours; gray, RGB, YBR and palettes are read")
    dicom(path, image, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6")
    assert refusal(path).startswith("is a slide whose frames are tiles")
    dicom(path, image)
    path.write_bytes(path.read_bytes()[:-8])
    assert refusal(path) == "the file ends too early; save or upload it again"
    found = pydicom.dcmread(path, force=True)
    del found.Rows
    found.save_as(path)
    assert refusal(path) == "holds no pixels (OT); send a DICOM file of an image"
    with pytest.raises(formats.Rejected, match="DICOM is read and not written; choose JPEG"):
        formats.format_of("out.dcm")


def scaled(slope, intercept, unit="HU"):
    """Return the groups of a frame with a scale of its own."""
    item, group = Dataset(), Dataset()
    item.RescaleSlope, item.RescaleIntercept, item.RescaleType = slope, intercept, unit
    group.PixelValueTransformationSequence = [item]
    return group


def frames_of(path, count):
    for number in range(count):
        header = formats.read_header(path, path.name, 10_000, number)
        out = np.empty(header.shape, header.dtype)
        formats.read_pixels(path, header, out)
        yield header, out


def test_frames_of_an_enhanced_file_are_rescaled_by_their_shared_or_own_scale(tmp_path):
    image, path = RANDOM.integers(0, 4096, (3, 24, 33)).astype("uint16"), tmp_path / "ct.dcm"
    dicom(path, image, BitsStored=12, SharedFunctionalGroupsSequence=[scaled(1, -1024)])
    for (header, pixels), expected in zip(frames_of(path, 3), image, strict=True):
        assert header.dtype == "int16"
        assert "numbers were rescaled to HU: stored × 1 + -1024" in header.notes
        np.testing.assert_array_equal(pixels, expected.astype("int16") - 1024)
    slopes = (1, 0.5, 3)
    own = [scaled(slope, 2 * slope - 2, "BQML") for slope in slopes]
    dicom(path, image, BitsStored=12, PerFrameFunctionalGroupsSequence=own)
    for (header, pixels), expected, slope in zip(frames_of(path, 3), image, slopes, strict=True):
        assert header.dtype == "float32"
        np.testing.assert_array_equal(pixels, np.float32(expected * slope + (2 * slope - 2)))


def test_a_product_beyond_the_dtype_of_the_sum_is_no_overflow(tmp_path):
    image, path = RANDOM.integers(0, 65_536, (24, 33)).astype("uint16"), tmp_path / "a.dcm"
    dicom(path, image, RescaleSlope=65_536, RescaleIntercept=-(1 << 31))
    header, pixels = read(path)
    assert header.dtype == "int32"
    np.testing.assert_array_equal(pixels, image.astype("int64") * 65_536 - (1 << 31))


@pytest.mark.parametrize("syntax", [JPEG_LS, JPEG_2000])
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_luma_and_chroma_in_jpeg_ls_and_jpeg_2000_become_rgb(tmp_path, syntax, photometric):
    path, image = tmp_path / "photo.dcm", RANDOM.integers(0, 256, (24, 33, 3)).astype("uint8")
    # JPEG 2000's own change of colours is off.
    coded = {
        JPEG_LS: imagecodecs.jpegls_encode,
        JPEG_2000: lambda image: imagecodecs.jpeg2k_encode(
            image, codecformat="j2k", reversible=True, mct=False
        ),
    }[syntax](image)
    dicom(path, image, syntax, [coded], PhotometricInterpretation=photometric)
    expected = pydicom.pixels.convert_color_space(image, "YBR_FULL", "RGB")
    np.testing.assert_array_equal(read(path)[1], expected)
    kept = "RGB" if syntax == JPEG_LS else "YBR_RCT"
    dicom(path, image, syntax, [coded], PhotometricInterpretation=kept)
    np.testing.assert_array_equal(read(path)[1], image)


@pytest.mark.parametrize("fields", [{}, {"PhotometricInterpretation": "MONOCHROME1"}, RESCALED])
@pytest.mark.parametrize(
    ("dtype", "bits"), [("uint8", 8), ("uint16", 12), ("int16", 12), ("int16", 16), ("uint32", 32)]
)
def test_windows_of_a_frame_that_is_not_compressed_are_read_from_the_file(
    tmp_path, dtype, bits, fields
):
    low = -(1 << bits - 1) if dtype == "int16" else 0
    image = RANDOM.integers(low, low + (1 << bits), (3, 24, 33)).astype(dtype)
    path = tmp_path / "scan.dcm"
    dicom(path, image, BitsStored=bits, **fields)
    assert formats.read_header(path, "scan.dcm", 1000).block == (24, 33)
    for plane in range(3):
        check_window(path, plane)
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    header = formats.read_header(path, "scan.dcm", 1000, 2)
    with pytest.raises(Rejected, match="ends too early"):
        formats.read_window(path, header, 0, 2, 0, 33, np.empty((2, 33), header.dtype))


@pytest.mark.parametrize(("dtype", "given"), [("uint16", 0xA123), ("int16", 0x5FFE)])
def test_windows_leave_out_the_bits_that_samples_do_not_use(tmp_path, dtype, given):
    image, path = np.full((24, 33), given).astype(dtype), tmp_path / "scan.dcm"
    dicom(path, image, BitsStored=12)
    check_window(path, None)
    assert np.unique(read(path)[1]) == {"uint16": 0x123, "int16": -2}[dtype]


@pytest.mark.parametrize("by_planes", [0, 1])
def test_windows_of_colours_are_read_however_they_lie(tmp_path, by_planes):
    image, path = RANDOM.integers(0, 256, (24, 33, 3)).astype("uint8"), tmp_path / "scan.dcm"
    dicom(path, image, PlanarConfiguration=by_planes)
    check_window(path, None)


def check_window(path, plane):
    header = formats.read_header(path, path.name, 1000, plane)
    whole = np.empty(header.shape, header.dtype)
    formats.read_pixels(path, header, whole)
    out = np.empty_like(whole[5:19, 7:30])
    formats.read_window(path, header, 5, 19, 7, 30, out)
    np.testing.assert_array_equal(out, whole[5:19, 7:30])
