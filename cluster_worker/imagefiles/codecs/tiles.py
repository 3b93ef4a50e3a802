"""A picture in tiles at every zoom level, in one file, for a page that shows a section of it.

The file begins with `HEAD`. The index follows: offset and length of every tile (`ENTRY`). The first
level is the whole picture, each further level has half its size, and the last level is a single
tile. Within a level the index is in row order. Then come the tiles, each a JPEG, in the order in
which they were made. The image's own values may follow (`codecs.values`), at an offset that the
head tells. A page reads head and index by one byte range and each tile by another, and the object
store holds one object instead of thousands.
"""

import shutil
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
from imagecodecs import jpeg8_encode

from cluster_worker.imagefiles.codecs.header import Image
from cluster_worker.imagefiles.codecs.threads import in_threads

# Rows and columns of a tile; even, so that each tile can be halved by itself.
SIDE = 512

MAGIC, VERSION = b"DIPT", 2
# Magic, version, side of a tile, columns and rows of the picture, offset of the values or 0;
# little-endian.
HEAD = struct.Struct("<4sHHIIQ")
ENTRY = np.dtype([("offset", "<u8"), ("bytes", "<u4")])

# For display only, so lower than for results. Chroma is not subsampled, as in results.
QUALITY = 90
SUBSAMPLING = "444"


def level_shapes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (rows, columns) of each level, from the whole picture to the first of one tile."""
    found = [(shape[0], shape[1])]
    while max(found[-1]) > SIDE:
        rows, columns = found[-1]
        found.append((-(-rows // 2), -(-columns // 2)))
    return found


def tile_count(shape: tuple[int, int]) -> int:
    """Count the tiles of a level of (rows, columns)."""
    rows, columns = shape
    return -(-rows // SIDE) * -(-columns // SIDE)


@dataclass
class Level:
    """One zoom level of a picture, with the rows that are not cut into tiles yet.

    Attributes
    ----------
    columns, remaining : int
        Columns of the level, and rows that have not been added yet.
    entry : int
        Index entry of its next tile.
    strip : ndarray
        Buffer for one row of tiles, of uint8.
    filled : int
        Rows of the buffer in use.
    """

    columns: int
    remaining: int
    entry: int
    strip: Image
    filled: int = 0


class Pyramid:
    """Writes a picture in tiles from top to bottom, a few rows at a time.

    It holds one row of tiles for each level, about two rows of tiles of the whole picture, however
    many rows the picture has.

    Parameters
    ----------
    path : Path
        The file to write.
    shape : tuple of int
        (rows, columns) or (rows, columns, 3) of the picture.

    Raises
    ------
    OSError
        If the file cannot be written; `add` and `finish` raise it too.
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
        """Add the next rows of the picture, of uint8."""
        self.add_to_level(0, band)

    def add_to_level(self, number: int, band: Image) -> None:
        """Add the next rows of a level; write its tiles whenever its buffer is full."""
        level = self.levels[number]
        while len(band):
            some = band[: len(level.strip) - level.filled]
            level.strip[level.filled : level.filled + len(some)] = some
            level.filled += len(some)
            level.remaining -= len(some)
            band = band[len(some) :]
            if level.filled == len(level.strip) or level.remaining == 0:
                self.write_tiles(number)

    def write_tiles(self, number: int) -> None:
        """Write the tiles in a level's buffer, and add them at half the size to the next level."""
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
            self.add_to_level(number + 1, np.concatenate(halves, axis=1))

    def finish(self, values: Path | None = None) -> None:
        """Write head and index, after all rows were added, and close the file.

        Parameters
        ----------
        values : Path, optional
            File of the image's values, which is appended.
        """
        with self.file as file:
            place = file.tell() if values else 0
            if values:
                with values.open("rb") as source:
                    shutil.copyfileobj(source, file)
            file.seek(0)
            rows, columns = self.shape[:2]
            file.write(HEAD.pack(MAGIC, VERSION, SIDE, columns, rows, place))
            file.write(self.index.tobytes())

    def close(self) -> None:
        """Close the file of a picture that will not be completed."""
        self.file.close()


def cut_tile(strip: Image, is_last: bool, left: int) -> tuple[bytes, Image]:
    """Encode one tile, and halve it unless this is the last level; called by threads."""
    tile = np.ascontiguousarray(strip[:, left : left + SIDE])
    encoded: bytes = jpeg8_encode(tile, QUALITY, subsampling=SUBSAMPLING)
    return encoded, tile if is_last else halved(tile)


def halved(tile: Image) -> Image:
    """Return a tile at half the size: means of 2 × 2 pixels, or of fewer at an odd border."""
    return np.asarray(PIL.Image.fromarray(tile).reduce(2))
