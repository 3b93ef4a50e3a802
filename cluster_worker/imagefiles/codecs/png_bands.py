"""The pixels of a PNG by bands of rows, so that threads share the work.

Written, bands are filtered and deflated side by side, each behind a flush that makes it whole; one
after the other they are the one stream that a file has. Read, one thread inflates while another
undoes the filters: libpng does that, given each band as a small file of its own.

Source: PNG specification, third edition, sections 7.2 (scanlines), 9 (filters), 10 (deflate).
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from imagecodecs import png_decode
from isal import isal_zlib

from cluster_worker.imagefiles.codecs.header import Image, channels_of
from cluster_worker.imagefiles.codecs.threads import in_threads, one_ahead

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Chunks: length, kind, content, checksum over kind and content.
CHUNK_HEAD = struct.Struct(">I4s")
CHECKSUM = struct.Struct(">I")

# The first chunk: columns, rows, bits a channel, kind of colour, and three zeros for how they are
# compressed, filtered and interlaced.
FRAME = struct.Struct(">IIBB3x")
# Numbers that stand for the kind of colour, by channels.
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}

# Bytes of a band before it is deflated; a flush costs five.
BAND_BYTES = 1 << 20
# Of one that is inflated: so few that a small image too has one to undo the filters of meanwhile,
# but for so many rows, of which one is decoded twice.
READ_BAND_BYTES, READ_BAND_ROWS = 1 << 18, 8
# A few of them by which its filter is chosen, and the most of them that are taken from one row.
PATCH_BYTES, PATCH_ROW_BYTES = 1 << 15, 1 << 12
# Filtered rows that stay in a core's cache meanwhile.
CACHED_BYTES = 1 << 17

# The fastest of ISA-L's levels that looks for repetitions; the slower ones win less than 1 %.
LEVEL = 1
# Raw deflate, without the two bytes before it and the checksum behind.
RAW = -15
# Those two, for the fastest level, and the modulus of the checksum.
STREAM_START, ADLER_BASE = b"\x78\x01", 65_521
# What is not compressed goes in blocks: whether it is the last, its bytes, and these inverted.
STORED, STORED_BYTES_MAX = struct.Struct("<BHH"), 0xFFFF

# From the bytes left and above to what is subtracted. The fifth filter, Paeth's, costs ten times
# as much here and wins 1 to 2 %.
Predictor = Callable[[Image, Image], Image | int]
PREDICTORS: Mapping[int, Predictor] = {
    0: lambda left, above: 0,
    1: lambda left, above: left,
    2: lambda left, above: above,
    # The mean of two bytes, rounded down, without a ninth bit.
    3: lambda left, above: (left & above) + ((left ^ above) >> 1),
}


class Stretch(NamedTuple):
    """A stretch of a stream: deflated, with checksum and bytes of what it was before."""

    content: bytes
    checksum: int
    nbytes: int


def frame(shape: tuple[int, ...], bits: int) -> bytes:
    """Write the first chunk, for an image of this shape and so many bits a channel."""
    rows, columns = shape[:2]
    return chunk(b"IHDR", FRAME.pack(columns, rows, bits, COLOURS[channels_of(shape)]))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Put a chunk together."""
    checksum = CHECKSUM.pack(isal_zlib.crc32(content, zlib.crc32(kind)))
    return b"".join((CHUNK_HEAD.pack(len(content), kind), content, checksum))


def encoded(image: Image) -> Iterator[bytes]:
    """Encode the pixels of an image.

    Parameters
    ----------
    image : ndarray
        rows × columns [× channels] of bool, uint8 or uint16.

    Yields
    ------
    bytes
        The chunks of pixels, in order.
    """
    line_bytes = packed(image[:1]).shape[1]
    rows = max(1, BAND_BYTES // line_bytes)
    tops = range(0, len(image), rows)
    checksum, start = 1, STREAM_START
    for each in in_threads(partial(deflated, image, rows), tops, rows * line_bytes):
        checksum = joined(checksum, each)
        yield chunk(b"IDAT", start + each.content)
        start = b""
    yield chunk(b"IDAT", CHECKSUM.pack(checksum))


def packed(rows: Image) -> Image:
    """Give the bytes of rows as a PNG orders them, one line for each row."""
    if rows.dtype == bool:
        return np.packbits(rows, axis=1)
    ordered = rows.astype(">u2") if rows.dtype == np.uint16 else np.ascontiguousarray(rows)
    return ordered.reshape(len(rows), -1).view(np.uint8)


def deflated(image: Image, rows: int, top: int) -> Stretch:
    """Filter and deflate so many rows from one on; called by threads."""
    above = max(0, top - 1)
    lines = packed(image[above : top + rows])
    step = image.itemsize * channels_of(image.shape)
    # With the line above, and what counts as zeros left of the first column.
    padded = np.zeros((len(lines) + (top == 0), step + lines.shape[1]), np.uint8)
    padded[top == 0 :, step:] = lines
    number = best_filter(padded, step)
    raw = filtered(padded, step, number)
    stream = isal_zlib.compressobj(LEVEL, wbits=RAW)
    is_last = top + rows >= len(image)
    content = stream.compress(raw)
    content += stream.flush(isal_zlib.Z_FINISH if is_last else isal_zlib.Z_FULL_FLUSH)
    return Stretch(content, isal_zlib.adler32(raw), raw.nbytes)


def best_filter(padded: Image, step: int) -> int:
    """Number the filter by which a patch in the middle of a band becomes smallest."""
    lines, line_bytes = padded.shape
    columns = min(line_bytes, PATCH_ROW_BYTES)
    rows = min(lines, 1 + PATCH_BYTES // columns)
    top, left = (lines - rows) // 2, (line_bytes - columns) // 2
    patch = padded[top : top + rows, left : left + columns]
    return min(
        PREDICTORS,
        key=lambda number: len(isal_zlib.compress(filtered(patch, step, number), LEVEL)),
    )


def filtered(padded: Image, step: int, number: int) -> Image:
    """Filter lines, a few at a time.

    Parameters
    ----------
    padded : ndarray
        The line above the first, and the lines, each behind `step` bytes.
    step : int
        Bytes from one pixel to the next.
    number : int
        Of the filter.

    Returns
    -------
    ndarray
        The lines' bytes, each line behind the filter's number.
    """
    lines, line_bytes = len(padded) - 1, padded.shape[1] - step
    raw = np.empty((lines, 1 + line_bytes), np.uint8)
    raw[:, 0] = number
    several = max(1, CACHED_BYTES // (1 + line_bytes))
    for top in range(0, lines, several):
        above, here = padded[top : top + several + 1], padded[top + 1 : top + several + 1]
        predicted = PREDICTORS[number](here[:, :-step], above[:-1, step:])
        np.subtract(here[:, step:], predicted, out=raw[top : top + several, 1:])
    return raw


def joined(checksum: int, more: Stretch) -> int:
    """Give the Adler-32 checksum of bytes that go on, from what is known of both parts."""
    low = (checksum & 0xFFFF) + (more.checksum & 0xFFFF) - 1
    high = (checksum >> 16) + (more.checksum >> 16) + more.nbytes * ((checksum & 0xFFFF) - 1)
    return (high % ADLER_BASE) << 16 | low % ADLER_BASE


def decode(contents: Iterable[bytes], out: Image) -> None:
    """Decode pixels that are not interlaced.

    Parameters
    ----------
    contents : iterable of bytes
        Of the chunks of pixels, in order.
    out : ndarray
        rows × columns [× channels] of uint8 or uint16, contiguous; filled.

    Raises
    ------
    EOFError
        If there are too few.
    """
    line_bytes = 1 + out[0].nbytes
    rows = max(1, READ_BAND_BYTES // line_bytes, min(READ_BAND_ROWS, BAND_BYTES // line_bytes))
    sizes = (line_bytes * len(out[top : top + rows]) for top in range(0, len(out), rows))
    for number, lines in enumerate(one_ahead(inflated(contents, sizes))):
        top = number * rows
        # A filter looks at the line above: it is given unfiltered, and decoded once more.
        above = max(0, top - 1)
        before = b"\0" + packed(out[above:top]).tobytes() if top else b""
        unfilter(before + lines, out[above : top + rows])


def inflated(contents: Iterable[bytes], sizes: Iterable[int]) -> Iterator[bytes]:
    """Inflate a stream into pieces of these sizes.

    Raises
    ------
    EOFError
        If it is too short.
    """
    stream = isal_zlib.decompressobj()
    source, rest = filter(None, contents), b""
    for size in sizes:
        parts, missing = [], size
        while missing:
            if stream.eof:
                raise EOFError("pixels are missing")
            rest = rest or next(source, b"")
            part = stream.decompress(rest, missing)
            if not part and not rest:
                raise EOFError("pixels are missing")
            rest = stream.unconsumed_tail
            parts.append(part)
            missing -= len(part)
        yield b"".join(parts)


def unfilter(lines: bytes, out: Image) -> None:
    """Have libpng undo the filters of some lines, as of a file that is not compressed."""
    first, pixels = frame(out.shape, 8 * out.itemsize), chunk(b"IDAT", stored(lines))
    png_decode(b"".join((SIGNATURE, first, pixels, chunk(b"IEND", b""))), out=out)


def stored(content: bytes) -> bytes:
    """Make a stream of bytes without compressing them; zlib takes four times as long."""
    parts: list[bytes | memoryview] = [STREAM_START]
    for start in range(0, len(content), STORED_BYTES_MAX):
        part = memoryview(content)[start : start + STORED_BYTES_MAX]
        is_last = start + STORED_BYTES_MAX >= len(content)
        parts += [STORED.pack(is_last, len(part), len(part) ^ STORED_BYTES_MAX), part]
    return b"".join((*parts, CHECKSUM.pack(isal_zlib.adler32(content))))
