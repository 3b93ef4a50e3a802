"""Local binary patterns: which points on a circle are as bright as the pixel in its middle."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.patterns")

# A bit for each point; the lowest bit is the first point.
Patterns = NDArray[np.uint32]


def compared(image: Image, count: int, radius: float, place: Place) -> Patterns:
    """Compute for each pixel which points on a circle around it are at least as bright.

    Parameters
    ----------
    image : ndarray
        (rows, columns).
    count : int
        Number of points, at most 32.
    radius : float
        Radius of the circle, in pixels.
    place : Place
        Where the block lies: coordinates are rounded as in the whole image.

    Returns
    -------
    ndarray of uint32
        (rows, columns): a bit for each point.
    """
    found = np.empty(image.shape, np.uint32)
    loops.compare(*around(image, count, radius, place), found)
    return found


def variance(image: Image, count: int, radius: float, place: Place) -> Image:
    """Compute the variance of the points around each pixel, as float64.

    The parameters are those of `compared`.
    """
    found = np.empty(image.shape, np.float64)
    loops.variances(*around(image, count, radius, place), found)
    return found


def around(
    image: Image, count: int, radius: float, place: Place
) -> tuple[Image, int, NDArray[np.int64], Image, Image]:
    """Compute the first five arguments of the loops `compare` and `variances`.

    Pixels beyond the block are 0. The parameters are those of `compared`.
    """
    angles = 2 * np.pi * np.arange(count, dtype=np.double) / count
    down = np.round(-radius * np.sin(angles), 5)
    right = np.round(radius * np.cos(angles), 5)
    offsets = np.array([np.floor(down), np.ceil(down), np.floor(right), np.ceil(right)])
    window = place.window
    rows = np.arange(window.top, window.bottom) + down[:, np.newaxis]
    columns = np.arange(window.left, window.right) + right[:, np.newaxis]
    below, beside = rows - np.floor(rows), columns - np.floor(columns)
    margin = ceil(radius)
    padded = np.pad(image.astype(np.float64, order="C"), margin)
    return padded, margin, offsets.T.astype(np.int64, order="C"), below, beside


def least_rotation(patterns: Patterns, count: int) -> Image:
    """Return the least of the numbers that rotating the circle of `count` points gives."""
    least: Image = patterns
    turning: Image = patterns
    for _ in range(count - 1):
        turning = (turning >> 1) | ((turning & 1) << (count - 1))
        least = np.minimum(least, turning)
    return least


def changes(patterns: Patterns, count: int) -> NDArray[np.uint8]:
    """Count the changes between dark and bright from the first of `count` points to the last."""
    found: NDArray[np.uint8] = np.bitwise_count((patterns ^ patterns >> 1) & (1 << count - 1) - 1)
    return found


def uniform(patterns: Patterns, count: int) -> Image:
    """Return how many of `count` points are bright if they change at most twice, else count + 1."""
    is_uniform = changes(patterns, count) <= 2
    found: Image = np.where(is_uniform, np.bitwise_count(patterns), np.uint8(count + 1))
    return found


def numbered_runs(patterns: Patterns, count: int) -> Image:
    """Number each run of bright points by its length and its position on the circle.

    `count` is the number of points. No bright points are 0, all bright ones are
    count · (count - 1) + 1, and patterns that change more than twice are one more than that.
    """
    ones = np.bitwise_count(patterns).astype(np.int16)
    first_one, first_zero = lowest(patterns), lowest(~patterns)
    turns = np.where(first_one == 0, ones - first_zero, count - first_one)
    found: Image = 1 + (ones - 1) * count + turns
    found[ones == 0] = 0
    found[ones == count] = count * (count - 1) + 1
    found[changes(patterns, count) > 2] = count * (count - 1) + 2
    return found


def lowest(patterns: Patterns) -> NDArray[np.int16]:
    """Return the index of the lowest bit that is set."""
    found: NDArray[np.int16] = np.bitwise_count((patterns & -patterns) - 1).astype(np.int16)
    return found
