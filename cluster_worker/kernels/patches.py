"""Non-local means: averages over pixels whose surroundings look alike."""

from math import floor, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, channels_of, core_of, rows_of
from cluster_worker.kernels.planes import as_planes, cut_out
from cluster_worker.lazy import lazily
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.tiling import Place, Span, tiles

util = lazily("skimage.util")
loops = lazily("cluster_worker.kernels.loops.patches")

# (rows, columns) of a strip that is averaged at a time: with its sums it fits the L2 cache.
CORE = (128, 384)
# scikit-image's constants: patches at a larger distance are not counted, and the factor of a
# distance in Schraudolph's fast exponential.
DISTANCE_MAX = 5.0
SLOPE = 1512775.3951951856938
# Smaller integers are exact in single precision.
EXACT = 1 << 24
# Up to this patch distance, in pixels, sums in single precision are accurate enough.
SINGLE_REACH_MAX = 10
# Error of the difference of two uint8 levels, in levels, if each was divided by white and rounded
# to single precision before.
LEVEL_ERROR = 2.5e-5


def non_local_means(
    image: Image,
    patch_size: int,
    patch_distance: int,
    h: float,
    fast_mode: bool,  # noqa: ARG001 - always true here
    sigma: float,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Average each pixel of a block with pixels nearby whose surroundings look alike.

    scikit-image sums squared differences with an integral image, in double precision. Here they are
    summed patch by patch: as integers for uint8 images where `counts_exactly` allows it, else in
    double precision as well. Differences from the pixel itself are averaged; for the integers,
    single precision is enough.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    patch_size, patch_distance, h, fast_mode, sigma
        As in ``skimage.restoration.denoise_nl_means``, with the fast mode only.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core
    offset, channels = patch_size // 2, channels_of(image)
    bounds = bounds_of(offset, channels, h, sigma)
    levels = (
        image.dtype == np.uint8
        and patch_distance <= SINGLE_REACH_MAX
        and counts_exactly(bounds, offset, channels)
    )
    bounds = bounds.in_levels if levels else bounds
    around = offset + patch_distance
    white = np.float32(WHITE["uint8"] if levels else 1)
    with core_of(image, core.relative_to(place.window), dtype, out) as result:
        for strip in tiles(core.shape, CORE):
            span = strip.relative_to(Span(-core.top, 0, -core.left, 0))
            planes = planes_of(image, span.grown(around), place, levels)
            totals = np.empty((channels + 1, *planes.shape[1:]), planes.dtype)
            numbers = map(planes.dtype.type, bounds)
            loops.average(planes, offset, patch_distance, *numbers, totals)
            averaged = np.empty((*strip.shape, *image.shape[2:]), np.float32)
            loops.finish(planes, totals, around, white, rows_of(averaged))
            result[strip.slices] = to_depth(averaged, dtype)
    return result if out is None else out


class Bounds(NamedTuple):
    """Constants for the sum of squared differences of two patches.

    Attributes
    ----------
    noise : float
        What noise adds to the sum; it is subtracted.
    slope : float
        Factor that turns the rest into an exponent.
    limit : float
        Largest sum that is counted.
    """

    noise: float
    slope: float
    limit: float

    @property
    def in_levels(self) -> "Bounds":
        """The same constants for sums of integers: differences of uint8 levels."""
        squared = WHITE["uint8"] ** 2
        limit = min(floor(self.limit * squared), EXACT)
        return Bounds(self.noise * squared, self.slope / squared, limit)


def bounds_of(offset: int, channels: int, h: float, sigma: float) -> Bounds:
    """Compute the bounds for a patch that reaches `offset` pixels to each side."""
    scale = channels * (h * (2 * offset + 1)) ** 2
    noise = 2 * sigma * sigma * terms_of(offset, channels)
    return Bounds(noise, SLOPE / scale, DISTANCE_MAX * scale + noise)


def terms_of(offset: int, channels: int) -> int:
    """Return the number of squares in a patch, which lacks its first row and column here.

    scikit-image's fast mode leaves them out as well.
    """
    return (2 * offset) ** 2 * channels


def counts_exactly(bounds: Bounds, offset: int, channels: int) -> bool:
    """Return whether sums of integers in float32 select the patches that scikit-image counts.

    They do not if the limit is nearly an integer: scikit-image's rounding of floats then decides.
    """
    terms = terms_of(offset, channels)
    most, limit = terms * WHITE["uint8"] ** 2, bounds.limit * WHITE["uint8"] ** 2
    error = 2 * LEVEL_ERROR * sqrt(terms * limit)
    return most < EXACT and (limit > most + error or abs(limit - round(limit)) > error)


def planes_of(image: Image, window: Span, place: Place, levels: bool) -> NDArray[Any]:
    """Cut a window out of a block, mirrored at the image border, as planes.

    Parameters
    ----------
    image : ndarray
        The block.
    window : Span
        The window, in the whole image; it may reach beyond the border.
    place : Place
        Where the block lies in the whole image.
    levels : bool
        Whether levels stay integers, in float32; else white becomes 1, in float64.

    Returns
    -------
    ndarray
        (channels, rows, columns), contiguous.
    """
    inside = window.clipped(place.shape)
    cut = cut_out(image, inside, place)
    # scikit-image gets float32 here, and computes in float64.
    cut = cut.astype(np.float32) if levels else util.img_as_float32(cut).astype(np.float64)
    return as_planes(cut, inside, window, "reflect")
