"""Quickshift (Vedaldi & Soatto 2008) in stages that can run tile by tile, with compiled loops.

A block is (rows, columns, 4): three colours, and a density. The density starts as noise, which
breaks ties.
"""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.modes")


def reach(kernel_size: float) -> int:
    """Return how far a window may reach, in pixels, in any float type; in one it may be 1 less."""
    return ceil(3 * kernel_size) + 1


def squares(block: Image, kernel_size: float) -> Image:
    """Return the squares of the integers from 0 to the reach of a window, in the block's type."""
    width = ceil(block.dtype.type(3) * block.dtype.type(kernel_size))
    steps = np.arange(width + 1).astype(block.dtype)
    found: Image = steps * steps
    return found


def planes_of(block: Image) -> tuple[Image, Image]:
    """Return the colours as (3, rows, columns), and a copy of the densities, (rows, columns)."""
    return np.moveaxis(block[..., :3], 2, 0).copy(), block[..., 3].copy()


def core_in(place: Place) -> NDArray[np.int64]:
    """Return the core in the block's coordinates: top, bottom, left, right."""
    return np.array(place.core.relative_to(place.window), np.int64)


def with_densities(block: Image, *, place: Place, kernel_size: float) -> Image:
    """Add to the density of each pixel of the core the Gaussian weights of the pixels around it.

    Parameters
    ----------
    block : ndarray
        (rows, columns, 4), of floats.
    place : Place
        Where the block lies, and its core. The block holds the window of each pixel of the core.
    kernel_size : float
        Standard deviation of the Gaussian that weights the distances.

    Returns
    -------
    ndarray
        (rows, columns, 4): the block with its densities, which are valid in the core only.
    """
    planes, densities = planes_of(block)
    size: Any = block.dtype.type(kernel_size)
    factor = block.dtype.type(-0.5 / float(size * size))
    loops.sum_densities(planes, densities, core_in(place), squares(block, kernel_size), factor)
    return np.concatenate([block[..., :3], densities[..., np.newaxis]], axis=2)


def with_parents(
    block: Image, *, place: Place, out: Image | None, kernel_size: float, max_dist: float
) -> Image:
    """Find for each pixel the nearest pixel of its window that has a higher density.

    Parameters
    ----------
    block, place, kernel_size
        As in `with_densities`.
    out : ndarray of int64 or None
        Array for the result; None makes a new one.
    max_dist : float
        The largest distance, in colour and position. A pixel that finds none is its own parent.

    Returns
    -------
    ndarray of int64
        For each pixel of the core, the number of its parent: pixels of the whole image are numbered
        from 0 in row order.
    """
    planes, densities = planes_of(block)
    columns = place.shape[1]
    numbering = np.array([place.window.top * columns + place.window.left, columns])
    limit = block.dtype.type(max_dist)
    parents = np.empty(place.core.shape, np.int64)
    near = squares(block, kernel_size)
    loops.find_parents(planes, densities, core_in(place), near, numbering, limit, parents)
    if out is None:
        return parents
    out[...] = parents
    return out


def trees(parents: Image) -> Image:
    """Number the trees of a whole image from 0, in the order of their roots."""
    labels = np.array(parents, order="C")
    loops.number_trees(labels.reshape(-1))
    return labels
