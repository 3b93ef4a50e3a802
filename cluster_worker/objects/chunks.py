"""Images between passes, as compressed chunks in an object store."""

import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from imagecodecs import zstd_decode, zstd_encode

from cluster_worker.errors import Broken, Rejected
from cluster_worker.objects.store import at_once, open_store
from cluster_worker.pixels.memory import trim_heap
from cluster_worker.pixels.surfaces import Image, without_axis
from cluster_worker.pixels.tiling import Span, all_of

# Rows and columns of a chunk. A pass that reads a halo fetches whole chunks, so they are smaller
# than most tiles; and each costs a request, so they are not much smaller.
CHUNK = 512
# Pixels are compressed to save the network, not the store: the fastest level of zstd.
LEVEL = 1
# Decoded chunks that a rank keeps of one surface, for the halo of its next tile.
KEPT_BYTES_MAX = 32 << 20

Cell = tuple[int, int]


class Chunks(NamedTuple):
    """An image as chunks of `CHUNK` rows and columns; those at the border are smaller.

    Attributes
    ----------
    store, prefix : str
        Address of the store, and what the keys of the chunks begin with: "prefix/row-column".
    shape, dtype : tuple of int, str
        Of the image.
    """

    store: str
    prefix: str
    shape: tuple[int, ...]
    dtype: str

    def cells(self, span: Span) -> Iterator[Cell]:
        """Yield the places in the grid of the chunks that overlap a span."""
        grid = span.aligned(CHUNK)
        yield from product(
            range(grid.top // CHUNK, grid.bottom // CHUNK),
            range(grid.left // CHUNK, grid.right // CHUNK),
        )

    def span_of(self, cell: Cell) -> Span:
        """Return where a chunk lies in the image."""
        top, left = cell[0] * CHUNK, cell[1] * CHUNK
        rows, columns = self.shape[:2]
        return Span(top, top + CHUNK, left, left + CHUNK).clipped((rows, columns))

    def fill(self, image: Image) -> None:
        """Write all chunks from an array."""
        surface = ChunkSurface(self)
        at_once(lambda cell: surface.put(image, all_of(self.shape), cell), self.every_cell())

    def copy_to(self, image: Image) -> None:
        """Read all chunks into an array."""
        surface = ChunkSurface(self)
        at_once(lambda cell: surface.copy(image, all_of(self.shape), cell), self.every_cell())

    def every_cell(self) -> Iterator[Cell]:
        """Yield the places of all chunks."""
        return self.cells(all_of(self.shape))


class ChunkSurface(contextlib.AbstractContextManager["ChunkSurface"]):
    """Chunks, opened by one rank to read and to write.

    Chunks that were read are kept for the next reads until this rank writes to the surface. That is
    enough: ranks meet between a pass or round that writes and one that reads, and a rank that has
    tiles to read in a round had tiles to write in the round before.
    """

    def __init__(self, chunks: Chunks) -> None:
        self.chunks = chunks
        self.shape = chunks.shape
        self.dtype = np.dtype(chunks.dtype)
        self.store = open_store(chunks.store)
        self.kept: OrderedDict[Cell, Image] = OrderedDict()
        self.kept_bytes = 0

    def __exit__(self, *_: object) -> None:
        """Free the chunks that are kept."""
        self.release_cache()

    def read(self, span: Span) -> Image:
        """Read a block; a single channel has no channel axis."""
        block = np.empty((*span.shape, *self.shape[2:]), self.dtype)
        cells = list(self.chunks.cells(span))
        if self.is_whole(span):
            # Tiles of whole chunks share none with the next tile, so nothing is kept.
            at_once(partial(self.copy, block, span), cells)
            return without_axis(block)
        # A block of more chunks than are kept pushes out some that it has yet to copy.
        found = {each: self.kept[each] for each in cells if each in self.kept}
        missing = [each for each in cells if each not in found]
        found |= zip(missing, at_once(self.fetch, missing), strict=True)
        for cell in cells:
            self.place(block, span, cell, found[cell])
            self.keep(cell, found[cell])
        return without_axis(block)

    def flush(self) -> None:
        """Do nothing: every chunk was written."""

    def view(self, span: Span) -> None:
        """Return None: the pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Write a block of whole chunks.

        Raises
        ------
        ValueError
            If it cuts a chunk, of which another rank may have the rest.
        """
        if not self.is_whole(span):
            raise ValueError(f"{span}: must begin and end at multiples of {CHUNK} or at the border")
        self.forget()
        block = block.reshape((*span.shape, *self.shape[2:]))
        at_once(partial(self.put, block, span), self.chunks.cells(span))

    def is_whole(self, span: Span) -> bool:
        """Return whether a span cuts no chunk."""
        rows, columns = self.shape[:2]
        return span == span.aligned(CHUNK).clipped((rows, columns))

    def release_cache(self) -> None:
        """Free the chunks that are kept, and return their memory to the system."""
        self.forget()
        trim_heap()

    def forget(self) -> None:
        """Free the chunks that are kept."""
        self.kept.clear()
        self.kept_bytes = 0

    def keep(self, cell: Cell, chunk: Image) -> None:
        """Keep a chunk for the next reads, and drop those that were not used for longest."""
        if cell not in self.kept:
            self.kept[cell] = chunk
            self.kept_bytes += chunk.nbytes
        self.kept.move_to_end(cell)
        while self.kept_bytes > KEPT_BYTES_MAX and len(self.kept) > 1:
            self.kept_bytes -= self.kept.popitem(last=False)[1].nbytes

    def fetch(self, cell: Cell) -> Image:
        """Read and decode a chunk; called by threads.

        Raises
        ------
        Broken
            If it is missing or is not of its size: what one pass has written is gone.
        """
        shape = (*self.chunks.span_of(cell).shape, *self.shape[2:])
        try:
            content = self.store.read(self.key_of(cell))
        except Rejected as error:
            raise Broken(f"a chunk between passes cannot be read: {error}") from error
        pixels = np.frombuffer(zstd_decode(content), self.dtype)
        if pixels.size != np.prod(shape):
            raise Broken(
                f"{self.chunks.store}/{self.key_of(cell)}: must hold {np.prod(shape)} numbers, "
                f"got {pixels.size}"
            )
        return pixels.reshape(shape)

    def put(self, block: Image, span: Span, cell: Cell) -> None:
        """Encode and write a chunk of a block; called by threads."""
        part = block[self.chunks.span_of(cell).relative_to(span).slices]
        pixels = np.ascontiguousarray(part, self.dtype).tobytes()
        self.store.write(self.key_of(cell), zstd_encode(pixels, LEVEL))

    def copy(self, block: Image, span: Span, cell: Cell) -> None:
        """Fetch a chunk into a block that contains it; called by threads."""
        self.place(block, span, cell, self.fetch(cell))

    def place(self, block: Image, span: Span, cell: Cell, chunk: Image) -> None:
        """Copy the pixels of a chunk that lie in a block."""
        own = self.chunks.span_of(cell)
        common = own.intersection(span)
        block[common.relative_to(span).slices] = chunk[common.relative_to(own).slices]

    def key_of(self, cell: Cell) -> str:
        """Return the key of a chunk."""
        return f"{self.chunks.prefix}/{cell[0]}-{cell[1]}"
