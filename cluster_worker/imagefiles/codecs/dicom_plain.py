"""Frames of DICOM files that are not compressed: mapped from the file, so that windows are read."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cluster_worker.imagefiles.codecs.header import Image
from cluster_worker.lazy import lazily

pydicom: Any = lazily("pydicom")

# Little endian, with and without the types of elements.
PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
# Longer elements are left in the file while it is read.
ELEMENT_BYTES_MAX = 1 << 12
# Pixels of a window that is read best.
BLOCK_PIXELS = 1 << 20


def block_of(rows: int, columns: int) -> tuple[int, int]:
    """Return rows and columns of windows that lie together in a file."""
    return max(1, min(rows, BLOCK_PIXELS // max(1, columns))), columns


def place_of(path: Path) -> int | None:
    """Return the offset of a file's pixels in bytes; None if it has no element of whole numbers."""
    found = path.stat()
    return cached_place(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4)
def cached_place(path: Path, *identity: int) -> int | None:
    """Return the offset of a file's pixels; `identity` tells a changed file from the cached one."""
    del identity
    found = pydicom.dcmread(path, defer_size=ELEMENT_BYTES_MAX)
    element = found.get_item("PixelData", keep_deferred=True)
    place = getattr(element, "value_tell", None)
    return int(place) if place else None


def frame_of(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], frame: int, *, by_planes: bool
) -> Image:
    """Map the stored samples of a frame from its file.

    Parameters
    ----------
    path : Path
        A file whose pixels are not compressed.
    shape : tuple of int
        (rows, columns) or (rows, columns, samples).
    dtype : dtype
        Of the stored samples, with their byte order.
    frame : int
        Its number, counted from 0.
    by_planes : bool
        Whether each colour is stored by itself.

    Raises
    ------
    EOFError
        If the file ends before the frame does.
    """
    place = place_of(path)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if place is None or place + (frame + 1) * size > path.stat().st_size:
        raise EOFError("the file ends within its pixels")
    stored = (shape[-1], *shape[:-1]) if by_planes else shape
    mapped: Image = np.memmap(path, dtype, "r", place + frame * size, stored)
    return np.moveaxis(mapped, 0, -1) if by_planes else mapped


def used(stored: Image, bits: int) -> Image:
    """Return samples without the bits that a file does not use for them, as pydicom does.

    Old files keep drawings over the image there.
    """
    unused = 8 * stored.dtype.itemsize - bits
    if unused <= 0 or stored.dtype.kind not in "iu":
        return stored
    return np.right_shift(np.left_shift(stored, unused), unused)
