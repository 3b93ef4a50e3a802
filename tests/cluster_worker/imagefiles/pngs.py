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
