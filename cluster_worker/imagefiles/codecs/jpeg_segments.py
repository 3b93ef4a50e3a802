"""The segments of a JPEG: what stands before the pixels, and whether all pixels are there.

Source: ITU-T T.81, annex B; JFIF 1.02; Adobe XMP specification, part 3; ICC.1:2022, annex B.4.
"""

import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cluster_worker.imagefiles.codecs.items import Item, as_utf8

# Of a file: read, or mapped into memory.
Content = bytes | mmap.mmap

# A marker is the byte FF and a byte for its type. A segment follows, which begins with its own
# length; the end marker has none. Within the pixels, FF 00 stands for a byte FF, and FF D0 to FF D7
# are restart markers.
MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
LENGTH = struct.Struct(">H")
BASELINE, SCAN, END = b"\xc0", b"\xda", b"\xd9"
COMMENT, JFIF, EXIF_OR_XMP, PROFILE, PHOTOSHOP = b"\xfe", b"\xe0", b"\xe1", b"\xe2", b"\xed"
# Most bytes of a segment's content.
CONTENT_MAX = 65_533

# Start of frame, by its marker. Those left out are differential, or lossless and arithmetic.
FRAMES = {b"\xc0": "", b"\xc1": "", b"\xc2": "progressive", b"\xc3": "lossless"}
FRAMES |= {b"\xc9": "arithmetic", b"\xca": "arithmetic"}
OTHER_FRAMES = (b"\xc5", b"\xc6", b"\xc7", b"\xcb", b"\xcd", b"\xce", b"\xcf")
PROGRESSIVES = (b"\xc2", b"\xca")
LOSSLESS = b"\xc3"
FRAME = struct.Struct(">BHHB")
# The format stores rows and columns in 16 bits; the limit of libjpeg is a little lower.
SIDE_MAX = 65_500
# Bytes of a channel in a frame: its number, how it is sampled, its table.
FRAME_CHANNEL = 3

EXIF_START, XMP_START = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
XMP_MORE, ICC_START, PICTURES = b"http://ns.adobe.com/xmp/extension/\0", b"ICC_PROFILE\0", b"MPF\0"
PHOTOSHOP_START, RESOURCE, IPTC_RESOURCE = b"Photoshop 3.0\0", b"8BIM", 0x0404

# Bytes put in place of a missing end, to find out whether the decoder needs them. Few of the pixels
# of the last block may be within the image, so that only some bytes show.
PADS = tuple(bytes((each, each)) for each in b"\x00\x55\xaa\x33\xcc\x0f\xf0\x66\x99\x7f\xfe")


class Frame(NamedTuple):
    """How the pixels are stored.

    Attributes
    ----------
    marker : bytes
        Second byte of the marker.
    bits, rows, columns, channels : int
        As the segment says.
    blocks_down, blocks_across : int
        Blocks of 8 × 8 pixels in a square whose blocks are stored together: 2 if two rows, or
        columns, of pixels share their colours.
    factors : dict
        (down, across) by the number of a channel: how its rows and columns are sampled, as parts of
        the largest factors.
    """

    marker: bytes
    bits: int
    rows: int
    columns: int
    channels: int
    blocks_down: int = 1
    blocks_across: int = 1
    factors: Mapping[int, tuple[int, int]] = MappingProxyType({})


def segments(content: Content) -> Iterator[tuple[bytes, int]]:
    """Walk the segments of a file up to the end marker, or to where the file ends too early.

    Yields
    ------
    bytes, int
        Second byte of the marker, and offset of the segment's length field.
    """
    # The start marker has no segment.
    offset = 2
    while found := MARKER.search(content, offset):
        marker, offset = found[1], found.end()
        yield marker, offset
        if marker == END or offset + LENGTH.size > len(content):
            return
        offset += LENGTH.unpack_from(content, offset)[0]


def before_scan(content: Content) -> list[tuple[bytes, bytes]]:
    """Return marker and content of each segment before the pixels.

    Raises
    ------
    EOFError
        If the file ends before the pixels begin.
    """
    found: list[tuple[bytes, bytes]] = []
    for marker, offset in segments(content):
        if marker == SCAN:
            return found
        if offset + LENGTH.size > len(content):
            break
        end = offset + LENGTH.unpack_from(content, offset)[0]
        found.append((marker, bytes(content[offset + LENGTH.size : end])))
    raise EOFError("the file ends before its pixels")


def frame_of(parts: list[tuple[bytes, bytes]]) -> Frame:
    """Return how the pixels are stored.

    Raises
    ------
    ValueError
        If no segment says it.
    """
    for marker, content in parts:
        if marker in FRAMES or marker in OTHER_FRAMES:
            if len(content) < FRAME.size:
                raise ValueError("the frame is too short")
            frame = Frame(marker, *FRAME.unpack_from(content))
            ids, sampled = (content[FRAME.size + each :: FRAME_CHANNEL] for each in (0, 1))
            if frame.channels == 1:
                # Of one channel, the blocks are stored one by one.
                sampled = b"\x11"
            factors = {
                each: (max(1, byte & 15), max(1, byte >> 4))
                for each, byte in zip(ids, sampled, strict=False)
            }
            down, across = (max((1, *(each[axis] for each in factors.values()))) for axis in (0, 1))
            return frame._replace(blocks_down=down, blocks_across=across, factors=factors)
    raise ValueError("no frame")


def scans_of(content: Content) -> list[set[int]]:
    """Return the numbers of the channels that each scan begins; none for one that refines them."""
    found: list[set[int]] = []
    for marker, offset in segments(content):
        if marker != SCAN:
            continue
        # Behind the length: the count of channels, number and tables of each, the first and last
        # coefficient, and the bits that earlier scans and this one have.
        count = content[offset + 2] if offset + 2 < len(content) else 0
        head = content[offset + 3 : offset + 6 + 2 * count]
        begins = len(head) == 3 + 2 * count and head[-3] == 0 and head[-1] >> 4 == 0
        found.append(set(head[: 2 * count : 2]) if begins else set())
    return found


def with_whole_blocks(content: bytes) -> bytes:
    """Return a file whose rows and columns are those of all its blocks.

    Blocks are stored beyond the border, too. A file that ends within them may lack pixels before
    the border that are stored behind them. The channels of further scans are stored without these
    blocks, so that files of several scans stay as they are.
    """
    frame = frame_of(before_scan(content))
    scans = [offset for marker, offset in segments(content) if marker == SCAN]
    if len(scans) > 1 or content[scans[0] + 2] == 1:
        return content
    rows, columns = 8 * frame.blocks_down, 8 * frame.blocks_across
    whole = -(-frame.rows // rows) * rows, -(-frame.columns // columns) * columns
    start = next(offset for marker, offset in segments(content) if marker == frame.marker) + 3
    changed = struct.pack(">HH", *(min(each, SIDE_MAX) for each in whole))
    return content[:start] + changed + content[start + len(changed) :]


def density_of(parts: list[tuple[bytes, bytes]]) -> tuple[int, int, int] | None:
    """Return unit and density along columns and rows; None if the file has none."""
    for marker, content in parts:
        if marker == JFIF and content[:5] == b"JFIF\0" and len(content) >= 12:
            unit, x, y = struct.unpack_from(">BHH", content, 7)
            return unit, x, y
    return None


def starting(parts: list[tuple[bytes, bytes]], marker: bytes, start: bytes) -> list[bytes]:
    """Return what follows `start` in the segments of a marker that begin with it."""
    return [
        content[len(start) :]
        for found, content in parts
        if found == marker and content.startswith(start)
    ]


def profile_of(parts: list[tuple[bytes, bytes]]) -> bytes:
    """Return the colour profile, which may be in several segments; b"" if there is none."""
    pieces = sorted(starting(parts, PROFILE, ICC_START), key=lambda each: each[:1])
    return b"".join(each[2:] for each in pieces)


def items_of(parts: list[tuple[bytes, bytes]]) -> tuple[list[Item], tuple[str, ...]]:
    """Return what the segments carry besides EXIF data and profile, and notes on what is lost."""
    items = [Item("xmp", "", each) for each in starting(parts, EXIF_OR_XMP, XMP_START)[:1]]
    for each in starting(parts, PHOTOSHOP, PHOTOSHOP_START):
        iptc = iptc_of(each)
        if iptc:
            items.append(Item("iptc", "", iptc))
    items += [
        Item("comment", "", as_utf8(content)) for marker, content in parts if marker == COMMENT
    ]
    notes: tuple[str, ...] = ()
    if starting(parts, EXIF_OR_XMP, XMP_MORE):
        notes += ("extended XMP data dropped",)
    if starting(parts, PROFILE, PICTURES):
        notes += ("further pictures in the file dropped; the first one is used",)
    return items, notes


def iptc_of(resources: bytes) -> bytes:
    """Return the IPTC data among Photoshop's resources; b"" if there is none."""
    offset = 0
    while resources[offset : offset + 4] == RESOURCE and offset + 12 <= len(resources):
        (number,) = LENGTH.unpack_from(resources, offset + 4)
        name = resources[offset + 6]
        start = offset + 6 + (name + 2) // 2 * 2
        if start + 4 > len(resources):
            break
        (size,) = struct.unpack_from(">I", resources, start)
        if number == IPTC_RESOURCE:
            return resources[start + 4 : start + 4 + size]
        offset = start + 4 + size + size % 2
    return b""


def segment(marker: bytes, content: bytes) -> bytes:
    """Return a segment with marker and length."""
    return b"\xff" + marker + LENGTH.pack(len(content) + LENGTH.size) + content


def iptc_content(iptc: bytes) -> bytes:
    """Return the content of the segment for IPTC data."""
    head = RESOURCE + LENGTH.pack(IPTC_RESOURCE) + b"\0\0" + struct.pack(">I", len(iptc))
    return PHOTOSHOP_START + head + iptc + b"\0" * (len(iptc) % 2)


def scans_complete(content: bytes) -> bool:
    """Return whether the scans of a progressive file give all bits of all coefficients.

    A file that ends between two scans has all its pixels, but coarser ones.
    """
    missing: dict[int, dict[int, bool]] = {}
    for marker, offset in segments(content):
        if marker in FRAMES:
            count = content[offset + 7]
            ids = [content[offset + 8 + 3 * number] for number in range(count)]
            missing = {each: dict.fromkeys(range(64), True) for each in ids}
        if marker != SCAN:
            continue
        count = content[offset + 2]
        ids = [content[offset + 3 + 2 * number] for number in range(count)]
        first, last, bits = content[offset + 3 + 2 * count : offset + 6 + 2 * count]
        if bits & 0x0F == 0:
            for each in ids:
                for coefficient in range(first, last + 1):
                    missing.get(each, {}).pop(coefficient, None)
    return not any(missing.values())
