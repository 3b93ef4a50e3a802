"""Surfaces: images that are read and written block by block.

They may be arrays, or files larger than memory. Engine and ranks send each other descriptions of
surfaces (`Pixels`, `RawFile`, ...), and each rank opens them. A new kind of storage is one new
class with the methods of `Source` or `Sink`.
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
        """(rows, columns) or (rows, columns, channels)."""

    def read(self, span: Span) -> Image:
        """Return the pixels of a span; the caller must not change them.

        Returns
        -------
        ndarray
            (rows, columns), or (rows, columns, channels) if the image has several channels.
        """

    def release_cache(self) -> None:
        """Free what is kept for faster reads: the next read comes much later, or never."""


class Sink(Protocol):
    """An image that is written by spans."""

    def view(self, span: Span) -> Image | None:
        """Return an array that the pixels of a span may be computed into, or None.

        A caller that has filled this array does not call `write`.
        """

    def write(self, span: Span, block: Image) -> None:
        """Write the pixels of a span; no two ranks write the same pixels."""

    def flush(self) -> None:
        """Complete what was written: it must stay even if this process dies then."""


class Surface(Source, Sink, Protocol):
    """An image that is written by one pass and read by the next."""


@dataclass(frozen=True)
class Array:
    """An array as a surface; `read` returns views of it."""

    array: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    def read(self, span: Span) -> Image:
        """Return a view; a single channel has no channel axis."""
        block: Image = self.array[span.slices]
        return without_axis(block)

    def release_cache(self) -> None:
        """Do nothing: reads need no cache."""

    def view(self, span: Span) -> Image:
        """Return a view to write into; a single channel has no channel axis."""
        return self.read(span)

    def write(self, span: Span, block: Image) -> None:
        """Copy a block into the array."""
        target = self.array[span.slices]
        target[...] = block.reshape(target.shape)

    def flush(self) -> None:
        """Do nothing: every block was written."""


@dataclass(frozen=True)
class Band:
    """Whole rows of an image, in an array; spans must lie within them.

    Attributes
    ----------
    array : ndarray
        The rows, with all columns.
    top, rows : int
        Which row of the image is the first of them, and how many rows the image has.
    """

    array: Image
    top: int
    rows: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image."""
        return (self.rows, *self.array.shape[1:])

    def read(self, span: Span) -> Image:
        """Return a view; a single channel has no channel axis."""
        rows = slice(span.top - self.top, span.bottom - self.top)
        block: Image = self.array[rows, span.left : span.right]
        return without_axis(block)

    def release_cache(self) -> None:
        """Do nothing: reads need no cache."""

    def view(self, span: Span) -> Image:
        """Return a view to write into; a single channel has no channel axis."""
        return self.read(span)

    def write(self, span: Span, block: Image) -> None:
        """Copy a block into the array."""
        target = self.read(span)
        target[...] = block.reshape(target.shape)

    def flush(self) -> None:
        """Do nothing: every block was written."""


@dataclass(frozen=True)
class Plane:
    """Some channels of another image."""

    image: Source
    channels: slice

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns, channels): those of the image, but only the selected channels."""
        *rest, channels = self.image.shape
        return (*rest, len(range(channels)[self.channels]))

    def read(self, span: Span) -> Image:
        """Return the selected channels of a span; a single channel has no channel axis."""
        return without_axis(self.image.read(span)[..., self.channels])

    def release_cache(self) -> None:
        """Release the cache of the image."""
        self.image.release_cache()


def without_axis(block: Image) -> Image:
    """Return the block without its channel axis if it has a single channel."""
    return block[..., 0] if block.ndim == 3 and block.shape[2] == 1 else block


def read(image: Source, span: Span) -> Image:
    """Read a span; pixels beyond the image's border are those of the opposite edge.

    Returns
    -------
    ndarray
        A view if the span lies within the image and the image returns views, else a copy.
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
    """Cut a range of positions modulo `length` into ranges within 0…`length`, in order."""
    found = []
    while start < stop:
        low = start % length
        high = min(length, low + stop - start)
        found.append((low, high))
        start += high - low
    return found
