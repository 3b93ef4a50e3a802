"""Lookup tables for operations that see one pixel at a time, for images of integers.

The operation's own function is called once, on an image that holds every level. Its result is the
table, in which each pixel is looked up.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, copies, rows_of
from cluster_worker.kernels.copies import STREAMED_BYTES, lines_of
from cluster_worker.kernels.framed import is_in_rows
from cluster_worker.lazy import lazily
from cluster_worker.pixels.depths import to_depth

loops = lazily("cluster_worker.kernels.loops.tables")
opencv = lazily("cluster_worker.kernels.opencv")

# OpenCV counts in float32, which is exact up to this number.
COUNT_MAX = 1 << 24
# Images of this many pixels or more are counted in pairs of pixels, which is then faster.
PAIRED = 1 << 18
Histogram = NDArray[np.intp]
# Takes a histogram of all levels, and returns the statistics of the operation.
Statistics = Callable[[Histogram], tuple[Any, ...]]


def tally(image: Image) -> Histogram:
    """Count the pixels of each level of a uint8 or uint16 image: the histogram has all levels."""
    if image.dtype == np.uint8:
        return tally_bytes(image if is_in_rows(image) else np.ascontiguousarray(image))
    rows = rows_of(image)
    levels = 1 << 16
    counted = np.zeros(levels, np.intp)
    step = max(COUNT_MAX // rows.shape[1], 1)
    for top in range(0, len(rows), step):
        found = opencv.cv2.calcHist([rows[top : top + step]], [0], None, [levels], [0, levels])
        counted += found.ravel().astype(np.intp)
    return counted


def tally_bytes(image: Image) -> Histogram:
    """Count the pixels of each level of a uint8 image; the values of a row must be adjacent."""
    total: Histogram
    [source], height, values = lines_of(image)
    if image.size < PAIRED:
        counts = np.zeros((loops.COUNTS, 1 << 8), np.intp)
        loops.count(source, height, values, counts)
        total = counts.sum(0)
        return total
    pairs, rest = np.zeros((1 << 8, 1 << 8), np.uint32), np.zeros(1 << 8, np.intp)
    loops.count_pairs(source, height, values, pairs.reshape(-1), rest)
    total = rest + pairs.sum(0, dtype=np.intp) + pairs.sum(1, dtype=np.intp)
    return total


def extent(histogram: Histogram) -> tuple[Any, Any]:
    """Return the least and the greatest level that occur, in the type of the levels."""
    dtype = "uint8" if histogram.size == 1 << 8 else "uint16"
    least, greatest = np.flatnonzero(histogram)[[0, -1]].astype(dtype)
    return least, greatest


def extent_alone(histogram: Histogram) -> tuple[Any, ...]:
    """Return the statistics that `operations.support.statistics.EXTENT` measures."""
    return (extent(histogram),)


def extent_and_counts(histogram: Histogram) -> tuple[Any, ...]:
    """Return the extent of the levels, and the histogram."""
    return extent(histogram), histogram


class Table(NamedTuple):
    """The result of each level.

    Attributes
    ----------
    values, words : ndarray
        (levels,) of any type, and the same bytes as unsigned integers of that size.
    shortcut : callable, optional
        ``shortcut(image, out)`` writes what the table would give, with one comparison or none.
    """

    values: Image
    words: Image
    shortcut: Callable[[Image, Image], None] | None

    @classmethod
    def of(cls, values: Image) -> "Table":
        """Make a table of its values, and find its shortcut."""
        # The loops only move the bytes of a value, whatever its type.
        words = np.require(values, requirements=["C", "W"]).view(f"uint{8 * values.itemsize}")
        return cls(values, words, shortcut_of(values))


def shortcut_of(table: Image) -> Callable[[Image, Image], None] | None:
    """Return a function that does the same as a table by one comparison or none, or None.

    There is one for a threshold, a copy, and an inversion.
    """
    jumps = np.flatnonzero(table[1:] != table[:-1])
    if table.dtype == bool and len(jumps) == 1 and table[-1]:
        return partial(copies.threshold, level=int(jumps[0]), white=1)
    if table.dtype.kind != "u" or table.size != np.iinfo(table.dtype).max + 1:
        return None
    if len(jumps) == 1 and table[0] == 0:
        return partial(copies.threshold, level=int(jumps[0]), white=int(table[-1]))
    levels = np.arange(table.size)
    if np.array_equal(table, levels):
        return copies.copy
    return copies.invert if np.array_equal(table, levels[::-1]) else None


@lru_cache(maxsize=8)
def table_of(
    model: Callable[..., Image],
    dtype: np.dtype[Any],
    counted: bytes | None,
    measured: Statistics,
    target: str | None,
) -> Table:
    """Compute the table of an operation. It is cached, since all tiles of an image need the same.

    Parameters
    ----------
    model : callable
        The operation's function.
    dtype : dtype
        Type of the image: uint8 or uint16.
    counted : bytes or None
        The histogram of the whole image, if the operation needs statistics.
    measured : callable
        From the histogram to the statistics.
    target : str or None
        Type to round the result to; None keeps the type of the function's result.
    """
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)[np.newaxis]
    if counted is None:
        table = model(levels)
    else:
        histogram = np.frombuffer(counted, np.intp)
        # Levels outside the image's extent may be values that the operation cannot handle.
        levels = np.clip(levels, *extent(histogram))
        table = model(levels, statistics=measured(histogram))
    if target is not None:
        # Labels keep their numbers.
        table = table.astype(target) if table.dtype == np.int64 else to_depth(table, target)
    return Table.of(table[0])


def looked_up(
    image: Image,
    *,
    measured: Statistics = extent_alone,
    statistics: tuple[Histogram, ...] = (),
    model: Callable[..., Image],
    target: str | None,
    out: Image | None,
    **_: Any,
) -> Image:
    """Look up the pixels of a core in the table of an operation that sees one pixel at a time.

    Parameters
    ----------
    image : ndarray
        The core, of uint8 or uint16.
    measured : callable
        From the histogram to the statistics of the operation, if there is a histogram.
    statistics : tuple of ndarray
        The histogram of the whole image, if the operation needs statistics.
    model : callable
        The operation's function.
    target : str or None
        Type to round the result to; None keeps the type of the function's result.
    out : ndarray or None
        Array for the result; None makes a new one.
    """
    counted = statistics[0].tobytes() if statistics else None
    table = table_of(model, image.dtype, counted, measured, target)
    result = np.empty(image.shape, table.values.dtype) if out is None else out
    look_up(image, table, result)
    return result


def look_up(image: Image, table: Image | Table, result: Image) -> None:
    """Replace each level of an image by its value in a table.

    Parameters
    ----------
    image : ndarray
        Image of uint8 or uint16.
    table : ndarray or Table
        (levels,): a value for every level of the image's type, of any type.
    result : ndarray
        Array of the image's shape and the table's type; it may be the image.

    Raises
    ------
    ValueError
        If shapes or types do not fit: the loops work on addresses, and check no bounds.
    """
    table = table if isinstance(table, Table) else Table.of(table)
    values = table.values
    expected = (image.shape, values.dtype, (np.iinfo(image.dtype).max + 1,))
    if (result.shape, result.dtype, values.shape) != expected:
        raise ValueError(
            f"a table of {values.shape} {values.dtype} and a result of {result.shape} "
            f"{result.dtype} do not fit an image of {image.shape} {image.dtype}"
        )
    source = image if is_in_rows(image) else np.ascontiguousarray(image)
    target = result if is_in_rows(result) else np.empty(result.shape, result.dtype)
    (start, to), height, count = lines_of(source, target)
    is_bytes = image.itemsize == values.itemsize == 1
    if table.shortcut is not None:
        table.shortcut(source, target)
    elif is_bytes and loops.PERMUTES and count >= loops.VECTOR_BYTES:
        # The last bytes of a row are written twice, which is expensive past the caches.
        streams = start != to and height == 1 and result.nbytes >= STREAMED_BYTES
        loops.replace_bytes(table.words, start, to, height, count, streams)
    else:
        loops.replace(np.empty(0, image.dtype), table.words, start, to, height, count)
    if target is not result:
        result[...] = target
