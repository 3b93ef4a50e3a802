"""TIFF files of images larger than memory, read window by window."""

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np
from imagecodecs import packints_decode
from tifffile import TiffPage

from cluster_worker.imagefiles.codecs.header import Header, Image
from cluster_worker.imagefiles.codecs.threads import in_threads
from cluster_worker.imagefiles.codecs.tiff_colours import to_pixels
from cluster_worker.imagefiles.codecs.tiff_page import (
    DEFLATES,
    JPEGS,
    check_extent,
    fill_of,
    reads_by_rows,
    samples_of,
)
from cluster_worker.imagefiles.codecs.tiff_stack import open_tiff, page_of
from cluster_worker.pixels.tiling import Span

# Decoded pieces kept for the next window: windows overlap by their halos, and strips are wider than
# windows.
KEPT_BYTES_MAX = 16 << 20
# Bytes behind the pixels of a piece that are inflated at a time.
SPARE_BYTES = 1 << 16
# Samples smaller than a byte that are unpacked at a time.
UNPACKED_BYTES = 4 << 20


def read_window(
    path: Path, header: Header, top: int, bottom: int, left: int, right: int, out: Image
) -> None:
    """Decode the pieces of a TIFF that overlap a window; the pixels are those of `read_pixels`.

    Parameters
    ----------
    path : Path
        The file that the header was read from.
    header : Header
        With a block.
    top, bottom, left, right : int
        The window's rows and columns, half open, within the image.
    out : ndarray
        Of the window's rows and columns, the header's channels and its dtype; filled.

    Raises
    ------
    EOFError
        If the file ends before its pixels do.
    ValueError
        If the header is of another file.
    """
    found = path.stat()
    identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    pieces = pieces_of(path, header.plane, *identity)
    window = Span(top, bottom, left, right)
    page = pieces.page
    if (page.imagelength, page.imagewidth) != header.shape[:2]:
        raise ValueError(f"the header is of {header.shape}, the file of {page.shape}")
    samples = samples_of(page, header.name)
    if samples.conversion in ("", "white", "premultiplied"):
        pieces.read(window, out if out.ndim == 3 else out[..., np.newaxis])
        if samples.conversion:
            to_pixels(page, samples, out, out, indexed=False)
        return
    raw = np.empty((*out.shape[:2], page.samplesperpixel), page.dtype)
    pieces.read(window, raw)
    raw = raw[..., 0] if page.samplesperpixel == 1 else raw
    to_pixels(page, samples, raw, out, header.is_indexed)


@lru_cache(maxsize=1)
def pieces_of(path: Path, plane: int, *identity: int) -> "StoredPieces":
    """Return the pieces of a plane, from the cache if the last window was of the same plane.

    Parameters
    ----------
    path : Path
        The file.
    plane : int
        Number of the plane.
    *identity : int
        Device, inode, size and time of change: they tell a changed file from the cached one.
    """
    del identity
    return StoredPieces(path, plane)


def forget() -> None:
    """Free the pieces that are kept of the last file."""
    pieces_of.cache_clear()


def overlap(one: Span, other: Span) -> Span:
    """Return the intersection of two spans that overlap."""
    return Span(
        max(one.top, other.top),
        min(one.bottom, other.bottom),
        max(one.left, other.left),
        min(one.right, other.right),
    )


class StoredPieces:
    """The tiles or strips of a file, with a cache of those that were decoded last.

    The tags are kept, but the file is not kept open: a removed file that is still open would take
    space on the disk.

    Parameters
    ----------
    path : Path
        A TIFF.
    plane : int
        Number of the plane.
    tolerant : bool
        Whether a piece is decoded that has more bytes than its pixels need.
    is_whole : bool
        Whether all pieces must lie within the file.

    Attributes
    ----------
    planes, samples : int
        Planes that the file stores one after the other, and samples of a pixel in each.
    rows, columns : int
        Of a piece, in pixels.
    down, across : int
        Number of pieces in a column and in a row of pieces.
    kept : OrderedDict
        Decoded pieces by their number in the file, the last used one last.

    Raises
    ------
    EOFError
        If a piece lies past the file's end.
    """

    def __init__(
        self, path: Path, plane: int = 0, *, tolerant: bool = True, is_whole: bool = True
    ) -> None:
        self.tolerant = tolerant
        with open_tiff(path) as file:
            self.page: TiffPage = page_of(file, path, plane, path.name)
            if is_whole:
                check_extent(self.page, path.stat().st_size)
            self.byteorder = file.byteorder
            # Both read the file: whether it is a JFIF, and tables that all pieces in JPEG share.
            self.decode = self.page.decode
            self.options = (
                {"jpegtables": self.page.jpegtables, "jpegheader": self.page.jpegheader}
                if self.page.compression in JPEGS
                else {}
            )
        page = self.page
        self.path = path
        self.planes: int = page.samplesperpixel if page.planarconfig == 2 else 1
        self.samples: int = page.samplesperpixel // self.planes
        self.rows: int = (
            page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
        )
        self.columns: int = page.tilewidth if page.is_tiled else page.imagewidth
        self.down: int = -(-page.imagelength // self.rows)
        self.across: int = -(-page.imagewidth // self.columns)
        self.fill = fill_of(page)
        self.kept: OrderedDict[int, Image] = OrderedDict()
        self.kept_bytes = 0

    def read(self, window: Span, out: Image) -> None:
        """Fill `out`, (rows, columns, samples), with the samples of a window, not yet converted."""
        mapped = np.memmap(self.path, np.uint8, "r")
        if reads_by_rows(self.page):
            for plane, strip in self.overlapping(window):
                self.copy_rows(mapped, plane, strip, window, out)
            return
        needed = list(self.overlapping(window))
        decoded = in_threads(partial(self.decoded, mapped), needed, self.nbytes)
        for (plane, number), piece in zip(needed, decoded, strict=True):
            self.keep(plane, number, piece)
            place = self.place(number)
            common = overlap(place, window)
            target = self.of_plane(out, plane)[common.relative_to(window).slices]
            target[...] = piece[common.relative_to(place).slices]

    @property
    def nbytes(self) -> int:
        """Size of a decoded piece, in bytes."""
        itemsize: int = np.dtype(self.page.dtype).itemsize
        return self.rows * self.columns * self.samples * itemsize

    def stored_bytes(self, index: int) -> int:
        """Return the bytes of a piece before it was compressed."""
        page = self.page
        top = index % (self.down * self.across) // self.across * self.rows
        rows = self.rows if page.is_tiled else min(self.rows, page.imagelength - top)
        return int(rows * -(-self.columns * self.samples * page.bitspersample // 8))

    def overlapping(self, window: Span) -> Iterator[tuple[int, int]]:
        """Yield plane, and number in the plane, of each piece that overlaps a window."""
        down = range(window.top // self.rows, -(-window.bottom // self.rows))
        across = range(window.left // self.columns, -(-window.right // self.columns))
        for plane, row, column in product(range(self.planes), down, across):
            yield plane, row * self.across + column

    def place(self, number: int) -> Span:
        """Return where a piece lies in the image; tiles may extend beyond its border."""
        top, left = number // self.across * self.rows, number % self.across * self.columns
        return Span(top, top + self.rows, left, left + self.columns)

    def index(self, plane: int, number: int) -> int:
        """Return the number of a piece in the file, which stores plane after plane."""
        return plane * self.down * self.across + number

    def decoded(self, mapped: Image, piece: tuple[int, int]) -> Image:
        """Return a piece, (rows, columns, samples), kept or newly decoded; called by threads."""
        index = self.index(*piece)
        kept = self.kept.get(index)
        if kept is not None:
            return kept
        start, nbytes = self.page.dataoffsets[index], self.page.databytecounts[index]
        if nbytes == 0:
            shape = self.rows, self.columns, self.samples
            return np.full(shape, self.fill, self.page.dtype)
        content = mapped[start : start + nbytes].tobytes()
        try:
            pixels: Image = self.decode(content, index, **self.options)[0][0]
        except Exception:
            if not self.tolerant or self.page.compression not in DEFLATES:
                raise
            pixels = self.decode(shortened(content, self.stored_bytes(index)), index)[0][0]
        return pixels

    def keep(self, plane: int, number: int, piece: Image) -> None:
        """Keep a piece for the next windows, and drop those that were not used for longest."""
        index = self.index(plane, number)
        if index not in self.kept:
            self.kept[index] = piece
            self.kept_bytes += piece.nbytes
        self.kept.move_to_end(index)
        # The newest piece stays, however large: the next window may need it again.
        while self.kept_bytes > KEPT_BYTES_MAX and len(self.kept) > 1:
            self.kept_bytes -= self.kept.popitem(last=False)[1].nbytes

    def copy_rows(self, mapped: Image, plane: int, strip: int, window: Span, out: Image) -> None:
        """Copy the samples of an uncompressed strip that lie in a window."""
        page, place = self.page, self.place(strip)
        common = overlap(place, window)
        target = self.of_plane(out, plane)[common.relative_to(window).slices]
        bits = page.bitspersample * self.samples
        row_bytes = -(-page.imagewidth * bits // 8)
        if page.databytecounts[self.index(plane, strip)] == 0:
            target[...] = self.fill
            return
        start = page.dataoffsets[self.index(plane, strip)] + (common.top - place.top) * row_bytes
        if start + len(target) * row_bytes > len(mapped):
            raise EOFError("rows are missing")
        if page.bitspersample != 8 * np.dtype(page.dtype).itemsize:
            lines = mapped[start : start + len(target) * row_bytes].reshape(-1, row_bytes)
            self.unpack_rows(lines, common, target)
            return
        start += common.left * bits // 8
        dtype = np.dtype(page.dtype).newbyteorder(self.byteorder)
        strides = (row_bytes, bits // 8, dtype.itemsize)
        target[...] = np.ndarray(target.shape, dtype, mapped, start, strides)

    def unpack_rows(self, lines: Image, common: Span, target: Image) -> None:
        """Unpack rows of samples that are smaller than a byte, a few rows at a time."""
        page = self.page
        runlen = page.imagewidth * self.samples
        step = max(1, UNPACKED_BYTES // runlen)
        for top in range(0, len(lines), step):
            packed = lines[top : top + step]
            rows = packints_decode(packed.tobytes(), page.dtype, page.bitspersample, runlen=runlen)
            rows = rows.reshape(len(packed), page.imagewidth, self.samples)
            target[top : top + step] = rows[:, common.left : common.right]

    def of_plane(self, out: Image, plane: int) -> Image:
        """View the channels of an image that one plane of the file stores."""
        return out[..., plane : plane + 1] if self.planes > 1 else out


def shortened(content: bytes, nbytes: int) -> bytes:
    """Return a deflated piece without what follows its `nbytes`; libdeflate refuses such pieces.

    Raises
    ------
    zlib.error
        If the stream is damaged: then its pixels may be others than those that were written.
    """
    stream = zlib.decompressobj()
    pixels = stream.decompress(content, nbytes)
    # The checksum stands at the end of the stream. What it has to spare is no more than its pixels.
    for _ in range(0, nbytes + SPARE_BYTES, SPARE_BYTES):
        stream.decompress(stream.unconsumed_tail, SPARE_BYTES)
    return zlib.compress(pixels, 0)
