"""Pools of decoders: a fixed number for a node, or as many as are in use at a time."""

import contextlib
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cluster_worker.imagefiles.decoder import PIXELS_MAX, Decoder
from cluster_worker.imagefiles.warm_child import MEMORY_BYTES_MAX, SECONDS_MAX


class Decoders:
    """A pool with a fixed number of decoders, one for each job that a node works on at a time.

    Parameters
    ----------
    count : int
        Number of decoders.
    address : Path
        Of the `DecoderSource` that makes their children.
    pixels_max, memory_bytes_max, seconds_max, streamed_pixels_max : int, int, float, int
        Limits of each, as of `Decoder`.
    """

    def __init__(
        self,
        count: int,
        address: Path,
        pixels_max: int = PIXELS_MAX,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        seconds_max: float = SECONDS_MAX,
        streamed_pixels_max: int = 0,
    ) -> None:
        limits = pixels_max, memory_bytes_max, seconds_max, address, streamed_pixels_max
        self.all = [Decoder(*limits) for _ in range(count)]
        # Last in, first out: the decoder that was returned last has the warmest caches.
        self.free: queue.LifoQueue[Decoder] = queue.LifoQueue()
        for each in self.all:
            self.free.put(each)

    @contextmanager
    def checkout(self) -> Iterator[Decoder]:
        """Lend a decoder to one caller; wait until one is free."""
        decoder = self.free.get()
        decoder.take_spent()
        try:
            yield decoder
        finally:
            self.free.put(decoder)

    def __enter__(self) -> Self:
        """Start all child processes."""
        for each in self.all:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all child processes."""
        for each in self.all:
            each.close()


class WarmDecoders:
    """A pool that starts a decoder when none is free, and keeps it for the next files.

    Parameters
    ----------
    pixels_max : int
        Largest image accepted, in rows × columns.
    address : Path
        Of the `DecoderSource` that makes their children.
    """

    def __init__(self, pixels_max: int, address: Path) -> None:
        self.address = address
        self.pixels_max = pixels_max
        self.free: queue.LifoQueue[Decoder] = queue.LifoQueue()

    @contextmanager
    def checkout(self) -> Iterator[Decoder]:
        """Lend a decoder to one caller; make a new one if none is free."""
        try:
            decoder = self.free.get_nowait()
        except queue.Empty:
            decoder = Decoder(self.pixels_max, address=self.address)
        try:
            yield decoder
        finally:
            self.free.put(decoder)

    def close(self) -> None:
        """End the child processes of all decoders that are not in use."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.free.get_nowait().close()
