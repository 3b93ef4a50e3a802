"""The values of an image in tiles, in one file, for a page that shows them as they are.

Pictures for a screen have eight bits, so the page reads values and histograms from this file. It
begins with `HEAD`. The index follows: offset and length of every tile (`ENTRY`) in row order. Then
come the tiles: the samples of their pixels in row order, all first bytes, then all second bytes,
and so on, as a zlib stream. A summary in JSON ends the file. Offsets count from the head, since the
file may be part of another.
"""

import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib

from cluster_worker.imagefiles.codecs.header import Image
from cluster_worker.imagefiles.codecs.threads import in_threads
from cluster_worker.imagefiles.viewing import has_data
from cluster_worker.pixels.header import ImageHeader

# Rows and columns of a tile. A page reads a whole tile for one pixel, so tiles are small.
SIDE = 256

MAGIC, VERSION = b"DIPV", 1
# Magic, version, side of a tile, columns and rows of the image, offset and length of the summary;
# little-endian.
HEAD = struct.Struct("<4sHHIIQI")
ENTRY = np.dtype([("offset", "<u8"), ("bytes", "<u4")])

# The fastest level: what it saves of tiles in motion is not worth the time of the others.
LEVEL = 1

# Types that browsers have no arrays of, and those in which the samples are stored instead. Whole
# numbers beyond 2⁵³ are rounded.
STORED = {"bool": "uint8", "float16": "float32", "int64": "float64", "uint64": "float64"}

# Bins of a histogram, at most.
BINS = 256
# Rows that are counted at a time: as int64 they take up to eight times the memory of the image.
COUNTED_ROWS = 32


class Counter:
    """Counts the values of each channel, for a histogram.

    Values of at most 16 bits are counted one by one. Others are counted in `BINS` bins over a range
    that must be known before; values beyond it count in the first or last bin. Values that are not
    finite, and that of pixels without data, are not counted.

    Parameters
    ----------
    image : ImageHeader
        The image.
    expected : tuple of float
        The smallest and the largest value, as far as they are known.

    Attributes
    ----------
    counts : ndarray
        (channels, values or bins).
    """

    def __init__(self, image: ImageHeader, expected: tuple[float, float]) -> None:
        self.image = image
        kind = np.dtype(image.dtype)
        self.is_exact = kind.kind == "b" or (kind.kind in "iu" and kind.itemsize <= 2)
        if self.is_exact:
            self.first = 0 if kind.kind in "bu" else int(np.iinfo(kind).min)
            size = 2 if kind.kind == "b" else 1 << (8 * kind.itemsize)
        else:
            self.low, self.high = expected
            size = BINS
        channels = image.shape[2] if len(image.shape) == 3 else 1
        self.counts = np.zeros((channels, size), np.int64)

    def add(self, band: Image) -> None:
        """Count the values of some rows, (rows, columns, channels)."""
        for top in range(0, len(band), COUNTED_ROWS):
            rows = band[top : top + COUNTED_ROWS]
            known = has_data(rows, self.image)
            for channel, counts in enumerate(self.counts):
                values = rows[..., channel]
                values = values.ravel() if known is None else values[known[..., channel]]
                counts += np.bincount(self.bins_of(values), minlength=len(counts))

    def bins_of(self, values: Image) -> Image:
        """Return the bin of each finite value."""
        if self.is_exact:
            return values.astype(np.int64) - self.first
        scale = BINS / ((self.high - self.low) or 1.0)
        bins: Image = np.clip((values.astype(np.float64) - self.low) * scale, 0, BINS - 1).astype(
            np.int64
        )
        return bins

    def histogram(self) -> dict[str, Any]:
        """Return the histogram: its ends, and the counts of equal bins for each channel."""
        if not self.is_exact:
            return {"low": self.low, "high": self.high, "counts": self.counts.tolist()}
        used = np.flatnonzero(self.counts.any(axis=0))
        size = self.counts.shape[1]
        # Images of 8 bits and masks are shown over their whole range, as everywhere.
        first, last = (used[0], used[-1]) if size > BINS else (0, size - 1)
        width = -(-(last + 1 - first) // BINS)
        bins = -(-(last + 1 - first) // width)
        padded = np.zeros((len(self.counts), bins * width), np.int64)
        padded[:, : last + 1 - first] = self.counts[:, first : last + 1]
        low = int(self.first + first)
        counts = padded.reshape(len(padded), bins, width).sum(axis=2)
        return {"low": low, "high": low + int(bins * width), "counts": counts.tolist()}


class ValuesWriter:
    """Writes the values of an image from top to bottom, some rows of tiles at a time.

    Parameters
    ----------
    path : Path
        The file to write.
    image : ImageHeader
        Its shape, dtype, kind, alpha and value without data.
    limits, expected : tuple of float
        Values shown as black and as white; smallest and largest value, as far as they are known.

    Raises
    ------
    OSError
        If the file cannot be written; `add` and `finish` raise it too.
    """

    def __init__(
        self,
        path: Path,
        image: ImageHeader,
        limits: tuple[float, float],
        expected: tuple[float, float],
    ) -> None:
        self.path = path
        self.image = image
        self.dtype = image.dtype
        self.limits = limits
        self.counter = Counter(image, expected)
        rows, columns = image.shape[:2]
        self.index = np.zeros(-(-rows // SIDE) * -(-columns // SIDE), ENTRY)
        self.entry = 0
        self.added = 0
        self.file = path.open("wb")
        self.file.seek(HEAD.size + self.index.nbytes)

    def add(self, band: Image) -> None:
        """Add the next rows; all bands but the last have a multiple of `SIDE` rows.

        Raises
        ------
        ValueError
            If the band before had another number of rows.
        """
        if self.added % SIDE:
            raise ValueError(f"band: must begin at a multiple of {SIDE} rows, got {self.added}")
        self.added += len(band)
        pixels = band.reshape(*band.shape[:2], -1)
        self.counter.add(pixels)
        stored = np.dtype(STORED.get(self.dtype, self.dtype)).newbyteorder("<")
        corners = [
            (top, left)
            for top in range(0, len(band), SIDE)
            for left in range(0, band.shape[1], SIDE)
        ]
        nbytes = SIDE * SIDE * pixels.shape[2] * stored.itemsize
        for tile in in_threads(partial(packed_tile, pixels, stored), corners, nbytes):
            self.index[self.entry] = self.file.tell(), len(tile)
            self.entry += 1
            self.file.write(tile)

    def finish(self) -> None:
        """Write summary, head and index, after all rows were added, and close the file."""
        rows, columns = self.image.shape[:2]
        summary = json.dumps(
            {
                "dtype": self.dtype,
                "stored": STORED.get(self.dtype, self.dtype),
                "channels": len(self.counter.counts),
                "alpha": self.image.alpha,
                "limits": self.limits,
                "histogram": self.counter.histogram(),
            }
        ).encode()
        with self.file as file:
            place = file.tell()
            file.write(summary)
            file.seek(0)
            file.write(HEAD.pack(MAGIC, VERSION, SIDE, columns, rows, place, len(summary)))
            file.write(self.index.tobytes())

    def close(self) -> None:
        """Close the file of values that will not be completed."""
        self.file.close()


def packed_tile(pixels: Image, stored: np.dtype[Any], corner: tuple[int, int]) -> bytes:
    """Compress one tile, each byte of the samples apart; called by threads."""
    top, left = corner
    tile = np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE], stored)
    apart = tile.reshape(-1).view(np.uint8).reshape(-1, stored.itemsize).T
    content: bytes = isal_zlib.compress(apart.tobytes(), LEVEL)
    return content
