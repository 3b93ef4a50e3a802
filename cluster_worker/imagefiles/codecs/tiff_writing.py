"""Write a TIFF of one page or of many: in strips, in tiles, as a pyramid, a COG or an OME-TIFF."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TiffFile, TiffWriter

from cluster_worker.imagefiles.codecs import tiff_cog
from cluster_worker.imagefiles.codecs.header import (
    TILE,
    Header,
    Image,
    Piece,
    narrowed,
    without_channels,
)
from cluster_worker.imagefiles.codecs.ifd import Layout, value_places
from cluster_worker.imagefiles.codecs.threads import THREADS, in_threads
from cluster_worker.imagefiles.codecs.tiff_items import (
    append_directories,
    exif_texts,
    smaller_options,
    write_options,
)
from cluster_worker.imagefiles.codecs.tiff_page import BITS
from cluster_worker.imagefiles.codecs.tiff_pyramid import Copy, band_reader, smaller_copies
from cluster_worker.imagefiles.codecs.tiff_tiles import (
    LEVEL,
    coding_of,
    compression_options,
    encode_tiles,
    encoded_piece,
    encoded_pieces,
    has_predictor,
    strips_in_g4,
)
from cluster_worker.imagefiles.output import jpeg_of
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.stack import Stack

STRIP_BYTES = 1 << 20
# Rows of a strip in JPEG are a multiple of this, whatever the subsampling.
JPEG_ROWS = 16
# Bytes of a page besides its pixels, at most in most files.
PAGE_BYTES = 4096
# Bytes of pixels in a classic TIFF, whose offsets have 32 bits; the rest is for its tags.
CLASSIC_BYTES_MAX = (1 << 32) - (1 << 26)
# Items that only the first page of a file has.
OF_THE_FILE = ("exif", "ome", "imagej")
# Layouts that have tiles, and those that also have smaller copies.
TILED, WITH_COPIES = ("tiles", "pyramid", "cog"), ("pyramid", "cog")
# Number of the tag with the compression, and those of PackBits and of G4 in it.
COMPRESSION, PACKBITS, G4 = 259, 32773, 4
REDUCED = 1


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a TIFF of one page."""
    image = fitting(image, header)
    if header.output.layout in TILED:
        with encoded(path, image, header) as pieces:
            return assemble(path, pieces, image.shape, image.dtype.name, header)
    with TiffWriter(path) as writer:
        notes, shape = write_page(writer, image, header)
    complete(path, header, shape)
    return notes


def fitting(image: Image, header: Header) -> Image:
    """Return an image as a file of one page has it: labels in 16 bits if the largest fits."""
    image = for_fax(without_channels(image), header)
    return narrowed(image) if header.image.kind == "labels" else image


def for_fax(image: Image, header: Header) -> Image:
    """Return a mask with 1 bit for a pixel if G4 was chosen; other images unchanged."""
    chosen = header.output.compression == "g4" and header.image.kind == "mask"
    return image != 0 if chosen and image.ndim == 2 else image


@contextmanager
def encoded(path: Path, image: Image, header: Header) -> Iterator[list[Piece]]:
    """Encode the tiles of an image to a file beside `path`, for a ``with`` block."""
    spool = path.with_name(f"{path.name}.tiles")
    try:
        ranges = encode_tiles(spool, image, header.compression)
        yield [(spool, *each) for each in ranges]
    finally:
        spool.unlink(missing_ok=True)


def assemble(
    path: Path, pieces: Sequence[Piece], shape: Sequence[int], dtype: str, header: Header
) -> tuple[str, ...]:
    """Write a TIFF from tiles that `encode_tiles` has compressed; labels stay as they are.

    Parameters
    ----------
    path : Path
        The file to write.
    pieces : sequence of (Path, int, int)
        File, offset and length in bytes of each tile of the whole image, in row order.
    shape : sequence of int
        (rows, columns) or (rows, columns, channels) of the image.
    dtype : str
        Of the tiles.
    header : Header
        Of the result, for what it carries and how it is written.

    Returns
    -------
    tuple of str
        What could not be kept, one sentence each.

    Raises
    ------
    ValueError
        If there are more or fewer tiles than the image has.
    EOFError
        If a file of tiles ends before a tile does.
    OSError
        If a file cannot be read or written.
    """
    size = sum(nbytes for _, _, nbytes in pieces)
    # Smaller copies have a third as many pixels.
    size += size // 3 if header.output.layout in WITH_COPIES else 0
    # Tiles of no bytes are written elsewhere, and may lie anywhere.
    with TiffWriter(path, bigtiff=size > CLASSIC_BYTES_MAX or not size) as writer:
        notes = write_tiles(path, writer, pieces, shape, dtype, header)
    if header.output.layout == "cog":
        tiff_cog.reorder(path)
    complete(path, header, shape)
    return notes


def write_tiles(
    path: Path,
    writer: TiffWriter,
    pieces: Sequence[Piece],
    shape: Sequence[int],
    dtype: str,
    header: Header,
    stack: Stack | None = None,
) -> tuple[str, ...]:
    """Write a page from encoded tiles; `stack` says what all pages are, if it is the first of many.

    Raises
    ------
    ValueError, EOFError, OSError
        As for `assemble`.
    """
    shape = tuple(shape[:2]) if tuple(shape[2:]) == (1,) else tuple(shape)
    count = -(-shape[0] // TILE) * -(-shape[1] // TILE)
    if len(pieces) != count:
        raise ValueError(f"pieces: an image of {shape} has {count} tiles, got {len(pieces)}")
    header = replace(header, items=header.items + exif_texts(header))
    axes = "yx" if len(shape) == 2 else "yxs"
    image = header.image._replace(shape=shape, dtype=dtype, axes=axes)
    coding = coding_of(header.compression, image, in_tiles=True)
    options, notes = write_options(image, header, stack)
    options |= compression_options(coding, image)
    options |= {"tile": (TILE, TILE), "dtype": dtype, "predictor": has_predictor(dtype, coding)}
    if header.bits > 1:
        notes += (f"written with {8 * np.dtype(dtype).itemsize} bits a sample, not {header.bits}",)
    if header.output.layout in TILED:
        lost = "compressed by deflate: g4 is written in strips"
        notes += (lost,) if header.compression == "g4" else ()
    elif header.compression == "g4":
        notes += ("written in tiles, compressed by deflate: the result is larger than memory",)
    elif header.output.layout:
        notes += ("written in tiles: the result is larger than memory",)
    spool = path.with_name(f"{path.name}.copies")
    try:
        copies: list[Copy] = []
        if header.output.layout in WITH_COPIES:
            copies = smaller_copies(spool, image, coding, band_reader(pieces, image, coding))
        if header.output.layout == "pyramid" and copies:
            options["subifds"] = len(copies)
        writer.write(encoded_pieces(pieces), shape=shape, **options)
        options = smaller_options(options)
        for each in copies:
            content = encoded_pieces(each.pieces)
            writer.write(content, shape=each.shape, subfiletype=REDUCED, **options)
    finally:
        spool.unlink(missing_ok=True)
    return notes


def write_page(
    writer: TiffWriter,
    image: Image,
    header: Header,
    stack: Stack | None = None,
    *,
    alone: bool = True,
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Write a page in strips, in the image's own bit depth.

    The strips are compressed as the header says; by default by deflate, which every program reads.
    Integers are stored as differences along the row.

    Parameters
    ----------
    writer : TiffWriter
        Of the file.
    image, header : ndarray, Header
        The page, and what it carries.
    stack : Stack, optional
        What the pages of the file are, if this is the first of several.
    alone : bool
        Whether the file has one page.

    Returns
    -------
    tuple of str, tuple of int
        Notes on what was not kept, and the shape of the page.
    """
    header = replace(header, items=header.items + exif_texts(header))
    described = replace_shape(header.image, image)
    coding = coding_of(header.compression, described)
    options, notes = write_options(described, header, stack)
    options |= compression_options(coding, described)
    chosen = header.output.compression not in ("", "none")
    bits = header.bits if alone and not chosen and fits_bits(image, header.bits) else 0
    if bits:
        # Samples that end within a byte are not compressed: tifffile packs them itself.
        options |= {"bitspersample": bits, "compression": None}
    elif image.dtype != bool and coding in ("deflate", "zstd"):
        options["compressionargs"] = {"level": LEVEL}
    if header.bits > 1 and not bits and image.dtype.kind == "u":
        wide = 8 * image.dtype.itemsize
        why = f": the values do not fit into {header.bits}" if alone else f", not {header.bits}"
        why = f": {header.bits} are not compressed" if chosen else why
        notes += (f"written with {wide} bits a sample{why}",)
    rows = max(1, STRIP_BYTES // max(1, image.nbytes // image.shape[0]))
    if jpeg_of(coding):
        rows = -(-rows // JPEG_ROWS) * JPEG_ROWS
    content, given = strips_of(image, coding, rows)
    writer.write(
        content,
        predictor=has_predictor(image.dtype.name, coding) and not bits and not header.is_indexed,
        rowsperstrip=rows,
        maxworkers=THREADS,
        **(options | given),
    )
    return notes, image.shape


def strips_of(image: Image, coding: str, rows: int) -> tuple[Any, dict[str, Any]]:
    """Return what tifffile writes: the image, or strips that it cannot encode, and options."""
    image = np.ascontiguousarray(image)
    given = {"shape": image.shape, "dtype": image.dtype}
    if coding == "g4":
        return iter(strips_in_g4(image, rows)), given
    if jpeg_of(coding) is None:
        return image, {}
    layered = image if image.ndim == 3 else image[..., np.newaxis]
    strips = [layered[top : top + rows] for top in range(0, len(image), rows)]
    encode = partial(encoded_piece, coding=coding)
    return in_threads(encode, strips, rows * layered.shape[1] * layered.shape[2]), given


def replace_shape(described: ImageHeader, image: Image) -> ImageHeader:
    """Return the header of a result as it is written."""
    axes = "yx" if image.ndim == 2 else "yxs"
    return described._replace(shape=image.shape, dtype=image.dtype.name, axes=axes)


def fits_bits(image: Image, bits: int) -> bool:
    """Return whether an image can be stored with this number of bits, which is more than 1.

    Its values must fit, and its dtype must be the one that such samples are decoded to.
    """
    known = bits in BITS.get(image.dtype.name, ())
    return bits > 1 and known and image.dtype.kind == "u" and int(image.max(initial=0)) < 1 << bits


def complete(path: Path, header: Header, shape: Sequence[int]) -> None:
    """Do to a file what tifffile cannot: directories of EXIF data, and the number of G4."""
    append_directories(path, header, shape)
    if header.compression != "g4":
        return
    with TiffFile(path) as file:
        layout = Layout(file.byteorder, file.is_bigtiff)
        offsets = [each.offset for each in file.pages if each.compression == PACKBITS]
    content = np.memmap(path, np.uint8, "r+")
    for offset in offsets:
        place = value_places(content.data, offset, layout)[COMPRESSION]  # type: ignore[arg-type]
        content[place : place + 2] = np.frombuffer(G4.to_bytes(2, "little"), np.uint8)
    content.flush()


class TiffStack:
    """Writes a TIFF of several pages, which stays open until the last one is written.

    Parameters
    ----------
    path : Path
        The file to write.
    stack : Stack
        What the pages are.
    header : Header
        Of the first page; its size decides whether the file gets offsets of 64 bits.
    """

    def __init__(self, path: Path, stack: Stack, header: Header) -> None:
        self.path, self.stack, self.first = path, stack, header
        self.shape: tuple[int, ...] = ()
        size = stack.planes * (header.pixels_bytes + PAGE_BYTES)
        self.writer = TiffWriter(path, bigtiff=size > CLASSIC_BYTES_MAX)

    def add(self, image: Image, header: Header) -> tuple[str, ...]:
        """Write the next page."""
        image = for_fax(without_channels(image), header)
        if header.output.layout in TILED:
            with encoded(self.path, image, header) as pieces:
                return self.add_tiles(pieces, image.shape, image.dtype.name, header)
        notes, shape = write_page(self.writer, image, *self.next(header), alone=False)
        self.shape = self.shape or shape
        return notes

    def add_tiles(
        self, pieces: Sequence[Piece], shape: Sequence[int], dtype: str, header: Header
    ) -> tuple[str, ...]:
        """Write the next page from encoded tiles."""
        header, stack = self.next(header)
        self.shape = self.shape or tuple(shape)
        return write_tiles(self.path, self.writer, pieces, shape, dtype, header, stack)

    def next(self, header: Header) -> tuple[Header, Stack | None]:
        """Return what the next page carries: the first one also describes the stack.

        EXIF data lies behind a complete file, so that only one page can have it.
        """
        if not self.shape:
            self.first = header
            return header, self.stack
        items = tuple(each for each in header.items if each.name not in OF_THE_FILE)
        # The OME-XML of the first page describes all of them.
        output = (
            header.output._replace(layout="") if header.output.layout == "ome" else header.output
        )
        return replace(header, items=items, output=output), None

    def close(self) -> None:
        """Complete the file."""
        self.writer.close()
        complete(self.path, self.first, self.shape)
