"""Find out which rows are there of a JPEG that has no end mark.

The decoder does not say whether pixels are missing. If it needs more bytes than there are, then
other bytes in their place give other pixels.
"""

import re
from collections.abc import Callable

import numpy as np

from cluster_worker.imagefiles.codecs.header import Image
from cluster_worker.imagefiles.codecs.jpeg_segments import (
    END,
    LOSSLESS,
    PADS,
    PROGRESSIVES,
    SCAN,
    Frame,
    before_scan,
    frame_of,
    scans_complete,
    scans_of,
    segments,
    with_whole_blocks,
)

BLOCK = 8
# The segment that says how many squares of blocks lie between two marks, and the marks.
INTERVAL, RESTART = b"\xdd", re.compile(rb"\xff[\xd0-\xd7]")

Decode = Callable[[bytes], Image]


def ended(content: bytes, decode: Decode) -> bytes:
    """Return a file with the end mark that it lacks, if no pixel is missing.

    Raises
    ------
    EOFError
        If pixels are missing.
    """
    content = without_half_mark(content)
    try:
        if not scans_complete(content):
            raise EOFError("scans are missing")
        frame = frame_of(before_scan(content))
        if rows_by_marks(content, frame) < frame.rows:
            raise EOFError("squares are missing")
        equal, rows = equal_rows(with_whole_blocks(content), decode)
    except MemoryError:
        raise
    except Exception as error:
        raise EOFError("the file ends within its pixels") from error
    if equal < rows:
        raise EOFError("pixels are missing")
    return content + b"\xff" + END


def first_rows(content: bytes, decode: Decode) -> tuple[Image, int]:
    """Decode a file that ends within its pixels.

    Returns
    -------
    ndarray, int
        The pixels, and how many rows are there; of a progressive file, all of them once a scan of
        each channel is complete.

    Raises
    ------
    EOFError
        If none are there, or a channel is missing.
    """
    content = without_half_mark(content)
    frame, scans = frame_of(before_scan(content)), scans_of(content)
    if len(set().union(*scans)) < frame.channels:
        # libjpeg would fill it with gray.
        raise EOFError("a channel is missing")
    there = frame.rows
    if frame.marker not in PROGRESSIVES or len(set().union(*scans[:-1])) < frame.channels:
        equal, _ = equal_rows(with_whole_blocks(content), decode)
        there = complete_rows(min(equal, rows_by_marks(content, frame)), frame)
    if there <= 0:
        raise EOFError("no rows are there")
    return decode(content + PADS[0] + b"\xff" + END), min(there, frame.rows)


def without_half_mark(content: bytes) -> bytes:
    """Return a file without the first byte of a mark at its end."""
    return content[:-1] if content.endswith(b"\xff") else content


def equal_rows(content: bytes, decode: Decode) -> tuple[int, int]:
    """Return how many rows from the top do not depend on missing bytes, and how many there are.

    Two pictures are in memory at a time.
    """
    first = decode(content + PADS[0] + b"\xff" + END)
    equal = len(first)
    for pad in PADS[1:]:
        other = decode(content + pad + b"\xff" + END)
        rows = (row for row in range(equal) if not np.array_equal(first[row], other[row]))
        equal = next(rows, equal)
    return equal, len(first)


def rows_by_marks(content: bytes, frame: Frame) -> int:
    """Return how many rows the last scan has at most, by the count of its restart marks.

    The decoder skips to the next mark: where a file ends before one, it needs no other bytes. A
    scan without marks may have all rows.
    """
    rows = BLOCK * frame.blocks_down
    all_rows = -(-frame.rows // rows) * rows
    interval, start, in_scan = 0, 0, 0
    for marker, offset in segments(content):
        if marker == INTERVAL:
            interval = int.from_bytes(content[offset + 2 : offset + 4], "big")
        elif marker == SCAN:
            start, in_scan = offset, interval
    if not in_scan:
        return all_rows
    count = int.from_bytes(content[start + 2 : start + 3])
    down, across, rows = squares_of(frame, content[start + 3 : start + 3 + 2 * count])
    squares = (len(RESTART.findall(content, start)) + 1) * in_scan
    return all_rows if squares >= down * across else squares // across * rows


def squares_of(frame: Frame, channels: bytes) -> tuple[int, int, int]:
    """Return squares of blocks down and across a scan, and rows of the image in one of them.

    `channels` has two bytes for each channel of the scan: its number, and its tables.
    """
    unit = 1 if frame.marker == LOSSLESS else BLOCK
    if len(channels) > 3:
        rows, columns = unit * frame.blocks_down, unit * frame.blocks_across
        return blocks(frame.rows, rows), blocks(frame.columns, columns), rows
    # One channel alone is stored block by block, without those beyond its border.
    factors = frame.factors.get(channels[0], (1, 1)) if channels else (1, 1)
    down, across = (
        blocks(blocks(side * own, most), unit)
        for side, own, most in zip(
            (frame.rows, frame.columns),
            factors,
            (frame.blocks_down, frame.blocks_across),
            strict=True,
        )
    )
    return down, across, unit * frame.blocks_down // factors[0]


def blocks(side: int, unit: int) -> int:
    """Return how many units cover a side."""
    return -(-side // unit)


def complete_rows(equal: int, frame: Frame) -> int:
    """Return how many of the rows that do not depend on missing bytes are complete.

    The blocks of a square are stored one after the other, those of colours last: upper rows of the
    last square may lack their colours. Where rows share colours, those of the last row that is
    there are mixed with those of the row below.
    """
    mixed = 1 if frame.blocks_down > 1 else 0
    rows = BLOCK * frame.blocks_down
    return (equal + mixed) // rows * rows - mixed
