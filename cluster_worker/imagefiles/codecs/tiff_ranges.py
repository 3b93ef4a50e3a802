"""Which bytes of a TIFF its header and a window lie in, for files that are read by ranges.

Only numbers of directories are read here; a decoder's child reads the rest. Source: TIFF revision
6.0, section 2; BigTIFF design by Aware Systems.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import ByteRange
from cluster_worker.imagefiles.codecs.ifd import ENTRIES_MAX, SIZES, Layout
from cluster_worker.pixels.tiling import Span

# Returns bytes of the file by offset and length; fewer at its end.
Read = Callable[[int, int], bytes]

# The first bytes of a file; of a BigTIFF the directory's offset follows after 4 more.
HEADS = {
    b"II*\0": Layout("<"),
    b"MM\0*": Layout(">"),
    b"II+\0": Layout("<", big=True),
    b"MM\0+": Layout(">", big=True),
}
HEAD_BYTES = 16

WIDTH, LENGTH, BITS, COMPRESSION = 256, 257, 258, 259
STRIP_OFFSETS, SAMPLES, STRIP_ROWS, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
# Tags whose values are offsets of further directories: lower levels, EXIF, GPS, interoperability.
POINTERS = (330, 34665, 34853, 40965)
UNCOMPRESSED = 1
SEPARATE = 2

# numpy's names of the types whose values are whole numbers.
NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
# A file of more directories, or of larger ones, is not read by ranges.
DIRECTORIES_MAX = 4096
DIRECTORY_BYTES_MAX = 512 << 20
# Bytes at the start of the first piece: a decoder looks there for tables of JPEG.
FIRST_PIECE_BYTES = 1024


@dataclass(frozen=True)
class Tag:
    """A tag of a directory: the type of its values, how many there are, and where they lie."""

    type: int
    count: int
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return SIZES.get(self.type, 0) * self.count


@dataclass(frozen=True)
class Directory:
    """A directory of tags.

    Attributes
    ----------
    start, stop : int
        Its first byte, and the byte after its last.
    tags : dict
        By their numbers.
    following : int
        Offset of the next directory; 0 if there is none.
    """

    start: int
    stop: int
    tags: dict[int, Tag]
    following: int


def layout_of(read: Read) -> Layout | None:
    """Return how a file stores directories; None if it is no TIFF."""
    return HEADS.get(read(0, 4))


def header_ranges(read: Read, size: int) -> list[ByteRange]:
    """Return offset and length of all that a TIFF holds beside its pixels.

    Parameters
    ----------
    read : callable
        Reads the file.
    size : int
        Of the file, in bytes.

    Raises
    ------
    Rejected
        If it is no TIFF, or its directories are damaged or too large.
    """
    layout = sound_layout(read)
    found: list[ByteRange] = [(0, min(HEAD_BYTES, size))]
    waiting, seen, total = [first_offset(read, layout)], set[int](), 0
    while waiting:
        offset = waiting.pop()
        if offset in seen or not 0 < offset < size:
            continue
        seen.add(offset)
        directory = read_directory(read, offset, layout)
        found.append((directory.start, directory.stop - directory.start))
        inside = (each for each in directory.tags.values() if each.offset + each.nbytes <= size)
        found += [(each.offset, each.nbytes) for each in inside if each.nbytes]
        total += sum(each.nbytes for each in directory.tags.values())
        if len(seen) > DIRECTORIES_MAX or total > DIRECTORY_BYTES_MAX:
            raise Rejected(
                f"its directories are too large to be read by ranges: {len(seen)} of "
                f"{total >> 20} MiB, at most {DIRECTORIES_MAX} of {DIRECTORY_BYTES_MAX >> 20} MiB"
            )
        pointers = (numbers(read, directory.tags.get(code), layout) for code in POINTERS)
        waiting += [directory.following, *(int(each) for some in pointers for each in some)]
    offsets = StoredPieces.of(read).offsets
    if len(offsets) and 0 < offsets[0] < size:
        found.append((int(offsets[0]), min(FIRST_PIECE_BYTES, size - int(offsets[0]))))
    return found


def sound_layout(read: Read) -> Layout:
    """Return how a TIFF stores directories.

    Raises
    ------
    Rejected
        If it is no TIFF.
    """
    layout = layout_of(read)
    if layout is None:
        raise Rejected("is no TIFF")
    return layout


def first_offset(read: Read, layout: Layout) -> int:
    """Return the offset of the first directory."""
    head = read(0, HEAD_BYTES)
    return int(layout.number.unpack_from(head.ljust(HEAD_BYTES, b"\0"), 8 if layout.big else 4)[0])


def read_directory(read: Read, offset: int, layout: Layout) -> Directory:
    """Read a directory, without the values of its tags.

    Raises
    ------
    Rejected
        If it is damaged.
    """
    counted, each, room = layout.entries, layout.head, layout.number
    head = read(offset, counted.size)
    count = counted.unpack(head)[0] if len(head) == counted.size else ENTRIES_MAX + 1
    size = each.size + room.size
    start = offset + counted.size
    table = read(start, count * size + room.size) if count <= ENTRIES_MAX else b""
    if count > ENTRIES_MAX or len(table) < count * size + room.size:
        raise Rejected(f"damaged: its directory at byte {offset} is not whole")
    tags = {}
    for place in range(0, count * size, size):
        code, kind, values = each.unpack_from(table, place)
        at = start + place + each.size
        if SIZES.get(kind, 0) * values > room.size:
            (at,) = room.unpack_from(table, place + each.size)
        tags[code] = Tag(kind, values, at)
    (following,) = room.unpack_from(table, count * size)
    return Directory(offset, start + len(table), tags, following)


def numbers(read: Read, tag: Tag | None, layout: Layout) -> NDArray[np.uint64]:
    """Return the values of a tag of whole numbers; empty without one.

    Raises
    ------
    Rejected
        If the file ends before they do.
    """
    if tag is None or tag.type not in NUMBERS:
        return np.empty(0, np.uint64)
    content = read(tag.offset, tag.nbytes) if tag.nbytes <= DIRECTORY_BYTES_MAX else b""
    if len(content) < tag.nbytes:
        raise Rejected("damaged: it ends within a directory")
    return np.frombuffer(content, layout.order + NUMBERS[tag.type]).astype(np.uint64)


@dataclass(frozen=True)
class StoredPieces:
    """Where the tiles or strips of a file's first image lie.

    Attributes
    ----------
    rows, columns : int
        Of a piece, in pixels.
    down, across : int
        Number of pieces in a column and in a row of pieces.
    planes : int
        Planes that the file stores one after the other.
    row_bytes : int
        Bytes of a row of a strip whose rows can be read one by one; 0 if they cannot.
    offsets, counts : ndarray of uint64
        Of the pieces, in bytes. A piece of 0 bytes is not stored.
    """

    rows: int
    columns: int
    down: int
    across: int
    planes: int
    row_bytes: int
    offsets: NDArray[np.uint64]
    counts: NDArray[np.uint64]

    @classmethod
    def of(cls, read: Read) -> "StoredPieces":
        """Read where the pieces of a TIFF lie; raises `Rejected` if it is damaged."""
        layout = sound_layout(read)
        tags = read_directory(read, first_offset(read, layout), layout).tags

        def value(code: int, otherwise: int) -> int:
            found = numbers(read, tags.get(code), layout)
            return int(found[0]) if len(found) else otherwise

        width, length, samples = value(WIDTH, 0), value(LENGTH, 0), value(SAMPLES, 1)
        if width < 1 or length < 1:
            raise Rejected("damaged: it does not say its size")
        is_tiled = TILE_OFFSETS in tags
        rows = value(TILE_LENGTH, 0) if is_tiled else min(value(STRIP_ROWS, length), length)
        columns = value(TILE_WIDTH, 0) if is_tiled else width
        planes = samples if value(PLANAR, 1) == SEPARATE else 1
        bits = value(BITS, 1) * samples // planes
        plain = not is_tiled and value(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED
        return cls(
            rows=max(rows, 1),
            columns=max(columns, 1),
            down=-(-length // max(rows, 1)),
            across=-(-width // max(columns, 1)),
            planes=planes,
            row_bytes=-(-width * bits // 8) if plain else 0,
            offsets=numbers(read, tags.get(TILE_OFFSETS if is_tiled else STRIP_OFFSETS), layout),
            counts=numbers(read, tags.get(TILE_COUNTS if is_tiled else STRIP_COUNTS), layout),
        )

    def ranges(self, window: Span) -> Iterator[ByteRange]:
        """Yield offset and length of the stored bytes that a window is decoded from."""
        down = range(window.top // self.rows, min(-(-window.bottom // self.rows), self.down))
        across = range(window.left // self.columns, -(-window.right // self.columns))
        for plane, row, column in product(range(self.planes), down, across):
            index = (plane * self.down + row) * self.across + column
            if index >= min(len(self.offsets), len(self.counts)):
                return
            offset, count = int(self.offsets[index]), int(self.counts[index])
            if self.row_bytes:
                top = max(window.top - row * self.rows, 0)
                bottom = min(window.bottom - row * self.rows, self.rows)
                offset, count = offset + top * self.row_bytes, (bottom - top) * self.row_bytes
            if self.counts[index]:
                yield offset, count
