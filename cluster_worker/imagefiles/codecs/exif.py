"""EXIF data: a small TIFF without pixels. It is changed in place, byte for byte.

Cameras keep notes of their own in it, with offsets that are valid only where they lie. So nothing
is moved: values are overwritten, and if a tag is missing, the first directory is written again
behind everything else.
"""

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction

from cluster_worker.imagefiles.codecs.ifd import (
    ASCII,
    LONG,
    RATIONAL,
    SHORT,
    Entry,
    Layout,
    build_directory,
    read_directory,
)

HEADS = {b"II*\0": Layout("<"), b"MM\0*": Layout(">")}
FIRST = 4

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
CAMERA, PLACE, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
COLUMNS, ROWS = 0xA002, 0xA003
THUMBNAIL, THUMBNAIL_BYTES = 0x0201, 0x0202
INCH = 2
DENOMINATOR_MAX = 10_000


def layout_of(block: bytes) -> Layout:
    """Return the byte order of a block.

    Raises
    ------
    ValueError
        If the block is no EXIF data.
    """
    layout = HEADS.get(bytes(block[:4]))
    if layout is None:
        raise ValueError(f"EXIF data begins with {block[:4].hex(' ')}")
    return layout


def first_directory(block: bytes) -> tuple[list[Entry], int]:
    """Return the entries of the first directory, and the offset of the thumbnail's.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    layout = layout_of(block)
    if len(block) < FIRST + 4:
        raise ValueError("EXIF data has no directory")
    (offset,) = layout.number.unpack_from(block, FIRST)
    return read_directory(block, offset, layout)


def directory(block: bytes, pointer: int) -> list[Entry]:
    """Return the entries of the directory that a tag of the first one points at; [] if none."""
    layout = layout_of(block)
    for each in first_directory(block)[0]:
        if each.code == pointer and each.type in (LONG, 13):
            return read_directory(block, layout.number.unpack(each.value)[0], layout)[0]
    return []


def empty() -> bytes:
    """Return EXIF data without a tag."""
    return b"II*\0" + struct.pack("<IHI", 8, 0, 0)


def block_of(directories: Mapping[int, Sequence[Entry]], layout: Layout) -> bytes:
    """Build EXIF data from directories, by the tags of the first one that point at them."""
    head = {order.order: magic for magic, order in HEADS.items()}[layout.order]
    layout = Layout(layout.order)
    content = head + layout.number.pack(0)
    pointers = []
    for pointer, entries in directories.items():
        pointers.append(Entry(pointer, LONG, 1, layout.number.pack(len(content))))
        content += build_directory(entries, len(content), layout)
    first = layout.number.pack(len(content))
    content += build_directory(pointers, len(content), layout)
    return content[:FIRST] + first + content[FIRST + 4 :]


def adapted(
    block: bytes,
    shape: Sequence[int],
    resolution: tuple[float, float] | None,
    texts: Mapping[int, bytes],
) -> bytes:
    """Return EXIF data that is true for a result.

    Parameters
    ----------
    block : bytes
        Of the original; `empty()` if it has none.
    shape : sequence of int
        (rows, columns, ...) of the result.
    resolution : tuple of float or None
        Pixels per inch along (columns, rows) of the result.
    texts : mapping
        UTF-8 by tag, for tags that the block does not have.

    Returns
    -------
    bytes
        Upright, without a thumbnail; b"" if nothing is in it.

    Raises
    ------
    ValueError
        If the block is damaged.
    """
    layout = layout_of(block)
    entries, thumbnail = first_directory(block)
    changed = bytearray(block)
    if thumbnail:
        remove_thumbnail(changed, thumbnail, layout)
    set_size(changed, entries, shape, layout)
    known = {each.code: each for each in entries}
    wanted = {code: each for code, each in known.items() if code not in RESOLUTION_TAGS}
    if ORIENTATION in known:
        wanted[ORIENTATION] = Entry(ORIENTATION, SHORT, 1, struct.pack(layout.order + "H", 1))
    if resolution is not None:
        wanted |= {each.code: each for each in resolution_entries(resolution, layout)}
    for code, value in texts.items():
        if code not in wanted:
            wanted[code] = Entry(code, ASCII, len(value) + 1, value + b"\0")
    if not wanted:
        return b""
    return with_first_directory(bytes(changed), list(wanted.values()), layout)


RESOLUTION_TAGS = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)


def resolution_entries(resolution: tuple[float, float], layout: Layout) -> list[Entry]:
    """Return the entries of a resolution in pixels per inch along (columns, rows)."""
    found = [Entry(RESOLUTION_UNIT, SHORT, 1, struct.pack(layout.order + "H", INCH))]
    for code, value in zip((X_RESOLUTION, Y_RESOLUTION), resolution, strict=True):
        ratio = Fraction(value).limit_denominator(DENOMINATOR_MAX)
        while max(ratio.numerator, ratio.denominator) >= 1 << 32:
            ratio = Fraction(value).limit_denominator(max(1, ratio.denominator // 10))
        packed = struct.pack(layout.order + "II", ratio.numerator, ratio.denominator)
        found.append(Entry(code, RATIONAL, 1, packed))
    return found


def remove_thumbnail(block: bytearray, offset: int, layout: Layout) -> None:
    """Clear the bytes of a thumbnail, and cut them off if they are the last ones."""
    try:
        entries, _ = read_directory(bytes(block), offset, layout)
    except ValueError:
        return
    numbers = {
        each.code: layout.number.unpack(each.value)[0]
        for each in entries
        if each.type == LONG and each.length == 1
    }
    start, size = numbers.get(THUMBNAIL, 0), numbers.get(THUMBNAIL_BYTES, 0)
    if start <= offset or size == 0 or start + size > len(block):
        return
    if start + size == len(block):
        del block[start:]
    else:
        block[start : start + size] = bytes(size)


def set_size(
    block: bytearray, entries: Sequence[Entry], shape: Sequence[int], layout: Layout
) -> None:
    """Overwrite the rows and columns that the directory of the camera states."""
    for pointer in entries:
        if pointer.code != CAMERA or pointer.type not in (LONG, 13):
            continue
        (offset,) = layout.number.unpack(pointer.value)
        if offset + 2 > len(block):
            return
        (count,) = layout.entries.unpack_from(block, offset)
        for place in range(offset + 2, min(offset + 2 + 12 * count, len(block) - 11), 12):
            (code,) = struct.unpack_from(layout.order + "H", block, place)
            if code in (COLUMNS, ROWS):
                value = shape[1] if code == COLUMNS else shape[0]
                layout.head.pack_into(block, place, code, LONG, 1)
                layout.number.pack_into(block, place + 8, value)


def with_first_directory(block: bytes, entries: Sequence[Entry], layout: Layout) -> bytes:
    """Return a block with these entries in its first directory and none after it.

    They are written over the old ones if they have the same tags and sizes, else behind the rest.
    """
    (offset,) = layout.number.unpack_from(block, FIRST)
    old, _ = read_directory(block, offset, layout)
    new = sorted(entries)
    same = [each[:3] for each in sorted(old)] == [each[:3] for each in new] and old == sorted(old)
    if same:
        return overwritten(block, offset, new, layout)
    block += b"\0" * (len(block) % 2)
    head = layout.number.pack(len(block))
    return block[:FIRST] + head + block[FIRST + 4 :] + build_directory(new, len(block), layout)


def overwritten(block: bytes, offset: int, entries: Sequence[Entry], layout: Layout) -> bytes:
    """Return a block with other values in a directory, which has entries of the same sizes."""
    changed = bytearray(block)
    (count,) = layout.entries.unpack_from(block, offset)
    values = {each.code: each.value for each in entries}
    for place in range(offset + 2, offset + 2 + 12 * count, 12):
        code, _kind, _ = layout.head.unpack_from(block, place)
        if code not in values:
            continue
        at = place + 8
        if len(values[code]) > 4:
            (at,) = layout.number.unpack_from(block, at)
        changed[at : at + len(values[code])] = values[code]
    layout.number.pack_into(changed, offset + 2 + 12 * count, 0)
    return bytes(changed)
