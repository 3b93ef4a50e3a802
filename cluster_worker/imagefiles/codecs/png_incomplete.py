"""The rows that are there of a PNG that ends within its pixels."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

from cluster_worker.imagefiles.codecs.png_bands import CHUNK_HEAD, SIGNATURE, chunk
from cluster_worker.imagefiles.codecs.png_chunks import (
    LAST,
    PIXELS,
    chunks,
    is_sound,
)

# Columns, rows, bits of a sample, colour type, compression, filter, interlace.
HEADER, SHAPE = b"IHDR", struct.Struct(">IIBBBBB")
# Samples of a pixel by the colour type.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Bytes that are inflated at a time.
PIECE_BYTES = 4096


def first_rows(opened: BinaryIO) -> tuple[BinaryIO, int]:
    """Return a file of the rows that are there, and how many they are.

    Parameters
    ----------
    opened : file
        A PNG of one picture.

    Raises
    ------
    EOFError
        If no row is there, or the file is interlaced: then its rows lie all over it.
    """
    before, pixels = parted(opened)
    columns, rows, bits, colours, *methods, woven = SHAPE.unpack(before[0][1])
    line_bytes = 1 + -(-columns * bits * SAMPLES[colours] // 8)
    lines = inflated(pixels, rows * line_bytes)
    there = len(lines) // line_bytes
    if woven or there == 0:
        raise EOFError("no rows are there")
    head = SHAPE.pack(columns, there, bits, colours, *methods, woven)
    found = [SIGNATURE, chunk(HEADER, head), *(chunk(*each) for each in before[1:])]
    found += [chunk(PIXELS, zlib.compress(lines[: there * line_bytes], 0)), chunk(LAST, b"")]
    return BytesIO(b"".join(found)), there


def parted(opened: BinaryIO) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the sound chunks before the pixels, and the pixels up to a fault or the end."""
    before: list[tuple[bytes, bytes]] = []
    pixels: list[bytes] = []
    end = len(SIGNATURE)
    with suppress(EOFError):
        for each in chunks(opened):
            end = each.start + each.length + struct.calcsize(">I")
            is_pixels, is_right = each.type == PIXELS, is_sound(opened, each)
            if is_pixels and not is_right:
                # Its bytes may be others than those that were written.
                return before, b"".join(pixels)
            opened.seek(each.start)
            content = opened.read(each.length)
            if is_pixels:
                pixels.append(content)
            elif is_right and not pixels:
                before.append((each.type, content))
    # The chunk within which the file ends.
    opened.seek(end)
    head = opened.read(CHUNK_HEAD.size)
    if len(head) == CHUNK_HEAD.size and CHUNK_HEAD.unpack(head)[1] == PIXELS:
        pixels.append(opened.read())
    if not before or before[0][0] != HEADER or len(before[0][1]) != SHAPE.size:
        raise EOFError("the header is missing")
    return before, b"".join(pixels)


def inflated(content: bytes, most: int) -> bytes:
    """Inflate a stream up to its end or a fault."""
    stream = zlib.decompressobj()
    found = bytearray()
    with suppress(zlib.error):
        # In pieces, so that what lies before a fault is there.
        for start in range(0, len(content), PIECE_BYTES):
            found += stream.decompress(content[start : start + PIECE_BYTES], most - len(found) + 1)
            if len(found) >= most:
                break
    return bytes(found[:most])
