"""WebP: RGB of 8 bits, with or without alpha; results are written without loss.

This file reads the chunks, and libwebp decodes the pixels directly into the output array. Pillow's
plugin would make three more copies of the image, two of them when it reads the header.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image
from imagecodecs import WebpError, webp_decode

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    PROFILE_BYTES_MAX,
    Format,
    Header,
    Image,
    as_stored,
    fitting_profile,
    in_8_bits,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import (
    Item,
    first_of,
    upright_xmp,
    within_limit,
)
from cluster_worker.imagefiles.codecs.pillow import (
    ORIENTATION,
    exif_of,
    resolution_of,
    result_exif,
)
from cluster_worker.pixels.header import header_of

# A file is one RIFF chunk that contains WebP chunks. A chunk has type, length, content, and a
# padding byte if its length is odd.
RIFF_HEAD = struct.Struct("<4sI4s")
CHUNK_HEAD = struct.Struct("<4sI")

# Chunk types that hold sizes: the canvas, and the frame of a lossy and of a lossless image.
CANVAS, LOSSY, LOSSLESS = b"VP8X", b"VP8 ", b"VP8L"
ALPHA_PLANE, FRAME = b"ALPH", b"ANMF"
CANVAS_ALPHA, CANVAS_MOVES = 0x10, 0x02
LOSSY_HEAD, LOSSLESS_HEAD = struct.Struct("<3x3sHH"), struct.Struct("<BI")
LOSSY_START, LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
SIDE_BITS = 14
SIDE_MAX = (1 << SIDE_BITS) - 1

# The fastest settings of libwebp: a photograph of 12 megapixels takes 0.7 s. With Pillow's defaults
# it takes 5.8 s and is 6 % smaller.
METHOD, EFFORT = 0, 0


def read_header(path: Path, name: str) -> Header:
    """Read a WebP's header.

    Raises
    ------
    Rejected
        If it is an animation.
    EOFError
        If the file ends too early.
    ValueError
        If there is no image.
    """
    with path.open("rb") as opened:
        found = list(chunks(opened))
    first = dict(reversed(found))
    frames = sum(chunk_type == FRAME for chunk_type, _ in found)
    if frames or first.get(CANVAS, b"\0")[0] & CANVAS_MOVES:
        raise Rejected(
            f"{name}: is an animation of {frames} pictures; this app reads single ones, so save "
            "each as a file of its own"
        )
    rows, columns, channels = size_of(first)
    exif, items, notes = exif_of(first.get(b"EXIF", b""))
    if first.get(b"XMP "):
        items += (Item("xmp", "", first[b"XMP "]),)
    items, over = within_limit(items)
    orientation = valid_orientation(exif.get(ORIENTATION))
    profile, dropped = valid_profile(first.get(b"ICCP"))
    return Header(
        name=name,
        format="webp",
        image=header_of(upright_shape(rows, columns, channels, orientation), "uint8"),
        orientation=orientation,
        icc_profile=profile,
        resolution=resolution_of(None, exif, orientation),
        notes=notes + dropped + over,
        items=items,
    )


def chunks(opened: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Walk the chunks of a file.

    Yields
    ------
    bytes, bytes
        Type and content of a chunk; only the beginning of a long content, such as the pixels.

    Raises
    ------
    EOFError
        If the file is shorter than its RIFF length.
    """
    size = opened.seek(0, 2)
    opened.seek(0)
    _, length, _ = RIFF_HEAD.unpack(opened.read(RIFF_HEAD.size))
    end = length + CHUNK_HEAD.size
    if size < end:
        raise EOFError("the file ends within a chunk")
    start = RIFF_HEAD.size
    while start + CHUNK_HEAD.size <= end:
        opened.seek(start)
        chunk_type, length = CHUNK_HEAD.unpack(opened.read(CHUNK_HEAD.size))
        yield chunk_type, opened.read(min(length, PROFILE_BYTES_MAX + 1))
        start += CHUNK_HEAD.size + length + length % 2


def size_of(first: dict[bytes, bytes]) -> tuple[int, int, int]:
    """Read rows, columns and channels from the first chunk of each type.

    Raises
    ------
    ValueError
        If there is no image.
    """
    if LOSSLESS in first:
        start, bits = LOSSLESS_HEAD.unpack_from(first[LOSSLESS])
        columns, rows = 1 + (bits & SIDE_MAX), 1 + (bits >> SIDE_BITS & SIDE_MAX)
        is_picture, alpha = start == LOSSLESS_START, bool(bits >> 2 * SIDE_BITS & 1)
    else:
        start, columns, rows = LOSSY_HEAD.unpack_from(first.get(LOSSY, b""))
        columns, rows = columns & SIDE_MAX, rows & SIDE_MAX
        is_picture, alpha = start == LOSSY_START, ALPHA_PLANE in first
    if not is_picture:
        raise ValueError("the frame has no start code")
    alpha = alpha or bool(first.get(CANVAS, b"\0")[0] & CANVAS_ALPHA)
    return rows, columns, 4 if alpha else 3


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a WebP into `out`.

    Returns
    -------
    tuple of str
        Empty: no fault of a WebP is tolerated.

    Raises
    ------
    MemoryError
        If there is too little memory.
    WebpError
        If the file is damaged.
    """
    stored = as_stored(out, header.orientation)
    straight = stored if stored.flags.c_contiguous else None
    try:
        pixels = webp_decode(path.read_bytes(), hasalpha=header.has_alpha, out=straight)
    except WebpError:
        # libwebp raises the same error for damage and for a lack of memory. This allocates as much
        # as libwebp needs, so it raises MemoryError if memory was the reason.
        np.empty(header.shape[:2], np.uint32)
        raise
    if straight is None:
        stored[...] = pixels
    return ()


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a WebP without loss; the format has no gray, so gray is written as RGB."""
    picture = PIL.Image.fromarray(without_channels(in_8_bits(image)))
    if picture.mode in ("L", "LA"):
        picture = picture.convert("RGBA" if header.image.alpha else "RGB")
    profile, notes = fitting_profile((*image.shape[:2], len(picture.mode)), header)
    exif, lost = result_exif(header, image.shape, always=True, texts=True)
    picture.save(
        path,
        "WEBP",
        lossless=True,
        # Also keep the colours of transparent pixels.
        exact=True,
        method=METHOD,
        quality=EFFORT,
        icc_profile=profile,
        exif=exif,
        xmp=upright_xmp(first_of(header.items, "xmp")),
    )
    return notes + lost


WEBP = Format(
    name="webp",
    title="WebP",
    extensions=("webp",),
    media_type="image/webp",
    magic=re.compile(rb"RIFF....WEBP", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8"),
    carries=frozenset(("profile", "resolution", "exif", "xmp", "text")),
    side_max=SIDE_MAX,
)
