"""The strips and tiles that are there of a TIFF that ends within its pixels."""

import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from cluster_worker.imagefiles.codecs.header import Header, Image, as_stored, missing_value
from cluster_worker.imagefiles.codecs.tiff_colours import to_pixels
from cluster_worker.imagefiles.codecs.tiff_page import (
    DEFLATES,
    UNCOMPRESSED,
    block_of,
    samples_of,
)
from cluster_worker.imagefiles.codecs.tiff_stack import open_tiff, page_of
from cluster_worker.imagefiles.codecs.tiff_windows import StoredPieces, overlap
from cluster_worker.pixels.tiling import Span


def read_incomplete(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode the pieces that are there of a TIFF into `out`, and note how many they are.

    Raises
    ------
    EOFError
        If none are there, or if they cannot be decoded one by one.
    """
    with open_tiff(path) as file:
        page = page_of(file, path, header.plane, header.name)
        samples = samples_of(page, header.name)
        if samples.conversion == "ycbcr" or block_of(page, "") is None:
            raise EOFError("pieces are missing")
        stored = as_stored(out, header.orientation)
        pieces = IncompletePieces(path, header.plane)
        raw = np.zeros((*stored.shape[:2], page.samplesperpixel), page.dtype)
        missing = np.zeros(stored.shape[:2], bool)
        note = pieces.fill_known(raw, missing)
        raw = raw[..., 0] if page.samplesperpixel == 1 else raw
        to_pixels(page, samples, raw, stored, header.is_indexed)
        empty = missing_value(header)
        stored[missing] = empty
    return (f"the file ends within its pixels: {note}, and the others are {empty:g}",)


class IncompletePieces(StoredPieces):
    """The tiles or strips of a file that ends before some of them; parameters as in the base."""

    def __init__(self, path: Path, plane: int) -> None:
        super().__init__(path, plane, is_whole=False)

    def fill_known(self, out: Image, missing: Image) -> str:
        """Fill `out`, (rows, columns, samples), and mark in `missing` the pixels that it lacks.

        Returns
        -------
        str
            What is there.
        """
        window = Span(0, out.shape[0], 0, out.shape[1])
        mapped = np.memmap(self.path, np.uint8, "r")
        found = count = 0
        for plane, number in self.overlapping(window):
            place = self.place(number)
            common = overlap(place, window)
            piece = self.known_rows(mapped, plane, number)[: common.bottom - common.top]
            count += 1
            found += len(piece) == common.bottom - common.top
            rows = Span(common.top, common.top + len(piece), common.left, common.right)
            if len(piece):
                self.of_plane(out, plane)[rows.slices] = piece[:, : common.right - common.left]
            missing[rows.bottom : common.bottom, common.left : common.right] = True
        there = np.asarray(~missing.any(axis=1))
        if missing.all():
            raise EOFError("no pixels are there")
        if self.page.is_tiled:
            return f"{found} of {count} tiles are there"
        return f"{int(there.sum())} of {len(missing)} rows are there"

    def known_rows(self, mapped: Image, plane: int, number: int) -> Image:
        """Return the rows of a piece that are there, (rows, columns, samples); perhaps none."""
        index = self.index(plane, number)
        none = np.zeros((0, self.columns, self.samples), self.page.dtype)
        if index >= min(len(self.page.dataoffsets), len(self.page.databytecounts)):
            return none
        start, nbytes = self.page.dataoffsets[index], self.page.databytecounts[index]
        if start + nbytes <= len(mapped):
            with suppress(Exception):
                return self.decoded(mapped, (plane, number))
            # It is damaged: its bytes may be others than those that were written.
            return none
        content = mapped[start : start + nbytes].tobytes()
        if self.page.is_tiled or not content:
            return none
        with suppress(Exception):
            return self.first_rows(content, index)
        return none

    def first_rows(self, content: bytes, index: int) -> Image:
        """Decode the rows of a strip whose end is missing."""
        size = self.stored_bytes(index)
        if self.page.compression in DEFLATES:
            stream = zlib.decompressobj()
            lines = stream.decompress(content, size)
        elif self.page.compression == UNCOMPRESSED:
            lines = content
        else:
            lines = b""
        row_bytes = -(-self.columns * self.samples * self.page.bitspersample // 8)
        rows = len(lines) // row_bytes
        whole = lines.ljust(size, b"\0")
        if self.page.compression in DEFLATES:
            whole = zlib.compress(whole, 0)
        pixels: Image = self.decode(whole, index)[0][0]
        return pixels[:rows]
