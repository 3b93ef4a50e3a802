"""Blobs of an image: a table with a row for each bright spot, with its size.

The image is filtered at several sizes. Every tile finds its pixels that are as bright as the
brightest around them, there and at the next smaller and larger size. Those of the whole image are
then put in scikit-image's order, and of two that overlap too much the smaller is left out.

`blob_doh` takes the whole image as one tile: it is computed from sums whose rounding depends on the
image's corner.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.overlapping import without_overlaps
from cluster_worker.operations.support.propagation import refuse_nan

ndimage = lazily("scipy.ndimage")
filters = lazily("skimage.filters")
hessians = lazily("skimage.feature.blob")
transform = lazily("skimage.transform")
util = lazily("skimage.util")

Array = NDArray[Any]
Table = dict[str, Array]
Sizes = NDArray[np.floating[Any]]
# Pixels around one that it is compared with.
AROUND = 1


def log_sizes(
    kind: np.dtype[Any], min_sigma: float, max_sigma: float, num_sigma: int, log_scale: bool
) -> Sizes:
    """Return the sizes of `blob_log`: standard deviations in pixels."""
    ends = np.array([min_sigma, max_sigma], kind)
    if log_scale:
        least, greatest = np.log10(ends)
        result: Sizes = np.logspace(least, greatest, num_sigma)
        return result
    return np.linspace(ends[0], ends[1], num_sigma)


def dog_sizes(kind: np.dtype[Any], min_sigma: float, max_sigma: float, sigma_ratio: float) -> Sizes:
    """Return the sizes of `blob_dog`, and one more for the last difference.

    If `max_sigma` is so far below `min_sigma` that there is no size, that is the only one.
    """
    least, greatest = np.full(2, min_sigma, kind), np.full(2, max_sigma, kind)
    count = int(np.mean(np.log(greatest / least) / np.log(sigma_ratio) + 1))
    return np.array([least * (sigma_ratio**i) for i in range(max(count, 0) + 1)])[:, 0]


def dog_cost(min_sigma: float, max_sigma: float, sigma_ratio: float, **_: Any) -> float:
    """Return the cost of all blurs, whose sizes grow by a factor from the least to the greatest."""
    sizes = dog_sizes(np.dtype(float), min_sigma, max_sigma, sigma_ratio)
    return 12 * len(sizes) + 2.2 * float(sizes.sum())


def log_halo(max_sigma: float) -> int:
    """Return the pixels around a tile that `measure_log` reads."""
    return reach(max_sigma) + AROUND


def dog_halo(min_sigma: float, max_sigma: float, sigma_ratio: float) -> int:
    """Return the pixels around a tile that `measure_dog` reads."""
    sizes = dog_sizes(np.dtype(float), min_sigma, max_sigma, sigma_ratio)
    return reach(float(sizes[-1])) + AROUND


def measure_log(
    image: Image,
    place: Place,
    *,
    min_sigma: float = 1,
    max_sigma: float = 50,
    num_sigma: int = 10,
    log_scale: bool = False,
    threshold: float | None = 0.2,
) -> Table:
    """Find what may be blobs of `skimage.feature.blob_log` in a tile.

    Parameters
    ----------
    image : ndarray
        (rows, columns), with a halo of `log_halo` pixels, clipped at the image border.
    place : Place
        Where the block lies in the image; only its core is searched.
    min_sigma, max_sigma, num_sigma, log_scale
        As in scikit-image.
    threshold : float, optional
        Only brighter pixels of the filtered images are blobs.

    Returns
    -------
    dict
        ``points`` (row, column, index of the size) and ``values``; ``extent`` of the filtered
        images; ``flat`` as in `peak_tables`; and ``sizes``.
    """
    image = as_floats(image)
    sizes = log_sizes(image.dtype, min_sigma, max_sigma, num_sigma, log_scale)
    filtered = [-ndimage.gaussian_laplace(image, size) * np.mean([size]) ** 2 for size in sizes]
    return found_in(np.stack(filtered, axis=2).astype(image.dtype), sizes, place, threshold)


def measure_dog(
    image: Image,
    place: Place,
    *,
    min_sigma: float = 1,
    max_sigma: float = 50,
    sigma_ratio: float = 1.6,
    threshold: float | None = 0.5,
) -> Table:
    """Find what may be blobs of `skimage.feature.blob_dog` in a tile; see `measure_log`.

    Raises
    ------
    ValueError
        If `max_sigma` leaves no size to look for.
    """
    image = as_floats(image)
    sizes = dog_sizes(image.dtype, min_sigma, max_sigma, sigma_ratio)
    if len(sizes) < 2:
        raise ValueError(f"max_sigma: must be at least min_sigma, {min_sigma:g}, got {max_sigma:g}")
    blurred = [filters.gaussian(image, sigma=size, mode="reflect") for size in sizes]
    cube = np.stack([a - b for a, b in pairwise(blurred)], axis=2)
    cube *= 1 / (sigma_ratio - 1)
    return found_in(cube.astype(image.dtype, copy=False), sizes[:-1], place, threshold)


def measure_doh(
    image: Image,
    place: Place,
    *,
    min_sigma: float = 1,
    max_sigma: float = 30,
    num_sigma: int = 10,
    log_scale: bool = False,
    threshold: float | None = 0.01,
) -> Table:
    """Find what may be blobs of `skimage.feature.blob_doh` in a whole image; see `measure_log`."""
    image = as_floats(image)
    sums = transform.integral_image(image)
    sizes = np.linspace(min_sigma, max_sigma, num_sigma)
    if log_scale:
        sizes = np.logspace(math.log(min_sigma, 10), math.log(max_sigma, 10), num_sigma)
    cube = np.empty((*image.shape, num_sigma), image.dtype)
    for i, size in enumerate(sizes):
        cube[..., i] = hessians._hessian_matrix_det(sums, size)
    return found_in(cube, sizes, place, threshold)


def as_floats(image: Image) -> Image:
    """Return an image as scikit-image's functions take it: of 32 or 64 bits.

    Raises
    ------
    ValueError
        If it holds NaN.
    """
    refuse_nan(image)
    floats: Image = util.img_as_float(image)
    return floats.astype(np.float32 if floats.dtype.itemsize < 8 else np.float64, copy=False)


def found_in(cube: Image, sizes: Sizes, place: Place, threshold: float | None) -> Table:
    """Find the local maxima of filtered images, (rows, columns, sizes), in the core of a block."""
    around = place.core.grown(AROUND).intersection(place.window)
    near = cube[around.relative_to(place.window).slices]
    inner = place.core.relative_to(around).slices
    core = near[inner]
    brightest = ndimage.maximum_filter(near, 2 * AROUND + 1, mode="nearest")[inner]
    found = core == brightest
    flat = bool(found.all())
    if threshold is not None:
        found &= core > threshold
    return {
        "points": np.argwhere(found) + np.array([place.core.top, place.core.left, 0]),
        "values": core[found],
        "extent": np.array([core.min(), core.max()]),
        "flat": np.array([flat]),
        "sizes": sizes,
    }


def combine(one: Mapping[str, Array], other: Mapping[str, Array]) -> Table:
    """Join what was found in two sets of tiles."""
    extent = np.concatenate([one["extent"], other["extent"]])
    return {
        "points": np.concatenate([one["points"], other["points"]]),
        "values": np.concatenate([one["values"], other["values"]]),
        "extent": np.array([extent.min(), extent.max()]),
        "flat": one["flat"] & other["flat"],
        "sizes": one["sizes"],
    }


def finish(
    found: Mapping[str, Array],
    shape: tuple[int, int],
    *,
    overlap: float = 0.5,
    threshold: float | None = None,
    threshold_rel: float | None = None,
    exclude_border: int | bool = False,
) -> Table:
    """Return the blobs in scikit-image's order: the brightest first.

    Parameters
    ----------
    found : mapping
        What was found in all tiles.
    shape : tuple of int
        (rows, columns) of the image.
    overlap : float
        Of two blobs whose areas overlap by more than this share, the smaller is left out.
    threshold, threshold_rel : float, optional
        Blobs are brighter than the larger of `threshold` (by default the least value of the
        filtered images) and `threshold_rel` times the greatest.
    exclude_border : int or bool
        Blobs nearer to the border than this are left out.

    Returns
    -------
    dict
        ``row``, ``column`` and ``sigma``, the size; the radius is about sigma × √2.
    """
    least, greatest = found["extent"]
    limit = least if threshold is None else threshold
    if threshold_rel is not None:
        limit = max(limit, threshold_rel * greatest)
    width = int(exclude_border)
    points, values = found["points"], found["values"]
    inside = (points[:, :2] >= width) & (points[:, :2] < np.array(shape) - width)
    kept = inside.all(axis=1) & (values > limit) & ~found["flat"][0]
    points, values = points[kept], values[kept]
    order = np.lexsort((points[:, 2], points[:, 1], points[:, 0]))
    order = order[np.argsort(-values[order], kind="stable")]
    points = points[order]
    # As scikit-image has them: in the type of the sizes, which the pruning depends on.
    sizes = found["sizes"]
    blobs = np.column_stack([points[:, :2].astype(sizes.dtype), sizes[points[:, 2]]])
    if len(blobs):
        blobs = without_overlaps(blobs, overlap)
    return {"row": blobs[:, 0], "column": blobs[:, 1], "sigma": blobs[:, 2]}
