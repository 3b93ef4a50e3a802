"""Images that stay in the engine's memory between runs, where the ranks read and write them.

Hold an image in the engine's memory to run several chains on it, or on their results, without
copies::

    with engine.hold(image) as held, engine.run(held, [{"operation": "gaussian"}]) as blurred:
        for step in ({"operation": "sobel"}, {"operation": "threshold_otsu"}):
            with engine.run(blurred, [step]) as found:
                print(found.array.mean())
"""

import threading
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.shared_memory import Pixels, Segment, Segments
from cluster_worker.plan.request import check_image

Image = NDArray[Any]


def hold(segments: Segments, image: Image) -> "Held":
    """Copy an image into shared memory; see `Engine.hold`."""
    check_image(header_of(image.shape, image.dtype.name))
    [segment] = segments.allocate([image.nbytes])
    held = Held(segments, segment, Pixels(str(segment.path), image.shape, image.dtype.name))
    np.copyto(held.array, image)
    return held


class Held:
    """An image in the engine's memory: from `Engine.hold`, or the result of a run on a held image.

    It takes shared memory until it is released, by `release` or at the end of a ``with`` block.
    Jobs that still read it then keep the memory until they are done. Thread-safe.

    Attributes
    ----------
    pixels : Pixels
        Path, shape and dtype of the image.
    readers : int
        Number of jobs that read it.
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
        """The image itself, not a copy.

        It must not be used after the release, and not be changed while a run reads it.
        """
        return self.segments.maps.map(self.pixels, writable=True)

    def add_reader(self) -> Pixels:
        """Keep the memory for a job that reads the image, until `remove_reader`.

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
        """Note that a job no longer reads the image; free the memory after the last such job."""
        with self.lock:
            self.readers -= 1
            free = self.released and not self.readers
        if free:
            self.segments.release_held(self.segment)

    def release(self) -> None:
        """Release its memory, once no job reads it; a second call does nothing."""
        with self.lock:
            free = not self.released and not self.readers
            self.released = True
        if free:
            self.segments.release_held(self.segment)

    def __enter__(self) -> Self:
        """Return the image itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the image."""
        self.release()
