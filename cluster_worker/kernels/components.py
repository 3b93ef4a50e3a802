"""Connected regions and their codes, with compiled loops; what a code is, `propagation` says."""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, core_of, lazily
from cluster_worker.tiling import Place

loops = lazily("cluster_worker.kernels.loops.components")

Codes = NDArray[np.uint64]


def regions(
    values: Image,
    background: int,
    connectivity: int,
    place: Place,
    *,
    marks: Image | None = None,
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
    marks : ndarray of bool, optional
        If given, the facts are how many of them a region holds.
    sized : bool
        Whether the facts are how many pixels a region has.
    out : ndarray of uint64, optional
        For the result.
    """
    values = plain(values)
    most = loops.count_runs(values)
    starts, stops, parents = np.empty((3, most), np.int32)
    rows = np.empty(len(values) + 1, np.int32)
    none = values.dtype.type(background)
    loops.find_runs(values, none, connectivity - 1, starts, stops, parents, rows)
    starts, stops, parents = starts[: rows[-1]], stops[: rows[-1]], parents[: rows[-1]]
    facts = np.zeros(rows[-1], np.uint64)
    if sized:
        loops.add_sizes(starts, stops, parents, facts)
    elif marks is not None:
        loops.add_marks(plain(marks), starts, stops, parents, rows, facts)
    with core_of(values, place.window, "uint64", out) as codes:
        first = first_number(place)
        loops.write_codes(starts, stops, parents, rows, facts, first, place.shape[1], codes)
    return codes if out is None else out


def plain(image: Image) -> Image:
    """Give an image as loops take it: contiguous, not read-only, and bytes instead of a mask."""
    image = np.require(image, requirements=["C", "W"])
    return image.view(np.uint8) if image.dtype.kind == "b" else image


def first_number(place: Place) -> int:
    """Give the number in the whole image of a window's first pixel."""
    return place.window.top * place.shape[1] + place.window.left + 1


def touching(codes: Codes, connectivity: int) -> Codes:
    """Give the pairs of codes that touch, n × 2."""
    pairs = loops.touching(plain(codes), connectivity == 2)
    return np.unique(pairs, axis=0)


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
