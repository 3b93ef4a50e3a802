"""Where pixels come from and go to, block by block: arrays, and files larger than memory.

A rank opens a surface from a description of it (`Pixels`, `RawFile`, ...), which is what engine and
ranks send each other. Whoever adds a place for pixels adds one class here.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]


class Source(Protocol):
    """An image that is read by spans.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns) or (rows, columns, channels).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, and channels if it has an axis of them."""

    def read(self, span: Span) -> Image:
        """Give the pixels of a span; the caller does not change them."""

    def release_cache(self) -> None:
        """Let go of what is kept for the next read: none will come for long, or none at all."""


class Sink(Protocol):
    """An image that is written by spans."""

    def view(self, span: Span) -> Image | None:
        """Give the array that the pixels of a span may be left in, if there is one."""

    def write(self, span: Span, block: Image) -> None:
        """Take the pixels of a span; no two ranks write the same ones."""


class Surface(Source, Sink, Protocol):
    """An image that is written by one pass and read by the next."""


@dataclass(frozen=True)
class Array:
    """An array as a surface; what it reads are views."""

    array: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    def read(self, span: Span) -> Image:
        """Give a view; one colour has no channel axis."""
        block: Image = self.array[span.slices]
        return without_axis(block)

    def release_cache(self) -> None:
        """Do nothing: nothing is kept but the array."""

    def view(self, span: Span) -> Image:
        """Give a view to write into; one colour has no channel axis."""
        return self.read(span)

    def write(self, span: Span, block: Image) -> None:
        """Copy a block in."""
        target = self.array[span.slices]
        target[...] = block.reshape(target.shape)


@dataclass(frozen=True)
class Plane:
    """Some channels of another image."""

    image: Source
    channels: slice

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns of the image, and the channels taken."""
        *rest, channels = self.image.shape
        return (*rest, len(range(channels)[self.channels]))

    def read(self, span: Span) -> Image:
        """Give the channels taken; one alone has no axis."""
        return without_axis(self.image.read(span)[..., self.channels])

    def release_cache(self) -> None:
        """Have the image let go."""
        self.image.release_cache()


def without_axis(block: Image) -> Image:
    """Drop the channel axis of one channel."""
    return block[..., 0] if block.ndim == 3 and block.shape[2] == 1 else block


def read(image: Source, span: Span) -> Image:
    """Read a span that may reach beyond the border, where the opposite edge lies.

    Returns
    -------
    ndarray
        A view where the image gives one.
    """
    rows, columns = image.shape[:2]
    if span == span.clipped((rows, columns)):
        return image.read(span)
    return np.concatenate(
        [
            np.concatenate(
                [image.read(Span(*down, *across)) for across in wrapped(*span[2:], columns)],
                axis=1,
            )
            for down in wrapped(*span[:2], rows)
        ]
    )


def wrapped(start: int, stop: int, length: int) -> list[tuple[int, int]]:
    """Cut a range that repeats every `length` into ranges within one period."""
    found = []
    while start < stop:
        low = start % length
        high = min(length, low + stop - start)
        found.append((low, high))
        start += high - low
    return found
