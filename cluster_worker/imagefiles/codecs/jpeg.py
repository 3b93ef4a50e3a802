"""JPEG: gray and RGB of 8 to 16 bits, and CMYK, which is converted. Results have 8 bits, no alpha.

libjpeg decodes the pixels directly into the output array. Threads encode bands of rows side by
side; each band is one restart interval. Pillow writes everything before the pixels.
"""

import re
import struct
from dataclasses import replace
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from imagecodecs import jpeg8_decode, jpeg8_encode
from PIL.JpegImagePlugin import JpegImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.colour_spaces import cmyk_note, cmyk_to_rgb
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    JpegCoding,
    as_stored,
    fill_rest,
    fitting_profile,
    in_8_bits,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import (
    first_of,
    upright_xmp,
    values_of,
    within_limit,
)
from cluster_worker.imagefiles.codecs.jpeg_ends import ended, first_rows
from cluster_worker.imagefiles.codecs.jpeg_segments import (
    BASELINE,
    COMMENT,
    CONTENT_MAX,
    END,
    EXIF_OR_XMP,
    EXIF_START,
    FRAMES,
    LENGTH,
    PHOTOSHOP,
    PROGRESSIVES,
    SCAN,
    SIDE_MAX,
    XMP_START,
    Frame,
    before_scan,
    density_of,
    frame_of,
    iptc_content,
    items_of,
    profile_of,
    segment,
    segments,
    starting,
)
from cluster_worker.imagefiles.codecs.mapped import content_of
from cluster_worker.imagefiles.codecs.pillow import (
    ORIENTATION,
    exif_of,
    resolution_of,
    result_exif,
)
from cluster_worker.imagefiles.codecs.threads import in_threads
from cluster_worker.pixels.header import ImageHeader

# Channels of the image by those of the file: four are CMYK.
CHANNELS = {1: 1, 3: 3, 4: 3}
CMYK = 4

# About the quality of a camera, for results that were no JPEG. Chroma is not subsampled: a sharp
# red edge in a result would be smeared over two pixels.
QUALITY = 95
FULL_COLOUR = "444"
# Pillow's numbers of the subsamplings, and how many pixels of (rows, columns) share a colour.
SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2}
SHARED = {"444": (1, 1), "422": (1, 2), "420": (2, 2)}
# From the sampling factors of the first channel, where the others have 1 × 1.
BY_FACTORS = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}


RESTART_INTERVAL, RESTARTS = struct.Struct(">2sHH"), 8
# Rows and columns in a frame segment, and their offset: length and bit depth come first.
FRAME_SIZE, FRAME_SIZE_START = struct.Struct(">HH"), 3

# Pixels of a band. The format counts the blocks of pixels in a restart interval in 16 bits.
BLOCK = 8
BAND_PIXELS = 1 << 20

# Inches in the units of the density field, by their numbers; 0 means an aspect ratio. The density
# is a whole number of 16 bits.
DENSITY_INCHES = {1: 1.0, 2: 1 / 2.54}
DENSITY_MAX = 65_535

# A progressive JPEG is encoded as a whole, with some 9 bytes for a pixel. A larger result is
# progressive only if that is chosen.
PROGRESSIVE_PIXELS_MAX = 50_000_000
LARGE = "written from top to bottom: a progressive JPEG of this size is made only if it is chosen"

COARSE = "the file ends within its pixels: all rows are there, but with less detail"
NO_END = "the file has no end mark; all pixels are there"


def read_header(path: Path, name: str) -> Header:
    """Read a JPEG's header.

    Raises
    ------
    Rejected
        If the pixels are stored in a way that this app does not read.
    """
    parts = before_scan(content_of(path))
    frame = frame_of(parts)
    check_frame(frame, name)
    exif, items, notes = exif_of(next(iter(starting(parts, EXIF_OR_XMP, EXIF_START)), b""))
    others, lost = items_of(parts)
    items, over = within_limit((*items, *others))
    orientation = valid_orientation(exif.get(ORIENTATION))
    profile, dropped = valid_profile(profile_of(parts))
    if frame.channels == CMYK:
        lost += (cmyk_note(profile),)
        profile = b""
    deep = frame.bits > 8
    channels = CHANNELS[frame.channels]
    shape = upright_shape(frame.rows, frame.columns, channels, orientation)
    return Header(
        name=name,
        format="jpeg",
        image=ImageHeader(
            shape,
            "uint16" if deep else "uint8",
            "yx" if channels == 1 else "yxs",
            "intensity" if deep and channels == 1 else "picture",
        ),
        orientation=orientation,
        icc_profile=profile,
        resolution=resolution_of(inches_of(parts), exif, orientation),
        notes=notes + dropped + lost + over,
        bits=frame.bits if frame.bits not in (8, 16) else 0,
        items=items,
        jpeg=None if deep else coding_of(path, is_progressive=frame.marker in PROGRESSIVES),
    )


def check_frame(frame: Frame, name: str) -> None:
    """Check that libjpeg decodes pixels that are stored so.

    Raises
    ------
    Rejected
        If not.
    """
    if frame.marker not in FRAMES:
        raise Rejected(
            f"{name}: is a hierarchical or lossless arithmetic JPEG, which this app does not read; "
            "save it as PNG or as an ordinary JPEG"
        )
    deep = frame.bits > 8
    if frame.channels not in CHANNELS or (deep and frame.channels == CMYK) or frame.bits > 16:
        raise Rejected(
            f"{name}: is a JPEG of {frame.channels} channels with {frame.bits} bits each; this app "
            "reads gray, RGB and CMYK, so convert it to RGB with 8 bits"
        )


def inches_of(parts: list[tuple[bytes, bytes]]) -> tuple[float, float] | None:
    """Return pixels per inch along (columns, rows), or None if the file states no unit."""
    unit, x, y = density_of(parts) or (0, 0, 0)
    inches = DENSITY_INCHES.get(unit)
    return None if inches is None else (x / inches, y / inches)


def coding_of(path: Path, *, is_progressive: bool) -> JpegCoding | None:
    """Return how a JPEG was compressed; None if a result cannot be compressed so."""
    try:
        with path.open("rb") as opened:
            file = JpegImageFile(opened)
            tables = tuple(tuple(file.quantization[key]) for key in sorted(file.quantization))
            factors = [each[1:3] for each in file.layer]
    except Exception:  # noqa: BLE001 - the pixels may be readable all the same
        return None
    if not tables or any(
        len(each) != 64 or not 0 < min(each) <= max(each) < 256 for each in tables
    ):
        return None
    plain = all(each == (1, 1) for each in factors[1:])
    subsampling = BY_FACTORS.get(factors[0], FULL_COLOUR) if plain else FULL_COLOUR
    subsampling = FULL_COLOUR if len(factors) == 1 else subsampling
    return JpegCoding(tables[:2], subsampling, is_progressive)


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a JPEG into `out`.

    Returns
    -------
    tuple of str
        A note if the end mark is missing.

    Raises
    ------
    EOFError
        If the file ends too early.
    """
    content = content_of(path)
    notes: tuple[str, ...] = ()
    frame = frame_of(before_scan(content))
    decode = decode_cmyk if frame.channels == CMYK else jpeg8_decode
    if not any(marker == END for marker, _ in segments(content)):
        # libjpeg would fill missing pixels with gray.
        content, notes = ended(bytes(content), decode), (NO_END,)
    stored = as_stored(out, header.orientation)
    if stored.flags.c_contiguous and frame.channels != CMYK:
        jpeg8_decode(content, out=stored)
    else:
        stored[...] = decode(bytes(content))
    return notes


def read_incomplete(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode the rows that are there of a JPEG into `out`, and note how many they are.

    A progressive file has coarse pixels in all rows once a scan of each channel is complete.

    Raises
    ------
    EOFError
        If none are there, or a channel is missing.
    """
    content = bytes(content_of(path))
    frame = frame_of(before_scan(content))
    rows, there = first_rows(content, decode_cmyk if frame.channels == CMYK else jpeg8_decode)
    whole = as_stored(out, header.orientation)
    is_coarse = frame.marker in PROGRESSIVES
    if is_coarse and there == len(rows):
        whole[...] = rows
        return (COARSE,)
    note = fill_rest(whole, rows[:there], header)
    return (f"{note}; those that are there have less detail" if is_coarse else note,)


def decode_cmyk(content: bytes) -> Image:
    """Decode a JPEG in CMYK, and convert it to RGB."""
    with BytesIO(content) as opened:
        file = JpegImageFile(opened)
        return cmyk_to_rgb(np.asarray(file), profile_of(before_scan(content)))


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG; masks become black and white, and alpha is blended over white.

    The quality is that of the header; by default that of the original if it was a JPEG, else
    `QUALITY`. A coarse picture comes first if the header says so, or if it did in the original.
    """
    notes: tuple[str, ...] = ()
    picture = without_channels(in_8_bits(image))
    if header.image.alpha:
        picture = over_white(picture)
        notes += ("transparency dropped: JPEG cannot hold it, so the picture lies on white",)
    profile, dropped = fitting_profile(image.shape, header)
    options = {"icc_profile": profile or None, **density_options(header.resolution)}
    coding = coding_for(header, picture)
    more, lost = carried(header, image.shape, density_is_rounded(header.resolution))
    is_small = picture.shape[0] * picture.shape[1] <= PROGRESSIVE_PIXELS_MAX
    if coding.progressive and not (is_small or header.output.progressive):
        notes += (LARGE,)
    elif coding.progressive:
        content = by_pillow(picture, coding, options | {"progressive": True})
        path.write_bytes(with_segments(content, more))
        return notes + dropped + lost
    down, across = (BLOCK * each for each in SHARED[coding.subsampling])
    blocks = -(-picture.shape[1] // across)
    rows = max(1, BAND_PIXELS // (blocks * across * down)) * down
    tops = range(0, len(picture), rows)
    bands = in_threads(partial(encoded, picture, rows, coding), tops, 3 * BAND_PIXELS)
    with path.open("wb") as opened:
        interval = rows // down * blocks if len(tops) > 1 else 0
        opened.write(head(picture, interval, coding, options, more))
        for number, band in enumerate(bands):
            opened.write(band)
            last = number == len(tops) - 1
            opened.write(b"\xff" + (END if last else bytes([0xD0 + number % RESTARTS])))
    return notes + dropped + lost


def coding_for(header: Header, picture: Image) -> JpegCoding:
    """Return how to compress a result; by default as the original, if that was a JPEG."""
    coding = header.jpeg or JpegCoding(tables_of(QUALITY), FULL_COLOUR)
    if header.output.progressive:
        coding = replace(coding, progressive=True)
    if header.output.quality is not None:
        coding = replace(coding, tables=tables_of(header.output.quality))
    if header.output.subsampling:
        coding = replace(coding, subsampling=header.output.subsampling)
    if picture.ndim == 2:
        return replace(coding, tables=coding.tables[:1], subsampling=FULL_COLOUR)
    return coding


@lru_cache
def tables_of(quality: int) -> tuple[tuple[int, ...], ...]:
    """Return the quantization tables of libjpeg for a quality from 1 to 100."""
    buffer = BytesIO()
    PIL.Image.new("RGB", (BLOCK, BLOCK)).save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    found = JpegImageFile(buffer).quantization
    return tuple(tuple(found[key]) for key in sorted(found))


@lru_cache
def qualities() -> dict[tuple[tuple[int, ...], ...], int]:
    """Return the quality by its tables; also by the first table alone, which gray has."""
    found = {}
    for quality in range(1, 101):
        tables = tables_of(quality)
        found[tables] = found[tables[:1]] = quality
    return found


def encoded(picture: Image, rows: int, coding: JpegCoding, top: int) -> memoryview:
    """Encode `rows` rows from `top` on; return the bytes between headers and end marker."""
    band = picture[top : top + rows]
    quality = qualities().get(coding.tables)
    if quality is not None:
        content: bytes = jpeg8_encode(band, quality, subsampling=coding.subsampling)
    else:
        content = by_pillow(band, coding, {})
    scan = next(offset for marker, offset in segments(content) if marker == SCAN)
    return memoryview(content)[scan + LENGTH.unpack_from(content, scan)[0] : -2]


def by_pillow(picture: Image, coding: JpegCoding, options: dict[str, Any]) -> bytes:
    """Encode a picture with any quantization tables."""
    buffer = BytesIO()
    tables = [list(each) for each in coding.tables]
    subsampling = SUBSAMPLINGS[coding.subsampling]
    PIL.Image.fromarray(picture).save(
        buffer, "JPEG", qtables=tables, subsampling=subsampling, **options
    )
    return buffer.getvalue()


def head(
    picture: Image, interval: int, coding: JpegCoding, options: dict[str, Any], more: bytes
) -> bytes:
    """Return the bytes before the pixels: all segments up to the scan header.

    Parameters
    ----------
    picture : ndarray
        (rows, columns) or (rows, columns, 3), of uint8.
    interval : int
        Blocks of pixels between two restart markers, 0 for no restarts.
    coding : JpegCoding
        How the pixels are compressed.
    options : dict
        Options of Pillow: colour profile and density.
    more : bytes
        Segments of what the picture carries; they follow the first one.
    """
    content = bytearray(by_pillow(picture[:1, :1], coding, options))
    offsets = dict(segments(bytes(content)))
    FRAME_SIZE.pack_into(content, offsets[BASELINE] + FRAME_SIZE_START, *picture.shape[:2])
    scan = offsets[SCAN]
    restarts = RESTART_INTERVAL.pack(b"\xff\xdd", 4, interval) if interval else b""
    end = scan + LENGTH.unpack_from(content, scan)[0]
    before = with_segments(bytes(content[: scan - 2]), more)
    return before + restarts + bytes(content[scan - 2 : end])


def with_segments(content: bytes, more: bytes) -> bytes:
    """Return a JPEG with further segments behind its first one."""
    first = 4 + LENGTH.unpack_from(content, 4)[0]
    return content[:first] + more + content[first:]


def density_is_rounded(resolution: tuple[float, float] | None) -> bool:
    """Return whether the density of a JPEG is not exactly this resolution."""
    return resolution is not None and (
        tuple(round(each) for each in resolution) != resolution or max(resolution) > DENSITY_MAX
    )


def density_options(resolution: tuple[float, float] | None) -> dict[str, Any]:
    """Return Pillow's options for a resolution."""
    if resolution is None or max(resolution) > DENSITY_MAX:
        return {}
    return {"dpi": tuple(round(each) for each in resolution)}


def carried(header: Header, shape: tuple[int, ...], exact: bool) -> tuple[bytes, tuple[str, ...]]:
    """Return the segments of what a result carries, and notes on what does not fit.

    `exact` says that the resolution needs EXIF data, because the density would round it.
    """
    exif, notes = result_exif(header, shape, always=exact, texts=True)
    found = [(EXIF_OR_XMP, EXIF_START + exif, "EXIF data")] if exif else []
    xmp = upright_xmp(first_of(header.items, "xmp"))
    if xmp:
        found.append((EXIF_OR_XMP, XMP_START + xmp, "XMP data"))
    for iptc in values_of(header.items, "iptc"):
        found.append((PHOTOSHOP, iptc_content(iptc), "IPTC data"))
    for comment in values_of(header.items, "comment"):
        found.append((COMMENT, comment, "comment"))
    content = b""
    for marker, each, title in found:
        if len(each) > CONTENT_MAX:
            notes += (f"{title} dropped: JPEG holds at most 64 KiB of it",)
        else:
            content += segment(marker, each)
    return content, notes


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
    # JPEG-LS begins alike; in a header of SPIFF, 6 stands for it.
    magic=re.compile(rb"\xff\xd8\xff(?!\xf7|\xe8\0\x20SPIFF\0.{14}\x06)", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
    read_incomplete=read_incomplete,
    write=write,
    dtypes=("bool", "uint8"),
    carries=frozenset(("profile", "resolution", "exif", "xmp", "iptc", "comment", "text")),
    side_max=SIDE_MAX,
    decodes_rows=True,
    has_quality=True,
)
