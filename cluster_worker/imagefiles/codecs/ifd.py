"""Directories of tags, as TIFF files and EXIF data hold them: read and built, byte for byte.

Source: TIFF revision 6.0, section 2; BigTIFF design by Aware Systems.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

# Bytes of a value by its type. The types of 8 bytes from 16 on are those of BigTIFF.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8, 129: 1}
# Bytes that change places with the byte order: those of one number.
WORDS = {3: 2, 8: 2, 4: 4, 5: 4, 9: 4, 10: 4, 11: 4, 13: 4, 12: 8, 16: 8, 17: 8, 18: 8}

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD = 2, 3, 4, 5, 7, 13
LONG8 = 16

# A directory of more entries is damaged.
ENTRIES_MAX = 4096


class Entry(NamedTuple):
    """A tag and its values.

    Attributes
    ----------
    code, type, length : int
        Of the tag, of its values, and how many there are.
    value : bytes
        All values, in the byte order of the file.
    """

    code: int
    type: int
    length: int
    value: bytes


class Layout(NamedTuple):
    """How a file stores directories.

    Attributes
    ----------
    order : str
        "<" or ">", as for `struct`.
    big : bool
        Whether offsets and counts have 64 bits.
    """

    order: str
    big: bool = False

    @property
    def number(self) -> struct.Struct:
        """An offset, and the count of values of a tag."""
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def entries(self) -> struct.Struct:
        """The number of entries of a directory."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def head(self) -> struct.Struct:
        """Code, type and count of an entry; the value, or its offset, follows."""
        return struct.Struct(self.order + ("HHQ" if self.big else "HHI"))


def read_directory(content: bytes, offset: int, layout: Layout) -> tuple[list[Entry], int]:
    """Read a directory.

    Parameters
    ----------
    content : bytes
        That offsets count in.
    offset : int
        Of the directory.
    layout : Layout
        How it is stored.

    Returns
    -------
    list of Entry, int
        The entries whose values lie within the content, and the offset of the next directory.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    try:
        (count,) = layout.entries.unpack_from(content, offset)
        if count > ENTRIES_MAX:
            raise ValueError(f"a directory of {count} tags")
        start = offset + layout.entries.size
        size = layout.head.size + layout.number.size
        found = []
        for place in range(start, start + count * size, size):
            code, kind, values = layout.head.unpack_from(content, place)
            nbytes, at = SIZES.get(kind, 0) * values, place + layout.head.size
            if nbytes > layout.number.size:
                (at,) = layout.number.unpack_from(content, at)
            if 0 < nbytes <= len(content) - at:
                found.append(Entry(code, kind, values, bytes(content[at : at + nbytes])))
        (following,) = layout.number.unpack_from(content, start + count * size)
    except struct.error as error:
        raise ValueError("a directory lies beyond the end") from error
    return found, following


def value_places(content: bytes, offset: int, layout: Layout) -> dict[int, int]:
    """Return where each tag of a sound directory has its value, or the value's offset."""
    (count,) = layout.entries.unpack_from(content, offset)
    start = offset + layout.entries.size
    size = layout.head.size + layout.number.size
    places = range(start, start + count * size, size)
    return {layout.head.unpack_from(content, at)[0]: at + layout.head.size for at in places}


def build_directory(
    entries: Sequence[Entry], offset: int, layout: Layout, following: int = 0
) -> bytes:
    """Build a directory, with the values that do not fit into its entries after it.

    Parameters
    ----------
    entries : sequence of Entry
        In any order; values in the byte order of the layout.
    offset : int
        At which the directory will lie; even.
    layout : Layout
        How it is stored.
    following : int
        Offset of the next directory, 0 for none.
    """
    entries = sorted(entries)
    room = layout.number.size
    head = layout.entries.size + len(entries) * (layout.head.size + room) + room
    table, values = layout.entries.pack(len(entries)), b""
    for each in entries:
        table += layout.head.pack(each.code, each.type, each.length)
        if len(each.value) <= room:
            table += each.value.ljust(room, b"\0")
            continue
        table += layout.number.pack(offset + head + len(values))
        values += each.value + b"\0" * (len(each.value) % 2)
    return table + layout.number.pack(following) + values


def in_order(entry: Entry, given: str, wanted: str) -> Entry:
    """Return an entry with its values in another byte order."""
    size = WORDS.get(entry.type, 1)
    if given == wanted or size == 1:
        return entry
    swapped = b"".join(
        entry.value[start : start + size][::-1] for start in range(0, len(entry.value), size)
    )
    return entry._replace(value=swapped)
