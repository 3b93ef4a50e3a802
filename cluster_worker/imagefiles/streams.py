"""Images in files, read and written by windows, so that an image may be larger than memory.

Engine and ranks send each other descriptions of images: `FileImage`, `RawFile`, `Spool`, and
`Pixels` for images in shared memory. A rank opens a description with its `FileAccess`. Untrusted
files are decoded in a child process of the rank, never in the rank itself.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.imagefiles.codecs.header import TILE, Header, Piece
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_source import SOCKET_NAME
from cluster_worker.pixels.memory import trim_heap
from cluster_worker.pixels.shared_memory import Maps, Pixels
from cluster_worker.pixels.surfaces import Array, Sink, Source, Surface
from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]

# Columns of a spool's index: number of the tile in row order, and offset and length of its bytes.
INDEX_COLUMNS = 3


class FileAccess:
    """Opens images for one rank, with the rank's decoder and a buffer that both processes map.

    Parameters
    ----------
    folder : Path
        In memory, for the buffer; holds the socket of a `DecoderSource`.
    owner : int
        Process id of the rank. It distinguishes the rank's files from those of others, and from
        those of a rank that was killed, whose decoder may still write for a moment.
    """

    def __init__(self, folder: Path, owner: int) -> None:
        self.folder = folder
        self.path = window_of(folder, owner)
        self.owner = owner
        self.buffer_bytes = 0
        self.maps = Maps()

    @cached_property
    def decoder(self) -> Decoder:
        """The rank's decoder, made when it is first used."""
        return Decoder(address=self.folder / SOCKET_NAME)

    def buffer(self, shape: tuple[int, ...], dtype: str) -> Pixels:
        """Return shared memory for one block; the next call uses the same memory again."""
        needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if needed > self.buffer_bytes or not self.path.exists():
            reserve(self.path, needed)
            self.buffer_bytes = needed
        return Pixels(str(self.path), shape, dtype)

    def source(self, image: "Pixels | FileImage | RawFile", stack: ExitStack) -> Source:
        """Open an image for reading; closing the stack closes it."""
        if isinstance(image, FileImage):
            return stack.enter_context(FileImageSource(image, self))
        return self.surface(image, stack)

    def sink(self, image: "Pixels | Spool", stack: ExitStack) -> Sink:
        """Open an image for writing; closing the stack closes it."""
        if isinstance(image, Spool):
            return stack.enter_context(SpoolSink(image, self))
        return self.surface(image, stack)

    def surface(self, image: "Pixels | RawFile", stack: ExitStack) -> Surface:
        """Open an image for reading and writing; closing the stack closes it.

        An array is mapped writable even if it is only read: compiled functions of scikit-image
        refuse arrays that are read-only.
        """
        if isinstance(image, RawFile):
            return stack.enter_context(RawFileSurface(image))
        return Array(self.maps.map(image, writable=True))

    def take_cpu_seconds(self) -> float:
        """Return the decoder's processor seconds since this was last called; reset them."""
        return self.decoder.take_spent().cpu_seconds if "decoder" in vars(self) else 0.0

    def close(self) -> None:
        """End the decoder, if one was made."""
        if "decoder" in vars(self):
            self.decoder.close()


def window_of(folder: Path, owner: int) -> Path:
    """Path of the buffer of the rank with this process id."""
    return folder / f"window-{owner}"


def reserve(path: Path, size: int) -> None:
    """Make a file of at least `size` bytes, with all its blocks allocated.

    Raises
    ------
    OSError
        If the disk or the memory has too little room.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, max(size, 1))
    finally:
        os.close(descriptor)


class FileImage(NamedTuple):
    """An image file that is read by windows: its header has a block."""

    path: str
    header: Header


class FileImageSource(contextlib.AbstractContextManager["FileImageSource"]):
    """An opened image file, decoded window by window."""

    def __init__(self, image: FileImage, files: FileAccess) -> None:
        self.path = Path(image.path)
        self.header = image.header
        self.files = files

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the upright image."""
        return self.header.shape

    def read(self, span: Span) -> Image:
        """Decode a window into a new array, since the next read overwrites the buffer."""
        pixels = self.files.buffer((*span.shape, *self.shape[2:]), self.header.dtype)
        self.files.decoder.read_window(self.path, self.header, span, pixels)
        return pixels.map(writable=False).copy()

    def release_cache(self) -> None:
        """Free the memory that reading the file took, here and in the decoder."""
        trim_heap()
        self.files.decoder.forget(self.header.name)

    def __exit__(self, exc_type: object, *_: object) -> None:
        """Free the memory, unless an error ended the context: the decoder may have failed."""
        if exc_type is None:
            self.release_cache()


class RawFile(NamedTuple):
    """A file of bare pixels in row order, which one pass writes and the next one reads."""

    path: str
    shape: tuple[int, ...]
    dtype: str


class RawFileSurface(contextlib.AbstractContextManager["RawFileSurface"]):
    """An opened file of bare pixels.

    It is read and written by calls, not mapped: mapped pages would count as memory of the ranks.
    """

    def __init__(self, image: RawFile) -> None:
        self.shape = image.shape
        self.dtype = np.dtype(image.dtype)
        self.descriptor = os.open(image.path, os.O_RDWR)

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self.descriptor)

    def pieces(self, span: Span) -> Iterator[tuple[slice, int]]:
        """Cut a span into pieces that are contiguous in the file.

        Yields
        ------
        slice, int
            Rows of the span, and the offset of their first byte in the file.
        """
        columns = self.shape[1]
        pixel = int(np.prod(self.shape[2:])) * self.dtype.itemsize
        rows, width = span.shape
        step = rows if width == columns else 1
        for i in range(0, rows, step):
            yield slice(i, i + step), ((span.top + i) * columns + span.left) * pixel

    def read(self, span: Span) -> Image:
        """Read a block."""
        block = np.empty((*span.shape, *self.shape[2:]), self.dtype)
        for rows, offset in self.pieces(span):
            remaining = block[rows].data.cast("B")
            while remaining:
                count = os.preadv(self.descriptor, [remaining], offset)
                if count == 0:
                    raise EOFError("a scratch file ends early")
                remaining, offset = remaining[count:], offset + count
        return block

    def release_cache(self) -> None:
        """Return the memory of blocks that were read to the system."""
        trim_heap()

    def flush(self) -> None:
        """Do nothing: every block was written."""

    def view(self, span: Span) -> None:
        """Return None: the pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Write a block."""
        block = np.ascontiguousarray(block, self.dtype)
        for rows, offset in self.pieces(span):
            remaining = block[rows].data.cast("B")
            while remaining:
                count = os.pwrite(self.descriptor, remaining, offset)
                remaining, offset = remaining[count:], offset + count


class Spool(NamedTuple):
    """A folder for the encoded tiles of a result, until a file is assembled from them.

    Attributes
    ----------
    folder : str
        On disk.
    shape, dtype : tuple of int, str
        Of the result.
    format, name : str
        Of the file to write; error sentences begin with the name.
    compression : str
        As in the original's header.
    """

    folder: str
    shape: tuple[int, ...]
    dtype: str
    format: str
    name: str
    compression: str

    def tiles_of(self, owner: int) -> Path:
        """Path of the file with the tiles that the rank with this process id has encoded."""
        return Path(self.folder, f"tiles-{owner}")

    def index_of(self, owner: int) -> Path:
        """Path of the index of these tiles, an array of `INDEX_COLUMNS` columns."""
        return Path(self.folder, f"index-{owner}.npy")

    def clear(self) -> None:
        """Remove the tiles of ranks that did not finish, before the job is tried again."""
        for path in (*Path(self.folder).glob("index-*"), *Path(self.folder).glob("tiles-*")):
            path.unlink(missing_ok=True)

    def pieces(self) -> list[Piece]:
        """Return file, offset and length in bytes of every tile, in row order."""
        found: dict[int, Piece] = {}
        for path in Path(self.folder).glob("index-*.npy"):
            tiles = self.tiles_of(int(path.stem.partition("-")[2]))
            for number, offset, count in np.load(path).tolist():
                found[number] = (tiles, offset, count)
        return [found[number] for number in range(len(found))]


class SpoolSink(contextlib.AbstractContextManager["SpoolSink"]):
    """Encodes the blocks that one rank computes, as tiles in files of its own in the spool."""

    def __init__(self, spool: Spool, files: FileAccess) -> None:
        self.spool = spool
        self.files = files
        self.path = spool.tiles_of(files.owner)
        self.path.write_bytes(b"")
        self.index: list[tuple[int, int, int]] = []

    def view(self, span: Span) -> None:
        """Return None: the pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Encode the tiles of a block; its corner must lie at multiples of `TILE`."""
        pixels = self.files.buffer(block.shape, self.spool.dtype)
        pixels.map(writable=True)[...] = block
        across = -(-self.spool.shape[1] // TILE)
        top, left = span.top // TILE, span.left // TILE
        columns = -(-span.shape[1] // TILE)
        encoded = self.files.decoder.encode_tiles(
            self.path, pixels, self.spool.format, self.spool.name, self.spool.compression
        )
        for i, (offset, count) in enumerate(encoded):
            self.index.append(((top + i // columns) * across + left + i % columns, offset, count))

    def flush(self) -> None:
        """Write the index: what it names is there."""
        index = np.array(self.index, np.int64).reshape(-1, INDEX_COLUMNS)
        np.save(self.spool.index_of(self.files.owner), index)

    def __exit__(self, exc_type: object, *_: object) -> None:
        """Write the index, unless an error ended the context."""
        if exc_type is None:
            self.flush()
