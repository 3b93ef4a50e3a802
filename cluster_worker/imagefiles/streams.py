"""Images in files, read and written by windows, so that no image need fit into memory.

Engine and ranks exchange descriptions (`FileImage`, `Raw`, `Spool`, and `Pixels` for what lies in
shared memory); a rank opens them with its tools. Strangers' bytes are decoded in a child of the
rank's, never in the rank.
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
from cluster_worker.pixels.memory import give_back_pages
from cluster_worker.pixels.shared_memory import Maps, Pixels
from cluster_worker.pixels.surfaces import Array, Sink, Source, Surface
from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]

# A row of a spool's index: number of the tile in row order, and where its bytes lie.
INDEX_COLUMNS = 3


class Tools:
    """What a rank needs for files: a decoder, and a buffer that both see.

    Parameters
    ----------
    folder : Path
        In memory, for the buffer.
    rank : int
        Names the rank's own files.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self.rank = rank
        self.buffer_bytes = 0
        self.maps = Maps()

    @cached_property
    def decoder(self) -> Decoder:
        """The rank's decoder, started when the first file is met."""
        return Decoder()

    def buffer(self, shape: tuple[int, ...], dtype: str) -> Pixels:
        """Give shared memory for one block; it lasts until the next call."""
        path = self.folder / f"window-{self.rank}"
        needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if needed > self.buffer_bytes or not path.exists():
            reserve(path, needed)
            self.buffer_bytes = needed
        return Pixels(str(path), shape, dtype)

    def source(self, image: "Pixels | FileImage | Raw", stack: ExitStack) -> Source:
        """Open an image for reading, until the stack is closed."""
        if isinstance(image, FileImage):
            return stack.enter_context(Windows(image, self))
        return self.surface(image, stack)

    def sink(self, image: "Pixels | Spool", stack: ExitStack) -> Sink:
        """Open an image for writing, until the stack is closed."""
        if isinstance(image, Spool):
            return stack.enter_context(Tiles(image, self))
        return self.surface(image, stack)

    def surface(self, image: "Pixels | Raw", stack: ExitStack) -> Surface:
        """Open an image for both, until the stack is closed.

        A source is mapped writable too, though nobody writes to it: compiled functions of
        scikit-image refuse arrays that are not.
        """
        if isinstance(image, Raw):
            return stack.enter_context(Rows(image))
        return Array(self.maps.map(image, writable=True))

    def close(self) -> None:
        """End the decoder, if one was started."""
        if "decoder" in vars(self):
            self.decoder.close()


def reserve(path: Path, size: int) -> None:
    """Make a file of so many bytes that are surely there.

    Raises
    ------
    OSError
        If there is no room.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, max(size, 1))
    finally:
        os.close(descriptor)


class FileImage(NamedTuple):
    """An image file whose header says in which pieces it can be read."""

    path: str
    header: Header


class Windows(contextlib.AbstractContextManager["Windows"]):
    """An image file, decoded window by window."""

    def __init__(self, image: FileImage, tools: Tools) -> None:
        self.path = Path(image.path)
        self.header = image.header
        self.tools = tools

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the upright image."""
        return self.header.shape

    def read(self, span: Span) -> Image:
        """Decode a window; the array is the caller's own, since the buffer is used again."""
        pixels = self.tools.buffer((*span.shape, *self.shape[2:]), self.header.dtype)
        self.tools.decoder.read_window(self.path, self.header, span, pixels)
        return pixels.map(writable=False).copy()

    def rest(self) -> None:
        """Let go of what the file took, here and in the decoder."""
        give_back_pages()
        self.tools.decoder.forget(self.header.name)

    def __exit__(self, kind: object, *_: object) -> None:
        """Rest, unless the decoder may be at fault."""
        if kind is None:
            self.rest()


class Raw(NamedTuple):
    """A file of bare pixels in row order: what one pass leaves for the next."""

    path: str
    shape: tuple[int, ...]
    dtype: str


class Rows(contextlib.AbstractContextManager["Rows"]):
    """A file of bare pixels. Not mapped: mapped pages would count as memory of the ranks."""

    def __init__(self, image: Raw) -> None:
        self.shape = image.shape
        self.dtype = np.dtype(image.dtype)
        self.descriptor = os.open(image.path, os.O_RDWR)

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self.descriptor)

    def pieces(self, span: Span) -> Iterator[tuple[slice, int]]:
        """Cut a span into runs of neighbouring bytes: its rows, and each one's offset."""
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
            left = block[rows].data.cast("B")
            while left:
                count = os.preadv(self.descriptor, [left], offset)
                if count == 0:
                    raise EOFError("a scratch file ends early")
                left, offset = left[count:], offset + count
        return block

    def rest(self) -> None:
        """Let go of the arrays that blocks were read into."""
        give_back_pages()

    def view(self, span: Span) -> None:
        """Give no array: its pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Write a block."""
        block = np.ascontiguousarray(block, self.dtype)
        for rows, offset in self.pieces(span):
            left = block[rows].data.cast("B")
            while left:
                count = os.pwrite(self.descriptor, left, offset)
                left, offset = left[count:], offset + count


class Spool(NamedTuple):
    """A folder for the encoded tiles of a result, until they are put together to a file.

    Attributes
    ----------
    folder : str
        On disk.
    shape, dtype : tuple of int, str
        Of the result.
    format, name : str
        Of the file to come; sentences begin with the name.
    compression : str
        Of the original, as its header has it.
    """

    folder: str
    shape: tuple[int, ...]
    dtype: str
    format: str
    name: str
    compression: str

    def tiles_of(self, rank: int) -> Path:
        """Bytes of one rank's tiles, one after the other."""
        return Path(self.folder, f"tiles-{rank}")

    def index_of(self, rank: int) -> Path:
        """Where each of one rank's tiles lies."""
        return Path(self.folder, f"index-{rank}.npy")

    def pieces(self) -> list[Piece]:
        """Give file, offset and bytes of every tile, in row order."""
        found: dict[int, Piece] = {}
        for path in Path(self.folder).glob("index-*.npy"):
            tiles = self.tiles_of(int(path.stem.partition("-")[2]))
            for number, offset, count in np.load(path).tolist():
                found[number] = (tiles, offset, count)
        return [found[number] for number in range(len(found))]


class Tiles(contextlib.AbstractContextManager["Tiles"]):
    """One rank's tiles of a result, encoded one block after the other."""

    def __init__(self, spool: Spool, tools: Tools) -> None:
        self.spool = spool
        self.tools = tools
        self.path = spool.tiles_of(tools.rank)
        self.path.write_bytes(b"")
        self.index: list[tuple[int, int, int]] = []

    def view(self, span: Span) -> None:
        """Give no array: its pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Encode the tiles of a block whose corner lies on the grid of tiles."""
        pixels = self.tools.buffer(block.shape, self.spool.dtype)
        pixels.map(writable=True)[...] = block
        across = -(-self.spool.shape[1] // TILE)
        top, left = span.top // TILE, span.left // TILE
        columns = -(-span.shape[1] // TILE)
        encoded = self.tools.decoder.encode_tiles(
            self.path, pixels, self.spool.format, self.spool.name, self.spool.compression
        )
        for i, (offset, count) in enumerate(encoded):
            self.index.append(((top + i // columns) * across + left + i % columns, offset, count))

    def __exit__(self, kind: object, *_: object) -> None:
        """Write the index, if all went well."""
        if kind is None:
            index = np.array(self.index, np.int64).reshape(-1, INDEX_COLUMNS)
            np.save(self.spool.index_of(self.tools.rank), index)
