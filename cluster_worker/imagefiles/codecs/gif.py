"""GIF: pictures of up to 256 colours, and animations of them.

Frames are written one after the other, each as the picture that Pillow encodes, with its own
palette. Source: GIF89a specification; Netscape's extension for the number of loops.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
from PIL.GifImagePlugin import GifImageFile

from cluster_worker.imagefiles.codecs.frames import (
    check_frame,
    milliseconds_of,
    read_frame,
)
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    in_8_bits,
    palette_has_alpha,
    palette_of,
    palette_table,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import Item, first_of
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.stack import Stack

SCREEN = struct.Struct("<6sHHBBB")
PICTURE = struct.Struct("<HHHHB")
CONTROL = struct.Struct("<BBBBHBB")
EXTENSION, IMAGE, END = 0x21, 0x2C, 0x3B
CONTROLS, COMMENTS, APPLICATIONS = 0xF9, 0xFE, 0xFF
LOOPS = b"NETSCAPE2.0"
# Bits of a packed byte: a palette follows, and its size; how a frame makes room for the next one.
PALETTE, PALETTE_SIZE, TRANSPARENT = 0x80, 0x07, 0x01
KEEP, CLEAR = 1, 2
COLOURS = 256
SIDE_MAX = 65_535


class Frame(NamedTuple):
    """A frame: its box (left, top, right, bottom), its time, colours, and where its block lies."""

    box: tuple[int, int, int, int]
    milliseconds: int
    is_clear: bool
    is_cleared: bool
    palette: bytes
    start: int
    end: int


class Described(NamedTuple):
    """What the blocks of a file say: columns, rows, loops, comment and frames."""

    columns: int
    rows: int
    loops: int
    comment: bytes
    frames: tuple[Frame, ...]

    @property
    def has_alpha(self) -> bool:
        """Whether some pixel may be transparent: no frame covers it, or uncovers it again."""
        first = self.frames[0]
        covers = first.box[:2] == (0, 0) and first.box[2:] >= (self.columns, self.rows)
        cleared = any(each.is_cleared for each in self.frames[:-1])
        return first.is_clear or not covers or cleared

    @property
    def is_gray(self) -> bool:
        """Whether all colours of all palettes are gray."""
        tables = {each.palette for each in self.frames}
        colours = [np.frombuffer(each, np.uint8).reshape(-1, 3) for each in tables]
        return all(bool((each == each[:, :1]).all()) for each in colours)


def described(path: Path) -> Described:
    """Read the blocks of a file, from the cache if it is one of the last files."""
    found = path.stat()
    return cached(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4)
def cached(path: Path, *identity: int) -> Described:
    """Read the blocks of a file; `identity` tells a changed file from the cached one."""
    del identity
    return read_blocks(path.read_bytes())


def read_blocks(content: bytes) -> Described:
    """Read the blocks of a GIF, without decoding pixels.

    Raises
    ------
    EOFError
        If the file ends before its first frame does.
    """
    _, columns, rows, packed, _, _ = SCREEN.unpack_from(content.ljust(SCREEN.size, b"\0"))
    start = SCREEN.size
    palette = content[start : start + palette_bytes(packed)]
    start += palette_bytes(packed)
    loops, comment, frames, control = 1, b"", list[Frame](), (0, 0)
    while start < len(content) and content[start] != END:
        begins = start
        if content[start] == EXTENSION:
            label, (start, parts) = content[start + 1 : start + 2], sub_blocks(content, start + 2)
            if label == bytes([CONTROLS]) and parts and len(parts[0]) >= 4:
                control = parts[0][0], struct.unpack_from("<H", parts[0], 1)[0]
            elif label == bytes([COMMENTS]):
                comment = comment or b"".join(parts)
            elif label == bytes([APPLICATIONS]) and parts[:1] == [LOOPS] and len(parts) > 1:
                # The number is that of repetitions, and 0 means for ever.
                repeated = struct.unpack("<H", parts[1][1:3].ljust(2, b"\0"))[0]
                loops = repeated + 1 if repeated else 0
            continue
        if content[start] != IMAGE or start + 1 + PICTURE.size > len(content):
            break
        left, top, width, height, packed = PICTURE.unpack_from(content, start + 1)
        start += 1 + PICTURE.size
        own = content[start : start + palette_bytes(packed)] or palette
        # One byte with the size of codes stands before the pixels.
        start, parts = sub_blocks(content, start + palette_bytes(packed) + 1)
        if not parts:
            break
        packed, hundredths = control
        box = left, top, left + width, top + height
        clears = packed >> 2 & 7 == CLEAR
        is_clear = bool(packed & TRANSPARENT)
        frames.append(Frame(box, 10 * hundredths, is_clear, clears, own, begins, start))
        control = 0, 0
    if not frames:
        raise EOFError("no frame lies within the file")
    columns = max(columns, frames[0].box[2])
    rows = max(rows, frames[0].box[3])
    return Described(columns, rows, loops, comment, tuple(frames))


def palette_bytes(packed: int) -> int:
    """Return the bytes of the palette that follows a packed byte."""
    return 3 << (packed & PALETTE_SIZE) + 1 if packed & PALETTE else 0


def sub_blocks(content: bytes, start: int) -> tuple[int, list[bytes]]:
    """Return where the blocks that begin at `start` end, and what they hold."""
    parts = []
    while start < len(content) and content[start]:
        parts.append(content[start + 1 : start + 1 + content[start]])
        start += 1 + content[start]
    return start + 1, parts


def read_header(path: Path, name: str) -> Header:
    """Read a GIF's header.

    Raises
    ------
    EOFError
        If the file ends before its first frame does.
    """
    found = described(path)
    header = read_plane_header(path, name, 0)
    count = len(found.frames)
    if count == 1:
        return header
    times = tuple(each.milliseconds for each in found.frames)
    stack = Stack("t", (count,), milliseconds=times, loops=found.loops)
    return replace(header, stack=stack)


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of one frame of a GIF."""
    found = described(path)
    channels = 1 if found.is_gray and not found.has_alpha else 4 if found.has_alpha else 3
    shape = (found.rows, found.columns) if channels == 1 else (found.rows, found.columns, channels)
    palette = b""
    if len(found.frames) == 1:
        with path.open("rb") as opened:
            palette = palette_in(GifImageFile(opened))
    return Header(
        name=name,
        format="gif",
        image=header_of(shape, "uint8"),
        palette=palette if channels > 1 else b"",
        items=(Item("comment", "", found.comment),) if found.comment and plane == 0 else (),
        plane=plane,
    )


def palette_in(file: GifImageFile) -> bytes:
    """Return the palette of a picture; empty if it does not cover all of the file."""
    if file.mode != "P" or file.palette is None or file.tile[0][1] != (0, 0, *file.size):
        return b""
    colours = np.frombuffer(bytes(file.palette.palette), np.uint8)
    clear = file.info.get("transparency")
    alpha = b"\xff" * clear + b"\0" if isinstance(clear, int) else b""
    return palette_of(colours[: len(colours) // 3 * 3].reshape(-1, 3), alpha)


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a frame of a GIF into `out`.

    Raises
    ------
    EOFError, OSError
        If the file is damaged.
    """
    if not header.is_indexed:
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[1 if out.ndim == 2 else out.shape[2]]
        # A gray level is the red of its colour: conversion to gray keeps it.
        read_frame(GifImageFile, path, header, mode, out)
        return ()
    with path.open("rb") as opened:
        file = GifImageFile(opened)
        file.load()
        out[...] = np.asarray(file)
    return ()


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a GIF of one picture."""
    writer = GifStack(path, None, header)
    notes = writer.add(image, header)
    writer.close()
    return notes


class GifStack:
    """Writes the frames of a GIF one after the other.

    Parameters
    ----------
    path : Path
        The file to write.
    stack : Stack or None
        What the frames are; None for one picture.
    header : Header
        Of the first frame.
    """

    def __init__(self, path: Path, stack: Stack | None, header: Header) -> None:
        self.stack, self.number = stack, 0
        self.file = path.open("wb")
        rows, columns = header.shape[:2]
        self.shape = header.shape[:2]
        self.file.write(SCREEN.pack(b"GIF89a", columns, rows, 0, 0, 0))
        if stack is not None and stack.loops != 1:
            again = struct.pack("<BHB", 1, max(stack.loops - 1, 0), 0)
            self.file.write(bytes([EXTENSION, APPLICATIONS, len(LOOPS)]) + LOOPS + b"\3" + again)
        for part in pieces_of(first_of(header.items, "comment")):
            self.file.write(bytes([EXTENSION, COMMENTS, len(part)]) + part + b"\0")

    def add(self, image: Image, header: Header) -> tuple[str, ...]:
        """Write the next frame.

        Raises
        ------
        Rejected
            If it has another size than the first one.
        """
        pixels = without_channels(in_8_bits(image))
        check_frame(pixels, self.shape, header.name)
        # A frame with pixels that are clear must not show those of the frame before through them.
        indices, colours, clear, notes = indexed(pixels, header, is_frame=self.stack is not None)
        shown = milliseconds_of(self.stack, self.number) if self.stack else 0
        if clear is not None or shown:
            packed = (CLEAR if clear is not None else KEEP) << 2 | (clear is not None)
            hundredths = min(round(shown / 10), 0xFFFF)
            control = CONTROL.pack(EXTENSION, CONTROLS, 4, packed, hundredths, clear or 0, 0)
            self.file.write(control)
        table = np.zeros((COLOURS, 3), np.uint8)
        table[: len(colours)] = colours
        content = encoded(indices, table)
        only = read_blocks(content).frames[0]
        place = PICTURE.unpack_from(content, only.start + 1)
        # The palette of the whole file becomes that of the frame: 2^(7 + 1) colours.
        self.file.write(bytes([IMAGE]) + PICTURE.pack(*place[:4], PALETTE | 7) + table.tobytes())
        self.file.write(content[only.start + 1 + PICTURE.size : only.end])
        self.number += 1
        return notes

    def close(self) -> None:
        """Complete the file."""
        self.file.write(bytes([END]))
        self.file.close()


def encoded(indices: Image, table: Image) -> bytes:
    """Return a GIF of one picture."""
    picture = PIL.Image.fromarray(np.ascontiguousarray(indices)).convert("P")
    picture.putpalette(table.tobytes())
    buffer = BytesIO()
    picture.save(buffer, "GIF", optimize=False, interlace=0)
    return buffer.getvalue()


def pieces_of(text: bytes) -> Iterator[bytes]:
    """Cut a text into the pieces that a block of a GIF can hold."""
    for start in range(0, len(text), 255):
        yield text[start : start + 255]


def indexed(
    pixels: Image, header: Header, *, is_frame: bool
) -> tuple[Image, Image, int | None, tuple[str, ...]]:
    """Return a picture as indices of colours, the colours, the transparent index and notes.

    A frame with alpha has such an index also if none of its pixels is clear: only then it makes
    room for the next frame, where pixels may be.
    """
    if header.is_indexed and pixels.ndim == 2:
        table = palette_table(header.palette)
        clear = int(np.argmin(table[:, 3])) if palette_has_alpha(header.palette) else None
        return pixels, table[:, :3], clear, ()
    if pixels.ndim == 2 or pixels.shape[2] == 2:
        gray = pixels if pixels.ndim == 2 else pixels[..., 0]
        pixels = np.dstack([gray] * 3 + ([pixels[..., 1]] if pixels.ndim == 3 else []))
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    notes: tuple[str, ...] = ()
    if alpha is not None and bool(((alpha > 0) & (alpha < 255)).any()):
        notes = ("transparency was rounded to clear or opaque: GIF has no other",)
    hidden = alpha < 128 if alpha is not None else np.zeros(pixels.shape[:2], bool)
    may_be_clear = bool(hidden.any()) or (is_frame and alpha is not None)
    most = COLOURS - may_be_clear
    packed = pixels[..., :3].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    packed[hidden] = packed[~hidden][:1] if (~hidden).any() else 0
    found, inverse = np.unique(packed, return_inverse=True)
    if len(found) <= most:
        indices = inverse.reshape(packed.shape).astype(np.uint8)
        colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8)
    else:
        picture = PIL.Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
        reduced = picture.quantize(most, dither=PIL.Image.Dither.NONE)
        indices = np.array(reduced)
        colours = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)[:most]
        notes += (f"colours were reduced to {most}: GIF holds no more",)
    if not may_be_clear:
        return indices, colours, None, notes
    indices[hidden] = len(colours)
    return indices, np.vstack([colours, np.zeros((1, 3), np.uint8)]), len(colours), notes


GIF = Format(
    name="gif",
    title="GIF",
    extensions=("gif",),
    media_type="image/gif",
    magic=re.compile(rb"GIF8[79]a"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    dtypes=("bool", "uint8"),
    carries=frozenset(("comment", "palette")),
    side_max=SIDE_MAX,
    read_plane_header=read_plane_header,
    open_stack=GifStack,
    holds_times=True,
)
