"""Connected regions of a tile, with compiled loops.

They are given codes, of which `propagation` says what they are, or where only some regions are
wanted, *seats*. A seat is 0 where nothing is wanted and 1 where something is. A region that touches
the tile's edge may go on beyond it: its seats are 2n + 1 if it has marks in this tile, 2n if not,
where n counts such regions of the tile from 1. Seats of masks are uint32; those of labels are
uint64, with the label in the upper half. A tile without any begins with `NOTHING`, and what it
holds besides is not to be read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, core_of, lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.components")

Codes = NDArray[np.uint64]
Seats = NDArray[Any]

NOTHING = (1 << 32) - 1
# Of seats that have labels above them.
SEAT_MASK = np.uint64(NOTHING)


def regions(
    values: Image,
    background: int,
    connectivity: int,
    place: Place,
    *,
    sized: bool = False,
    out: Image | None = None,
) -> Codes:
    """Give codes to the regions of equal values.

    Parameters
    ----------
    values : ndarray of bool or int64
        (rows, columns).
    background : int
        The value that belongs to no region.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    place : Place
        Of the block, which has no halo.
    sized : bool
        Whether the facts are how many pixels a region has.
    out : ndarray of uint64, optional
        For the result.
    """
    values = plain(values)
    starts, stops, parents, rows = runs_of(values, background, connectivity)
    facts = np.zeros(rows[-1], np.uint64)
    if sized:
        loops.add_sizes(starts, stops, parents, facts)
    with core_of(values, place.window, "uint64", out) as codes:
        first = first_number(place)
        loops.write_codes(starts, stops, parents, rows, facts, first, place.shape[1], codes)
    return codes if out is None else out


def runs_of(values: Image, background: int, connectivity: int) -> tuple[NDArray[np.int32], ...]:
    """Give the starts and stops of runs, the first run of each one's region, and that of rows."""
    most = loops.count_runs(values)
    starts, stops, parents = np.empty((3, most), np.int32)
    rows = np.empty(len(values) + 1, np.int32)
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
    """Give seats to the regions of a mask, or of equal labels.

    Parameters
    ----------
    values : ndarray of bool, or of uint8, uint16 or uint32
        (rows, columns); 0 belongs to no region.
    marks : ndarray of bool or None
        None if no region of the block has any.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    place : Place
        Of the block, which has no halo.
    wanted : bool
        Whether those regions are wanted that have marks, or those that have none.
    out : ndarray, optional
        For the result.
    """
    labelled = values.dtype.kind != "b"
    values = plain(values)
    runs = starts, stops, parents, rows = runs_of(values, 0, connectivity)
    facts = np.zeros(rows[-1], np.uint64)
    if marks is not None:
        loops.add_marks(plain(marks), *runs, facts)
    with core_of(values, place.window, "uint64" if labelled else "uint32", out) as seats:
        if not loops.write_seats(values, wanted, starts, stops, parents, rows, facts, seats):
            seats[0, 0] = NOTHING
    return seats if out is None else out


def given(taken: tuple[Span, Image] | None, place: Place, out: Image | None) -> Seats:
    """Give seats to what is known to be wanted.

    Parameters
    ----------
    taken : tuple of Span and ndarray of bool, or None
        A part of the whole image, and the mask of what is wanted in it.
    place : Place
        Of the block, which has no halo.
    out : ndarray of uint32, optional
        For the result.
    """
    seats = np.empty(place.window.shape, np.uint32) if out is None else out
    seats[0, 0] = NOTHING
    if taken is None:
        return seats
    span, mask = taken
    both = span.shared(place.window)
    if min(both.shape) > 0:
        seats[...] = 0
        seats[both.relative_to(place.window).slices] = mask[both.relative_to(span).slices]
    return seats


def look_up(seats: Seats, table: NDArray[np.bool_], result: Image) -> None:
    """Fill a result with what is wanted: white of a mask, or labels.

    Parameters
    ----------
    seats : ndarray of uint32 or uint64
        (rows, columns).
    table : ndarray of bool
        For each seat whether it is wanted.
    result : ndarray
        (rows, columns): of bool, uint8 or uint16 for seats of 32 bits, of labels for those of 64.
    """
    white = 1 if result.dtype.kind == "b" else np.iinfo(result.dtype).max
    found = result.view(np.uint8) if result.dtype.kind == "b" else result
    loops.look_up(np.require(seats, requirements="W"), table, found.dtype.type(white), found)


def side_by_side(one: Codes, other: Codes, connectivity: int) -> Codes:
    """Give the pairs of regions that touch along two lines; see the loop."""
    found: Codes = loops.side_by_side(one, other, connectivity - 1)
    return found


def plain(image: Image) -> Image:
    """Give an image as loops take it: contiguous, not read-only, and bytes instead of a mask."""
    image = np.require(image, requirements=["C", "W"])
    return image.view(np.uint8) if image.dtype.kind == "b" else image


def first_number(place: Place) -> int:
    """Give the number in the whole image of a window's first pixel."""
    return place.window.top * place.shape[1] + place.window.left + 1


def first_pixels(codes: Codes, place: Place) -> Codes:
    """Give the codes of the regions whose first pixel lies in a core, in order."""
    core = plain(codes[place.inner])
    within = place._replace(window=place.core)
    found: Codes = loops.first_pixels(core, first_number(within), place.shape[1])
    return found


def numbered(
    codes: Codes,
    place: Place,
    known: Codes,
    numbers: NDArray[np.int32],
    roots: Codes,
    dtype: str,
    out: Image | None = None,
) -> Image:
    """Replace codes by the numbers of their regions.

    Parameters
    ----------
    codes : ndarray of uint64
        (rows, columns), without a halo.
    place : Place
        Of the block.
    known, numbers : ndarray
        The codes of parts that touch others, in order, and the numbers of their regions.
    roots : ndarray of uint64
        The first codes of all regions, in order.
    dtype : {"int32", "uint32"}
        Of the result.
    out : ndarray, optional
        For the result.
    """
    with core_of(codes, place.window, dtype, out) as result:
        given = (plain(codes), *corner(place), known, numbers, roots)
        loops.number(*given, result.view(np.int32))
    return result if out is None else out


def chosen(
    codes: Codes,
    place: Place,
    known: Codes,
    totals: NDArray[np.int64],
    limit: int,
    above: bool,
    out: Image | None,
) -> Image:
    """Give the mask of the regions with more than a limit, or if not `above` of all else.

    Parameters
    ----------
    codes, place, known
        As of `numbered`.
    totals : ndarray of int64
        The sums of facts of the regions that `known` belong to.
    limit : int
        Which facts are compared with.
    above : bool
        Whether those that have more are wanted.
    out : ndarray of bool or None
        For the result.
    """
    with core_of(codes, place.window, "bool", out) as result:
        given = (plain(codes), *corner(place), known, totals, limit, above)
        loops.choose(*given, result)
    return result if out is None else out


def corner(place: Place) -> tuple[int, int, int]:
    """Give where a block begins, and the columns of the whole image."""
    return place.window.top, place.window.left, place.shape[1]
