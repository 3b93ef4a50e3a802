"""Whole numbers by tables: what becomes of each level is found once, and looked up for each pixel.

The table is what the operation's own function makes of an image that holds every level.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, copies, lazily, rows_of
from cluster_worker.kernels.copies import STREAMED_BYTES, lines_of
from cluster_worker.kernels.framed import is_in_rows
from cluster_worker.pixels.depths import to_depth

loops = lazily("cluster_worker.kernels.loops.tables")
opencv = lazily("cluster_worker.kernels.opencv")

# OpenCV counts in float32, which is exact up to here.
COUNT_MAX = 1 << 24
# Pixels from which on it is worth to count pairs.
PAIRED = 1 << 18
Histogram = NDArray[np.intp]
# From a histogram of all levels to what the operation measures.
Statistics = Callable[[Histogram], tuple[Any, ...]]


def tally(image: Image) -> Histogram:
    """Count the pixels of each level of uint8 or uint16."""
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
    """Count the pixels of each level of uint8; the values of a row lie side by side."""
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
    """Give the least and the greatest level."""
    dtype = "uint8" if histogram.size == 1 << 8 else "uint16"
    least, greatest = np.flatnonzero(histogram)[[0, -1]].astype(dtype)
    return least, greatest


def extent_alone(histogram: Histogram) -> tuple[Any, ...]:
    """Measure what `statistics.EXTENT` does."""
    return (extent(histogram),)


def extent_and_counts(histogram: Histogram) -> tuple[Any, ...]:
    """Measure least and greatest level, and all counts."""
    return extent(histogram), histogram


class Table(NamedTuple):
    """What becomes of each level.

    Attributes
    ----------
    values, words : ndarray
        (levels,) of any type, and the same as whole numbers of as many bytes.
    way : callable, optional
        From an image to its result, if one comparison or none does what the table does.
    """

    values: Image
    words: Image
    way: Callable[[Image, Image], None] | None

    @classmethod
    def of(cls, values: Image) -> "Table":
        """Find out how a table is best looked up."""
        # Any type is so many bytes.
        words = np.require(values, requirements=["C", "W"]).view(f"uint{8 * values.itemsize}")
        return cls(values, words, way_of(values))


def way_of(table: Image) -> Callable[[Image, Image], None] | None:
    """Find a way to do what a table does by one comparison or none."""
    jumps = np.flatnonzero(table[1:] != table[:-1])
    if table.dtype == bool and len(jumps) == 1 and table[-1]:
        return partial(copies.cut, level=int(jumps[0]), white=1)
    if table.dtype.kind != "u" or table.size != np.iinfo(table.dtype).max + 1:
        return None
    if len(jumps) == 1 and table[0] == 0:
        return partial(copies.cut, level=int(jumps[0]), white=int(table[-1]))
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
    """Give what becomes of each level; the tiles of an image ask for the same."""
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)[np.newaxis]
    if counted is None:
        table = model(levels)
    else:
        histogram = np.frombuffer(counted, np.intp)
        # What is not in the image may lie where the operation knows nothing.
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
    """Look pixels up in the table of an operation that sees one pixel at a time.

    Parameters
    ----------
    image : ndarray
        A core, of uint8 or uint16.
    measured : callable
        If there is a histogram, what becomes of it for the operation.
    statistics : tuple of ndarray
        The histogram of the whole image, if the operation measures it.
    model : callable
        The operation's function.
    target : str or None
        The type to round to.
    out : ndarray or None
        Array for the result; None makes a new one.
    """
    counted = statistics[0].tobytes() if statistics else None
    table = table_of(model, image.dtype, counted, measured, target)
    result = np.empty(image.shape, table.values.dtype) if out is None else out
    look_up(image, table, result)
    return result


def look_up(image: Image, table: Image | Table, result: Image) -> None:
    """Replace levels by what a table holds for them.

    Parameters
    ----------
    image : ndarray
        Of uint8 or uint16.
    table : ndarray or Table
        (levels,) of any type.
    result : ndarray
        Of the image's shape and the table's type.

    Raises
    ------
    ValueError
        If one does not fit the others: loops over addresses know no bounds.
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
    if table.way is not None:
        table.way(source, target)
    elif is_bytes and loops.PERMUTES and count >= loops.VECTOR_BYTES:
        # Where a row ends, bytes are written twice, which is dear past the caches.
        streams = start != to and height == 1 and result.nbytes >= STREAMED_BYTES
        loops.replace_bytes(table.words, start, to, height, count, streams)
    else:
        loops.replace(np.empty(0, image.dtype), table.words, start, to, height, count)
    if target is not result:
        result[...] = target
