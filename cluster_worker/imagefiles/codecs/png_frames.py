"""Frames of 8 and 16 bits of an animated PNG, laid over each other as browsers do.

Pillow knows no frames of 16 bits, and leaves other pixels after a frame that goes back. Source: PNG
third edition, sections 11.3.6 (frames) and 13.16 (alpha).
"""

import struct
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from imagecodecs import png_decode

from cluster_worker.imagefiles.codecs.header import Header, Image, as_stored
from cluster_worker.imagefiles.codecs.png_bands import HEADER, SIGNATURE, chunk, header_chunk
from cluster_worker.imagefiles.codecs.png_chunks import (
    FRAME,
    FRAME_PIXELS,
    PIXELS,
    PLACED,
    TRANSPARENCY,
    chunks,
)

# What becomes of a frame's place after it, and how a frame is laid over what is there.
TO_CLEAR, TO_BEFORE = 1, 2
OVER = 1
FIRST = b"IHDR"
NUMBER = struct.Struct(">I")


class Frame(NamedTuple):
    """Where a frame lies in the picture, how it is laid there, and its pixels' chunks."""

    rows: slice
    columns: slice
    after: int
    blend: int
    pixels: tuple[tuple[int, int], ...]


class Canvas:
    """The picture after some frame, from which the next ones go on.

    Parameters
    ----------
    path : Path
        The file.
    shape, dtype : tuple of int, str
        (rows, columns) or (rows, columns, channels), and uint8 or uint16.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.frames, self.transparency, self.woven = frames_in(path)
        self.start()

    def start(self) -> None:
        """Go back to the first frame: all is black and clear."""
        self.number = -1
        self.picture = np.zeros(self.shape, self.dtype)
        self.following = self.picture

    def show(self, number: int) -> Image:
        """Return the picture with a frame."""
        if number <= self.number:
            self.start()
        while self.number < number:
            self.lay(self.frames[self.number + 1])
            self.number += 1
        return self.picture

    def lay(self, frame: Frame) -> None:
        """Lay the next frame over what the one before has left."""
        before = self.following
        place = frame.rows, frame.columns
        self.picture = before.copy()
        pixels = self.decoded(frame)
        has_alpha = len(self.shape) == 3 and self.shape[2] in (2, 4)
        is_over = frame.blend == OVER and has_alpha
        self.picture[place] = over(pixels, before[place]) if is_over else pixels
        self.following = before if frame.after == TO_BEFORE else self.picture
        if frame.after == TO_CLEAR:
            self.following = self.picture.copy()
            self.following[place] = 0

    def decoded(self, frame: Frame) -> Image:
        """Decode the pixels of a frame, as a file of its own."""
        shape = (
            frame.rows.stop - frame.rows.start,
            frame.columns.stop - frame.columns.start,
            *self.shape[2:],
        )
        # A transparent colour becomes alpha, which the file itself does not hold.
        samples = len(self.transparency) // 2
        stored = (*shape[:2], samples) if samples > 1 else shape[:2] if samples else shape
        parts = [SIGNATURE, header_chunk(stored, 8 * self.dtype.itemsize, woven=self.woven)]
        if samples:
            parts.append(chunk(TRANSPARENCY, self.transparency))
        with self.path.open("rb") as opened:
            for start, length in frame.pixels:
                opened.seek(start)
                parts.append(chunk(PIXELS, opened.read(length)))
        found: Image = png_decode(b"".join((*parts, chunk(b"IEND", b""))))
        if found.shape != shape or found.dtype != self.dtype:
            raise ValueError(f"a frame of {found.shape} and {found.dtype}, not of {shape}")
        return found


def frames_in(path: Path) -> tuple[list[Frame], bytes, bool]:
    """Return the frames of a file, its transparent colour, and whether they are interlaced."""
    found: list[tuple[tuple[Any, ...], list[tuple[int, int]]]] = []
    transparency, woven = b"", False
    with path.open("rb") as opened:
        for each in chunks(opened):
            opened.seek(each.start)
            if each.type == FIRST and each.length == HEADER.size:
                *_, woven = HEADER.unpack(opened.read(HEADER.size))
            elif each.type == TRANSPARENCY:
                transparency = opened.read(each.length)
            elif each.type == FRAME and each.length == PLACED.size:
                found.append((PLACED.unpack(opened.read(PLACED.size)), []))
            elif each.type == PIXELS and found:
                found[-1][1].append((each.start, each.length))
            elif each.type == FRAME_PIXELS and found:
                found[-1][1].append((each.start + NUMBER.size, each.length - NUMBER.size))
    frames = []
    for (_, columns, rows, left, top, _, _, after, blend), pixels in found:
        place = slice(top, top + rows), slice(left, left + columns)
        frames.append(Frame(*place, after, blend, tuple(pixels)))
    if frames and frames[0].after == TO_BEFORE:
        frames[0] = frames[0]._replace(after=TO_CLEAR)
    return frames, transparency, woven


def over(above: Image, below: Image) -> Image:
    """Lay pixels with alpha over others."""
    white = np.iinfo(above.dtype).max
    high, low = above[..., -1:] / white, below[..., -1:] / white
    alpha = high + low * (1 - high)
    weighted = above[..., :-1] * high + below[..., :-1] * (low * (1 - high))
    colours = np.divide(weighted, alpha, out=np.zeros_like(weighted), where=alpha > 0)
    found: Image = np.rint(np.concatenate([colours, alpha * white], axis=2))
    return found.astype(above.dtype)


def read_laid_frame(path: Path, header: Header, out: Image) -> None:
    """Decode a frame of 8 or 16 bits, and write it upright to `out`.

    Raises
    ------
    EOFError, ValueError, IndexError
        If the file is damaged.
    """
    stored = as_stored(out, header.orientation)
    found = path.stat()
    identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    stored[...] = canvas(path, stored.shape, header.dtype, *identity).show(header.plane)


@lru_cache(maxsize=1)
def canvas(path: Path, shape: tuple[int, ...], dtype: str, *identity: int) -> Canvas:
    """Return the canvas of the last file, as its last frame has left it."""
    del identity
    return Canvas(path, shape, dtype)


def forget() -> None:
    """Free the canvas of the last file."""
    canvas.cache_clear()
