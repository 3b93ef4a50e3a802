"""DICOM: gray and colours of 8 to 32 bits, one frame or many, in the usual compressions; read only.

pydicom reads the data sets, and imagecodecs decodes compressed frames. Source: DICOM PS3.3,
C.7.6.3 (pixels), C.11.1 (rescale) and C.11.2 (window); PS3.5, 8.2 and annex A (compressions).
"""

import math
import re
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs import dicom_plain
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    upright_shape,
    valid_profile,
)
from cluster_worker.lazy import lazily
from cluster_worker.pixels.header import RGB, ImageHeader, Kind
from cluster_worker.pixels.stack import Stack, check_count

# It takes half a second to load and 25 MB, so only children that read DICOM load it.
pydicom: Any = lazily("pydicom")
encaps: Any = lazily("pydicom.encaps")
pydicom_pixels: Any = lazily("pydicom.pixels")

JPEG_STREAMS = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
JPEG_LS = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
# Little and big endian, deflated, and run lengths, which pydicom itself decodes.
BY_PYDICOM = tuple(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2", ".5"))
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"

MILLIMETRE = 1e-3
GRAY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
DEFLATED = "1.2.840.10008.1.2.1.99"

PRIVATE = "data of patient, study and device of the DICOM file dropped: no other format holds it"


class Described(NamedTuple):
    """What a data set says of its pixels.

    Attributes
    ----------
    rows, columns, samples, frames : int
        Sizes, samples of a pixel, and number of frames.
    photometric : str
        What the samples mean.
    stored : str
        Dtype of the stored samples, as they are allocated.
    bits : int
        Of a sample, at most those of its dtype.
    dtype : str
        Of the pixels.
    slope, intercept : float
        Pixels of the frame are stored samples × slope + intercept.
    is_rescaled : bool
        Whether pixels of some frame are other numbers than the stored samples.
    syntax : str
        Number of the compression.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    photometric: str
    stored: str
    bits: int
    dtype: str
    slope: float
    intercept: float
    is_rescaled: bool
    syntax: str


def data_set(path: Path) -> Any:
    """Read a file without its pixels, from the cache if it is one of the last files."""
    found = path.stat()
    return cached_set(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


# A stack is read in turn with those that its steps read beside it.
@lru_cache(maxsize=4)
def cached_set(path: Path, *identity: int) -> Any:
    """Read a file without its pixels; `identity` tells a changed file from the cached one."""
    del identity
    return pydicom.dcmread(path, stop_before_pixels=True)


# Every frame may have a scale of its own, and frames are read in turn.
@lru_cache(maxsize=4)
def cached_scales(path: Path, *identity: int) -> tuple[tuple[float, float], ...]:
    """Return (slope, intercept) of each frame, or one for all of them."""
    found = cached_set(path, *identity)
    sequence = "PixelValueTransformationSequence"
    shared = of_frames(found, sequence) or found
    frames = range(len(found.get("PerFrameFunctionalGroupsSequence", ()) or ()))
    sources = [of_frame(found, sequence, frame) or shared for frame in frames] or [shared]
    scales = tuple(
        (float(each.get("RescaleSlope", 1) or 1), float(each.get("RescaleIntercept", 0) or 0))
        for each in sources
    )
    return scales if len(set(scales)) > 1 else scales[:1]


def described(path: Path, name: str, frame: int) -> Described:
    """Read what a data set says of the pixels of a frame.

    Raises
    ------
    Rejected
        If it has none, or pixels that this app does not process.
    """
    stated = path.stat()
    identity = stated.st_dev, stated.st_ino, stated.st_size, stated.st_mtime_ns
    found = cached_set(path, *identity)
    if "Rows" not in found or "Columns" not in found:
        what = str(found.get("Modality", "")) or "data without an image"
        raise Rejected(f"{name}: holds no pixels ({what}); send a DICOM file of an image")
    if str(found.get("SOPClassUID", "")) == SLIDE:
        raise Rejected(
            f"{name}: is a slide whose frames are tiles, which is not put together; convert it "
            "to TIFF"
        )
    photometric = str(found.get("PhotometricInterpretation", ""))
    if photometric not in (*GRAY, *COLOURS, "PALETTE COLOR"):
        raise Rejected(
            f"{name}: has {photometric or 'unnamed'} colours; gray, RGB, YBR and palettes are "
            "read, so export it as TIFF"
        )
    syntax = str(found.file_meta.TransferSyntaxUID)
    if syntax not in (*BY_PYDICOM, *JPEG_STREAMS, *JPEG_LS, *JPEG_2000):
        compression = pydicom.uid.UID(syntax).name
        raise Rejected(
            f"{name}: is compressed as {compression}, which is not read; save it without "
            "compression"
        )
    allocated, bits = int(found.BitsAllocated), int(found.get("BitsStored", found.BitsAllocated))
    signed = int(found.get("PixelRepresentation", 0)) == 1
    samples = int(found.get("SamplesPerPixel", 1))
    # Samples are floats if nothing says whether they have a sign.
    floats = allocated >= 32 and "PixelRepresentation" not in found
    fits = allocated in (1, 8, 16, 32, 64)[: 5 if floats else 4] and 1 <= bits <= allocated
    if not fits or samples not in (1, 3) or (samples == 3) != (photometric in COLOURS):
        raise Rejected(
            f"{name}: has {samples} samples of {allocated} bits for {photometric}; 1 or 3 of 1, 8, "
            "16 or 32 bits are read, so export it as TIFF"
        )
    stored = f"{'float' if floats else 'int' if signed else 'uint'}{max(8, allocated)}"
    scales = cached_scales(path, *identity)
    if samples == 3 or photometric == "PALETTE COLOR":
        scales = ((1.0, 0.0),)
    slope, intercept = scales[min(frame, len(scales) - 1)]
    dtype = pixel_dtype(found, stored, bits, signed, slope, intercept)
    if len(scales) > 1:
        dtype = "float64" if allocated == 64 else "float32"
    return Described(
        int(found.Rows),
        int(found.Columns),
        samples,
        max(1, int(found.get("NumberOfFrames", 1) or 1)),
        photometric,
        stored,
        bits,
        dtype,
        slope,
        intercept,
        scales != ((1.0, 0.0),),
        syntax,
    )


def pixel_dtype(
    found: Any, stored: str, bits: int, signed: bool, slope: float, intercept: float
) -> str:
    """Return the dtype of pixels: whole numbers as long as slope and intercept are whole."""
    if str(found.PhotometricInterpretation) == "PALETTE COLOR":
        return "uint8" if int(found.RedPaletteColorLookupTableDescriptor[2]) <= 8 else "uint16"
    if int(found.BitsAllocated) == 1:
        return "bool"
    if (slope, intercept) == (1.0, 0.0):
        return stored
    if stored.startswith("float") or not (slope.is_integer() and intercept.is_integer()):
        return "float64" if int(found.BitsAllocated) == 64 else "float32"
    ends = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = [end * slope + intercept for end in ends]
    for dtype in ("uint8", "uint16", "int16", "int32"):
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return dtype
    return "float64"


def read_header(path: Path, name: str) -> Header:
    """Read a DICOM file's header.

    Raises
    ------
    Rejected
        If it holds no pixels, or such that this app does not process.
    """
    found = data_set(path)
    pixels = described(path, name, 0)
    header = read_plane_header(path, name, 0)
    if pixels.frames == 1:
        return header
    check_count(pixels.frames, name)
    return Header(**{**vars(header), "stack": stack_of(found, pixels.frames)})


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of one frame."""
    found = data_set(path)
    pixels = described(path, name, plane)
    coloured = pixels.samples == 3 or pixels.photometric == "PALETTE COLOR"
    shape = upright_shape(pixels.rows, pixels.columns, 3 if coloured else 1, 1)
    kind: Kind = "picture" if coloured or pixels.dtype == "uint8" else "intensity"
    if pixels.dtype == "bool":
        kind = "mask"
    profile, dropped = valid_profile(found.get("ICCProfile"))
    size = pixel_size(found)
    used = pixels.bits if pixels.dtype == pixels.stored and pixels.dtype.startswith("u") else 0
    return Header(
        name=name,
        format="dicom",
        image=ImageHeader(
            shape,
            pixels.dtype,
            "yxs"[: len(shape)],
            kind,
            pixel_size=size,
            channels=RGB if coloured else (),
        ),
        icc_profile=profile,
        notes=(*notes_of(found, pixels, plane), *dropped),
        bits=used if used not in (8, 16, 32, 64) else 0,
        plane=plane,
        block=dicom_plain.block_of(*shape[:2]) if is_plain(path, pixels) else None,
    )


def is_plain(path: Path, pixels: Described) -> bool:
    """Return whether each sample lies in the file as it is, so that windows can be read."""
    return (
        pixels.syntax in dicom_plain.PLAIN
        and pixels.photometric in (*GRAY, "RGB")
        and pixels.dtype != "bool"
        and min(pixels.rows, pixels.columns) > 0
        and dicom_plain.place_of(path) is not None
    )


def notes_of(found: Any, pixels: Described, plane: int) -> tuple[str, ...]:
    """Return what is done to the stored numbers, and what is not kept."""
    notes: tuple[str, ...] = (PRIVATE,)
    if pixels.is_rescaled:
        sequence = "PixelValueTransformationSequence"
        scale = of_frame(found, sequence, plane) or of_frames(found, sequence) or found
        unit = str(scale.get("RescaleType", "") or "")
        unit = "HU" if not unit and found.get("Modality") == "CT" else unit
        named = f" to {unit}" if unit and unit != "US" else ""
        notes += (
            f"numbers were rescaled{named}: stored × {pixels.slope:g} + {pixels.intercept:g}",
        )
    if pixels.photometric == "MONOCHROME1" and pixels.is_rescaled:
        notes += ("the file shows small values bright (MONOCHROME1); the values were kept",)
    elif pixels.photometric == "MONOCHROME1":
        notes += ("MONOCHROME1 was inverted, so that small values are dark",)
    if "ModalityLUTSequence" in found:
        notes += ("the modality table of the file was not applied: the values were kept",)
    centre, width = (first(found.get(f"Window{each}")) for each in ("Center", "Width"))
    if centre is not None and width is not None:
        notes += (
            f"the window of the file (centre {centre:g}, width {width:g}) is for a screen; the "
            "values were kept",
        )
    return notes


def first(value: Any) -> float | None:
    """Return the first of the numbers of an element, None if there is none."""
    if value is None or value == "":
        return None
    values = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
    return float(values[0]) if len(values) else None


def of_frames(found: Any, sequence: str) -> Any:
    """Return what an enhanced file says of all frames, or of its first one; None if nothing."""
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in list(found.get(group, ()) or ())[:1]:
            for inner in list(item.get(sequence, ()) or ())[:1]:
                return inner
    return None


def of_frame(found: Any, sequence: str, frame: int) -> Any:
    """Return what an enhanced file says of one of its frames alone; None if nothing."""
    groups = found.get("PerFrameFunctionalGroupsSequence", ()) or ()
    item = groups[frame] if frame < len(groups) else {}
    return next(iter(item.get(sequence, ()) or ()), None)


def pixel_size(found: Any) -> tuple[float, float] | None:
    """Return (height, width) of a pixel in metres; that of the detector if no other is known."""
    measures = of_frames(found, "PixelMeasuresSequence")
    for source, key in (
        (measures, "PixelSpacing"),
        (found, "PixelSpacing"),
        (found, "ImagerPixelSpacing"),
    ):
        spacing = source.get(key) if source is not None else None
        if spacing is not None and len(spacing) == 2:
            height, width = (float(each) * MILLIMETRE for each in spacing)
            if 0 < height < math.inf and 0 < width < math.inf:
                return height, width
    return None


def stack_of(found: Any, frames: int) -> Stack:
    """Return what the frames of a file are: times, slices, or pages if it does not say."""
    shown = first(found.get("FrameTime"))
    if shown and shown > 0:
        return Stack("t", (frames,), milliseconds=(max(1, round(shown)),) * frames)
    measures = of_frames(found, "PixelMeasuresSequence")
    for source, key in (
        (measures, "SpacingBetweenSlices"),
        (found, "SpacingBetweenSlices"),
        (measures, "SliceThickness"),
    ):
        step = first(source.get(key)) if source is not None else None
        if step and 0 < abs(step) < math.inf:
            return Stack("z", (frames,), step=abs(step) * MILLIMETRE)
    return Stack("p", (frames,))


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a frame into `out`.

    Raises
    ------
    EOFError, ValueError
        If the file is damaged, or its pixels are not those of the header.
    """
    found = data_set(path)
    pixels = described(path, header.name, header.plane)
    if pixels.syntax in BY_PYDICOM:
        source = pydicom.dcmread(path) if pixels.syntax == DEFLATED else path
        try:
            stored = pydicom_pixels.pixel_array(source, index=header.plane, raw=True)
        except AttributeError as error:
            raise EOFError("the file has no pixels") from error
        if pixels.photometric.startswith("YBR"):
            stored = pydicom_pixels.convert_color_space(stored, pixels.photometric, "RGB")
    else:
        stored = decoded(path, pixels, header.plane)
    shape = (pixels.rows, pixels.columns, *((3,) if pixels.samples == 3 else ()))
    if stored.shape != shape:
        raise ValueError(f"a frame of {stored.shape}, not of {shape}")
    if pixels.photometric == "PALETTE COLOR":
        table = pydicom_pixels.apply_color_lut(stored, found)
        out[...] = table[..., :3]
    else:
        fill(out, stored, pixels)
    return ()


def read_window(
    path: Path, header: Header, top: int, bottom: int, left: int, right: int, out: Image
) -> None:
    """Read a window of a frame that is not compressed.

    Raises
    ------
    EOFError
        If the file ends before the frame does.
    """
    pixels = described(path, header.name, header.plane)
    dtype = np.dtype(pixels.stored).newbyteorder("<")
    shape = (pixels.rows, pixels.columns, *((3,) if pixels.samples == 3 else ()))
    by_planes = pixels.samples == 3 and data_set(path).get("PlanarConfiguration", 0) == 1
    stored = dicom_plain.frame_of(path, shape, dtype, header.plane, by_planes=by_planes)
    fill(out, dicom_plain.used(stored[top:bottom, left:right], pixels.bits), pixels)


def fill(out: Image, stored: Image, pixels: Described) -> None:
    """Convert stored samples, which are no numbers of a palette, to pixels."""
    if pixels.is_rescaled:
        # Row by row: a product may be beyond the numbers of `out`, and takes memory.
        for row, samples in zip(out, stored, strict=True):
            row[...] = np.asarray(samples, np.float64) * pixels.slope + pixels.intercept
    elif pixels.photometric == "MONOCHROME1":
        out[...] = inverted(stored, pixels)
    else:
        out[...] = stored


def inverted(stored: Image, pixels: Described) -> Image:
    """Return samples in which the largest value is black."""
    if stored.dtype.kind == "i":
        return np.invert(stored)
    if pixels.dtype == "bool":
        return np.equal(stored, 0)
    return np.subtract((1 << pixels.bits) - 1, stored)


def decoded(path: Path, pixels: Described, frame: int) -> Image:
    """Decode a compressed frame to its stored samples, colours to RGB."""
    found = path.stat()
    identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    content, offsets = encapsulated(path, *identity)
    coded = encaps.get_frame(
        content, frame, number_of_frames=pixels.frames, extended_offsets=offsets
    )
    samples = decoder_of(pixels)(coded)
    samples = samples[..., 0] if samples.shape[2:] == (1,) else samples
    # These codecs undo YBR_RCT and YBR_ICT, which are their own; JPEG's decoder makes RGB itself.
    by_us = pixels.syntax in (*JPEG_LS, *JPEG_2000) and pixels.photometric.startswith("YBR_FULL")
    if by_us and samples.dtype == np.uint8:
        samples = pydicom_pixels.convert_color_space(samples, "YBR_FULL", "RGB")
    return as_allocated(samples, pixels)


# Frames are read in turn.
@lru_cache(maxsize=1)
def encapsulated(path: Path, *identity: int) -> tuple[bytes, Any]:
    """Return all compressed frames of a file, and the table of their places if it has one.

    Raises
    ------
    EOFError
        If the file has no pixels.
    """
    del identity
    whole = pydicom.dcmread(path)
    if "PixelData" not in whole:
        raise EOFError("the file has no pixels")
    offsets = None
    if "ExtendedOffsetTable" in whole:
        offsets = (whole.ExtendedOffsetTable, whole.ExtendedOffsetTableLengths)
    return whole.PixelData, offsets


def forget() -> None:
    """Free the frames of the last file."""
    encapsulated.cache_clear()


def decoder_of(pixels: Described) -> Callable[[bytes], Any]:
    """Return the function that decodes a frame of a compression."""
    if pixels.syntax in JPEG_LS:
        return partial(imagecodecs.jpegls_decode)
    if pixels.syntax in JPEG_2000:
        return partial(imagecodecs.jpeg2k_decode)
    if pixels.samples == 3:
        # The data set names the colours of a JPEG, whatever its own markers say.
        space = "RGB" if pixels.photometric == "RGB" else "YCBCR"
        return partial(imagecodecs.jpeg8_decode, colorspace=space, outcolorspace="RGB")
    return partial(imagecodecs.jpeg8_decode)


def as_allocated(samples: Image, pixels: Described) -> Image:
    """Return samples in the dtype in which a file without compression would hold them.

    JPEG and JPEG-LS know no sign: the highest of the bits that are used is the sign.
    """
    if not pixels.stored.startswith("int") or samples.dtype.kind == "i":
        return samples.astype(pixels.stored, copy=False)
    spare = np.dtype(pixels.stored).itemsize * 8 - pixels.bits
    wide: Image = samples.astype(pixels.stored.replace("int", "uint"))
    return (wide << spare).view(pixels.stored) >> spare


DICOM = Format(
    name="dicom",
    title="DICOM",
    extensions=("dcm", "dicom"),
    media_type="application/dicom",
    magic=re.compile(rb".{128}DICM", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
    read_plane_header=read_plane_header,
    read_window=read_window,
)
