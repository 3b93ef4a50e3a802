"""Exact moments of regions about the image's corner, from those of small cells.

The moment (p, q) of a region is the sum of value × row**p × column**q over its pixels. Within a
cell of `CELL` × `CELL` pixels, about the cell's corner, it fits 64 bits for values of up to 16
bits. It is then moved to the image's corner in integers of several words, so that the moments of
all tiles can be added.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels.region_sums import Integers, Runs
from cluster_worker.operations.declare import Image
from cluster_worker.operations.support import exact_integers as exact
from cluster_worker.operations.support.exact_integers import Words
from cluster_worker.operations.support.plain_region_sums import mask_of, parts_of

CELL = 64
PLANE_BITS = 16
# powers[p][x] = x**p, and sums[q][x] = 0**q + … + (x - 1)**q.
POWERS = np.arange(CELL) ** np.arange(4)[:, np.newaxis]
SUMS = np.concatenate([np.zeros((4, 1), np.int64), np.cumsum(POWERS, axis=1)], axis=1)


def moment_words(shape: tuple[int, int], power: int, value_bits: int = 1) -> int:
    """Return how many words hold any moment of an image of (rows, columns).

    Parameters
    ----------
    shape : tuple of int
        (rows, columns).
    power : int
        The highest sum of both powers.
    value_bits : int
        Bits of a value.
    """
    side = (max(shape) - 1).bit_length()
    return exact.word_count(power * side + (shape[0] * shape[1]).bit_length() + value_bits)


class Pieces(NamedTuple):
    """Runs of a tile, cut where columns of cells begin; rows and columns are those of the image."""

    slots: Integers
    rows: Integers
    starts: Integers
    stops: Integers
    cells: Integers
    order: NDArray[np.intp]
    firsts: NDArray[np.intp]

    @property
    def of_cells(self) -> NDArray[np.intp]:
        """One piece of each cell of a region."""
        return self.order[self.firsts]


def pieces_of(runs: Runs, top: int, left: int) -> Pieces:
    """Cut the runs of a tile whose first row and column are `top` and `left`."""
    starts, stops = runs.starts + left, runs.stops + left
    counts = (stops - 1) // CELL - starts // CELL + 1
    owners = np.repeat(np.arange(starts.size), counts)
    within = np.arange(owners.size) - np.repeat(np.cumsum(counts) - counts, counts)
    cells = starts[owners] // CELL + within
    slots, rows = runs.slots[owners], runs.rows[owners] + top
    order = np.lexsort((cells, rows // CELL, slots))
    keys = np.stack([slots, rows // CELL, cells])[:, order]
    firsts = np.flatnonzero(np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)))
    return Pieces(
        slots,
        rows,
        np.maximum(starts[owners], cells * CELL),
        np.minimum(stops[owners], (cells + 1) * CELL),
        cells,
        order,
        firsts[: order.size],
    )


def binary_moments(pieces: Pieces, regions: int, highest: int, words: int) -> Words:
    """Return (regions, highest + 1, highest + 1, words): the moments of regions of equal pixels."""
    origin = pieces.cells * CELL
    lines = SUMS[:, pieces.stops - origin] - SUMS[:, pieces.starts - origin]
    return from_lines(pieces, lines, regions, highest, words)


def weighted_moments(
    values: Image, runs: Runs, pieces: Pieces, regions: int, highest: int, words: int
) -> Words:
    """Return the moments weighted by integers of up to 16 bits, as `binary_moments` does."""
    found = values[mask_of(runs, values.shape)].astype(np.int64)
    lines = value_lines(found, pieces, highest)
    return from_lines(pieces, lines, regions, highest, words)


def value_lines(found: Integers, pieces: Pieces, highest: int) -> Integers:
    """Return for each power of the column the sum over each piece's values."""
    lengths = pieces.stops - pieces.starts
    firsts = np.cumsum(lengths) - lengths
    if firsts.size == 0:
        return np.zeros((highest + 1, 0), np.int64)
    within = np.arange(found.size) - np.repeat(firsts, lengths)
    columns = np.repeat(pieces.starts - pieces.cells * CELL, lengths) + within
    return np.stack(
        [np.add.reduceat(found * POWERS[q][columns], firsts) for q in range(highest + 1)]
    )


def from_lines(pieces: Pieces, lines: Integers, regions: int, highest: int, words: int) -> Words:
    """Add up pieces to cells, move cells to the image's corner, and add them up to regions."""
    sums = np.zeros((pieces.firsts.size, highest + 1, highest + 1), np.int64)
    rows = pieces.rows % CELL
    for p in range(highest + 1):
        for q in range(highest + 1):
            if highest == 3 or p + q <= highest:
                each = (lines[q] * POWERS[p][rows])[pieces.order]
                sums[:, p, q] = np.add.reduceat(each, pieces.firsts) if each.size else each
    one = pieces.of_cells
    moments = exact.words_of(sums, words)
    moments = exact.shifted(moments, pieces.rows[one] // CELL * CELL, 1)
    moments = exact.shifted(moments, pieces.cells[one] * CELL, 2)
    return summed(moments, pieces.slots[one], regions)


def summed(words: Words, slots: Integers, regions: int) -> Words:
    """Add up integers by slots, which rise; every region has some."""
    if regions == 0:
        return words[:0]
    firsts = np.searchsorted(slots, np.arange(regions))
    return exact.carried(np.add.reduceat(words.astype(np.uint64), firsts, axis=0))


def float_moments(
    values: Image,
    runs: Runs,
    pieces: Pieces,
    regions: int,
    highest: int,
    shape: tuple[int, int],
) -> tuple[Words, int]:
    """Return the moments weighted by floats, and the place of their lowest word.

    The floats are cut into planes of `PLANE_BITS` bits, and each plane is a weight. What is not
    finite counts as 0.

    Returns
    -------
    ndarray of uint32
        As `binary_moments` returns, in units of 2**(32 × place).
    int
        The place.
    """
    found = values[mask_of(runs, values.shape)].astype(np.float64)
    sizes, exponents, signs = parts_of(np.where(np.isfinite(found), found, 0.0))
    low, high = bits_between(sizes, exponents)
    power = 2 * highest if highest == 3 else highest
    words = moment_words(shape, power, max(high - 32 * low, 1) + 1)
    total = np.zeros((regions, highest + 1, highest + 1, words), np.uint32)
    for plane in range(32 * low, high, PLANE_BITS):
        part = bits_from(sizes, plane - exponents) * signs
        if part.any():
            lines = value_lines(part, pieces, highest)
            moments = from_lines(pieces, lines, regions, highest, words)
            place, rest = divmod(plane - 32 * low, 32)
            moments = exact.times(moments, np.array(1 << rest))
            total = exact.added(total, exact.moved(moments, place, words + place)[..., :words])
    return total, low


def bits_between(sizes: Integers, exponents: Integers) -> tuple[int, int]:
    """Return the lowest word of 32 bits that floats need, and the bit after their highest."""
    some = sizes != 0
    if not some.any():
        return 0, 0
    return int(exponents[some].min()) // 32, int(exponents[some].max()) + 53


def bits_from(sizes: Integers, shifts: Integers) -> Integers:
    """Return `PLANE_BITS` bits of integers of 53 bits, from the bit `shifts` on."""
    right = sizes >> np.clip(shifts, 0, 63)
    left = sizes << np.clip(-shifts, 0, PLANE_BITS)
    return np.where(shifts >= 0, right, np.where(shifts > -PLANE_BITS, left, 0)) & 0xFFFF


def moments_of(words: Words, low: int, origin: Any) -> NDArray[np.float64]:
    """Return moments about other points than the image's corner, as floats.

    Parameters
    ----------
    words : ndarray of uint32
        (regions, powers, powers, words): moments about the image's corner.
    low : int
        Place of the lowest word.
    origin : ndarray of int64
        (regions, 2): row and column of the point.
    """
    about = exact.shifted(exact.shifted(words, -origin[:, 0], 1), -origin[:, 1], 2)
    return exact.as_floats(about, exact.WORD_BITS * low)
