"""The chunks of a PNG: what stands around the pixels, and whether it is sound.

Source: PNG specification, third edition, sections 5 (chunks) and 11 (their contents).
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from os import SEEK_CUR
from typing import BinaryIO, NamedTuple

from cluster_worker.imagefiles.codecs.header import PROFILE_BYTES_MAX
from cluster_worker.imagefiles.codecs.items import Item, as_utf8, text
from cluster_worker.imagefiles.codecs.png_bands import CHECKSUM, CHUNK_HEAD, SIGNATURE, chunk
from cluster_worker.pixels.stack import Stack

READ_BYTES = 1 << 20

# Frames and loops of an animation; number, sides and place of a frame, its time as a fraction of a
# second, and how it lies over the one before.
COUNTS, PLACED = struct.Struct(">II"), struct.Struct(">5I2H2B")

# Bit 5 of the first byte of a type: the pixels can be read without such a chunk.
ANCILLARY = 0x20
PIXELS, LAST, TRANSPARENCY = b"IDAT", b"IEND", b"tRNS"

# Chunks of colour that results get as they are, and the item that each belongs to.
COLOUR_CHUNKS = {b"gAMA": "gamma", b"cHRM": "gamma", b"sRGB": "gamma", b"cICP": "cicp"}
COLOUR_CHUNKS[b"sBIT"] = "sbit"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
# Chunks that Pillow reads, that say when the file was written, or that are hints for a screen.
OTHER_CHUNKS: tuple[bytes, ...] = (b"IHDR", b"PLTE", PIXELS, LAST, TRANSPARENCY)
OTHER_CHUNKS += (b"iCCP", b"pHYs", b"tIME", b"bKGD")
ANIMATION, FRAME, FRAME_PIXELS = b"acTL", b"fcTL", b"fdAT"
OTHER_CHUNKS += (ANIMATION, FRAME, FRAME_PIXELS)
XMP_KEYWORD = b"XML:com.adobe.xmp"
# ImageMagick's way to keep EXIF, IPTC and profiles in texts; newer files have chunks for them.
RAW_PROFILE = b"Raw profile type "

CHECKSUM_NOTE = "a part of the file beside the pixels is damaged and was passed over: {}"
NO_END = "the file has no end mark; all pixels are there"


class Chunk(NamedTuple):
    """Where a chunk lies.

    Attributes
    ----------
    type : bytes
        Four letters.
    start, length : int
        Of its content, in bytes.
    """

    type: bytes
    start: int
    length: int

    @property
    def is_ancillary(self) -> bool:
        """Whether the pixels are the same without it; transparency is part of them."""
        return bool(self.type[0] & ANCILLARY) and self.type != TRANSPARENCY


def chunks(opened: BinaryIO) -> Iterator[Chunk]:
    """Walk the chunks up to the last one.

    Raises
    ------
    EOFError
        If the file ends before the last chunk does.
    """
    start = opened.seek(0, 2)
    size, start = start, len(SIGNATURE)
    found = b""
    while found != LAST:
        opened.seek(start)
        head = opened.read(CHUNK_HEAD.size)
        if len(head) < CHUNK_HEAD.size:
            raise EOFError("the file ends between two chunks")
        length, found = CHUNK_HEAD.unpack(head)
        start += CHUNK_HEAD.size
        if start + length + CHECKSUM.size > size:
            raise EOFError("the file ends within a chunk")
        yield Chunk(found, start, length)
        start += length + CHECKSUM.size


def is_sound(opened: BinaryIO, each: Chunk) -> bool:
    """Return whether the checksum of a chunk is right."""
    opened.seek(each.start)
    checksum, left = zlib.crc32(each.type), each.length
    while left:
        content = opened.read(min(READ_BYTES, left))
        checksum = zlib.crc32(content, checksum)
        left -= len(content)
    return bool(CHECKSUM.unpack(opened.read(CHECKSUM.size))[0] == checksum)


def sound(opened: BinaryIO, *, with_pixels: bool) -> tuple[BinaryIO, tuple[str, ...]]:
    """Return a file without the faults that can be passed over, and a note on each of them.

    Parameters
    ----------
    opened : file
        A PNG.
    with_pixels : bool
        Whether to check the chunks of the pixels as well.

    Raises
    ------
    EOFError
        If the file ends before its pixels do.
    ValueError
        If the checksum of a chunk is wrong without which the pixels cannot be read.
    """
    kept: list[Chunk] = []
    bad: list[bytes] = []
    notes: tuple[str, ...] = ()
    try:
        for each in chunks(opened):
            checked = each.type != PIXELS or with_pixels
            if not checked or is_sound(opened, each):
                kept.append(each)
            elif each.is_ancillary or each.type == LAST:
                bad.append(each.type)
            else:
                raise ValueError(f"checksum of chunk {each.type!r} is wrong")
    except EOFError:
        has_pixels = any(each.type == PIXELS for each in kept)
        if not has_pixels and (with_pixels or not pixels_begin(opened, kept)):
            raise
        if not has_pixels:
            return BytesIO(repaired(opened, kept, chunk(PIXELS, b""))), ()
        notes += (NO_END,)
    if bad:
        names = ", ".join(sorted({each.decode("latin-1") for each in bad}))
        notes += (CHECKSUM_NOTE.format(names),)
    opened.seek(0)
    if not notes:
        return opened, ()
    return BytesIO(repaired(opened, [each for each in kept if each.type != LAST])), notes


def pixels_begin(opened: BinaryIO, kept: list[Chunk]) -> bool:
    """Return whether the chunk behind these ones, within which a file ends, is of pixels."""
    opened.seek(kept[-1].start + kept[-1].length + CHECKSUM.size if kept else 0)
    return opened.read(CHUNK_HEAD.size)[-len(PIXELS) :] == PIXELS


def repaired(opened: BinaryIO, kept: list[Chunk], more: bytes = b"") -> bytes:
    """Return the bytes of a file of these chunks, of more, and an end."""
    found = [SIGNATURE]
    for each in kept:
        opened.seek(each.start - CHUNK_HEAD.size)
        found.append(opened.read(CHUNK_HEAD.size + each.length + CHECKSUM.size))
    opened.seek(0)
    return b"".join((*found, more, chunk(LAST, b"")))


def contents_of(opened: BinaryIO) -> Iterator[bytes]:
    """Read the contents of the pixel chunks, after `sound` has found all chunks complete."""
    opened.seek(len(SIGNATURE))
    chunk_type = b""
    while chunk_type != LAST:
        length, chunk_type = CHUNK_HEAD.unpack(opened.read(CHUNK_HEAD.size))
        if chunk_type == PIXELS:
            for start in range(0, length, READ_BYTES):
                yield opened.read(min(READ_BYTES, length - start))
            length = 0
        opened.seek(length + CHECKSUM.size, SEEK_CUR)


def items_of(opened: BinaryIO) -> tuple[bytes, list[Item], tuple[str, ...]]:
    """Return EXIF data, all else that the chunks carry, and notes on what is lost."""
    exif, items, lost = b"", [], []
    for each in chunks(opened):
        if each.type == PIXELS or each.length > PROFILE_BYTES_MAX:
            continue
        opened.seek(each.start)
        content = opened.read(each.length)
        if each.type == b"eXIf":
            exif = content
        elif each.type in COLOUR_CHUNKS:
            items.append(Item(COLOUR_CHUNKS[each.type], each.type.decode(), content))
        elif each.type in TEXT_CHUNKS:
            try:
                keyword, value = text_of(each.type, content)
            except (ValueError, zlib.error, struct.error):
                lost.append("a damaged text")
                continue
            if keyword == XMP_KEYWORD:
                items.append(Item("xmp", "", value))
            elif keyword.startswith(RAW_PROFILE):
                lost.append(as_utf8(keyword).decode())
            else:
                items.append(text(as_utf8(keyword).decode(), value))
        elif each.type not in OTHER_CHUNKS:
            lost.append(f"chunk {each.type.decode('latin-1')}")
    notes = (f"dropped: {', '.join(sorted(set(lost)))}",) if lost else ()
    return exif, items, notes


def animation_of(opened: BinaryIO) -> tuple[Stack | None, bool]:
    """Return what the frames of a file are, and whether a picture stands before them.

    Returns
    -------
    Stack or None, bool
        None if the file has one frame at most.
    """
    loops, times, is_first = 0, list[int](), True
    apart = False
    # Whether a file that ends early can be read is for `sound` to say.
    with suppress(EOFError):
        for each in chunks(opened):
            opened.seek(each.start)
            if each.type == ANIMATION and each.length == COUNTS.size:
                _, loops = COUNTS.unpack(opened.read(COUNTS.size))
            elif each.type == FRAME and each.length == PLACED.size:
                *_, number, per_second, _, _ = PLACED.unpack(opened.read(PLACED.size))
                times.append(round(1000 * number / (per_second or 100)))
            elif each.type == PIXELS and is_first:
                is_first, apart = False, not times
    opened.seek(0)
    if len(times) < 2:
        return None, False
    return Stack("t", (len(times),), milliseconds=tuple(times), loops=loops), apart


def text_of(chunk_type: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Return keyword and text of a chunk.

    Raises
    ------
    ValueError, zlib.error
        If it is damaged, or has more text than `PROFILE_BYTES_MAX`.
    """
    keyword, rest = content.split(b"\0", 1)
    if chunk_type == b"tEXt":
        return keyword, rest
    if chunk_type == b"zTXt":
        return keyword, inflated(rest[1:])
    compressed = rest[0]
    _, _, value = rest[2:].split(b"\0", 2)
    return keyword, inflated(value) if compressed else value


def inflated(content: bytes) -> bytes:
    """Inflate a text.

    Raises
    ------
    ValueError
        If it is longer than `PROFILE_BYTES_MAX`.
    """
    stream = zlib.decompressobj()
    value = stream.decompress(content, PROFILE_BYTES_MAX)
    if stream.unconsumed_tail:
        raise ValueError("a text is too long")
    return value


def text_chunk(item: Item) -> bytes:
    """Return the chunk of a text, or of XMP data."""
    keyword = XMP_KEYWORD if item.name == "xmp" else item.key.encode("latin-1", "replace")[:79]
    if item.value.isascii() and item.name == "text":
        return chunk(b"tEXt", keyword + b"\0" + item.value)
    return chunk(b"iTXt", keyword + b"\0\0\0\0\0" + item.value)
