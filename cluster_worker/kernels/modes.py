"""Quickshift (Vedaldi & Soatto 2008) in parts that can be cut, with compiled loops.

A block is (rows, columns, 4): three colours, and a density that begins with noise, which settles
ties.
"""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.modes")


def reach(kernel_size: float) -> int:
    """Pixels that a window reaches in any type of float; in one of them it may be one less."""
    return ceil(3 * kernel_size) + 1


def squares(block: Image, kernel_size: float) -> Image:
    """Give the squares of whole numbers up to how far a window reaches in the block's type."""
    width = ceil(block.dtype.type(3) * block.dtype.type(kernel_size))
    steps = np.arange(width + 1).astype(block.dtype)
    found: Image = steps * steps
    return found


def planes_of(block: Image) -> tuple[Image, Image]:
    """Give colours as planes, and a copy of the densities."""
    return np.moveaxis(block[..., :3], 2, 0).copy(), block[..., 3].copy()


def core_in(place: Place) -> NDArray[np.int64]:
    """Give where the core lies in the block."""
    return np.array(place.core.relative_to(place.window), np.int64)


def with_densities(block: Image, *, place: Place, kernel_size: float) -> Image:
    """Add up how near the pixels of a window are to each pixel of the core.

    Parameters
    ----------
    block : ndarray
        (rows, columns, 4), of floats.
    place : Place
        Of the block, which holds the window of each pixel of its core.
    kernel_size : float
        Standard deviation of the Gaussian that distances are weighed by.
    """
    planes, densities = planes_of(block)
    size: Any = block.dtype.type(kernel_size)
    factor = block.dtype.type(-0.5 / float(size * size))
    loops.sum_densities(planes, densities, core_in(place), squares(block, kernel_size), factor)
    return np.concatenate([block[..., :3], densities[..., np.newaxis]], axis=2)


def with_parents(
    block: Image, *, place: Place, out: Image | None, kernel_size: float, max_dist: float
) -> Image:
    """Give the number in the whole image of the nearest denser pixel of each window.

    Parameters
    ----------
    block, place, kernel_size
        As above.
    out : ndarray of int64 or None
        For the result.
    max_dist : float
        How far away it may be; a pixel that finds none gives its own number.

    Returns
    -------
    ndarray of int64
        The core.
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
