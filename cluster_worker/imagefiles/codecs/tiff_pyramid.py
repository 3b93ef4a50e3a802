"""Smaller copies of an image in a TIFF, made band by band and encoded as tiles."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cluster_worker.imagefiles.codecs.header import TILE, Image, Piece, without_channels
from cluster_worker.imagefiles.codecs.tiff_tiles import (
    decoded_tile,
    encode_tiles,
    encoded_pieces,
)
from cluster_worker.pixels.header import ImageHeader

# Returns the rows of an image from `top` on: `TILE` of them, or those that are left.
ReadBand = Callable[[int], Image]

# Columns of a band that are averaged at a time, since the sums are floats of 64 bits.
COLUMNS = 2048


class Copy(NamedTuple):
    """A smaller copy: its shape, and its encoded tiles in row order."""

    shape: tuple[int, ...]
    pieces: list[Piece]


class Level:
    """A smaller copy that is made band by band, and hands its rows on to the next one.

    Parameters
    ----------
    spool : Path
        Where the tiles of all copies are appended.
    image : ImageHeader
        The whole image.
    coding : str
        How tiles are compressed.
    shapes : sequence of tuple of int
        (rows, columns) of this copy and the smaller ones.
    """

    def __init__(
        self, spool: Path, image: ImageHeader, coding: str, shapes: Sequence[tuple[int, int]]
    ) -> None:
        self.spool, self.image, self.coding = spool, image, coding
        self.shape = (*shapes[0], *image.shape[2:])
        self.pieces: list[Piece] = []
        self.rows: list[Image] = []
        self.smaller = Level(spool, image, coding, shapes[1:]) if len(shapes) > 1 else None

    def add(self, band: Image) -> None:
        """Take the next rows of the image of twice the size: an even number of them but at the end.

        Two bands of `TILE` rows make one of this copy.
        """
        self.rows.append(halved(band, self.image))
        if sum(map(len, self.rows)) >= TILE:
            self.write()

    def write(self) -> None:
        """Encode the rows that are there."""
        band = np.concatenate(self.rows)
        self.rows = []
        ranges = encode_tiles(self.spool, band, self.coding)
        self.pieces += [(self.spool, *each) for each in ranges]
        if self.smaller is not None:
            self.smaller.add(band)

    def finish(self) -> list[Copy]:
        """Encode what is left, and return this copy and the smaller ones."""
        if self.rows:
            self.write()
        others = self.smaller.finish() if self.smaller else []
        return [Copy(self.shape, self.pieces), *others]


def sizes_of(rows: int, columns: int) -> list[tuple[int, int]]:
    """Return (rows, columns) of the smaller copies: halves, down to one tile."""
    found: list[tuple[int, int]] = []
    while max(rows, columns) > TILE:
        rows, columns = -(-rows // 2), -(-columns // 2)
        found.append((rows, columns))
    return found


def smaller_copies(spool: Path, image: ImageHeader, coding: str, read: ReadBand) -> list[Copy]:
    """Make the smaller copies of an image.

    Parameters
    ----------
    spool : Path
        Where their tiles are appended.
    image : ImageHeader
        The image as it is written.
    coding : str
        How tiles are compressed.
    read : callable
        Reads its bands, from top to bottom.

    Returns
    -------
    list of Copy
        The largest first; empty if the image has one tile.
    """
    rows, columns = image.shape[:2]
    sizes = sizes_of(rows, columns)
    if not sizes:
        return []
    level = Level(spool, image, coding, sizes)
    for top in range(0, rows, TILE):
        level.add(read(top))
    return level.finish()


def band_reader(pieces: Sequence[Piece], image: ImageHeader, coding: str) -> ReadBand:
    """Return a function that decodes bands of an image from its encoded tiles."""
    rows, columns = image.shape[:2]
    across = -(-columns // TILE)
    channels = image.colours + image.alpha

    def read(top: int) -> Image:
        first = top // TILE * across
        tiles = [
            decoded_tile(each, coding, image.dtype, channels)
            for each in encoded_pieces(pieces[first : first + across])
        ]
        band = np.concatenate(tiles, axis=1)[: min(TILE, rows - top), :columns]
        return without_channels(band)

    return read


def halved(band: Image, image: ImageHeader) -> Image:
    """Return rows of an image in half size: means of 2 × 2 pixels.

    Pixels without data count for nothing, and colours count by their alpha. Of masks and labels the
    first of four pixels is taken.
    """
    if image.kind in ("mask", "labels") or band.dtype == bool:
        return band[::2, ::2]
    layered = band if band.ndim == 3 else band[..., np.newaxis]
    columns = range(0, layered.shape[1], COLUMNS)
    parts = [means(layered[:, left : left + COLUMNS], image) for left in columns]
    found: Image = np.concatenate(parts, axis=1)
    return found if band.ndim == 3 else found[..., 0]


def means(pixels: Image, image: ImageHeader) -> Image:
    """Return the means of 2 × 2 pixels, (rows, columns, channels)."""
    if not image.alpha and image.nodata is None and pixels.dtype.kind != "f":
        whole: Image = np.rint(fours(pixels.astype(np.float64)) / 4).astype(pixels.dtype)
        return whole
    colours = pixels[..., : image.colours]
    counts = np.ones(pixels.shape)
    lacks = np.isnan(colours) if pixels.dtype.kind == "f" else np.zeros(colours.shape, bool)
    hole = np.nan if pixels.dtype.kind == "f" else 0.0
    if image.nodata is not None and not np.isnan(image.nodata):
        lacks |= colours == image.nodata
        hole = image.nodata
    counts[..., : image.colours][lacks] = 0
    if image.alpha:
        counts[..., :-1] *= pixels[..., -1:]
    weights = fours(counts)
    sums = fours(np.where(counts > 0, pixels, 0) * counts)
    mean = np.divide(sums, weights, out=np.full(sums.shape, hole), where=weights > 0)
    found: Image = (np.rint(mean) if pixels.dtype.kind in "iu" else mean).astype(pixels.dtype)
    return found


def fours(values: Image) -> Image:
    """Add up squares of 2 × 2 values; at an odd border, the last ones are taken twice."""
    down, across = values.shape[0] % 2, values.shape[1] % 2
    even = np.pad(values, ((0, down), (0, across), (0, 0)), mode="edge")
    sums: Image = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return sums
