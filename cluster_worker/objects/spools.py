"""The tiles of a result, as ranks encode them, in an object store."""

import contextlib
import io
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Broken
from cluster_worker.imagefiles.streams import INDEX_COLUMNS, FileAccess, Spool, SpoolSink
from cluster_worker.objects.store import PART_BYTES, PARTS_MAX, at_once, open_store
from cluster_worker.pixels.surfaces import Image
from cluster_worker.pixels.tiling import Span

TILES, INDEX = "tiles", "index"
# S3 takes no smaller part of an object but the last one.
COPIED_BYTES_MIN = 5 << 20
# Share of the parts of a file for objects as large as planned. The others are for those that the
# ranks end with, and for tiles that compression makes larger.
PARTS_SHARE = 0.8

Numbers = NDArray[np.int64]


class ObjectSpool(NamedTuple):
    """Encoded tiles under an address, until a file is assembled from them.

    Attributes
    ----------
    store, prefix : str
        Address of the store, and what the keys begin with under which a rank leaves its tiles, many
        in an object, and their index.
    shape, dtype, format, name, compression
        As of `Spool`.
    """

    store: str
    prefix: str
    shape: tuple[int, ...]
    dtype: str
    format: str
    name: str
    compression: str

    @property
    def object_bytes(self) -> int:
        """Bytes from which a rank writes its tiles as an object.

        All tiles together must not be more objects than a file has parts.
        """
        whole = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return max(PART_BYTES, math.ceil(whole / (PARTS_SHARE * PARTS_MAX)))

    def fetch(self, spool: Spool) -> None:
        """Copy all tiles into a spool on this host, which is empty."""
        store = open_store(self.store)
        # The index of an object is written last: what it names is there.
        indices = store.keys(f"{self.prefix}/{INDEX}")

        def fetch(number: int) -> None:
            name = indices[number].rpartition("/")[2]
            spool.tiles_of(number).write_bytes(store.read(f"{self.prefix}/{TILES}/{name}"))
            spool.index_of(number).write_bytes(store.read(indices[number]))

        at_once(fetch, range(len(indices)))

    def anew(self) -> "ObjectSpool":
        """Return a spool beside this one, for another attempt; this one is deleted with the job."""
        return self._replace(prefix=f"{self.prefix}-again")

    def tiles(self) -> "StoredTiles":
        """Return where the tiles lie.

        Raises
        ------
        Broken
            If one is missing, or the store does not answer.
        """
        store = open_store(self.store)
        keys = store.keys(f"{self.prefix}/{INDEX}")
        indices = [np.load(io.BytesIO(each)) for each in at_once(store.read, keys)]
        sizes = [int((each[:, 1] + each[:, 2]).max()) for each in indices]
        # Those that are too small to be copied as parts come last.
        order = sorted(range(len(keys)), key=lambda i: (sizes[i] < COPIED_BYTES_MIN, keys[i]))
        return stored_tiles(
            self.store,
            [f"{self.prefix}/{TILES}/{keys[i].rpartition('/')[2]}" for i in order],
            [sizes[i] for i in order],
            [indices[i] for i in order],
        )


class StoredTiles(NamedTuple):
    """The encoded tiles of a whole image in objects, which one after the other are their file.

    Attributes
    ----------
    store : str
        Address of the store.
    keys, sizes : list of str, list of int
        Of the objects, in their order, and their bytes.
    offsets, counts : ndarray
        Of the tiles in row order: in the bytes of all objects together, and their own bytes.
    """

    store: str
    keys: list[str]
    sizes: list[int]
    offsets: Numbers
    counts: Numbers

    @property
    def nbytes(self) -> int:
        """Bytes of all objects."""
        return sum(self.sizes)


def stored_tiles(store: str, keys: list[str], sizes: list[int], indices: list[Any]) -> StoredTiles:
    """Combine the indices of objects, in the order of the file; raises as `ObjectSpool.tiles`."""
    starts = np.cumsum([0, *sizes])
    found = [
        each + np.array([0, start, 0]) for each, start in zip(indices, starts[:-1], strict=True)
    ]
    table = np.concatenate([np.empty((0, INDEX_COLUMNS), np.int64), *found])
    table = table[np.argsort(table[:, 0], kind="stable")]
    if not np.array_equal(table[:, 0], np.arange(len(table))):
        raise Broken(f"{store}: has not every tile of a result once")
    return StoredTiles(store, keys, sizes, table[:, 1], table[:, 2])


class ObjectSpoolSink(contextlib.AbstractContextManager["ObjectSpoolSink"]):
    """Encodes the blocks that one rank computes, and writes their tiles, many in an object."""

    def __init__(self, spool: ObjectSpool, files: FileAccess) -> None:
        self.spool, self.files = spool, files
        self.store = open_store(spool.store)
        # Process ids of two hosts may be equal.
        self.name = os.urandom(8).hex()
        self.objects = 0
        self.content = bytearray()
        self.index: list[tuple[int, int, int]] = []

    def view(self, span: Span) -> None:
        """Return None: the pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Encode the tiles of a block; its corner must lie at multiples of `TILE`."""
        local = Spool(str(self.files.folder), *self.spool[2:])
        tiles, index = (of(self.files.owner) for of in (local.tiles_of, local.index_of))
        try:
            with SpoolSink(local, self.files) as sink:
                sink.write(span, block)
            begin = len(self.content)
            self.content += tiles.read_bytes()
        finally:
            for each in (tiles, index):
                Path(each).unlink(missing_ok=True)
        self.index += [(number, begin + offset, count) for number, offset, count in sink.index]
        if len(self.content) >= self.spool.object_bytes:
            self.flush()

    def flush(self) -> None:
        """Write the tiles that are in memory as an object, and then its index."""
        if not self.index:
            return
        index = io.BytesIO()
        np.save(index, np.array(self.index, np.int64).reshape(-1, INDEX_COLUMNS))
        name = f"{self.name}-{self.objects}"
        self.store.write(f"{self.spool.prefix}/{TILES}/{name}", bytes(self.content))
        self.store.write(f"{self.spool.prefix}/{INDEX}/{name}", index.getvalue())
        self.objects += 1
        self.content, self.index = bytearray(), []

    def __exit__(self, exc_type: object, *_: object) -> None:
        """Write what is left, unless an error ended the context."""
        if exc_type is None:
            self.flush()
