"""JPEG: 8 bits per channel, gray or RGB, no alpha.

Pillow reads and writes everything but the pixels. libjpeg decodes the pixels directly into the
output array. Threads encode bands of rows side by side; each band is one restart interval.
"""

import re
import struct
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from imagecodecs import jpeg8_decode, jpeg8_encode
from PIL.JpegImagePlugin import JpegImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    as_stored,
    fitting_profile,
    has_alpha,
    in_8_bits,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.pillow import (
    ORIENTATION,
    exif_of,
    resolution_exif,
    resolution_of,
)
from cluster_worker.imagefiles.codecs.threads import in_threads
from cluster_worker.pixels.header import header_of

CHANNELS = {"L": 1, "RGB": 3}

# About the quality of a camera. Chroma is not subsampled: a sharp red edge in a result would be
# smeared over two pixels.
QUALITY = 95
FULL_COLOUR = 0

# The format stores rows and columns in 16 bits; the limit of libjpeg is a little lower.
SIDE_MAX = 65_500

# A marker is the byte FF and a byte for its type. A segment follows, which begins with its own
# length; the end marker has none. Within the pixels, FF 00 stands for a byte FF, and FF D0 to FF D7
# are restart markers.
MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
LENGTH = struct.Struct(">H")
FRAME, SCAN, END = b"\xc0", b"\xda", b"\xd9"
RESTART_INTERVAL, RESTARTS = struct.Struct(">2sHH"), 8
# Rows and columns in a frame segment, and their offset: length and bit depth come first.
FRAME_SIZE, FRAME_SIZE_START = struct.Struct(">HH"), 3

# Pixels of a band. The format counts the blocks of 8 × 8 pixels in a restart interval in 16 bits.
BLOCK = 8
BAND_PIXELS = 1 << 20

# Inches in the units of the density field, by their numbers; 0 means an aspect ratio. The density
# is a whole number of 16 bits.
DENSITY_INCHES = {1: 1.0, 2: 1 / 2.54}
DENSITY_MAX = 65_535


def read_header(path: Path, name: str) -> Header:
    """Read a JPEG's header.

    Raises
    ------
    Rejected
        If the picture is neither gray nor RGB.
    """
    with path.open("rb") as opened:
        file = JpegImageFile(opened)
        if file.mode not in CHANNELS:
            raise Rejected(
                f"{name}: has {file.mode} colours; this app reads JPEG in gray and RGB, "
                "so convert it to RGB"
            )
        columns, rows = file.size
        # The method of the base class reads the tags and nothing else.
        exif, notes = exif_of(lambda: PIL.Image.Image.getexif(file))
        orientation = valid_orientation(exif.get(ORIENTATION))
        profile, dropped = valid_profile(file.info.get("icc_profile"))
        return Header(
            name=name,
            format="jpeg",
            image=header_of(
                upright_shape(rows, columns, CHANNELS[file.mode], orientation), "uint8"
            ),
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution_of(density_of(file), exif, orientation),
            notes=notes + dropped,
        )


def density_of(file: JpegImageFile) -> tuple[float, float] | None:
    """Return pixels per inch along (columns, rows), or None if the file states no unit.

    Pillow's own `dpi` is 72 for a file without a density.
    """
    inches = DENSITY_INCHES.get(file.info.get("jfif_unit", 0))
    if inches is None:
        return None
    x, y = file.info["jfif_density"]
    return x / inches, y / inches


def read_pixels(path: Path, header: Header, out: Image) -> None:
    """Decode a JPEG into `out`.

    Raises
    ------
    EOFError
        If the file ends too early.
    """
    content = path.read_bytes()
    # libjpeg would fill missing pixels with gray.
    if not any(marker == END for marker, _ in segments(content)):
        raise EOFError("the file ends within a segment")
    stored = as_stored(out, header.orientation)
    if stored.flags.c_contiguous:
        jpeg8_decode(content, out=stored)
    else:
        stored[...] = jpeg8_decode(content)


def segments(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Walk the segments of a file up to the end marker, or to where the file ends too early.

    Yields
    ------
    bytes, int
        Second byte of the marker, and offset of the segment's length field.
    """
    # The start marker has no segment.
    offset = 2
    while found := MARKER.search(content, offset):
        marker, offset = found[1], found.end()
        yield marker, offset
        if marker == END or offset + LENGTH.size > len(content):
            return
        offset += LENGTH.unpack_from(content, offset)[0]


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG; masks become black and white, and alpha is blended over white."""
    notes: tuple[str, ...] = ()
    picture = without_channels(in_8_bits(image))
    if has_alpha(image.shape):
        picture = over_white(picture)
        notes += ("transparency dropped: JPEG cannot hold it, so the picture lies on white",)
    profile, dropped = fitting_profile(image.shape, header)
    options = {"icc_profile": profile or None, **density_options(header.resolution)}
    across = -(-picture.shape[1] // BLOCK)
    down = max(1, BAND_PIXELS // (across * BLOCK * BLOCK))
    tops = range(0, len(picture), down * BLOCK)
    bands = in_threads(partial(encoded, picture, down * BLOCK), tops, 3 * BAND_PIXELS)
    with path.open("wb") as opened:
        opened.write(head(picture, down * across if len(tops) > 1 else 0, options))
        for number, band in enumerate(bands):
            opened.write(band)
            last = number == len(tops) - 1
            opened.write(b"\xff" + (END if last else bytes([0xD0 + number % RESTARTS])))
    return notes + dropped


def encoded(picture: Image, rows: int, top: int) -> memoryview:
    """Encode `rows` rows from `top` on; return the bytes between headers and end marker."""
    content = jpeg8_encode(picture[top : top + rows], QUALITY, subsampling="444")
    scan = next(offset for marker, offset in segments(content) if marker == SCAN)
    return memoryview(content)[scan + LENGTH.unpack_from(content, scan)[0] : -2]


def head(picture: Image, interval: int, options: dict[str, Any]) -> bytes:
    """Return the bytes before the pixels: all segments up to the scan header.

    Parameters
    ----------
    picture : ndarray
        (rows, columns) or (rows, columns, 3), of uint8.
    interval : int
        Blocks of 8 × 8 pixels between two restart markers, 0 for no restarts.
    options : dict
        Options of Pillow: colour profile, density and EXIF data.
    """
    small, buffer = PIL.Image.fromarray(picture[:1, :1]), BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, subsampling=FULL_COLOUR, **options)
    content = bytearray(buffer.getvalue())
    offsets = dict(segments(bytes(content)))
    FRAME_SIZE.pack_into(content, offsets[FRAME] + FRAME_SIZE_START, *picture.shape[:2])
    scan = offsets[SCAN]
    restarts = RESTART_INTERVAL.pack(b"\xff\xdd", 4, interval) if interval else b""
    end = scan + LENGTH.unpack_from(content, scan)[0]
    return bytes(content[: scan - 2] + restarts + content[scan - 2 : end])


def density_options(resolution: tuple[float, float] | None) -> dict[str, Any]:
    """Return Pillow's options for a resolution; with EXIF data if the density would round it."""
    if resolution is None:
        return {}
    rounded = tuple(round(each) for each in resolution)
    options: dict[str, Any] = {"dpi": rounded} if max(rounded) <= DENSITY_MAX else {}
    if rounded != resolution or not options:
        options["exif"] = resolution_exif(resolution)
    return options


def over_white(image: Image) -> Image:
    """Blend a picture with alpha over white."""
    picture = PIL.Image.fromarray(image)
    opaque = PIL.Image.new("L" if picture.mode == "LA" else "RGB", picture.size, "white")
    opaque.paste(picture.convert(opaque.mode), mask=picture.getchannel("A"))
    return np.asarray(opaque)


JPEG = Format(
    name="jpeg",
    title="JPEG",
    extensions=("jpg", "jpeg", "jpe", "jfif"),
    media_type="image/jpeg",
    magic=re.compile(rb"\xff\xd8\xff"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8"),
    side_max=SIDE_MAX,
)
