"""PNG: gray of 1, 8 and 16 bits, RGB of 8 and 16 bits; with alpha too, except 1 bit.

Pillow reads everything but the pixels. `png_bands` decodes the pixels of most files, and encodes
those of results. Pillow decodes palettes, fewer than 8 bits, interlaced pixels and a transparent
colour. It would silently reduce colours of 16 bits to 8, so libpng decodes such files.
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
from cluster_worker.imagefiles.codecs.png_bands import (
    CHECKSUM,
    CHUNK_HEAD,
    SIGNATURE,
    chunk,
    header_chunk,
)
from cluster_worker.pixels.header import header_of

# Pillow's own limit of 1 MiB would refuse images with the colour profile of a printer.
PngImagePlugin.MAX_TEXT_CHUNK = PROFILE_BYTES_MAX

READ_BYTES = 1 << 20

# The content of two chunks of a result: pixels per metre, and the colour profile.
RESOLUTION, METRE, INCH_METRES = struct.Struct(">IIB"), 1, 0.0254
PROFILE_NAME = b"ICC Profile\0\0"

CHANNELS = {"1": 1, "L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}
DTYPES = {"1": "bool", "I;16": "uint16"}
BITS = {"bool": 1, "uint8": 8, "uint16": 16}
# Number of channels by the colour type, as the PNG specification numbers it; 3 is a palette.
COLOUR_TYPE_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def read_header(path: Path, name: str) -> Header:
    """Read a PNG's header.

    Raises
    ------
    Rejected
        If the image is an animation.
    """
    with path.open("rb") as opened:
        bit_depth, colour_type = read_colour_format(opened)
        file = PngImageFile(opened)
        if getattr(file, "n_frames", 1) > 1:
            raise Rejected(
                f"{name}: is an animation of {file.n_frames} pictures; this app reads single ones"
            )
        deep = libpng_channels(file, bit_depth, colour_type)
        mode, notes = mode_of(file)
        columns, rows = file.size
        # The method of the base class: the one of PNG decodes all pixels, as EXIF may follow them.
        exif, damaged = exif_of(lambda: PIL.Image.Image.getexif(file))
        orientation = valid_orientation(exif.get(ORIENTATION))
        profile, dropped = valid_profile(file.info.get("icc_profile"))
        return Header(
            name=name,
            format="png",
            image=header_of(
                upright_shape(rows, columns, deep or CHANNELS[mode], orientation),
                "uint16" if deep else DTYPES.get(mode, "uint8"),
            ),
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution_of(file.info.get("dpi"), exif, orientation),
            notes=notes + damaged + dropped,
        )


def read_colour_format(opened: BinaryIO) -> tuple[int, int]:
    """Read bit depth and colour type, and go back to the start of the file."""
    opened.seek(len(SIGNATURE) + CHUNK_HEAD.size + 8)
    bit_depth, colour_type = struct.unpack(">BB", opened.read(2))
    opened.seek(0)
    return bit_depth, colour_type


def libpng_channels(file: PngImageFile, bit_depth: int, colour_type: int) -> int:
    """Count the channels that libpng decodes a file to; 0 if the file needs no libpng.

    It needs libpng if it has 16 bits per channel and is not plain gray. A transparent colour
    becomes an alpha channel.
    """
    transparent = "transparency" in file.info
    if bit_depth < 16 or (colour_type == 0 and not transparent):
        return 0
    return COLOUR_TYPE_CHANNELS[colour_type] + transparent


def mode_of(file: PngImageFile) -> tuple[str, tuple[str, ...]]:
    """Return the Pillow mode that holds all of an image, without a palette, and notes."""
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
        bit_depth, colour_type = read_colour_format(opened)
        file = PngImageFile(opened)
        if can_decode_by_bands(file, bit_depth):
            fill_by_bands(opened, header.orientation, out)
        elif libpng_channels(file, bit_depth, colour_type):
            fill_by_libpng(opened, header.orientation, out)
        else:
            fill(file, mode_of(file)[0], header.orientation, out)


def can_decode_by_bands(file: PngImageFile, bit_depth: int) -> bool:
    """Return whether the pixels are stored row by row, with whole bytes for each sample."""
    plain = file.mode != "P" and "transparency" not in file.info
    return plain and bit_depth >= 8 and not file.info.get("interlace")


def fill_by_bands(opened: BinaryIO, orientation: int, out: Image) -> None:
    """Decode a file by bands, and write its pixels upright to `out`."""
    stored = as_stored(out, orientation)
    straight = stored if stored.flags.c_contiguous else np.empty(stored.shape, stored.dtype)
    png_bands.decode(contents_of(opened), straight)
    if straight is not stored:
        stored[...] = straight


def contents_of(opened: BinaryIO) -> Iterator[bytes]:
    """Read the contents of the pixel chunks, after `check_chunks` has found all chunks complete."""
    opened.seek(len(SIGNATURE))
    chunk_type = b""
    while chunk_type != b"IEND":
        length, chunk_type = CHUNK_HEAD.unpack(opened.read(CHUNK_HEAD.size))
        if chunk_type == b"IDAT":
            for start in range(0, length, READ_BYTES):
                yield opened.read(min(READ_BYTES, length - start))
            length = 0
        opened.seek(length + CHECKSUM.size, SEEK_CUR)


def fill_by_libpng(opened: BinaryIO, orientation: int, out: Image) -> None:
    """Decode a file with libpng, which keeps 16 bits, and write its pixels upright to `out`."""
    opened.seek(0)
    stored = as_stored(out, orientation)
    if stored.flags.c_contiguous:
        png_decode(opened.read(), out=stored)
    else:
        stored[...] = png_decode(opened.read())


def check_chunks(opened: BinaryIO) -> None:
    """Check that all chunks up to the last one exist and that their checksums are right.

    Pillow checks neither the checksums of pixel chunks nor whether the last chunk exists.

    Raises
    ------
    EOFError
        If the file ends before the last chunk does.
    ValueError
        If a checksum is wrong.
    """
    opened.seek(len(SIGNATURE))
    chunk_type = b""
    while chunk_type != b"IEND":
        length, chunk_type = CHUNK_HEAD.unpack(read_exactly(opened, CHUNK_HEAD.size))
        checksum = zlib.crc32(chunk_type)
        for start in range(0, length, READ_BYTES):
            content = read_exactly(opened, min(READ_BYTES, length - start))
            checksum = zlib.crc32(content, checksum)
        if CHECKSUM.unpack(read_exactly(opened, CHECKSUM.size))[0] != checksum:
            raise ValueError(f"checksum of chunk {chunk_type!r} is wrong")


def read_exactly(opened: BinaryIO, size: int) -> bytes:
    """Read `size` bytes.

    Raises
    ------
    EOFError
        If the file has fewer bytes left.
    """
    found = opened.read(size)
    if len(found) < size:
        raise EOFError("the file ends within a chunk")
    return found


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a PNG.

    A mask is written in 8 bits as 0 and 255, which every program shows. It is written in 1 bit if
    the original had 1 bit.

    Raises
    ------
    Rejected
        If the image has labels larger than 16 bits can hold.
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
        opened.write(SIGNATURE + header_chunk(image.shape, BITS[image.dtype.name]))
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
