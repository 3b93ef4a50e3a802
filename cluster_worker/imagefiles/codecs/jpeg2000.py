"""JPEG 2000: gray, RGB and bands of 8 to 16 bits, as a file of boxes or as a bare stream.

OpenJPEG decodes all of a picture. Results are written without loss. Source: ITU-T T.800, annexes A
(the stream) and I (the boxes).
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
from imagecodecs import Jpeg2kError, jpeg2k_decode, jpeg2k_encode

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    in_8_bits,
    narrowed,
    upright_shape,
    valid_profile,
    without_channels,
)
from cluster_worker.pixels.header import CHANNELS_MAX, RGB, ImageHeader, Kind

# Type and length of a box, and its length if it has 64 bits.
BOX, LONG_LENGTH = struct.Struct(">I4s"), struct.Struct(">Q")
# The marker of the sizes, its length, and sizes of canvas and picture; number of channels; and bits
# and steps of each channel.
SIZES, CHANNEL = struct.Struct(">HHH8IH"), struct.Struct(">BBB")
STREAM, SIZE_MARKER = b"\xff\x4f", 0xFF51
SIGNED = 0x80
# Bytes that hold all boxes before the pixels, with a colour profile.
HEAD_BYTES = 16 << 20
# Ways to name colours: by a number, or by a profile; numbers of sRGB and gray.
BY_NUMBER, BY_PROFILE = 1, 2
# Last marker of a stream.
END = b"\xff\xd9"
KNOWN_COLOURS = {16: "sRGB", 17: "gray", 0: "bands"}
OPACITY = 1
SIDE_MAX = (1 << 31) - 1


class Described(NamedTuple):
    """What a file says: size, bits of each channel, profile, number of its colours, and alpha."""

    rows: int
    columns: int
    bits: tuple[int, ...]
    profile: bytes
    colours: int | None
    alpha: bool
    has_palette: bool


def boxes(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each box."""
    while start + BOX.size <= end:
        length, kind = BOX.unpack_from(content, start)
        head = BOX.size
        if length == 1:
            length, head = LONG_LENGTH.unpack_from(content, start + head)[0], head + 8
        stop = end if length == 0 else min(start + length, end)
        yield kind, start + head, stop
        start = max(stop, start + head)


def described(content: bytes, name: str) -> Described:
    """Read the boxes before the pixels, and the sizes in the stream.

    Raises
    ------
    Rejected
        If channels have several sizes, or numbers with sign.
    EOFError
        If the file ends within them.
    """
    profile, colours, alpha, palette, stream = b"", None, False, False, 0
    if not content.startswith(STREAM):
        found = {kind: (start, end) for kind, start, end in boxes(content, 0, len(content))}
        if b"jp2c" not in found or b"jp2h" not in found:
            raise EOFError("boxes are missing")
        stream = found[b"jp2c"][0]
        for kind, start, end in boxes(content, *found[b"jp2h"]):
            if kind == b"colr" and content[start] == BY_NUMBER:
                colours = struct.unpack_from(">I", content, start + 3)[0]
            elif kind == b"colr" and content[start] == BY_PROFILE:
                profile = content[start + 3 : end]
            elif kind == b"cdef":
                channels = struct.iter_unpack(">HHH", content[start + 2 : end])
                alpha = any(meaning == OPACITY for _, meaning, _ in channels)
            elif kind == b"pclr":
                palette = True
    marker, _, _, right, bottom, left, top, *_, count = SIZES.unpack_from(content, stream + 2)
    if marker != SIZE_MARKER:
        raise ValueError("the stream has no sizes")
    place = stream + 2 + SIZES.size
    parts = [CHANNEL.unpack_from(content, place + 3 * k) for k in range(count)]
    if any(each[1:] != (1, 1) for each in parts):
        raise Rejected(f"{name}: has channels of several sizes; export it as TIFF")
    if any(each[0] & SIGNED for each in parts):
        raise Rejected(f"{name}: has numbers with sign; export it as TIFF")
    bits = tuple(each[0] + 1 for each in parts)
    return Described(bottom - top, right - left, bits, profile, colours, alpha, palette)


def read_header(path: Path, name: str) -> Header:
    """Read a JPEG 2000 file's header.

    Raises
    ------
    Rejected
        If it has a palette, other colours than gray and RGB, or channels of several kinds.
    """
    with path.open("rb") as opened:
        found = described(opened.read(HEAD_BYTES), name)
    channels = len(found.bits)
    if found.has_palette or (found.colours is not None and found.colours not in KNOWN_COLOURS):
        what = "a palette" if found.has_palette else f"colours of kind {found.colours}"
        raise Rejected(f"{name}: has {what}, and gray, RGB and bands are read; export it as TIFF")
    if len(set(found.bits)) > 1 or not 8 <= found.bits[0] <= 16 or channels > CHANNELS_MAX:
        raise Rejected(
            f"{name}: has {channels} channels of {found.bits[0]} bits; up to {CHANNELS_MAX} of 8 "
            "to 16 bits are read, all of the same, so export it as TIFF"
        )
    bits = found.bits[0]
    dtype = "uint8" if bits == 8 else "uint16"
    colours = channels - found.alpha
    kind: Kind = "bands" if colours not in (1, 3) else "picture"
    if colours == 1 and dtype == "uint16":
        kind = "intensity"
    shape = upright_shape(found.rows, found.columns, channels, 1)
    profile, dropped = valid_profile(found.profile)
    return Header(
        name=name,
        format="jpeg2000",
        image=ImageHeader(
            shape,
            dtype,
            "yxs"[: len(shape)],
            kind,
            found.alpha,
            channels=RGB if colours == 3 else (),
        ),
        icc_profile=profile,
        notes=dropped,
        bits=bits if bits not in (8, 16) else 0,
    )


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a JPEG 2000 file into `out`.

    Raises
    ------
    ValueError
        If the pixels are not those of the header.
    Jpeg2kError
        If the file is damaged.
    EOFError
        If it ends too early.
    """
    content = path.read_bytes()
    try:
        pixels = jpeg2k_decode(content)
    except Jpeg2kError as error:
        if content.rstrip(b"\0").endswith(END):
            raise
        raise EOFError("the stream has no end") from error
    if pixels.shape != header.shape or pixels.dtype != out.dtype:
        raise ValueError(f"pixels of {pixels.shape} and {pixels.dtype}, not of {header.shape}")
    out[...] = pixels
    return ()


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a JPEG 2000 file without loss.

    Raises
    ------
    Rejected
        If it has transparency of 16 bits, or labels larger than 16 bits can hold.
    """
    pixels = narrowed(without_channels(in_8_bits(image)))
    if pixels.dtype == np.uint32 or (header.image.alpha and pixels.dtype != np.uint8):
        what = "transparency of 16 bits" if header.image.alpha else f"labels up to {pixels.max()}"
        raise Rejected(f"{header.name}: the result has {what}, which is not written; choose TIFF")
    if header.image.alpha:
        # Pillow says which channel is alpha.
        PIL.Image.fromarray(pixels).save(path, "JPEG2000", irreversible=False, no_jp2=False)
        return ()
    path.write_bytes(jpeg2k_encode(np.ascontiguousarray(pixels), level=0, reversible=True))
    return ()


JPEG2000 = Format(
    name="jpeg2000",
    title="JPEG 2000",
    extensions=("jp2", "j2k", "jpx"),
    media_type="image/jp2",
    magic=re.compile(rb"\0\0\0\x0cjP  |\xffO\xffQ"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8", "uint16", "uint32"),
    holds_bands=True,
    side_max=SIDE_MAX,
)
