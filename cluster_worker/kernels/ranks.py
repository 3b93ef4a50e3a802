"""Rank filters of integers, with the same bits as scikit-image.

Pixels outside the image belong to no neighbourhood. OpenCV computes least and greatest values.
Means are sums over the horizontal runs that make up a neighbourhood. Filters that need a histogram
slide it along each row, and look only at the levels that occur.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, core_of, orders, rows_of
from cluster_worker.kernels.footprints import Footprint, Shape, shape_of
from cluster_worker.kernels.morphology import filtered, greatest, least
from cluster_worker.kernels.planes import as_planes, cut_out
from cluster_worker.kernels.strips import by_strips
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span, tiles

loops = lazily("cluster_worker.kernels.loops.ranks")
histograms = lazily("cluster_worker.kernels.loops.histograms")

TYPES = ("uint8", "uint16")
# Pixels of a strip that is filtered at a time: with its sums it fits the L2 cache.
STRIP_PIXELS = 1 << 16
# Logarithms are summed as integers in units of 1 / UNIT.
UNIT = float(1 << 40)


# The level that stands for pixels outside the image, computed from white, the type's last level.


def black(_: int) -> int:
    """Return black."""
    return 0


def last(most: int) -> int:
    """Return white, the last level."""
    return most


def after_last(most: int) -> int:
    """Return the level after white."""
    return most + 1


class Strip(NamedTuple):
    """A strip of a block in one colour, with all that a statistic needs to know about it.

    Attributes
    ----------
    levels : ndarray
        (rows + 2 · reach, columns + 2 · reach): the strip with the reach of the neighbourhood on
        every side. Pixels outside the image have the level `outside`.
    outside : int
        The level of pixels outside the image.
    shape : Shape
        The neighbourhood.
    counts : ndarray
        (rows, columns): how many pixels of each neighbourhood lie within the image. A single row
        if all rows are alike.
    greatest : int
        The greatest level of the strip and its halo in any colour, without `outside`.
    white : int
        White of the type. For uint16 it may be the greatest level of the whole image.
    """

    levels: Image
    outside: int
    shape: Shape
    counts: NDArray[np.uint32]
    greatest: int
    white: int

    @property
    def own(self) -> Image:
        """The pixels of the strip, without the halo."""
        reach = self.shape.reach
        return self.levels[reach:-reach, reach:-reach]

    @property
    def population(self) -> NDArray[np.int32]:
        """The number of pixels of each neighbourhood within the image."""
        return self.counts.astype(np.int32)

    def ordered(self, ranks: NDArray[np.int32]) -> Image:
        """Find the level of each neighbourhood that has `ranks` others before it in order."""
        return orders.percentiles(self.levels, self.shape.pixels, ranks, self.own.shape)

    @property
    def words(self) -> int:
        """Number of 64-bit words that hold one bit for each level up to the greatest."""
        return self.greatest // 64 + 1

    def sums(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Compute for each pixel the sum of the weights of the levels in its neighbourhood.

        `weights` has an unsigned integer for each level; that of `outside` must be 0.
        """
        reach = self.shape.reach
        rows, columns = self.levels.shape
        totals = np.empty((rows - 2 * reach, columns - 2 * reach), weights.dtype)
        loops.sums(self.levels, weights, self.shape.runs, totals)
        return totals


# Takes a strip, an array for its result, and the parameters of the operation.
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
    """Compute a statistic of each pixel's neighbourhood.

    Parameters
    ----------
    image : ndarray
        The block: (rows, columns) or (rows, columns, channels) of uint8 or uint16.
    footprint, radius, half_width, **parameters
        Parameters of the operation.
    by : callable
        One of the statistics below.
    outside : callable
        From white of the type to the level that stands for pixels outside the image.
    gives : str, optional
        Type of the result; the image's type if it is not given.
    statistics : tuple of ndarray
        The greatest level of each colour in the whole image, if the result depends on it.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

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
        for strip, window in strips(core, shape.reach):
            inside = window.clipped(place.shape)
            cut = cut_out(image, inside, place).astype(taken)
            planes = as_planes(cut, inside, window, "constant", constant_values=level)
            counts, seen = counts_of(shape, inside, window), int(cut.max())
            made = np.empty(strip.shape, result.dtype)
            for i, (plane, white) in enumerate(zip(planes, whites, strict=True)):
                by(Strip(plane, level, shape, counts, seen, white), made, **parameters)
                np.atleast_3d(result)[strip.slices][..., i] = made
    return result if out is None else out


def strips(core: Span, reach: int) -> Iterator[tuple[Span, Span]]:
    """Cut a core into strips.

    Parameters
    ----------
    core : Span
        The core, in the whole image.
    reach : int
        How far the neighbourhood reaches, in pixels.

    Yields
    ------
    strip, window : Span
        The strip in the core's coordinates, and the strip with its halo in the whole image, where
        it may reach beyond the border.
    """
    rows = max(STRIP_PIXELS // core.shape[1], 4 * reach, 1)
    for strip in tiles(core.shape, (rows, core.shape[1])):
        yield strip, strip.relative_to(Span(-core.top, 0, -core.left, 0)).grown(reach)


def whites_of(image: Image, statistics: tuple[Any, ...]) -> list[int]:
    """Return white for each colour.

    It is the last level of the type. For uint16 with statistics it is the greatest level of the
    image, but at least 3.
    """
    colours = int(np.prod(image.shape[2:]))
    if image.dtype == np.uint8 or not statistics:
        return [int(np.iinfo(image.dtype).max)] * colours
    return [max(int(each), 3) for each in np.ravel(statistics[0])]


def counts_of(shape: Shape, inside: Span, window: Span) -> NDArray[np.uint32]:
    """Count the pixels of each neighbourhood that lie within the image.

    Parameters
    ----------
    shape : Shape
        The neighbourhood.
    inside, window : Span
        The window of a strip clipped to the image, and the window itself.

    Returns
    -------
    ndarray of uint32
        (rows, columns) of the strip, or a single row if no row of the window lies outside.
    """
    reach = shape.reach
    rows, columns = window.shape
    # If no row lies beyond the border, all rows are alike.
    if (inside.top, inside.bottom) == (window.top, window.bottom):
        rows = 2 * reach + 1
    within = np.zeros((rows, columns), np.uint8)
    top, left = inside.top - window.top, inside.left - window.left
    bottom = rows - (window.bottom - inside.bottom)
    within[top:bottom, left : columns - (window.right - inside.right)] = 1
    counts = np.empty((rows - 2 * reach, columns - 2 * reach), np.uint32)
    loops.sums(within, np.arange(2, dtype=np.uint32), shape.runs, counts)
    return counts


# Statistics that need the sums of levels.


@lru_cache(maxsize=4)
def every_level(dtype: str) -> NDArray[np.uint32]:
    """Return all levels of a type: the weights of a sum of levels."""
    return np.arange(np.iinfo(dtype).max + 1, dtype=np.uint32)


def number(strip: Strip, result: Image) -> None:
    """Compute how many pixels there are; numbers beyond the type begin again at 0."""
    result[...] = strip.counts.astype(result.dtype)


def total(strip: Strip, result: Image) -> None:
    """Compute the sums; those beyond the type begin again at 0."""
    result[...] = strip.sums(every_level(str(strip.levels.dtype))).astype(result.dtype)


def mean(strip: Strip, result: Image) -> None:
    """Compute the means, rounded down."""
    loops.means(strip.sums(every_level(str(strip.levels.dtype))), strip.counts, result)


def from_mean(strip: Strip, result: Image) -> None:
    """Compute half the difference from the mean; mid gray stands for no difference."""
    totals = strip.sums(every_level(str(strip.levels.dtype)))
    middle = float((strip.white + 1) // 2 - 1)
    loops.from_means(strip.own, totals, strip.counts, middle, result)


def above_mean(strip: Strip, result: Image) -> None:
    """Compute the mask of the pixels that are brighter than the mean."""
    totals = strip.sums(every_level(str(strip.levels.dtype)))
    loops.above_means(strip.own, totals, strip.counts, result)


@lru_cache(maxsize=4)
def logarithms_of(outside: int) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Return log(level + 1) of each level, as floats and as integers in units of 1 / `UNIT`.

    That of the level `outside`, the last one, is 0.
    """
    logarithms = np.array([math.log(level + 1) for level in range(outside)] + [0.0])
    return logarithms, np.rint(logarithms * UNIT).astype(np.uint64)


def geometric_mean(strip: Strip, result: Image) -> None:
    """Compute the geometric means, rounded."""
    logarithms, weights = logarithms_of(strip.outside)
    totals = strip.sums(weights)
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


# Statistics that compare each pixel with its neighbours.


def equalized(strip: Strip, result: Image) -> None:
    """Compute the share of the neighbourhood that is not brighter than the pixel, times white."""
    # The centre is not brighter than itself and must be counted.
    pixels, white = strip.shape.pixels, float(strip.white)
    loops.equalized(strip.levels, strip.own, pixels, strip.counts, white, result)


def distance(strip: Strip, result: Image) -> None:
    """Compute the distance of each pixel's level to the nearest level of its neighbours."""
    white = strip.levels.dtype.type(strip.white)
    loops.distances(strip.levels, strip.own, strip.shape.offsets, white, result)


# Statistics that find pixels by their order. They need `last` as the level outside the image, which
# is before no pixel.


def counted_percentile(strip: Strip, result: Image, p0: float) -> None:
    """Compute the level below which a share `p0` of the neighbourhood lies."""
    result[...] = strip.ordered(np.minimum(before(strip, p0), strip.population - 1))


def counted_between(strip: Strip, result: Image, p0: float, p1: float) -> None:
    """Stretch each pixel between two percentiles of its neighbourhood."""
    least = strip.ordered(np.minimum(before(strip, p0), strip.population - 1))
    most = strip.ordered(strip.population - 1 - before(strip, 1.0 - p1))
    orders.loops.stretch(np.ascontiguousarray(strip.own), least, most, strip.white, result)


def before(strip: Strip, share: float) -> NDArray[np.int32]:
    """Return how many pixels of each neighbourhood make up a share of it, rounded down."""
    return np.floor(share * strip.counts.astype(np.float64)).astype(np.int32)


# Statistics that need a histogram. They need `after_last` as the level outside the image.


def percentile(strip: Strip, result: Image, p0: float) -> None:
    """Compute the level below which a share `p0` of the neighbourhood lies."""
    histograms.percentiles(
        strip.levels, strip.shape.runs, strip.counts, (strip.outside, strip.words), p0, result
    )


def between_percentiles(strip: Strip, result: Image, p0: float, p1: float) -> None:
    """Stretch each pixel between two percentiles of its neighbourhood."""
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
    """Compute the mean of the neighbours that are about as bright as the pixel."""
    levels = strip.outside, strip.words
    histograms.similar_means(strip.levels, strip.own, strip.shape.runs, levels, s0, s1, result)


def mode(strip: Strip, result: Image) -> None:
    """Compute the most frequent level."""
    histograms.modes(strip.levels, strip.shape.runs, (strip.outside, strip.words), result)


@lru_cache(maxsize=8)
def entropy_terms(pixels: int) -> NDArray[np.float64]:
    """Return p · log2(p) for each count of a level among `pixels` pixels, with p its share."""
    shares = [count / pixels for count in range(1, pixels + 1)]
    return np.array([0.0] + [share * math.log(share) / math.log(2) for share in shares])


def entropy(strip: Strip, result: Image) -> None:
    """Compute the entropy of the levels, in bits."""
    terms = entropy_terms(len(strip.shape.pixels))
    histograms.entropies(
        strip.levels, strip.shape.runs, strip.counts, (strip.outside, strip.words), terms, result
    )


def otsu(strip: Strip, result: Image) -> None:
    """Compute Otsu's threshold."""
    histograms.otsu_levels(
        strip.levels, strip.shape.runs, strip.counts, (strip.outside, strip.words), result
    )


# Filters that need the least and the greatest level.


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
    """Replace each pixel by the least or the greatest level of its neighbourhood.

    `by` is `least` or `greatest`; for the other parameters see `morphology.filtered`.
    """
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
    """Compute a filter that needs the least and the greatest level of each neighbourhood.

    Parameters
    ----------
    image, footprint, radius, half_width, statistics, place, out
        As in `ranked`.
    by : callable
        Takes a strip, its least and its greatest levels, and white of each colour. It returns the
        result, for which it may overwrite the least or the greatest levels.
    """
    shape, whites = shape_of(footprint, radius, half_width), whites_of(image, statistics)

    def apply(strip: Image) -> Image:
        low = least(strip, shape.mask, "ignore", 0)
        return by(strip, low, greatest(strip, shape.mask, "ignore", 0), whites)

    return by_strips(apply, image, shape.reach, place, out)


def extent(_: Image, low: Image, high: Image, __: list[int]) -> Image:
    """Compute the range of the levels: greatest minus least."""
    return np.subtract(high, low, out=high)


def stretched(strip: Image, low: Image, high: Image, whites: list[int]) -> Image:
    """Stretch each pixel from the range of its neighbourhood to the full range."""
    line = np.tile(np.array(whites, np.float64), strip.shape[1])
    loops.stretched(rows_of(strip), rows_of(low), rows_of(high), line, rows_of(low))
    return low


def nearer_end(strip: Image, low: Image, high: Image, _: list[int]) -> Image:
    """Replace each pixel by the least or the greatest level, whichever is nearer."""
    loops.nearer_end(rows_of(strip), rows_of(low), rows_of(high), rows_of(low))
    return low
