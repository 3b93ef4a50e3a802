"""JPEG XL: gray and RGB of 8 to 16 bits and floats, with or without alpha; written without loss.

libjxl decodes, through imagecodecs, which offers no function for the header alone: a header is read
by decoding, after the size has been checked. Source of the size: ISO/IEC 18181-1, D.1 and D.2.
"""

import re
import struct
from pathlib import Path

import numpy as np
from imagecodecs import jpegxl_decode, jpegxl_encode

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    DTYPES,
    Format,
    Header,
    Image,
    in_8_bits,
    narrowed,
    without_channels,
)
from cluster_worker.imagefiles.codecs.jpeg2000 import boxes
from cluster_worker.pixels.header import header_of

STREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
HEAD_BYTES = 1 << 20
# Bits of a side by its selector, and the width by the height of the named ratios.
SIDE_BITS = (9, 13, 18, 30)
RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
# Decoding takes four times the pixels' memory at most; the child has 4 GiB.
PIXELS_MAX = 1 << 28
CHANNELS = 4


class Bits:
    """Reads a stream of bits, the lowest bit of a byte first."""

    def __init__(self, content: bytes) -> None:
        self.value, self.position = int.from_bytes(content, "little"), 0

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        found = self.value >> self.position & ((1 << count) - 1)
        self.position += count
        return found

    def side(self, *, is_small: bool) -> int:
        """Return rows or columns."""
        if is_small:
            return 8 * (self.read(5) + 1)
        return 1 + self.read(SIDE_BITS[self.read(2)])


def size_in(head: bytes) -> tuple[int, int]:
    """Return (rows, columns) of a file, as they are stored.

    Raises
    ------
    EOFError
        If the file ends before its size.
    """
    start = 0
    if head.startswith(CONTAINER):
        starts = {b"jxlc": 0, b"jxlp": 4}
        found = [at + starts[kind] for kind, at, _ in boxes(head, 0, len(head)) if kind in starts]
        start = found[0] if found else len(head)
    stream = head[start + len(STREAM) : start + len(STREAM) + 16]
    if len(stream) < struct.calcsize("Q"):
        raise EOFError("the file ends before its size")
    bits = Bits(stream)
    is_small = bool(bits.read(1))
    rows = bits.side(is_small=is_small)
    ratio = bits.read(3)
    if ratio == 0:
        return rows, bits.side(is_small=is_small)
    across, down = RATIOS[ratio - 1]
    return rows, rows * across // down


def decoded(path: Path, name: str) -> Image:
    """Decode a file.

    Raises
    ------
    Rejected
        If it has several pictures, or channels beside gray, RGB and alpha.
    """
    pixels: Image = jpegxl_decode(path.read_bytes())
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels > CHANNELS:
        raise Rejected(f"{name}: is an animation or has more than 4 channels; save it as TIFF")
    return pixels


def read_header(path: Path, name: str) -> Header:
    """Read a JPEG XL's header.

    Raises
    ------
    Rejected
        If it is too large to be decoded, or holds what is not read.
    """
    with path.open("rb") as opened:
        rows, columns = size_in(opened.read(HEAD_BYTES))
    if rows * columns > PIXELS_MAX:
        raise Rejected(
            f"{name}: is a JPEG XL of {rows} × {columns} pixels; at most {PIXELS_MAX // 10**6} "
            "megapixels of it are decoded, so save it as TIFF"
        )
    pixels = decoded(path, name)
    image = header_of(pixels.shape, pixels.dtype.name)
    if image.dtype != "uint8" and image.colours == 1:
        image = image._replace(kind="intensity")
    notes = ("what the JPEG XL carries beside its pixels is not read",)
    return Header(name=name, format="jpegxl", image=image, notes=notes)


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a JPEG XL into `out`."""
    pixels = decoded(path, header.name)
    if pixels.shape != header.shape or pixels.dtype != out.dtype:
        raise ValueError(f"pixels of {pixels.shape} and {pixels.dtype}, not of {header.shape}")
    out[...] = pixels
    return ()


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG XL: without loss unless a quality is chosen; masks and labels always without.

    Raises
    ------
    Rejected
        If it has labels larger than 16 bits can hold.
    """
    pixels = narrowed(without_channels(in_8_bits(image)))
    if pixels.dtype == np.uint32:
        raise Rejected(
            f"{header.name}: the result has labels up to {pixels.max()}, and JPEG XL is written "
            "with 16 bits; choose TIFF"
        )
    quality = header.output.quality
    without_loss = quality is None or header.image.kind in ("mask", "labels")
    options = {"lossless": True} if without_loss else {"level": quality}
    path.write_bytes(jpegxl_encode(np.ascontiguousarray(pixels), **options))
    return ()


JPEGXL = Format(
    name="jpegxl",
    title="JPEG XL",
    extensions=("jxl",),
    media_type="image/jxl",
    magic=re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=tuple(each for each in DTYPES if each in ("bool", "uint8", "uint16", "uint32")),
    has_quality=True,
)
