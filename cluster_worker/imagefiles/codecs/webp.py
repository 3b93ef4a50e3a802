"""WebP: RGB of 8 bits, with or without alpha; results without loss unless a quality is chosen.

This file reads the chunks, and libwebp decodes the pixels directly into the output array. Pillow's
plugin would make three more copies of the image, two of them when it reads the header.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL.Image
from imagecodecs import WebpError, webp_decode
from PIL.WebPImagePlugin import WebPImageFile

from cluster_worker.imagefiles.codecs.frames import (
    check_frame,
    milliseconds_of,
    plane_header,
    read_frame,
)
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
from cluster_worker.pixels.stack import Stack

# A file is one RIFF chunk that contains WebP chunks. A chunk has type, length, content, and a
# padding byte if its length is odd.
RIFF_HEAD = struct.Struct("<4sI4s")
CHUNK_HEAD = struct.Struct("<4sI")

# Chunk types that hold sizes: the canvas, and the frame of a lossy and of a lossless image.
CANVAS, LOSSY, LOSSLESS = b"VP8X", b"VP8 ", b"VP8L"
ALPHA_PLANE, FRAME, ANIMATION = b"ALPH", b"ANMF", b"ANIM"
# The chunks of one picture, in their order; alpha is in the same chunk as colours without loss.
PIXELS = (ALPHA_PLANE, LOSSY, LOSSLESS)
CANVAS_ALPHA, CANVAS_MOVES, CANVAS_PROFILE = 0x10, 0x02, 0x20
CANVAS_EXIF, CANVAS_XMP = 0x08, 0x04
# Background and loops of an animation; a frame that replaces the one before.
LOOPS, WHOLE = struct.Struct("<IH"), 0x02
LOSSY_HEAD, LOSSLESS_HEAD = struct.Struct("<3x3sHH"), struct.Struct("<BI")
LOSSY_START, LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
SIDE_BITS = 14
SIDE_MAX = (1 << SIDE_BITS) - 1

# The fastest settings of libwebp: a photograph of 12 megapixels takes 0.7 s. With Pillow's defaults
# it takes 5.8 s and is 6 % smaller.
METHOD, EFFORT = 0, 0
# With loss, Pillow's default, which takes less time than the fastest setting takes without loss.
LOSSY_METHOD = 4


def read_header(path: Path, name: str) -> Header:
    """Read a WebP's header.

    Raises
    ------
    EOFError
        If the file ends too early.
    ValueError
        If there is no image.
    """
    with path.open("rb") as opened:
        found = list(chunks(opened))
    first = dict(reversed(found))
    stack = animation_of(found)
    moves = bool(first.get(CANVAS, b"\0")[0] & CANVAS_MOVES)
    rows, columns, channels = canvas_of(first) if moves else size_of(first)
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
        stack=stack,
    )


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of a frame; all frames are as the first one."""
    return plane_header(read_header, path, name, plane)


def animation_of(found: Sequence[tuple[bytes, bytes]]) -> Stack | None:
    """Return what the frames of a file are; None if it has one."""
    frames = [content for kind, content in found if kind == FRAME]
    if len(frames) < 2:
        return None
    times = tuple(int.from_bytes(each[12:15], "little") for each in frames)
    loops = dict(found).get(ANIMATION, b"")
    again = LOOPS.unpack(loops)[1] if len(loops) == LOOPS.size else 0
    return Stack("t", (len(frames),), milliseconds=times, loops=again)


def canvas_of(first: dict[bytes, bytes]) -> tuple[int, int, int]:
    """Read rows, columns and channels of an animation."""
    flags, content = first[CANVAS][0], first[CANVAS]
    columns, rows = (1 + int.from_bytes(content[at : at + 3], "little") for at in (4, 7))
    return rows, columns, 4 if flags & CANVAS_ALPHA else 3


def chunks(
    opened: BinaryIO, content_max: int | None = PROFILE_BYTES_MAX
) -> Iterator[tuple[bytes, bytes]]:
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
        yield (
            chunk_type,
            opened.read(length if content_max is None else min(length, content_max + 1)),
        )
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
    if is_animation(path):
        read_frame(WebPImageFile, path, header, "RGBA" if header.has_alpha else "RGB", out)
        return ()
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


def is_animation(path: Path) -> bool:
    """Return whether a file has frames."""
    with path.open("rb") as opened:
        return any(chunk_type == FRAME for chunk_type, _ in chunks(opened, 0))


def picture_of(image: Image, header: Header) -> PIL.Image.Image:
    """Return a result as a picture of Pillow; the format has no gray, so gray becomes RGB."""
    picture = PIL.Image.fromarray(without_channels(in_8_bits(image)))
    if picture.mode in ("L", "LA"):
        picture = picture.convert("RGBA" if header.image.alpha else "RGB")
    return picture


def compression_of(header: Header) -> dict[str, Any]:
    """Return Pillow's options for a result; loss would blur a mask, whatever quality is chosen."""
    # Also keep the colours of transparent pixels.
    quality = header.output.quality
    if quality is None or header.image.kind in ("mask", "labels"):
        return {"exact": True, "lossless": True, "method": METHOD, "quality": EFFORT}
    return {"exact": True, "method": LOSSY_METHOD, "quality": quality}


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a WebP, without loss unless the header has a quality."""
    picture = picture_of(image, header)
    profile, notes = fitting_profile((*image.shape[:2], len(picture.mode)), header)
    exif, lost = result_exif(header, image.shape, always=True, texts=True)
    picture.save(
        path,
        "WEBP",
        icc_profile=profile,
        exif=exif,
        xmp=upright_xmp(first_of(header.items, "xmp")),
        **compression_of(header),
    )
    return notes + lost


class WebpStack:
    """Writes the frames of an animation one after the other.

    Parameters
    ----------
    path : Path
        The file to write.
    stack : Stack
        What the frames are.
    header : Header
        Of the first frame.
    """

    def __init__(self, path: Path, stack: Stack, header: Header) -> None:
        self.stack, self.number = stack, 0
        self.shape = header.shape[:2]
        self.has_alpha = header.image.alpha
        self.file = path.open("wb")
        self.after = b""

    def begin(self, header: Header) -> tuple[str, ...]:
        """Write what stands before the frames; return notes on what is lost."""
        rows, columns = self.shape
        channels = 4 if self.has_alpha else 3
        profile, notes = fitting_profile((rows, columns, channels), header)
        exif, lost = result_exif(header, (rows, columns, channels), always=True, texts=True)
        xmp = upright_xmp(first_of(header.items, "xmp"))
        self.after = (riff(b"EXIF", exif) if exif else b"") + (riff(b"XMP ", xmp) if xmp else b"")
        flags = CANVAS_MOVES | CANVAS_ALPHA * self.has_alpha | CANVAS_PROFILE * bool(profile)
        flags |= CANVAS_EXIF * bool(exif) | CANVAS_XMP * bool(xmp)
        canvas = bytes([flags, 0, 0, 0]) + short(columns - 1) + short(rows - 1)
        self.file.write(RIFF_HEAD.pack(b"RIFF", 0, b"WEBP") + riff(CANVAS, canvas))
        self.file.write(riff(b"ICCP", profile) if profile else b"")
        self.file.write(riff(ANIMATION, LOOPS.pack(0, min(self.stack.loops, 0xFFFF))))
        return notes + lost

    def add(self, image: Image, header: Header) -> tuple[str, ...]:
        """Write the next frame.

        Raises
        ------
        Rejected
            If it has another size than the first one.
        """
        notes = self.begin(header) if self.number == 0 else ()
        check_frame(image, self.shape, header.name)
        buffer = BytesIO()
        picture_of(image, header).save(buffer, "WEBP", **compression_of(header))
        found = [each for each in chunks(buffer, None) if each[0] in PIXELS]
        pixels = b"".join(riff(kind, content) for kind, content in found)
        shown = min(milliseconds_of(self.stack, self.number), 0xFFFFFF)
        rows, columns = self.shape
        place = bytes(6) + short(columns - 1) + short(rows - 1) + short(shown) + bytes([WHOLE])
        self.file.write(riff(FRAME, place + pixels))
        self.number += 1
        return notes

    def close(self) -> None:
        """Complete the file: its length stands at its beginning."""
        self.file.write(self.after)
        length = self.file.tell() - CHUNK_HEAD.size
        self.file.seek(0)
        self.file.write(RIFF_HEAD.pack(b"RIFF", length, b"WEBP"))
        self.file.close()


def riff(chunk_type: bytes, content: bytes) -> bytes:
    """Return a chunk, padded to an even length."""
    return CHUNK_HEAD.pack(chunk_type, len(content)) + content + b"\0" * (len(content) % 2)


def short(number: int) -> bytes:
    """Return a number in three bytes."""
    return number.to_bytes(3, "little")


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
    read_plane_header=read_plane_header,
    open_stack=WebpStack,
    holds_times=True,
    has_quality=True,
)
