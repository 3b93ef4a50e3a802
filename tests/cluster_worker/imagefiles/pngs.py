"""PNG files made byte by byte, as no library writes them."""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_of(rows, bits=8, colour=0, size=None, extra=b""):
    """Build a PNG by hand, of a kind that Pillow does not write."""
    height, width = size or rows.shape[:2]
    if bits < 8:
        unpacked = np.unpackbits(rows[..., None], axis=-1)[..., 8 - bits :]
        rows = np.packbits(unpacked.reshape(len(rows), -1), axis=1)
    lines = [row.astype(f">u{max(bits, 8) // 8}").tobytes() for row in rows]
    content = zlib.compress(b"".join(b"\0" + line for line in lines))
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", content)
    return SIGNATURE + chunk(b"IHDR", head) + extra + pixels + chunk(b"IEND", b"")


# First row and column, and steps between rows and columns, of the passes of an interlaced PNG.
PASSES = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)),
    *((0, 1, 2, 2), (1, 0, 2, 1)),
)
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def woven_png_of(image):
    """Build an interlaced PNG of 8 bits by hand: Pillow writes none."""
    height, width = image.shape[:2]
    colour = COLOUR_TYPES[image.shape[2] if image.ndim == 3 else 1]
    stream, parts = zlib.compressobj(1), []
    for top, left, down, across in PASSES:
        part = image[top::down, left::across]
        if part.size:
            parts += [stream.compress(b"\0" + row.tobytes()) for row in part]
    content = b"".join((*parts, stream.flush()))
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 1)
    pixels = chunk(b"IHDR", head) + chunk(b"IDAT", content)
    return SIGNATURE + pixels + chunk(b"IEND", b"")
