"""Images that stay in the engine's memory between runs, where the ranks read and write them."""

import threading
from functools import cached_property
from typing import Any, Self

from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.pixels.shared_memory import Pixels, Segment, Segments

Image = NDArray[Any]


class Held:
    """An image in the engine's memory: given by `Engine.hold`, or the result of one that is held.

    It takes shared memory until it is released, by `release` or at the end of a ``with`` block.
    Safe to use from many threads; jobs that still read it when it is released are not disturbed.

    Attributes
    ----------
    pixels : Pixels
        Where it lies.
    """

    def __init__(self, segments: Segments, segment: Segment, pixels: Pixels) -> None:
        self.segments = segments
        self.segment = segment
        self.pixels = pixels
        self.lock = threading.Lock()
        self.readers = 0
        self.released = False
        self.segments.hold(segment)

    @cached_property
    def array(self) -> Image:
        """The image itself, no copy; not to be used after the release, nor changed in a run."""
        return self.segments.maps.map(self.pixels, writable=True)

    def add_reader(self) -> Pixels:
        """Let a job read it, until `remove_reader`.

        Raises
        ------
        Rejected
            If it was released.
        """
        with self.lock:
            if self.released:
                raise Rejected("image: was released; hold it again")
            self.readers += 1
        return self.pixels

    def remove_reader(self) -> None:
        """Take note that a job reads it no longer."""
        with self.lock:
            self.readers -= 1
            free = self.released and not self.readers
        if free:
            self.segments.release_held(self.segment)

    def release(self) -> None:
        """Give its memory back, once no job reads it; a second time does nothing."""
        with self.lock:
            free = not self.released and not self.readers
            self.released = True
        if free:
            self.segments.release_held(self.segment)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give its memory back."""
        self.release()
