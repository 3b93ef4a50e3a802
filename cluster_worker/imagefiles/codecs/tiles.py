"""A picture in tiles at every zoom, in one file, for a page that shows a part of a large one.

The file begins with `HEAD`. Offset and length of every tile follow (`ENTRY`), from the whole
picture down, each level half the size of the one before, to the first that is a single tile; within
a level in row order. Then come the tiles, each a JPEG, in the order in which they were made. So a
page reads head and index by one range of bytes and every tile by another, and the store holds one
object instead of thousands.
"""

import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
from imagecodecs import jpeg8_encode

from cluster_worker.imagefiles.codecs.header import Image
from cluster_worker.imagefiles.codecs.threads import in_threads

# Rows and columns of a tile; even, so that its half is the half of the picture there.
SIDE = 512

MAGIC, VERSION = b"DIPT", 1
# Magic, version, side of a tile, columns and rows of the picture.
HEAD = struct.Struct("<4sHHII")
ENTRY = np.dtype([("offset", "<u8"), ("bytes", "<u4")])

# To be looked at, not to be computed with; colour is kept at full resolution, as in a result.
QUALITY = 90
SUBSAMPLING = "444"


def level_shapes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Give (rows, columns) of each level, from the whole picture to the first of one tile."""
    found = [(shape[0], shape[1])]
    while max(found[-1]) > SIDE:
        rows, columns = found[-1]
        found.append((-(-rows // 2), -(-columns // 2)))
    return found


def tile_count(shape: tuple[int, int]) -> int:
    """Count the tiles of a level."""
    rows, columns = shape
    return -(-rows // SIDE) * -(-columns // SIDE)


@dataclass
class Level:
    """One zoom of a picture, and those of its rows that still wait to be cut into tiles.

    Attributes
    ----------
    columns, left : int
        Columns of the level, and rows that are still to come.
    entry : int
        Where its next tile stands in the index.
    strip : ndarray
        Room for a row of tiles.
    filled : int
        Rows in it.
    """

    columns: int
    left: int
    entry: int
    strip: Image
    filled: int = 0


class Pyramid:
    """A picture in tiles that is written from top to bottom, a few rows at a time.

    It holds two rows of tiles, whatever the number of rows.

    Parameters
    ----------
    path : Path
        The file to write.
    shape : tuple of int
        (rows, columns) or (rows, columns, 3) of the picture.

    Raises
    ------
    OSError
        If the file cannot be written; from `add` and `finish` too.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        shapes = level_shapes(shape)
        counts = [tile_count(each) for each in shapes]
        self.shape = shape
        self.index = np.zeros(sum(counts), ENTRY)
        self.levels = [
            Level(
                columns,
                rows,
                sum(counts[:number]),
                np.empty((min(SIDE, rows), columns, *shape[2:]), np.uint8),
            )
            for number, (rows, columns) in enumerate(shapes)
        ]
        self.file = path.open("wb")
        self.file.seek(HEAD.size + self.index.nbytes)

    def add(self, band: Image) -> None:
        """Take the next rows, of uint8."""
        self.take(0, band)

    def take(self, number: int, band: Image) -> None:
        """Take the next rows of a level, and cut its strip whenever that is full."""
        level = self.levels[number]
        while len(band):
            some = band[: len(level.strip) - level.filled]
            level.strip[level.filled : level.filled + len(some)] = some
            level.filled += len(some)
            level.left -= len(some)
            band = band[len(some) :]
            if level.filled == len(level.strip) or level.left == 0:
                self.cut(number)

    def cut(self, number: int) -> None:
        """Write a strip's tiles, and give the next level half of it."""
        level = self.levels[number]
        strip, level.filled = level.strip[: level.filled], 0
        is_last = number + 1 == len(self.levels)
        corners = range(0, level.columns, SIDE)
        nbytes = SIDE * strip[:, :SIDE].nbytes // max(1, len(strip))
        halves = []
        for encoded, half in in_threads(partial(cut_tile, strip, is_last), corners, nbytes):
            self.index[level.entry] = self.file.tell(), len(encoded)
            level.entry += 1
            self.file.write(encoded)
            halves.append(half)
        if not is_last:
            self.take(number + 1, np.concatenate(halves, axis=1))

    def finish(self) -> None:
        """Write head and index, once all rows were taken."""
        with self.file as file:
            file.seek(0)
            rows, columns = self.shape[:2]
            file.write(HEAD.pack(MAGIC, VERSION, SIDE, columns, rows))
            file.write(self.index.tobytes())

    def close(self) -> None:
        """Give the picture up."""
        self.file.close()


def cut_tile(strip: Image, is_last: bool, left: int) -> tuple[bytes, Image]:
    """Encode one tile, and give its half unless nothing asks for that; called by threads."""
    tile = np.ascontiguousarray(strip[:, left : left + SIDE])
    encoded: bytes = jpeg8_encode(tile, QUALITY, subsampling=SUBSAMPLING)
    return encoded, tile if is_last else halved(tile)


def halved(tile: Image) -> Image:
    """Give the means of 2 × 2 pixels each; of fewer at an odd end."""
    return np.asarray(PIL.Image.fromarray(tile).reduce(2))
