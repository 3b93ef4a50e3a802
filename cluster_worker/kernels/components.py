"""Connected regions of a tile, with compiled loops.

The pixels of a region get a *code*; the docstring of `operations.support.propagation` defines it.
Where an operation wants only some regions, pixels get a *seat* instead:

- 0 where the pixel is not wanted, 1 where it is wanted;
- 2n + 1 or 2n for a region that touches the tile's edge, because it may continue in the next tile:
  2n + 1 if it has marks in this tile, 2n if not. n counts such regions of the tile from 1.

The seats of a mask are uint32. The seats of labels are uint64, with the label in the upper half. If
a tile has no seats, its first pixel is `NOTHING` and its other pixels must not be read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, core_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.components")
bit_runs = lazily("cluster_worker.kernels.loops.bit_runs")

Codes = NDArray[np.uint64]
Seats = NDArray[Any]

NOTHING = (1 << 32) - 1
# The bits of a seat of 64 bits below its label.
SEAT_MASK = np.uint64(NOTHING)


def regions(
    values: Image,
    background: int,
    connectivity: int,
    place: Place,
    *,
    out: Image | None = None,
) -> Codes:
    """Find the regions of equal values, and write their codes, whose facts are sizes in pixels.

    Parameters
    ----------
    values : ndarray of bool or int64
        (rows, columns).
    background : int
        The value that belongs to no region.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    place : Place
        Where the block lies in the whole image; it has no halo.
    out : ndarray of uint64, optional
        For the result.
    """
    starts, stops, parents, rows = runs_of(values, background, connectivity)
    facts = np.zeros(rows[-1], np.uint64)
    loops.add_sizes(starts, stops, parents, facts)
    with core_of(values, place.window, "uint64", out) as codes:
        first = first_number(place)
        loops.write_codes(starts, stops, parents, rows, facts, first, place.shape[1], codes)
    return codes if out is None else out


def runs_of(values: Image, background: int, connectivity: int) -> tuple[NDArray[np.int32], ...]:
    """Find the runs of equal values, and which runs belong to one region.

    Parameters
    ----------
    values : ndarray of bool, or of integers
        (rows, columns).
    background : int
        The value that belongs to no region; of a mask it is 0.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.

    Returns
    -------
    starts, stops : ndarray of int32
        (runs,): first column of each run, and the column after its last.
    parents : ndarray of int32
        (runs,): the first run of each run's region.
    rows : ndarray of int32
        (rows + 1,): the first run of each row, and the number of runs.
    """
    is_mask = values.dtype.kind == "b"
    values = plain(values)
    most = bit_runs.count_runs(values) if is_mask else loops.count_runs(values)
    starts, stops, parents = np.empty((3, most), np.int32)
    rows = np.empty(len(values) + 1, np.int32)
    if is_mask:
        bit_runs.find_runs(values, connectivity - 1, starts, stops, parents, rows)
    else:
        none = values.dtype.type(background)
        loops.find_runs(values, none, connectivity - 1, starts, stops, parents, rows)
    return starts[: rows[-1]], stops[: rows[-1]], parents[: rows[-1]], rows


def seated(
    values: Image,
    marks: Image | None,
    connectivity: int,
    place: Place,
    *,
    wanted: bool = True,
    out: Image | None = None,
) -> Seats:
    """Find the regions of a mask, or of equal labels, and write their seats.

    Parameters
    ----------
    values : ndarray of bool, or of uint8, uint16 or uint32
        (rows, columns); 0 belongs to no region.
    marks : ndarray of bool or None
        (rows, columns): the marked pixels. None if the block has no marks.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    place : Place
        Where the block lies in the whole image; it has no halo.
    wanted : bool
        Whether the regions with marks are wanted, or those without.
    out : ndarray, optional
        Array for the result; None makes a new one.
    """
    labelled = values.dtype.kind != "b"
    runs = starts, stops, parents, rows = runs_of(values, 0, connectivity)
    values = plain(values)
    facts = np.zeros(rows[-1], np.uint64)
    if marks is not None:
        loops.add_marks(plain(marks), *runs, facts)
    with core_of(values, place.window, "uint64" if labelled else "uint32", out) as seats:
        if not loops.write_seats(values, wanted, starts, stops, parents, rows, facts, seats):
            seats[0, 0] = NOTHING
    return seats if out is None else out


def given(taken: tuple[Span, Image] | None, place: Place, out: Image | None) -> Seats:
    """Write the seats of pixels that are already known to be wanted.

    Parameters
    ----------
    taken : tuple of Span and ndarray of bool, or None
        A span of the whole image, and the mask of the wanted pixels in it.
    place : Place
        Where the block lies in the whole image; it has no halo.
    out : ndarray of uint32, optional
        For the result.
    """
    seats = np.empty(place.window.shape, np.uint32) if out is None else out
    seats[0, 0] = NOTHING
    if taken is None:
        return seats
    span, mask = taken
    both = span.intersection(place.window)
    if min(both.shape) > 0:
        seats[...] = 0
        seats[both.relative_to(place.window).slices] = mask[both.relative_to(span).slices]
    return seats


def look_up(seats: Seats, table: NDArray[np.bool_], result: Image) -> None:
    """Fill a result with the wanted pixels: white in a mask, or their labels. All others are 0.

    Parameters
    ----------
    seats : ndarray of uint32 or uint64
        (rows, columns).
    table : ndarray of bool
        For each seat, whether it is wanted.
    result : ndarray
        (rows, columns): of bool, uint8 or uint16 for seats of 32 bits; of uint8, uint16 or uint32,
        the type of the labels, for seats of 64 bits.
    """
    white = 1 if result.dtype.kind == "b" else np.iinfo(result.dtype).max
    found = result.view(np.uint8) if result.dtype.kind == "b" else result
    loops.look_up(np.require(seats, requirements="W"), table, found.dtype.type(white), found)


def side_by_side(one: Codes, other: Codes, connectivity: int) -> Codes:
    """Return the pairs of regions that touch along two lines.

    Parameters
    ----------
    one, other : ndarray of uint64
        (2, pixels): the regions along a line, 0 where there is none, and their labels.
    connectivity : int
        1 if pixels must share an edge, 2 if a corner will do.

    Returns
    -------
    ndarray of uint64
        (pairs, 2). A pair may occur several times.
    """
    found: Codes = loops.side_by_side(one, other, connectivity - 1)
    return found


def plain(image: Image) -> Image:
    """Return an image in the form that loops take: contiguous, writable, a mask as uint8."""
    image = np.require(image, requirements=["C", "W"])
    return image.view(np.uint8) if image.dtype.kind == "b" else image


def first_number(place: Place) -> int:
    """Return the number of a window's first pixel, counted from 1 in row order of the image."""
    return place.window.top * place.shape[1] + place.window.left + 1


def numbered(
    values: Image, background: int, connectivity: int, out: Image | None
) -> tuple[Image, int]:
    """Number the regions of equal values of a block from 1, in the order of their first pixels.

    Parameters
    ----------
    values, background, connectivity
        As in `runs_of`.
    out : ndarray of uint32, optional
        Array for the result, (rows, columns); None makes a new one.

    Returns
    -------
    numbers : ndarray of uint32
        (rows, columns), 0 where there is no region.
    count : int
        The largest number.
    """
    starts, stops, parents, rows = runs_of(values, background, connectivity)
    numbers = np.empty(parents.size, np.uint32)
    count = bit_runs.number(parents, numbers)
    with core_of(values, Span(0, len(values), 0, values.shape[1]), "uint32", out) as result:
        bit_runs.fill(starts, stops, rows, numbers, np.uint32(0), result)
    return (result if out is None else out), count


def with_count(numbers: Image, count: int) -> Image:
    """Write into the first pixel of a tile how many regions the tile has, and return the tile.

    The pixel gets twice the count, and 1 more if it belongs to a region, whose number is 1.
    """
    numbers[0, 0] += 2 * count
    return numbers


def count_in(numbers: Image) -> int:
    """Return how many regions a tile has, from what `with_count` has written into it."""
    return int(numbers[0, 0]) // 2


def first_pixels(numbers: Image, place: Place) -> NDArray[np.int64]:
    """Return where the regions of a core begin, in the order of their numbers.

    They are indices of pixels of the image in row order. Tiles of whole rows lie one after the
    other, so that there any rising indices within the tile have the same order.

    Parameters
    ----------
    numbers : ndarray of uint32
        (rows, columns), as `with_count` returns them.
    place : Place
        Where the core lies in the whole image; the block has no halo.
    """
    core, columns, count = place.core, place.shape[1], count_in(numbers)
    if core.right - core.left == columns:
        return core.top * columns + np.arange(count)
    found: NDArray[np.int64] = bit_runs.first_pixels(plain(numbers), count, columns)
    return found + core.top * columns + core.left


def joined(pairs: NDArray[np.int64], begins: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number regions of which some touch, from 1, in the order in which they begin.

    Parameters
    ----------
    pairs : ndarray of int64
        (pairs, 2): indices of regions that touch each other.
    begins : ndarray of int64
        (regions,): where each region begins.
    """
    firsts: NDArray[np.int32] = bit_runs.join(np.ascontiguousarray(pairs), begins)
    roots = np.flatnonzero(firsts == np.arange(firsts.size))
    numbers = np.empty(firsts.size, np.int32)
    numbers[roots[np.argsort(begins[roots], kind="stable")]] = np.arange(1, roots.size + 1)
    return numbers[firsts]


def renumbered(numbers: Image, coded: bool, table: NDArray[np.int32], result: Image) -> None:
    """Replace the numbers of a tile, or of a part of it, by those of a table.

    Parameters
    ----------
    numbers : ndarray of uint32
        (rows, columns).
    coded : bool
        Whether the first pixel is that of a tile, as `with_count` has left it.
    table : ndarray of int32
        For each number, the one that replaces it.
    result : ndarray of int32
        (rows, columns).
    """
    bit_runs.look_up(np.require(numbers, requirements="W"), int(coded), table, result)


def chosen(
    codes: Codes,
    place: Place,
    known: Codes,
    totals: NDArray[np.int64],
    limit: int,
    above: bool,
    out: Image | None,
) -> Image:
    """Return the mask of the regions whose fact exceeds a limit, or the mask of all other pixels.

    Parameters
    ----------
    codes : ndarray of uint64
        (rows, columns), without a halo.
    place : Place
        Where the block lies in the whole image.
    known : ndarray of uint64
        The codes that touch codes of other tiles, in rising order.
    totals : ndarray of int64
        For each code in `known`, the sum of facts of its region.
    limit : int
        The limit of the facts.
    above : bool
        True for the regions above the limit, False for all other pixels.
    out : ndarray of bool or None
        For the result.
    """
    with core_of(codes, place.window, "bool", out) as result:
        given = (plain(codes), *corner(place), known, totals, limit, above)
        loops.choose(*given, result)
    return result if out is None else out


def corner(place: Place) -> tuple[int, int, int]:
    """Return the first row and column of a block, and the columns of the whole image."""
    return place.window.top, place.window.left, place.shape[1]
