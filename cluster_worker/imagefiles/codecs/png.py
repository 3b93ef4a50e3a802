"""PNG: 1, 8 and 16 bits gray, 8 and 16 bits RGB, all but the 1-bit ones with alpha too.

Pillow reads what surrounds the pixels. The pixels go by bands, as `png_bands` has them; palettes,
fewer bits, a transparent colour and interlaced pixels are Pillow's too, but not with 16 bits of
colour, of which it would keep 8 without a word: libpng decodes those.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from os import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image
from imagecodecs import png_decode
from PIL import PngImagePlugin
from PIL.PngImagePlugin import PngImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs import png_bands
from cluster_worker.imagefiles.codecs.header import (
    PROFILE_BYTES_MAX,
    SHORT_LABELS_MAX,
    Format,
    Header,
    Image,
    as_stored,
    fitting_profile,
    in_8_bits,
    narrowed,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.pillow import ORIENTATION, exif_of, fill, resolution_of
from cluster_worker.imagefiles.codecs.png_bands import CHECKSUM, CHUNK_HEAD, SIGNATURE, chunk, frame

# Pillow's own limit of 1 MiB refuses pictures for a printer's colour profile.
PngImagePlugin.MAX_TEXT_CHUNK = PROFILE_BYTES_MAX

READ_BYTES = 1 << 20

# Chunks of what a result carries over: pixels per metre, and the colour profile.
RESOLUTION, METRE, INCH_METRES = struct.Struct(">IIB"), 1, 0.0254
PROFILE_NAME = b"ICC Profile\0\0"

CHANNELS = {"1": 1, "L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}
DTYPES = {"1": "bool", "I;16": "uint16"}
BITS = {"bool": 1, "uint8": 8, "uint16": 16}
# Channels by the number that stands for the kind of colour.
DEEP_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def read_header(path: Path, name: str) -> Header:
    """Read a PNG's header.

    Raises
    ------
    Rejected
        If the image is an animation.
    """
    with path.open("rb") as opened:
        depth, colour = kind_of(opened)
        file = PngImageFile(opened)
        if getattr(file, "n_frames", 1) > 1:
            raise Rejected(
                f"{name}: is an animation of {file.n_frames} pictures; this app reads single ones"
            )
        deep = deep_channels(file, depth, colour)
        mode, notes = mode_of(file)
        columns, rows = file.size
        # The base class's method: that of PNG decodes all pixels in search of EXIF behind them.
        exif, damaged = exif_of(lambda: PIL.Image.Image.getexif(file))
        orientation = valid_orientation(exif.get(ORIENTATION))
        profile, dropped = valid_profile(file.info.get("icc_profile"))
        return Header(
            name=name,
            format="png",
            shape=upright_shape(rows, columns, deep or CHANNELS[mode], orientation),
            dtype="uint16" if deep else DTYPES.get(mode, "uint8"),
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution_of(file.info.get("dpi"), exif, orientation),
            notes=notes + damaged + dropped,
        )


def kind_of(opened: BinaryIO) -> tuple[int, int]:
    """Read bits a channel, and the number for the kind of colour."""
    opened.seek(len(SIGNATURE) + CHUNK_HEAD.size + 8)
    depth, colour = struct.unpack(">BB", opened.read(2))
    opened.seek(0)
    return depth, colour


def deep_channels(file: PngImageFile, depth: int, colour: int) -> int:
    """Count the channels, a transparent colour as alpha, of what libpng is to decode; else 0."""
    transparent = "transparency" in file.info
    if depth < 16 or (colour == 0 and not transparent):
        return 0
    return DEEP_CHANNELS[colour] + transparent


def mode_of(file: PngImageFile) -> tuple[str, tuple[str, ...]]:
    """Give the Pillow mode that holds all of an image, palette resolved, and notes."""
    transparent = "transparency" in file.info
    if file.mode == "P":
        return "RGBA" if transparent else "RGB", ()
    if transparent and file.mode in ("L", "RGB"):
        return file.mode[:3] + "A", ()
    if transparent and file.mode == "1":
        return file.mode, ("transparency dropped: one level of gray stood for transparent",)
    return file.mode, ()


def read_pixels(path: Path, header: Header, out: Image) -> None:
    """Decode a PNG into `out`.

    Raises
    ------
    EOFError
        If the file ends too early.
    ValueError
        If a checksum is wrong.
    """
    with path.open("rb") as opened:
        check_chunks(opened)
        depth, colour = kind_of(opened)
        file = PngImageFile(opened)
        if by_bands(file, depth):
            fill_bands(opened, header.orientation, out)
        elif deep_channels(file, depth, colour):
            fill_deep(opened, header.orientation, out)
        else:
            fill(file, mode_of(file)[0], header.orientation, out)


def by_bands(file: PngImageFile, depth: int) -> bool:
    """Whether the pixels are stored row after row as an image has them."""
    plain = file.mode != "P" and "transparency" not in file.info
    return plain and depth >= 8 and not file.info.get("interlace")


def fill_bands(opened: BinaryIO, orientation: int, out: Image) -> None:
    """Decode a file by bands, and turn its pixels upright."""
    stored = as_stored(out, orientation)
    straight = stored if stored.flags.c_contiguous else np.empty(stored.shape, stored.dtype)
    png_bands.decode(contents_of(opened), straight)
    if straight is not stored:
        stored[...] = straight


def contents_of(opened: BinaryIO) -> Iterator[bytes]:
    """Read the chunks of pixels in a file whose chunks are known to be whole."""
    opened.seek(len(SIGNATURE))
    kind = b""
    while kind != b"IEND":
        length, kind = CHUNK_HEAD.unpack(opened.read(CHUNK_HEAD.size))
        if kind == b"IDAT":
            for start in range(0, length, READ_BYTES):
                yield opened.read(min(READ_BYTES, length - start))
            length = 0
        opened.seek(length + CHECKSUM.size, SEEK_CUR)


def fill_deep(opened: BinaryIO, orientation: int, out: Image) -> None:
    """Decode a file with libpng, which keeps 16 bits, and turn its pixels upright."""
    opened.seek(0)
    stored = as_stored(out, orientation)
    if stored.flags.c_contiguous:
        png_decode(opened.read(), out=stored)
    else:
        stored[...] = png_decode(opened.read())


def check_chunks(opened: BinaryIO) -> None:
    """Walk the chunks up to the last; Pillow looks neither at the pixels' checksums nor for it."""
    opened.seek(len(SIGNATURE))
    kind = b""
    while kind != b"IEND":
        length, kind = CHUNK_HEAD.unpack(exactly(opened, CHUNK_HEAD.size))
        checksum = zlib.crc32(kind)
        for start in range(0, length, READ_BYTES):
            checksum = zlib.crc32(exactly(opened, min(READ_BYTES, length - start)), checksum)
        if CHECKSUM.unpack(exactly(opened, CHECKSUM.size))[0] != checksum:
            raise ValueError(f"checksum of chunk {kind!r} is wrong")


def exactly(opened: BinaryIO, size: int) -> bytes:
    """Read so many bytes and not one less."""
    found = opened.read(size)
    if len(found) < size:
        raise EOFError("the file ends within a chunk")
    return found


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a PNG.

    A mask is written as 8 bits of 0 and 255, which every program shows; only if the original had
    1 bit does the result have 1 bit.

    Raises
    ------
    Rejected
        If the image is of labels that 16 bits do not hold.
    """
    if header.dtype != "bool":
        image = in_8_bits(image)
    image = narrowed(without_channels(image))
    if image.dtype == np.uint32:
        raise Rejected(
            f"{header.name}: the result has labels up to {image.max()}, and PNG holds at most "
            f"{SHORT_LABELS_MAX}; choose TIFF"
        )
    profile, notes = fitting_profile(image.shape, header)
    with path.open("wb") as opened:
        opened.write(SIGNATURE + frame(image.shape, BITS[image.dtype.name]))
        if profile:
            opened.write(chunk(b"iCCP", PROFILE_NAME + zlib.compress(profile)))
        if header.resolution:
            along = (round(each / INCH_METRES) for each in header.resolution)
            opened.write(chunk(b"pHYs", RESOLUTION.pack(*along, METRE)))
        opened.writelines(png_bands.encoded(image))
        opened.write(chunk(b"IEND", b""))
    return notes


PNG = Format(
    name="png",
    title="PNG",
    extensions=("png",),
    media_type="image/png",
    magic=re.compile(re.escape(SIGNATURE)),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8", "uint16", "uint32"),
)
