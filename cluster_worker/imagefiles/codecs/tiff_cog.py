"""Put a TIFF in the order of a cloud-optimized GeoTIFF: directories first, then small to large.

Source: OGC 21-026, Cloud Optimized GeoTIFF Standard.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from cluster_worker.imagefiles.codecs.ifd import (
    Entry,
    Layout,
    build_directory,
    read_directory,
)

TILE_OFFSETS, TILE_SIZES = 324, 325
# Where the first directory lies: behind the head of the file.
HEADS = {False: 8, True: 16}
FORMATS = {3: "H", 4: "I", 16: "Q"}


def reorder(path: Path) -> None:
    """Write a TIFF anew whose pages are an image in tiles and its smaller copies, largest first.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    part = path.with_name(f"{path.name}.cog")
    try:
        with (
            path.open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole,
            part.open("wb") as written,
        ):
            write_in_order(whole, written)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_in_order(whole: Any, written: Any) -> None:
    """Write head, directories and tiles of a little-endian file in the order of a COG."""
    big = whole[2] == ord("+")
    layout, head = Layout("<", big), HEADS[big]
    (offset,) = layout.number.unpack_from(whole, head - layout.number.size)
    pages: list[dict[int, Entry]] = []
    while offset:
        entries, offset = read_directory(whole, offset, layout)
        pages.append({each.code: each for each in entries})
    places = [numbers(page[TILE_OFFSETS]) for page in pages]
    sizes = [numbers(page[TILE_SIZES]) for page in pages]
    # The length of a directory does not depend on its numbers.
    starts = [head]
    for page in pages:
        starts.append(starts[-1] + len(build_directory(list(page.values()), 0, layout)))
    end = starts.pop()
    moved: list[tuple[int, ...]] = []
    for each in reversed(sizes):
        tiles = []
        for size in each:
            tiles.append(end)
            end += size
        moved.insert(0, tuple(tiles))
    written.write(whole[:head])
    written.seek(head - layout.number.size)
    written.write(layout.number.pack(head))
    for number, page in enumerate(pages):
        page[TILE_OFFSETS] = with_numbers(page[TILE_OFFSETS], moved[number])
        following = starts[number + 1] if number + 1 < len(pages) else 0
        written.write(build_directory(list(page.values()), starts[number], layout, following))
    for old, counts in zip(reversed(places), reversed(sizes), strict=True):
        for start, count in zip(old, counts, strict=True):
            written.write(whole[start : start + count])


def numbers(entry: Entry) -> tuple[int, ...]:
    """Return the numbers of an entry."""
    return struct.unpack(f"<{entry.length}{FORMATS[entry.type]}", entry.value)


def with_numbers(entry: Entry, values: tuple[int, ...]) -> Entry:
    """Return an entry with other numbers."""
    return entry._replace(value=struct.pack(f"<{entry.length}{FORMATS[entry.type]}", *values))
