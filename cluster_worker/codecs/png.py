"""PNG: 1 and 8 bits gray, 16 bits gray, 8 bits RGB, each of the 8-bit ones with alpha."""

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngImageFile

from cluster_worker.codecs.header import (
    Format,
    Header,
    Image,
    channels_of,
    fitting_profile,
    refuse_dtype,
    upright_shape,
    valid_profile,
    valid_resolution,
)
from cluster_worker.codecs.pillow import fill, orientation_of
from cluster_worker.errors import Rejected

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Chunks: length, kind, content, checksum over kind and content.
CHUNK_HEAD = struct.Struct(">I4s")
CHECKSUM = struct.Struct(">I")
READ_BYTES = 1 << 20

CHANNELS = {"1": 1, "L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}
DTYPES = {"1": "bool", "I;16": "uint16"}

# A photograph of 24 megapixels takes 3.6 s at zlib's usual level 6, and is hardly smaller.
COMPRESS_LEVEL = 1


def read_header(path: Path, name: str) -> Header:
    """Read a PNG's header.

    Raises
    ------
    Rejected
        If the image has colour of 16 bits, or is an animation.
    """
    with path.open("rb") as opened:
        refuse_deep_colour(opened, name)
        file = PngImageFile(opened)
        if getattr(file, "n_frames", 1) > 1:
            raise Rejected(
                f"{name}: is an animation of {file.n_frames} pictures; this app reads single ones"
            )
        mode, notes = mode_of(file)
        columns, rows = file.size
        orientation, damaged = orientation_of(file)
        return Header(
            name=name,
            format="png",
            shape=upright_shape(rows, columns, CHANNELS[mode], orientation),
            dtype=DTYPES.get(mode, "uint8"),
            orientation=orientation,
            icc_profile=valid_profile(file.info.get("icc_profile")),
            resolution=valid_resolution(file.info.get("dpi"), orientation),
            notes=notes + damaged,
        )


def refuse_deep_colour(opened: BinaryIO, name: str) -> None:
    """Refuse what Pillow would cut to 8 bits without a word."""
    opened.seek(len(SIGNATURE) + CHUNK_HEAD.size + 8)
    depth, colour = struct.unpack(">BB", opened.read(2))
    opened.seek(0)
    if depth == 16 and colour != 0:
        raise Rejected(
            f"{name}: has 16 bits a channel in colour or with transparency; this app reads PNG "
            "of 16 bits in gray only, so use TIFF"
        )


def mode_of(file: PngImageFile) -> tuple[str, tuple[str, ...]]:
    """Give the Pillow mode that holds all of an image, palette resolved, and notes."""
    transparent = "transparency" in file.info
    if file.mode == "P":
        return "RGBA" if transparent else "RGB", ()
    if transparent and file.mode in ("L", "RGB"):
        return file.mode[:3] + "A", ()
    if transparent and file.mode in ("1", "I;16"):
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
        opened.seek(0)
        file = PngImageFile(opened)
        fill(file, mode_of(file)[0], header.orientation, out)


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
        If the image is of floats, or of 16 bits and not gray.
    """
    if image.dtype == bool and header.dtype != "bool":
        image = image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind == "f" or (image.dtype == np.uint16 and channels_of(image) > 1):
        raise refuse_dtype(header, "PNG", image, "TIFF")
    profile, notes = fitting_profile(image, header)
    options: dict[str, Any] = {}
    if header.resolution:
        options["dpi"] = header.resolution
    picture = PIL.Image.fromarray(np.squeeze(image, 2) if image.shape[2:] == (1,) else image)
    picture.save(path, "PNG", compress_level=COMPRESS_LEVEL, icc_profile=profile or None, **options)
    return notes


PNG = Format(
    name="png",
    title="PNG",
    extensions=("png",),
    media_type="image/png",
    magic=(SIGNATURE,),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
)
