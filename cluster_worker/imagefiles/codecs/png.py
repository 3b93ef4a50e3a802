"""PNG: gray of 1, 8 and 16 bits, RGB of 8 and 16 bits; with alpha too, except 1 bit.

Pillow reads everything but the pixels. `png_bands` decodes the pixels of most files, and encodes
those of results. Pillow decodes palettes, fewer than 8 bits, interlaced pixels and a transparent
colour. It would silently reduce colours of 16 bits to 8, so libpng decodes such files.
"""

import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from imagecodecs import png_decode
from PIL import PngImagePlugin
from PIL.PngImagePlugin import PngImageFile

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs import png_bands
from cluster_worker.imagefiles.codecs.frames import (
    check_frame,
    milliseconds_of,
    plane_header,
    read_frame,
)
from cluster_worker.imagefiles.codecs.header import (
    PROFILE_BYTES_MAX,
    SHORT_LABELS_MAX,
    Format,
    Header,
    Image,
    as_stored,
    fill_rest,
    fitting_profile,
    in_8_bits,
    narrowed,
    palette_has_alpha,
    palette_of,
    palette_table,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import Item, upright_xmp, within_limit
from cluster_worker.imagefiles.codecs.pillow import (
    ORIENTATION,
    exif_of,
    fill,
    resolution_of,
    result_exif,
)
from cluster_worker.imagefiles.codecs.png_bands import (
    CHECKSUM,
    CHUNK_HEAD,
    SIGNATURE,
    chunk,
    header_chunk,
    palette_header_chunk,
)
from cluster_worker.imagefiles.codecs.png_chunks import (
    ANIMATION,
    COUNTS,
    FRAME,
    FRAME_PIXELS,
    PLACED,
    animation_of,
    contents_of,
    items_of,
    sound,
    text_chunk,
)
from cluster_worker.imagefiles.codecs.png_frames import read_laid_frame
from cluster_worker.imagefiles.codecs.png_incomplete import first_rows
from cluster_worker.pixels.header import ImageHeader, header_of
from cluster_worker.pixels.stack import Stack

# Pillow's own limit of 1 MiB would refuse images with the colour profile of a printer.
PngImagePlugin.MAX_TEXT_CHUNK = PROFILE_BYTES_MAX

# The content of two chunks of a result: pixels per metre, and the colour profile.
RESOLUTION, METRE, INCH_METRES = struct.Struct(">IIB"), 1, 0.0254
PROFILE_NAME = b"ICC Profile\0\0"

APART = "the picture beside the frames of the animation is not read"

CHANNELS = {"1": 1, "L": 1, "I;16": 1, "LA": 2, "RGB": 3, "RGBA": 4}
DTYPES = {"1": "bool", "I;16": "uint16"}
BITS = {"bool": 1, "uint8": 8, "uint16": 16}
# Number of channels by the colour type, as the PNG specification numbers it; 3 is a palette.
COLOUR_TYPE_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def read_header(path: Path, name: str) -> Header:
    """Read a PNG's header.

    Raises
    ------
    EOFError
        If the file ends before its pixels begin.
    """
    with path.open("rb") as stored:
        opened, _ = sound(stored, with_pixels=False)
        bit_depth, colour_type = read_colour_format(opened)
        stack, apart = animation_of(opened)
        file: Any = PngImageFile(opened)
        deep = libpng_channels(file, bit_depth, colour_type)
        mode, notes = mode_of(file)
        palette = b"" if stack else palette_in(file)
        mode = "L" if stack and mode == "1" else mode
        columns, rows = file.size
        density, profile = file.info.get("dpi"), file.info.get("icc_profile")
        block, others, lost = items_of(opened)
    exif, items, damaged = exif_of(block)
    items, over = within_limit((*items, *others))
    orientation = valid_orientation(exif.get(ORIENTATION))
    profile, dropped = valid_profile(profile)
    notes += (APART,) if apart else ()
    dtype = "uint16" if deep else DTYPES.get(mode, "uint8")
    image = header_of(upright_shape(rows, columns, deep or CHANNELS[mode], orientation), dtype)
    return Header(
        name=name,
        format="png",
        image=image._replace(kind="intensity") if is_intensity(image) else image,
        orientation=orientation,
        icc_profile=profile,
        resolution=resolution_of(density, exif, orientation),
        # What `read_pixels` says again is said once.
        notes=notes + damaged + dropped + lost + over,
        palette=palette,
        bits=1 if dtype == "bool" else 0,
        items=items,
        stack=stack,
    )


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of a frame; all frames are as the first one."""
    return plane_header(read_header, path, name, plane)


def is_intensity(image: ImageHeader) -> bool:
    """Return whether an image holds numbers of an instrument: it is gray and has 16 bits."""
    return image.dtype == "uint16" and image.colours == 1


def palette_in(file: PngImageFile) -> bytes:
    """Return the palette of a file, b"" if it has none."""
    if file.mode != "P" or file.palette is None:
        return b""
    transparency = file.info.get("transparency", b"")
    if isinstance(transparency, int):
        transparency = b"\xff" * transparency + b"\0"
    colours = np.frombuffer(bytes(file.palette.palette), np.uint8)
    return palette_of(colours[: len(colours) // 3 * 3].reshape(-1, 3), transparency)


def read_colour_format(opened: BinaryIO) -> tuple[int, int]:
    """Read bit depth and colour type, and go back to the start of the file."""
    opened.seek(len(SIGNATURE) + CHUNK_HEAD.size + 8)
    bit_depth, colour_type = struct.unpack(">BB", opened.read(2))
    opened.seek(0)
    return bit_depth, colour_type


def libpng_channels(file: PngImageFile, bit_depth: int, colour_type: int) -> int:
    """Count the channels that libpng decodes a file to; 0 if the file needs no libpng.

    It needs libpng if it has 16 bits per channel and is not plain gray. A transparent colour
    becomes an alpha channel.
    """
    transparent = "transparency" in file.info
    if bit_depth < 16 or (colour_type == 0 and not transparent):
        return 0
    return COLOUR_TYPE_CHANNELS[colour_type] + transparent


def mode_of(file: PngImageFile) -> tuple[str, tuple[str, ...]]:
    """Return the Pillow mode that holds all of an image, without a palette, and notes."""
    transparent = "transparency" in file.info
    if file.mode == "P":
        return "RGBA" if transparent else "RGB", ()
    if transparent and file.mode in ("L", "RGB"):
        return file.mode[:3] + "A", ()
    if transparent and file.mode == "1":
        return file.mode, ("transparency dropped: one level of gray stood for transparent",)
    return file.mode, ()


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a PNG into `out`.

    Returns
    -------
    tuple of str
        What was tolerated, one sentence each.

    Raises
    ------
    EOFError
        If the file ends too early.
    ValueError
        If the checksum of a chunk is wrong without which the pixels cannot be read.
    """
    with path.open("rb") as stored:
        stack, apart = animation_of(stored)
        if stack and are_plain_frames(stored):
            read_laid_frame(path, header, out)
            return ()
        if stack:
            read_frame(PngImageFile, path, header, frame_mode(out), out, skipped=apart)
            return ()
        opened, notes = sound(stored, with_pixels=True)
        decode(opened, header, out)
    return notes


def decode(opened: BinaryIO, header: Header, out: Image) -> None:
    """Decode a sound file of one picture into `out`."""
    bit_depth, colour_type = read_colour_format(opened)
    file = PngImageFile(opened)
    if can_decode_by_bands(file, bit_depth):
        fill_by_bands(opened, header.orientation, out)
    elif libpng_channels(file, bit_depth, colour_type) or is_woven(file, bit_depth):
        fill_by_libpng(opened, header.orientation, out)
    else:
        mode = "P" if header.is_indexed else mode_of(file)[0]
        fill(file, mode, header.orientation, out)


def read_incomplete(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode the rows that are there of a PNG into `out`, and note how many they are.

    Raises
    ------
    EOFError
        If none are there, or the file is interlaced or an animation.
    """
    with path.open("rb") as stored:
        if animation_of(stored)[0]:
            raise EOFError("a frame is missing")
        opened, there = first_rows(stored)
        whole = as_stored(out, header.orientation)
        rows = np.empty((there, *whole.shape[1:]), out.dtype)
        decode(opened, replace(header, orientation=1), rows)
    return (fill_rest(whole, rows, header),)


def frame_mode(out: Image) -> str:
    """Return the mode of Pillow for the frames of an animation."""
    return {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if out.ndim == 2 else out.shape[2]]


def can_decode_by_bands(file: PngImageFile, bit_depth: int) -> bool:
    """Return whether the pixels are stored row by row, with whole bytes for each sample."""
    plain = file.mode != "P" and "transparency" not in file.info
    return plain and bit_depth >= 8 and not file.info.get("interlace")


def are_plain_frames(opened: BinaryIO) -> bool:
    """Return whether the frames of an animation have whole bytes for each sample."""
    bit_depth, colour_type = read_colour_format(opened)
    return bit_depth >= 8 and colour_type in COLOUR_TYPE_CHANNELS


def is_woven(file: PngImageFile, bit_depth: int) -> bool:
    """Return whether pixels of whole bytes are interlaced: Pillow would hold all of them twice."""
    return bool(file.info.get("interlace")) and file.mode != "P" and bit_depth >= 8


def fill_by_bands(opened: BinaryIO, orientation: int, out: Image) -> None:
    """Decode a file by bands, and write its pixels upright to `out`."""
    stored = as_stored(out, orientation)
    straight = stored if stored.flags.c_contiguous else np.empty(stored.shape, stored.dtype)
    png_bands.decode(contents_of(opened), straight)
    if straight is not stored:
        stored[...] = straight


def fill_by_libpng(opened: BinaryIO, orientation: int, out: Image) -> None:
    """Decode a file with libpng, which keeps 16 bits, and write its pixels upright to `out`."""
    opened.seek(0)
    stored = as_stored(out, orientation)
    if stored.flags.c_contiguous:
        png_decode(opened.read(), out=stored)
    else:
        stored[...] = png_decode(opened.read())


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a PNG.

    A mask is written in 8 bits as 0 and 255, which every program shows. It is written in 1 bit if
    the original had 1 bit. Indices get the original's palette.

    Raises
    ------
    Rejected
        If the image has labels larger than 16 bits can hold.
    """
    if header.bits != 1:
        image = in_8_bits(image)
    image = narrowed(without_channels(image))
    if image.dtype == np.uint32:
        raise too_many_labels(header.name, image)
    before, notes = before_pixels(image, header)
    with path.open("wb") as opened:
        opened.write(before)
        opened.writelines(png_bands.encoded(image))
        opened.write(chunk(b"IEND", b""))
    return notes


def before_pixels(
    image: Image, header: Header, stack: Stack | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """Return all that stands before the pixels of a file, and notes on what is lost.

    Parameters
    ----------
    image, header : ndarray, Header
        The picture, or the first frame, and what it carries.
    stack : Stack, optional
        What the frames are.
    """
    profile, notes = fitting_profile(image.shape, header)
    carries, lost = carried(header, image)
    if is_indexed(header, image):
        before = SIGNATURE + palette_header_chunk(image.shape)
    else:
        before = SIGNATURE + header_chunk(image.shape, BITS[image.dtype.name])
    if stack:
        before += chunk(ANIMATION, COUNTS.pack(stack.planes, stack.loops))
    if profile:
        before += chunk(b"iCCP", PROFILE_NAME + zlib.compress(profile))
    return before + carries, notes + lost


class PngStack:
    """Writes the frames of an animation one after the other, each as a whole picture.

    Parameters
    ----------
    path : Path
        The file to write.
    stack : Stack
        What the frames are.
    header : Header
        Of the first frame.
    """

    def __init__(self, path: Path, stack: Stack, header: Header) -> None:  # noqa: ARG002 - as others
        self.stack, self.number, self.counted = stack, 0, 0
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.uint8)
        self.file = path.open("wb")

    def add(self, image: Image, header: Header) -> tuple[str, ...]:
        """Write the next frame.

        Raises
        ------
        Rejected
            If it has another shape or dtype than the first one, or labels of more than 16 bits.
        """
        image = without_channels(in_8_bits(image))
        image = narrowed(image)
        if image.dtype == np.uint32:
            raise too_many_labels(header.name, image)
        notes: tuple[str, ...] = ()
        if self.number == 0:
            self.shape, self.dtype = image.shape, image.dtype
            before, notes = before_pixels(image, header, self.stack)
            self.file.write(before)
        check_frame(image, self.shape[:2], header.name)
        if (image.shape, image.dtype) != (self.shape, self.dtype):
            raise Rejected(
                f"{header.name}: has other channels or bits than the first one; the frames of an "
                "animation have one kind, so choose TIFF"
            )
        rows, columns = image.shape[:2]
        shown = min(milliseconds_of(self.stack, self.number), 0xFFFF)
        self.file.write(
            chunk(FRAME, PLACED.pack(self.next(), columns, rows, 0, 0, shown, 1000, 0, 0))
        )
        for each in png_bands.encoded(image):
            if self.number == 0:
                self.file.write(each)
            else:
                content = each[CHUNK_HEAD.size : -CHECKSUM.size]
                self.file.write(chunk(FRAME_PIXELS, struct.pack(">I", self.next()) + content))
        self.number += 1
        return notes

    def next(self) -> int:
        """Return the number of the next chunk of frames."""
        self.counted += 1
        return self.counted - 1

    def close(self) -> None:
        """Complete the file."""
        self.file.write(chunk(b"IEND", b""))
        self.file.close()


def too_many_labels(name: str, image: Image) -> Rejected:
    """Return the error for labels that 16 bits cannot hold."""
    return Rejected(
        f"{name}: the result has labels up to {image.max()}, and PNG holds at most "
        f"{SHORT_LABELS_MAX}; choose TIFF"
    )


def is_indexed(header: Header, image: Image) -> bool:
    """Return whether an image is written as indices of the original's palette."""
    return header.is_indexed and image.dtype == np.uint8 and image.ndim == 2


def carried(header: Header, image: Image) -> tuple[bytes, tuple[str, ...]]:
    """Return the chunks before the pixels, after the profile, and notes on what is lost."""
    found = b""
    for each in header.items:
        if each.name in ("gamma", "cicp", "sbit"):
            found += chunk(each.key.encode(), each.value)
    if is_indexed(header, image):
        table = palette_table(header.palette)
        # Every index needs an entry.
        missing = max(0, int(image.max(initial=0)) + 1 - len(table))
        table = np.vstack([table, np.zeros((missing, 4), np.uint8)])
        found += chunk(b"PLTE", table[:, :3].tobytes())
        if palette_has_alpha(header.palette):
            found += chunk(b"tRNS", table[:, 3].tobytes())
    if header.resolution:
        along = (round(each / INCH_METRES) for each in header.resolution)
        found += chunk(b"pHYs", RESOLUTION.pack(*along, METRE))
    exif, notes = result_exif(header, image.shape, always=False, texts=False)
    if exif:
        found += chunk(b"eXIf", exif)
    for each in header.items:
        if each.name == "xmp":
            found += text_chunk(each._replace(value=upright_xmp(each.value)))
        elif each.name == "text":
            found += text_chunk(each)
        elif each.name == "comment":
            found += text_chunk(Item("text", "Comment", each.value))
    return found, notes


PNG = Format(
    name="png",
    title="PNG",
    extensions=("png",),
    media_type="image/png",
    magic=re.compile(re.escape(SIGNATURE)),
    read_header=read_header,
    read_pixels=read_pixels,
    read_incomplete=read_incomplete,
    write=write,
    dtypes=("bool", "uint8", "uint16", "uint32"),
    read_plane_header=read_plane_header,
    decodes_rows=True,
    open_stack=PngStack,
    holds_times=True,
    carries=frozenset(
        (
            "profile",
            "resolution",
            "exif",
            "xmp",
            "text",
            "comment",
            "gamma",
            "cicp",
            "sbit",
            "palette",
        )
    ),
)
