"""JPEG-LS: gray and RGB of 2 to 16 bits, by CharLS; read only. Source: ITU-T T.87, annex C."""

import re
from pathlib import Path

from imagecodecs import JpeglsError, jpegls_decode

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Format, Header, Image, upright_shape
from cluster_worker.imagefiles.codecs.jpeg_segments import END, LENGTH, segments
from cluster_worker.imagefiles.codecs.mapped import content_of
from cluster_worker.pixels.header import header_of

# The marker of the sizes: bits, rows, columns and channels follow.
SIZES = b"\xf7"
BYTE_BITS = 8
END_MARK = b"\xff" + END
NO_END = "the file has no end mark; all pixels are there"


def read_header(path: Path, name: str) -> Header:
    """Read a JPEG-LS's header.

    Raises
    ------
    Rejected
        If it has other channels than gray or RGB.
    EOFError
        If it states no sizes.
    """
    content = content_of(path)
    for marker, offset in segments(content):
        if marker == SIZES:
            sizes = bytes(content[offset + LENGTH.size : offset + LENGTH.size + 6])
            break
    else:
        raise EOFError("no sizes")
    bits, channels = sizes[0], sizes[5]
    rows, columns = (int.from_bytes(sizes[at : at + 2], "big") for at in (1, 3))
    if channels not in (1, 3):
        raise Rejected(f"{name}: has {channels} channels; gray and RGB are read, so save a TIFF")
    deep = bits > BYTE_BITS
    image = header_of(upright_shape(rows, columns, channels, 1), "uint16" if deep else "uint8")
    if deep and channels == 1:
        image = image._replace(kind="intensity")
    return Header(name=name, format="jpegls", image=image, bits=bits if bits not in (8, 16) else 0)


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a JPEG-LS into `out`, and note if the end mark is missing.

    Raises
    ------
    EOFError
        If the file ends too early.
    """
    content = path.read_bytes()
    notes: tuple[str, ...] = ()
    if content.rfind(END_MARK) < 0:
        # CharLS computes for seconds in search of the mark.
        content, notes = content + END_MARK, (NO_END,)
    try:
        pixels = jpegls_decode(content)
    except JpeglsError as error:
        if notes:
            raise EOFError("the file ends within its pixels") from error
        raise
    if pixels.shape != header.shape or pixels.dtype != out.dtype:
        raise ValueError(f"pixels of {pixels.shape} and {pixels.dtype}, not of {header.shape}")
    out[...] = pixels
    return notes


JPEGLS = Format(
    name="jpegls",
    title="JPEG-LS",
    extensions=("jls",),
    media_type="image/jls",
    magic=re.compile(rb"\xff\xd8\xff(?:\xf7|\xe8\0\x20SPIFF\0.{14}\x06)", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
)
