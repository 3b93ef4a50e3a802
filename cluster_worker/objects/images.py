"""Image files in an object store, read by ranges of bytes.

The bytes that a window needs are copied into a sparse file in memory, at the offsets that they have
in the object. A decoder's child reads that file as it reads any other: it needs no network, and
formats need not know where their bytes come from.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.tiff_ranges import StoredPieces, header_ranges, layout_of
from cluster_worker.imagefiles.streams import FileAccess
from cluster_worker.objects.store import ByteRange, at_once, changed, open_store, split
from cluster_worker.pixels.memory import trim_heap
from cluster_worker.pixels.surfaces import Image
from cluster_worker.pixels.tiling import Span

# Bytes are fetched in blocks of this size, which is that of a page of memory.
BLOCK = 4096
# Blocks between two ranges are fetched as well if they are fewer than this: a request costs more.
GAP_BLOCKS = 16
# Blocks of one request. A window's requests run at the same time.
REQUEST_BLOCKS_MAX = 2048
# The first and the last bytes of a file, where most have their directories.
ENDS_BYTES = 64 << 10
# Encoded bytes that a rank keeps in memory for its next windows.
KEPT_BYTES_MAX = 64 << 20


class ObjectImage(NamedTuple):
    """An image file in an object store that is read by windows: its header has a block.

    Attributes
    ----------
    address, etag, size : str, str, int
        Of the object; of another version nothing is read.
    header : Header
        What the image is.
    directories : tuple of (int, int)
        Offset and length of what the file holds beside its pixels.
    """

    address: str
    etag: str
    size: int
    header: Header
    directories: tuple[ByteRange, ...]


class SparseCopy:
    """A sparse file that holds the blocks of an object that were needed so far.

    Parameters
    ----------
    path : Path
        The file, which is made; `remove` removes it.
    address, etag, size : str, str, int
        Of the object.

    Attributes
    ----------
    present : set of int
        Numbers of the blocks that it holds.
    fetched_bytes : int
        Bytes that were read from the store.
    """

    def __init__(self, path: Path, address: str, etag: str, size: int) -> None:
        self.path, self.etag, self.size = path, etag, size
        store, self.key = split(address)
        self.store = open_store(store)
        self.present: set[int] = set()
        self.fetched_bytes = 0
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.ftruncate(self.file, size)
        self.mark()

    def mark(self) -> None:
        """Set the time of change to a fixed one: a decoder reads a changed file's tags again."""
        os.utime(self.file, (0, 0))

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes of the object, fetched if they are not here; fewer at its end."""
        count = max(min(count, self.size - offset), 0)
        self.fetch([(offset, count)])
        return os.pread(self.file, count, offset)

    def fetch(self, ranges: Iterable[ByteRange]) -> None:
        """Make bytes present, by as few requests as their places allow.

        Raises
        ------
        Rejected
            If the object is another one now.
        Broken
            If the store does not answer.
        """
        wanted = {
            block
            for offset, count in ranges
            for block in range(max(offset, 0) // BLOCK, -(-min(offset + count, self.size) // BLOCK))
        }
        missing = sorted(wanted - self.present)
        if missing:
            at_once(self.fetch_run, runs(missing))
            self.present |= wanted
            self.mark()

    def fetch_run(self, run: range) -> None:
        """Fetch neighbouring blocks by one request; called by threads."""
        start, stop = run.start * BLOCK, min(run.stop * BLOCK, self.size)
        content = self.store.read_range(self.key, start, stop, self.etag)
        self.fetched_bytes += len(content)
        while content:
            written = os.pwrite(self.file, content, start)
            content, start = content[written:], start + written

    def drop(self, kept: Iterable[ByteRange]) -> None:
        """Free the memory of all blocks but some."""
        os.ftruncate(self.file, 0)
        os.ftruncate(self.file, self.size)
        self.present.clear()
        self.fetch(kept)

    def remove(self) -> None:
        """Close the file and remove it."""
        os.close(self.file)
        self.path.unlink(missing_ok=True)


def runs(blocks: list[int]) -> Iterator[range]:
    """Join sorted numbers of blocks to ranges, over small gaps."""
    start = stop = blocks[0]
    for block in blocks:
        if block - stop > GAP_BLOCKS or block - start >= REQUEST_BLOCKS_MAX:
            yield range(start, stop)
            start = block
        stop = block + 1
    yield range(start, stop)


class ObjectImageSource(contextlib.AbstractContextManager["ObjectImageSource"]):
    """An opened image of an object store, decoded window by window."""

    def __init__(self, image: ObjectImage, files: FileAccess) -> None:
        self.image, self.header, self.files = image, image.header, files
        path = files.folder / f"object-{files.owner}-{os.urandom(4).hex()}"
        self.copy = SparseCopy(path, image.address, image.etag, image.size)
        try:
            self.copy.fetch(image.directories)
            self.pieces = StoredPieces.of(self.copy.read)
        except BaseException:
            self.copy.remove()
            raise

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image."""
        return self.header.shape

    def read(self, span: Span) -> Image:
        """Fetch and decode a window into a new array."""
        if len(self.copy.present) * BLOCK > KEPT_BYTES_MAX:
            self.copy.drop(self.image.directories)
        self.copy.fetch(self.pieces.ranges(span))
        pixels = self.files.buffer((*span.shape, *self.shape[2:]), self.header.dtype)
        self.files.decoder.read_window(self.copy.path, self.header, span, pixels)
        return pixels.map(writable=False).copy()

    def release_cache(self) -> None:
        """Free the memory that reading took, here and in the decoder."""
        trim_heap()
        self.copy.drop(self.image.directories)
        self.files.decoder.forget(self.header.name)

    def __exit__(self, exc_type: object, *_: object) -> None:
        """Remove the copy; a decoder that may have failed is left as it is."""
        self.copy.remove()
        if exc_type is None:
            trim_heap()
            self.files.decoder.forget(self.header.name)


class ObjectFile:
    """An image file in an object store, as the engine opens it before it plans.

    Parameters
    ----------
    address : str
        Of the object.
    folder : Path
        For the sparse copy; on a disk, if the file may be read as a whole.
    etag : str, optional
        Of the version to read; by default the one that is there now.
    whole_bytes_max : int, optional
        Most bytes of a file that is read as a whole.

    Attributes
    ----------
    copy : SparseCopy
        Holds what the header is read from.
    directories : tuple of (int, int) or None
        As of `ObjectImage`; None if the file cannot be read by ranges.

    Raises
    ------
    Rejected
        If there is no such object, it may not be read, or it is of another version.
    Broken
        If the store does not answer.
    """

    def __init__(
        self, address: str, folder: Path, etag: str = "", whole_bytes_max: int | None = None
    ) -> None:
        self.address, self.whole_bytes_max = address, whole_bytes_max
        store, key = split(address)
        found = open_store(store).head(key)
        if etag not in ("", found.etag):
            raise Rejected(changed(address))
        if not found.size:
            raise Rejected(f"{address}: is empty")
        path = folder / f".dip-object-{os.urandom(8).hex()}"
        self.copy = SparseCopy(path, address, found.etag, found.size)
        self.directories: tuple[ByteRange, ...] | None = None
        self.pieces: StoredPieces | None = None
        try:
            self.read_directories()
        except BaseException:
            self.copy.remove()
            raise

    def read_directories(self) -> None:
        """Fetch what the header is read from: directories of a TIFF, else the whole file."""
        size = self.copy.size
        self.copy.fetch([(0, ENDS_BYTES), (max(size - ENDS_BYTES, 0), ENDS_BYTES)])
        if layout_of(self.copy.read) is None:
            self.fetch_all()
            return
        try:
            self.directories = tuple(header_ranges(self.copy.read, size))
        except Rejected:
            # The decoder says better what is wrong with such a file.
            self.fetch_all()
            return
        self.copy.fetch(self.directories)

    def image(self, header: Header) -> ObjectImage:
        """Return the description of the image for the ranks."""
        assert self.directories is not None  # noqa: S101 - its header has a block
        copy = self.copy
        return ObjectImage(self.address, copy.etag, copy.size, header, self.directories)

    def fetch_windows(self, windows: Iterable[Span]) -> None:
        """Fetch the bytes of windows into the copy, for a decoder; those of earlier ones may go."""
        if self.directories is None:
            # It was fetched as a whole.
            return
        self.pieces = self.pieces or StoredPieces.of(self.copy.read)
        if len(self.copy.present) * BLOCK > KEPT_BYTES_MAX:
            self.copy.drop(self.directories)
        self.copy.fetch([each for window in windows for each in self.pieces.ranges(window)])

    def fetch_all(self) -> None:
        """Fetch the whole file; raises Rejected if it is too large for that."""
        size, most = self.copy.size, self.whole_bytes_max
        if most is not None and size > most:
            raise Rejected(
                f"{self.address}: {size / 2**20:,.0f} MiB, of which this job needs all at once; at "
                f"most {most / 2**20:,.0f} MiB are read so; larger files must be TIFFs of one "
                "image in tiles or strips, with a TIFF as the result and steps that work by tiles"
            )
        self.copy.fetch([(0, self.copy.size)])

    def __enter__(self) -> "ObjectFile":
        """Return the file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the copy."""
        self.copy.remove()
