"""Where the parts of a Zarr lie: files below a folder, or entries of a zip file."""

import io
import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cluster_worker.errors import Rejected

# No metadata and no chunk of an image is nearly as large.
PART_BYTES_MAX = 1 << 30
# An entry that is deflated is kept inflated up to this size: chunks of a shard are read in turn.
INFLATED_BYTES_MAX = 128 << 20
# Window bits for deflate without a head, as zip files have it, and the bit of a coded entry.
RAW, CODED = -15, 1
# Length of the head of an entry in a zip, and where the lengths of name and extra field lie in it.
ENTRY_HEAD, LENGTHS_AT = 30, 26


# What the top of a Zarr holds.
ROOTS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


class Store(Protocol):
    """Parts by their names."""

    def __hash__(self) -> int:
        """Return a number by which caches find the store again."""

    def size(self, key: str) -> int | None:
        """Return the bytes of a part, None if it is not there."""

    def read(self, key: str, start: int, count: int) -> bytes:
        """Return bytes of a part that is there."""

    def stamp(self, key: str) -> tuple[int, ...] | None:
        """Return what tells a part from one written later in its place, None if it is not there."""


def open_store(path: Path) -> Store:
    """Open a Zarr, from the cache if it is one of the last ones."""
    if path.is_dir():
        return FolderStore(path)
    found = path.stat()
    return cached_zip(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4)
def cached_zip(path: Path, *identity: int) -> "ZipStore":
    """Open a zip file; `identity` tells a changed file from the cached one."""
    del identity
    return ZipStore(path)


def checked(key: str) -> str:
    """Return a name of a part without its empty steps.

    Raises
    ------
    ValueError
        If it leads out of the Zarr.
    """
    steps = [step for step in key.split("/") if step not in ("", ".")]
    if ".." in steps or any("\\" in step or "\0" in step for step in steps):
        raise ValueError(f"a part is named {key!r}")
    return "/".join(steps)


def is_root(name: str, ending: str) -> bool:
    """Return whether a name of an entry ends with that of a file at the top of a Zarr."""
    return name == ending or name.endswith(f"/{ending}")


def is_zarr_folder(path: Path) -> bool:
    """Return whether a path is a folder that holds a Zarr."""
    return path.is_dir() and any((path / each).is_file() for each in ROOTS)


class FolderStore:
    """The files below a folder; links that lead out of it are not followed."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def place(self, key: str) -> Path:
        """Return the file of a part; raises ValueError if it lies elsewhere."""
        found = (self.path / checked(key)).resolve()
        if not found.is_relative_to(self.path):
            raise ValueError(f"{key} is a link to another folder")
        return found

    def size(self, key: str) -> int | None:
        """Return the bytes of a part, None if it is not there."""
        place = self.place(key)
        return place.stat().st_size if place.is_file() else None

    def read(self, key: str, start: int, count: int) -> bytes:
        """Return bytes of a part that is there."""
        with self.place(key).open("rb") as opened:
            return os.pread(opened.fileno(), count, start)

    def stamp(self, key: str) -> tuple[int, ...] | None:
        """Return time and size of a part, None if it is not there."""
        place = self.place(key)
        if not place.is_file():
            return None
        found = place.stat()
        return found.st_mtime_ns, found.st_size


class ZipStore:
    """The entries of a zip file; a folder that holds all of them is left out of their names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            entries = {each.filename: each for each in archive.infolist() if not each.is_dir()}
        tops = [
            name.removesuffix(each) for name in entries for each in ROOTS if is_root(name, each)
        ]
        top = min(tops, key=len, default="")
        self.entries = {
            name[len(top) :]: each for name, each in entries.items() if name.startswith(top)
        }

    def size(self, key: str) -> int | None:
        """Return the bytes of a part, None if it is not there."""
        entry = self.entries.get(checked(key))
        return None if entry is None else entry.file_size

    def read(self, key: str, start: int, count: int) -> bytes:
        """Return bytes of a part that is there."""
        entry = self.entries[checked(key)]
        if entry.compress_type == zipfile.ZIP_STORED:
            return self.stored(entry, start, min(count, entry.file_size - start))
        if entry.compress_type == zipfile.ZIP_DEFLATED and not entry.flag_bits & CODED:
            if entry.file_size <= INFLATED_BYTES_MAX:
                return inflated(self, checked(key))[start : start + count]
            stream = zlib.decompressobj(RAW)
            packed = self.stored(entry, 0, entry.compress_size)
            return stream.decompress(packed, start + count)[start:]
        with zipfile.ZipFile(self.path) as archive, archive.open(entry) as part:
            part.seek(start, io.SEEK_SET)
            return part.read(count)

    def stamp(self, key: str) -> tuple[int, ...] | None:
        """Return the size of a part, None if it is not there: a changed zip is another store."""
        size = self.size(key)
        return None if size is None else (size,)

    def stored(self, entry: zipfile.ZipInfo, start: int, count: int) -> bytes:
        """Return bytes of an entry as the file holds them."""
        with self.path.open("rb") as opened:
            head = os.pread(opened.fileno(), ENTRY_HEAD, entry.header_offset)
            name, extra = (
                int.from_bytes(head[at : at + 2], "little") for at in (LENGTHS_AT, LENGTHS_AT + 2)
            )
            begin = entry.header_offset + ENTRY_HEAD + name + extra + start
            return os.pread(opened.fileno(), count, begin)


@lru_cache(maxsize=1)
def inflated(store: ZipStore, key: str) -> bytes:
    """Return all bytes of an entry that is deflated, from the cache if it is the last one.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    entry = store.entries[key]
    packed = store.stored(entry, 0, entry.compress_size)
    found = zlib.decompressobj(RAW).decompress(packed, max(1, entry.file_size))
    if len(found) != entry.file_size or zlib.crc32(found) != entry.CRC:
        raise ValueError(f"{key} is damaged")
    return found


def forget() -> None:
    """Free the last entry that was inflated."""
    inflated.cache_clear()


def whole(store: Store, key: str, name: str) -> bytes | None:
    """Return all bytes of a part, None if it is not there.

    Raises
    ------
    Rejected
        If it is larger than `PART_BYTES_MAX`.
    """
    size = store.size(key)
    if size is None:
        return None
    if size > PART_BYTES_MAX:
        most = PART_BYTES_MAX >> 20
        raise Rejected(f"{name}: {key} has more than {most} MiB; write it in smaller chunks")
    return store.read(key, 0, size)
