"""The tiles of a result, as ranks of several hosts encode them, in an object store."""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from cluster_worker.imagefiles.streams import FileAccess, Spool, SpoolSink
from cluster_worker.objects.store import at_once, open_store
from cluster_worker.pixels.surfaces import Image
from cluster_worker.pixels.tiling import Span

TILES, INDEX = "tiles", "index"


class ObjectSpool(NamedTuple):
    """Encoded tiles under an address, until a file is assembled from them.

    Attributes
    ----------
    store, prefix : str
        Address of the store, and what the keys begin with under which each block that a rank
        computes leaves its tiles and their index.
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

    def fetch(self, spool: Spool) -> None:
        """Copy all tiles into a spool on this host, which is empty."""
        store = open_store(self.store)
        # The index of a block is written last: what it names is there.
        indices = store.keys(f"{self.prefix}/{INDEX}")

        def fetch(number: int) -> None:
            name = indices[number].rpartition("/")[2]
            tiles = f"{self.prefix}/{TILES}/{name}"
            spool.tiles_of(number).write_bytes(store.read(tiles))
            spool.index_of(number).write_bytes(store.read(indices[number]))

        at_once(fetch, range(len(indices)))


class ObjectSpoolSink(contextlib.AbstractContextManager["ObjectSpoolSink"]):
    """Encodes the blocks that one rank computes, and writes the tiles of each as an object."""

    def __init__(self, spool: ObjectSpool, files: FileAccess) -> None:
        self.spool, self.files = spool, files
        self.store = open_store(spool.store)
        # Process ids of two hosts may be equal.
        self.name = os.urandom(8).hex()
        self.blocks = 0

    def view(self, span: Span) -> None:
        """Return None: the pixels are not in memory."""

    def write(self, span: Span, block: Image) -> None:
        """Encode the tiles of a block; its corner must lie at multiples of `TILE`."""
        local = Spool(str(self.files.folder), *self.spool[2:])
        tiles, index = (of(self.files.owner) for of in (local.tiles_of, local.index_of))
        try:
            with SpoolSink(local, self.files) as sink:
                sink.write(span, block)
            name = f"{self.name}-{self.blocks}"
            prefix = self.spool.prefix
            self.store.write(f"{prefix}/{TILES}/{name}", tiles.read_bytes())
            self.store.write(f"{prefix}/{INDEX}/{name}", index.read_bytes())
        finally:
            for each in (tiles, index):
                Path(each).unlink(missing_ok=True)
        self.blocks += 1

    def __exit__(self, *_: object) -> None:
        """Do nothing: every block was written."""
