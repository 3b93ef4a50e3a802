"""Frames of animations, which Pillow decodes one after the other: each lies over those before."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Header, Image, as_stored
from cluster_worker.pixels.stack import Stack

# How long a frame is shown if the planes of a stack become an animation.
MILLISECONDS = 100


def read_frame(
    plugin: type[ImageFile.ImageFile],
    path: Path,
    header: Header,
    mode: str,
    out: Image,
    skipped: int = 0,
) -> None:
    """Decode a frame of a file, convert it to a mode of Pillow, and write it upright to `out`.

    Parameters
    ----------
    plugin : type
        Pillow's class for the format.
    path : Path
        The file.
    header : Header
        Of the frame, which is its plane.
    mode : str
        For example "RGBA".
    out : ndarray
        Of the header's shape and dtype.
    skipped : int
        Pictures before the first frame.

    Raises
    ------
    EOFError
        If the file ends before the frame does.
    ValueError
        If the frame has another size.
    """
    found = path.stat()
    identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    file = opened(plugin, path, *identity)
    try:
        file.seek(header.plane + skipped)
        frame: Any = file.convert(mode)
    except BaseException:
        # What was decoded so far is not known.
        opened.cache_clear()
        raise
    stored = as_stored(out, header.orientation)
    pixels = np.asarray(frame)
    if pixels.shape != stored.shape:
        raise ValueError(f"a frame of {pixels.shape} in a file of {stored.shape}")
    stored[...] = pixels


def plane_header(
    read_header: Callable[[Path, str], Header], path: Path, name: str, plane: int
) -> Header:
    """Return the header of a frame, which is as the first one; the file's is read once."""
    found = path.stat()
    identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return replace(cached_header(read_header, path, name, *identity), stack=None, plane=plane)


# Two: an animation, and another one that steps read beside it.
@lru_cache(maxsize=2)
def cached_header(
    read_header: Callable[[Path, str], Header], path: Path, name: str, *identity: int
) -> Header:
    """Read the header of a file, or return it if it is that of the last file."""
    del identity
    return read_header(path, name)


@lru_cache(maxsize=2)
def opened(plugin: Any, path: Path, *identity: int) -> ImageFile.ImageFile:
    """Open a file, or return it as it was left by its last frame: frames are read in order."""
    del identity
    file: ImageFile.ImageFile = plugin(BytesIO(path.read_bytes()))
    return file


def milliseconds_of(stack: Stack, number: int) -> int:
    """Return how long a frame of a result is shown."""
    return stack.milliseconds[number] if stack.milliseconds else MILLISECONDS


def check_frame(pixels: Image, shape: tuple[int, ...], name: str) -> None:
    """Check that a frame of a result has the rows and columns of the first one.

    Raises
    ------
    Rejected
        If not.
    """
    if pixels.shape[: len(shape)] != shape:
        rows, columns = pixels.shape[:2]
        raise Rejected(
            f"{name}: has {rows} × {columns} pixels, the first one {shape[0]} × {shape[1]}; the "
            "frames of an animation have one size, so choose TIFF"
        )


def forget() -> None:
    """Free what is kept of the last file."""
    opened.cache_clear()
    cached_header.cache_clear()
