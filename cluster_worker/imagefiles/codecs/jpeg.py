"""JPEG: 8 bits a channel, gray or RGB, no alpha.

Pillow reads and writes what surrounds the pixels. The pixels are decoded by libjpeg straight into
place, and encoded in bands that threads share, each a restart interval of one picture.
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

CHANNELS = {"L": 1, "RGB": 3}

# Close to what a camera writes; colour is kept at full resolution, so that a sharp red edge that
# an operation made is not smeared over two pixels.
QUALITY = 95
FULL_COLOUR = 0

# The format counts rows and columns in 16 bits; libjpeg stops a little earlier.
SIDE_MAX = 65_500

# A marker is a byte of ones and one that says what follows: a segment that begins with its own
# length, except for the last. Within the pixels, zero stands for the ones themselves, and restarts
# are markers of their own.
MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
LENGTH = struct.Struct(">H")
FRAME, SCAN, END = b"\xc0", b"\xda", b"\xd9"
RESTART_INTERVAL, RESTARTS = struct.Struct(">2sHH"), 8
# Where a frame's segment, behind its length and depth, says rows and columns.
FRAME_SIZE, FRAME_SIZE_START = struct.Struct(">HH"), 3

# Pixels that are encoded in one piece; blocks of 8 × 8 in it are counted in 16 bits.
BLOCK = 8
BAND_PIXELS = 1 << 20

# Inches in the units of the file's own density, a whole number of 16 bits; 0 stands for none.
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
        # The base class's method, which reads nothing but the tags.
        exif, notes = exif_of(lambda: PIL.Image.Image.getexif(file))
        orientation = valid_orientation(exif.get(ORIENTATION))
        profile, dropped = valid_profile(file.info.get("icc_profile"))
        return Header(
            name=name,
            format="jpeg",
            shape=upright_shape(rows, columns, CHANNELS[file.mode], orientation),
            dtype="uint8",
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution_of(density_of(file), exif, orientation),
            notes=notes + dropped,
        )


def density_of(file: JpegImageFile) -> tuple[float, float] | None:
    """Give pixels per inch; Pillow's own figure is 72 where a file says nothing."""
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
    # libjpeg would fill in gray.
    if not any(kind == END for kind, _ in segments(content)):
        raise EOFError("the file ends within a segment")
    stored = as_stored(out, header.orientation)
    if stored.flags.c_contiguous:
        jpeg8_decode(content, out=stored)
    else:
        stored[...] = jpeg8_decode(content)


def segments(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Walk the segments of a file up to its end, or to where it breaks off.

    Yields
    ------
    bytes, int
        A segment's kind, and where its length stands.
    """
    # The first marker has no segment.
    place = 2
    while found := MARKER.search(content, place):
        kind, place = found[1], found.end()
        yield kind, place
        if kind == END or place + LENGTH.size > len(content):
            return
        place += LENGTH.unpack_from(content, place)[0]


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG; masks become black and white, and alpha is laid over white."""
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
    """Encode a band of rows, and give what lies between the header and the end of its file."""
    content = jpeg8_encode(picture[top : top + rows], QUALITY, subsampling="444")
    scan = next(place for kind, place in segments(content) if kind == SCAN)
    return memoryview(content)[scan + LENGTH.unpack_from(content, scan)[0] : -2]


def head(picture: Image, interval: int, options: dict[str, Any]) -> bytes:
    """Write all that stands before the pixels.

    Parameters
    ----------
    picture : ndarray
        rows × columns [× 3].
    interval : int
        Blocks from one restart to the next, 0 for none.
    options : dict
        Pillow's, for what describes the picture.
    """
    small, buffer = PIL.Image.fromarray(picture[:1, :1]), BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, subsampling=FULL_COLOUR, **options)
    content = bytearray(buffer.getvalue())
    places = dict(segments(bytes(content)))
    FRAME_SIZE.pack_into(content, places[FRAME] + FRAME_SIZE_START, *picture.shape[:2])
    scan = places[SCAN]
    restarts = RESTART_INTERVAL.pack(b"\xff\xdd", 4, interval) if interval else b""
    end = scan + LENGTH.unpack_from(content, scan)[0]
    return bytes(content[: scan - 2] + restarts + content[scan - 2 : end])


def density_options(resolution: tuple[float, float] | None) -> dict[str, Any]:
    """Say how to write a resolution: as EXIF data too if the file's own density is too coarse."""
    if resolution is None:
        return {}
    rounded = tuple(round(each) for each in resolution)
    options: dict[str, Any] = {"dpi": rounded} if max(rounded) <= DENSITY_MAX else {}
    if rounded != resolution or not options:
        options["exif"] = resolution_exif(resolution)
    return options


def over_white(image: Image) -> Image:
    """Lay a picture with alpha over white."""
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
