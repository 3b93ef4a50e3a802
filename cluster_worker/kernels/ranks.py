"""Rank filters of whole numbers, to the last bit scikit-image's.

What lies outside the image is in no neighbourhood. Least and greatest values are OpenCV's; means
are sums of the runs that a neighbourhood is a stack of; what needs a histogram slides it along
rows and looks at the levels that occur alone.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, core_of, lazily, rows_of
from cluster_worker.kernels.footprints import Footprint, footprint_of, footprint_reach
from cluster_worker.kernels.morphology import filtered, greatest, least
from cluster_worker.kernels.planes import as_planes, cut_out
from cluster_worker.kernels.strips import by_strips
from cluster_worker.pixels.tiling import Place, Span, tiles

loops = lazily("cluster_worker.kernels.loops.ranks")
histograms = lazily("cluster_worker.kernels.loops.histograms")

TYPES = ("uint8", "uint16")
# Pixels that are worked on at a time: with their sums they fit the second cache.
STRIP_PIXELS = 1 << 16
# Logarithms are summed as whole numbers of so small a part.
UNIT = float(1 << 40)


# Levels of what lies outside, from the greatest of the type.


def black(_: int) -> int:
    """Give black."""
    return 0


def last(most: int) -> int:
    """Give white."""
    return most


def after_last(most: int) -> int:
    """Give the level after white."""
    return most + 1


class Shape(NamedTuple):
    """A neighbourhood, in the square around it.

    Attributes
    ----------
    mask : ndarray
        1 within.
    reach : int
        Half the square's side.
    runs : ndarray
        (runs, 3): row, first column, column after the last.
    places : ndarray
        (pixels, 2): row and column, without the centre.
    """

    mask: NDArray[np.uint8]
    reach: int
    runs: NDArray[np.intp]
    places: NDArray[np.intp]

    @property
    def pixels(self) -> int:
        """How many it holds."""
        return int(np.count_nonzero(self.mask))


@lru_cache(maxsize=16)
def shape_of(footprint: Footprint, radius: int, half_width: int | None) -> Shape:
    """Give a neighbourhood by its runs and its pixels."""
    mask = footprint_of(footprint, radius, half_width)
    reach = footprint_reach(footprint, radius, half_width)
    up, across = mask.shape[0] // 2, mask.shape[1] // 2
    square = np.pad(mask, ((reach - up,) * 2, (reach - across,) * 2))
    steps = np.diff(np.pad(square, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, firsts = np.nonzero(steps == 1)
    lasts = np.nonzero(steps == -1)[1]
    square[reach, reach] = 0
    return Shape(mask, reach, np.stack([rows, firsts, lasts], axis=1), np.argwhere(square))


class Strip(NamedTuple):
    """A strip of a block in one colour, with what a statistic is told of it.

    Attributes
    ----------
    levels : ndarray
        With the neighbourhood's reach on every side; what lies outside the image is `outside`.
    outside : int
        As the statistic wants it.
    shape : Shape
        The neighbourhood.
    counts : ndarray
        How many pixels of each neighbourhood lie within the image: one row if all are alike.
    greatest : int
        No level of the strip is above it.
    white : int
        Of the type; of 16 bits the greatest level of the whole image.
    """

    levels: Image
    outside: int
    shape: Shape
    counts: NDArray[np.uint32]
    greatest: int
    white: int

    @property
    def own(self) -> Image:
        """The pixels themselves."""
        reach = self.shape.reach
        return self.levels[reach:-reach, reach:-reach]

    @property
    def words(self) -> int:
        """How many words have a bit for each level up to the greatest."""
        return self.greatest // 64 + 1

    def sums(self, worth: NDArray[Any]) -> NDArray[Any]:
        """Sum what levels are worth; what lies outside is to be worth nothing."""
        reach = self.shape.reach
        rows, columns = self.levels.shape
        totals = np.empty((rows - 2 * reach, columns - 2 * reach), worth.dtype)
        loops.sums(self.levels, worth, self.shape.runs, totals)
        return totals


# Fills a result for a strip; it may have parameters.
Statistic = Callable[..., None]


def ranked(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    *,
    by: Statistic,
    outside: Callable[[int], int] = black,
    gives: str | None = None,
    statistics: tuple[Any, ...] = (),
    place: Place,
    out: Image | None,
    **parameters: float,
) -> Image:
    """Give a statistic of each pixel's neighbourhood.

    Parameters
    ----------
    image : ndarray
        A block, of uint8 or uint16.
    footprint, radius, half_width, **parameters
        Of the operation.
    by : callable
        One of the statistics below.
    outside : callable
        From the greatest level of the type to the level of what lies outside.
    gives : str, optional
        Type of the result, if not the image's.
    statistics : tuple of ndarray
        The greatest level of each colour in the whole image, if the result depends on it.
    place, out
        As for other kernels.

    Returns
    -------
    ndarray
        The result for the core.
    """
    shape = shape_of(footprint, radius, half_width)
    core, most = place.core, int(np.iinfo(image.dtype).max)
    level, whites = outside(most), whites_of(image, statistics)
    taken = image.dtype if level <= most else np.uint16 if most < level < 1 << 16 else np.uint32
    with core_of(image, core.relative_to(place.window), gives or str(image.dtype), out) as result:
        for part, window in strips(core, shape.reach):
            inside = window.clipped(place.shape)
            cut = cut_out(image, inside, place).astype(taken)
            planes = as_planes(cut, inside, window, "constant", constant_values=level)
            counts, seen = counts_of(shape, inside, window), int(cut.max())
            made = np.empty(part.shape, result.dtype)
            for i, (plane, white) in enumerate(zip(planes, whites, strict=True)):
                by(Strip(plane, level, shape, counts, seen, white), made, **parameters)
                np.atleast_3d(result)[part.slices][..., i] = made
    return result if out is None else out


def strips(core: Span, reach: int) -> Iterator[tuple[Span, Span]]:
    """Cut a core into strips: each in the core's coordinates, and its window in the image's."""
    rows = max(STRIP_PIXELS // core.shape[1], 4 * reach, 1)
    for part in tiles(core.shape, (rows, core.shape[1])):
        yield part, part.relative_to(Span(-core.top, 0, -core.left, 0)).grown(reach)


def whites_of(image: Image, statistics: tuple[Any, ...]) -> list[int]:
    """Give white for each colour: of 16 bits the greatest level, but not less than 3."""
    colours = int(np.prod(image.shape[2:]))
    if image.dtype == np.uint8 or not statistics:
        return [int(np.iinfo(image.dtype).max)] * colours
    return [max(int(each), 3) for each in np.ravel(statistics[0])]


def counts_of(shape: Shape, inside: Span, window: Span) -> NDArray[np.uint32]:
    """Count the pixels of each neighbourhood that lie within the image."""
    reach = shape.reach
    rows, columns = window.shape
    # Without rows beyond the border, all rows are alike.
    if (inside.top, inside.bottom) == (window.top, window.bottom):
        rows = 2 * reach + 1
    within = np.zeros((rows, columns), np.uint8)
    top, left = inside.top - window.top, inside.left - window.left
    bottom = rows - (window.bottom - inside.bottom)
    within[top:bottom, left : columns - (window.right - inside.right)] = 1
    counts = np.empty((rows - 2 * reach, columns - 2 * reach), np.uint32)
    loops.sums(within, np.arange(2, dtype=np.uint32), shape.runs, counts)
    return counts


# By sums of levels.


@lru_cache(maxsize=4)
def every_level(dtype: str) -> NDArray[np.uint32]:
    """Give what a level of a type is worth in sums: itself."""
    return np.arange(np.iinfo(dtype).max + 1, dtype=np.uint32)


def mean(strip: Strip, result: Image) -> None:
    """Give the means, rounded down."""
    loops.means(strip.sums(every_level(str(strip.levels.dtype))), strip.counts, result)


def from_mean(strip: Strip, result: Image) -> None:
    """Give half the distance from the mean; mid gray is what equals it."""
    totals = strip.sums(every_level(str(strip.levels.dtype)))
    middle = float((strip.white + 1) // 2 - 1)
    loops.from_means(strip.own, totals, strip.counts, middle, result)


def above_mean(strip: Strip, result: Image) -> None:
    """Tell what is brighter than the mean."""
    totals = strip.sums(every_level(str(strip.levels.dtype)))
    loops.above_means(strip.own, totals, strip.counts, result)


@lru_cache(maxsize=4)
def logarithms_of(outside: int) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Give the logarithm of each level and one, and as a whole number of units.

    What lies outside is worth nothing.
    """
    logarithms = np.array([math.log(level + 1) for level in range(outside)] + [0.0])
    return logarithms, np.rint(logarithms * UNIT).astype(np.uint64)


def geometric_mean(strip: Strip, result: Image) -> None:
    """Give the geometric means, rounded."""
    logarithms, worth = logarithms_of(strip.outside)
    totals = strip.sums(worth)
    loops.geometric_means(
        strip.levels,
        strip.shape.runs,
        totals,
        UNIT,
        strip.counts,
        logarithms,
        strip.outside,
        result,
    )


# By comparing each pixel with its neighbours.


def equalized(strip: Strip, result: Image) -> None:
    """Give the share of the neighbourhood that is not brighter, up to white."""
    # The centre is none of the places, and not above itself.
    reach = strip.shape.reach
    places = np.vstack([strip.shape.places, [[reach, reach]]])
    loops.equalized(strip.levels, strip.own, places, strip.counts, float(strip.white), result)


def distance(strip: Strip, result: Image) -> None:
    """Give how far the nearest neighbour is."""
    white = strip.levels.dtype.type(strip.white)
    loops.distances(strip.levels, strip.own, strip.shape.places, white, result)


# By histograms; what lies outside is the level after the last.


def percentile(strip: Strip, result: Image, p0: float) -> None:
    """Give the level below which a share lies."""
    histograms.percentiles(
        strip.levels, strip.shape.runs, strip.counts, (strip.outside, strip.words), p0, result
    )


def between_percentiles(strip: Strip, result: Image, p0: float, p1: float) -> None:
    """Stretch between two percentiles."""
    histograms.between_percentiles(
        strip.levels,
        strip.own,
        strip.shape.runs,
        strip.counts,
        (strip.outside, strip.words),
        p0,
        p1,
        strip.white,
        result,
    )


def similar_mean(strip: Strip, result: Image, s0: int, s1: int) -> None:
    """Give the mean of those that are about as bright."""
    levels = strip.outside, strip.words
    histograms.similar_means(strip.levels, strip.own, strip.shape.runs, levels, s0, s1, result)


def mode(strip: Strip, result: Image) -> None:
    """Give the most frequent level."""
    histograms.modes(strip.levels, strip.shape.runs, (strip.outside, strip.words), result)


@lru_cache(maxsize=8)
def entropy_terms(pixels: int) -> NDArray[np.float64]:
    """Give what each count takes from the entropy of so many pixels."""
    shares = [count / pixels for count in range(1, pixels + 1)]
    return np.array([0.0] + [share * math.log(share) / math.log(2) for share in shares])


def entropy(strip: Strip, result: Image) -> None:
    """Give the bits that a pixel takes."""
    terms = entropy_terms(strip.shape.pixels)
    histograms.entropies(
        strip.levels, strip.shape.runs, strip.counts, (strip.outside, strip.words), terms, result
    )


def parting(strip: Strip, result: Image) -> None:
    """Give Otsu's level."""
    histograms.partings(
        strip.levels, strip.shape.runs, strip.counts, (strip.outside, strip.words), result
    )


# By least and greatest levels.


def extreme(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    *,
    by: Callable[..., Image],
    model: Callable[..., Image],
    place: Place,
    out: Image | None,
) -> Image:
    """Give each pixel the least or the greatest level of its neighbourhood."""
    return filtered(
        image,
        footprint,
        radius,
        half_width,
        "ignore",
        0,
        by=by,
        steps=1,
        model=model,
        place=place,
        out=out,
    )


def between(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    *,
    by: Callable[[Image, Image, Image, list[int]], Image],
    statistics: tuple[Any, ...] = (),
    place: Place,
    out: Image | None,
) -> Image:
    """Give what follows from the least and the greatest level of each neighbourhood.

    Parameters
    ----------
    image, footprint, radius, half_width, statistics, place, out
        As for `ranked`.
    by : callable
        From a strip, these two, and white of each colour, to the result; it may be one of them.
    """
    shape, whites = shape_of(footprint, radius, half_width), whites_of(image, statistics)

    def apply(part: Image) -> Image:
        low = least(part, shape.mask, "ignore", 0)
        return by(part, low, greatest(part, shape.mask, "ignore", 0), whites)

    return by_strips(apply, image, shape.reach, place, out)


def extent(_: Image, low: Image, high: Image, __: list[int]) -> Image:
    """Give the range of levels."""
    return np.subtract(high, low, out=high)


def stretched(part: Image, low: Image, high: Image, whites: list[int]) -> Image:
    """Stretch each pixel's neighbourhood to the full range."""
    line = np.tile(np.array(whites, np.float64), part.shape[1])
    loops.stretched(rows_of(part), rows_of(low), rows_of(high), line, rows_of(low))
    return low


def nearer_end(part: Image, low: Image, high: Image, _: list[int]) -> Image:
    """Give the least or the greatest level, whichever is nearer."""
    loops.nearer_end(rows_of(part), rows_of(low), rows_of(high), rows_of(low))
    return low
