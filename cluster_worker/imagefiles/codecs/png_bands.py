"""The pixels of a PNG, encoded and decoded in bands of rows by several threads.

To encode, threads filter and deflate bands side by side. Each band ends with a full flush, so that
the bands one after the other form the single deflate stream of the file. To decode, one thread
inflates the stream while another undoes the filters. libpng undoes them: it gets each band as a
small uncompressed file.

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

# A chunk: length and type, the content, and a checksum over type and content.
CHUNK_HEAD = struct.Struct(">I4s")
CHECKSUM = struct.Struct(">I")

# Content of the header chunk, IHDR: columns, rows, bit depth and colour type; then two zeros for
# the methods of compression and filtering, and whether pixels are interlaced.
HEADER = struct.Struct(">IIBB2x?")
# Colour types by the number of channels.
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PALETTE_TYPE = 3

# Bytes of a band that is deflated; the flush after a band adds five.
BAND_BYTES = 1 << 20
# Bytes of a band that is inflated: small, so that even a small image has several and the threads
# have work. But at least READ_BAND_ROWS rows, as one row of each band is decoded twice.
READ_BAND_BYTES, READ_BAND_ROWS = 1 << 18, 8
# Bytes of the patch that chooses the filter of a band, and how many of them one row may give.
PATCH_BYTES, PATCH_ROW_BYTES = 1 << 15, 1 << 12
# Bytes of rows that are filtered at a time, so that they stay in a core's cache.
CACHED_BYTES = 1 << 17

# The fastest level of ISA-L that looks for repetitions; slower levels save less than 1 %.
LEVEL = 1
# Window bits for raw deflate, without the two bytes of zlib's header and its checksum.
RAW = -15
# zlib's header for the fastest level, and the modulus of its checksum, Adler-32.
STREAM_START, ADLER_BASE = b"\x78\x01", 65_521
# Head of a deflate block that is not compressed: whether it is the last, its length, and the
# length inverted.
STORED, STORED_BYTES_MAX = struct.Struct("<BHH"), 0xFFFF

# What each filter subtracts, from the bytes to the left and above. The fifth filter, Paeth's, takes
# ten times as long here and saves 1 to 2 %.
Predictor = Callable[[Image, Image], Image | int]
PREDICTORS: Mapping[int, Predictor] = {
    0: lambda left, above: 0,
    1: lambda left, above: left,
    2: lambda left, above: above,
    # The mean of two bytes, rounded down, without a ninth bit.
    3: lambda left, above: (left & above) + ((left ^ above) >> 1),
}


class DeflatedBand(NamedTuple):
    """A band in the deflate stream.

    Attributes
    ----------
    content : bytes
        Deflated.
    checksum, nbytes : int
        Adler-32 and number of the bytes before they were deflated.
    """

    content: bytes
    checksum: int
    nbytes: int


def header_chunk(shape: tuple[int, ...], bit_depth: int, *, woven: bool = False) -> bytes:
    """Return the first chunk of a file, for an image of this shape, maybe interlaced."""
    rows, columns = shape[:2]
    colour = COLOUR_TYPES[channels_of(shape)]
    return chunk(b"IHDR", HEADER.pack(columns, rows, bit_depth, colour, woven))


def palette_header_chunk(shape: tuple[int, ...]) -> bytes:
    """Return the first chunk of a file of indices of 8 bits."""
    rows, columns = shape[:2]
    return chunk(b"IHDR", HEADER.pack(columns, rows, 8, PALETTE_TYPE, False))


def chunk(chunk_type: bytes, content: bytes) -> bytes:
    """Return a chunk of a type of four letters, with its length and checksum."""
    checksum = CHECKSUM.pack(isal_zlib.crc32(content, zlib.crc32(chunk_type)))
    return b"".join((CHUNK_HEAD.pack(len(content), chunk_type), content, checksum))


def encoded(image: Image) -> Iterator[bytes]:
    """Encode the pixels of an image.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels), of bool, uint8 or uint16.

    Yields
    ------
    bytes
        The pixel chunks, in order.
    """
    line_bytes = scanlines(image[:1]).shape[1]
    rows = max(1, BAND_BYTES // line_bytes)
    tops = range(0, len(image), rows)
    checksum, start = 1, STREAM_START
    for each in in_threads(partial(deflate_band, image, rows), tops, rows * line_bytes):
        checksum = combined_checksum(checksum, each)
        yield chunk(b"IDAT", start + each.content)
        start = b""
    yield chunk(b"IDAT", CHECKSUM.pack(checksum))


def scanlines(rows: Image) -> Image:
    """Return the bytes of rows as a PNG stores them before filtering, (rows, bytes of a row)."""
    if rows.dtype == bool:
        return np.packbits(rows, axis=1)
    ordered = rows.astype(">u2") if rows.dtype == np.uint16 else np.ascontiguousarray(rows)
    return ordered.reshape(len(rows), -1).view(np.uint8)


def deflate_band(image: Image, rows: int, top: int) -> DeflatedBand:
    """Filter and deflate `rows` rows from `top` on; called by threads."""
    above = max(0, top - 1)
    lines = scanlines(image[above : top + rows])
    step = image.itemsize * channels_of(image.shape)
    # Filters read the line above, and the pixel to the left, which is zero before the first column.
    padded = np.zeros((len(lines) + (top == 0), step + lines.shape[1]), np.uint8)
    padded[top == 0 :, step:] = lines
    number = best_filter(padded, step)
    raw = filtered(padded, step, number)
    stream = isal_zlib.compressobj(LEVEL, wbits=RAW)
    is_last = top + rows >= len(image)
    content = stream.compress(raw)
    content += stream.flush(isal_zlib.Z_FINISH if is_last else isal_zlib.Z_FULL_FLUSH)
    return DeflatedBand(content, isal_zlib.adler32(raw), raw.nbytes)


def best_filter(padded: Image, step: int) -> int:
    """Return the number of the filter that makes a patch in the middle of a band smallest."""
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
        (lines + 1, step + bytes of a line) of uint8: the line above the first one and the lines,
        each with the `step` bytes to its left.
    step : int
        Bytes from one pixel to the next.
    number : int
        Of the filter.

    Returns
    -------
    ndarray
        (lines, 1 + bytes of a line) of uint8: each line begins with the filter's number.
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


def combined_checksum(checksum: int, more: DeflatedBand) -> int:
    """Compute the Adler-32 checksum of some bytes and a band, from the checksums of both."""
    low = (checksum & 0xFFFF) + (more.checksum & 0xFFFF) - 1
    high = (checksum >> 16) + (more.checksum >> 16) + more.nbytes * ((checksum & 0xFFFF) - 1)
    return (high % ADLER_BASE) << 16 | low % ADLER_BASE


def decode(contents: Iterable[bytes], out: Image) -> None:
    """Decode pixels that are not interlaced.

    Parameters
    ----------
    contents : iterable of bytes
        Contents of the pixel chunks, in order.
    out : ndarray
        (rows, columns) or (rows, columns, channels), of uint8 or uint16, contiguous; filled.

    Raises
    ------
    EOFError
        If there are too few pixels.
    """
    line_bytes = 1 + out[0].nbytes
    rows = max(1, READ_BAND_BYTES // line_bytes, min(READ_BAND_ROWS, BAND_BYTES // line_bytes))
    sizes = (line_bytes * len(out[top : top + rows]) for top in range(0, len(out), rows))
    for number, lines in enumerate(one_ahead(inflate(contents, sizes))):
        top = number * rows
        # Filters read the line above the band. It is decoded already, so it goes first, unfiltered.
        above = max(0, top - 1)
        before = b"\0" + scanlines(out[above:top]).tobytes() if top else b""
        unfilter(before + lines, out[above : top + rows])


def inflate(contents: Iterable[bytes], sizes: Iterable[int]) -> Iterator[bytes]:
    """Inflate a stream, and yield it in pieces of these sizes, in bytes.

    Raises
    ------
    EOFError
        If the stream is too short.
    """
    stream = isal_zlib.decompressobj()
    nonempty, rest = filter(None, contents), b""
    for size in sizes:
        pieces, missing = [], size
        while missing:
            if stream.eof:
                raise EOFError("pixels are missing")
            rest = rest or next(nonempty, b"")
            piece = stream.decompress(rest, missing)
            if not piece and not rest:
                raise EOFError("pixels are missing")
            rest = stream.unconsumed_tail
            pieces.append(piece)
            missing -= len(piece)
        yield b"".join(pieces)


def unfilter(lines: bytes, out: Image) -> None:
    """Undo the filters of some lines: libpng decodes them as a small uncompressed file."""
    first, pixels = header_chunk(out.shape, 8 * out.itemsize), chunk(b"IDAT", uncompressed(lines))
    png_decode(b"".join((SIGNATURE, first, pixels, chunk(b"IEND", b""))), out=out)


def uncompressed(content: bytes) -> bytes:
    """Return a zlib stream of uncompressed blocks; zlib itself takes four times as long."""
    blocks: list[bytes | memoryview] = [STREAM_START]
    for start in range(0, len(content), STORED_BYTES_MAX):
        block = memoryview(content)[start : start + STORED_BYTES_MAX]
        is_last = start + STORED_BYTES_MAX >= len(content)
        blocks += [STORED.pack(is_last, len(block), len(block) ^ STORED_BYTES_MAX), block]
    return b"".join((*blocks, CHECKSUM.pack(isal_zlib.adler32(content))))
