"""Sums of a pixel's colours, from whole numbers without arrays of floats in between."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, core_of, lazily, rows_of
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.tiling import all_of

loops = lazily("cluster_worker.kernels.loops.colours")
depths = lazily("cluster_worker.kernels.loops.depths")

# Of logarithms of colours: so many are made at a time that they are still in the cache when
# colours are made of them.
LOGARITHMS_BYTES = 1 << 18


def gray(
    image: Image, *, weights: tuple[float, float, float], dtype: str, out: Image | None
) -> Image:
    """Turn colours into a weighted sum of theirs; a gray image stays as it is.

    Parameters
    ----------
    image : ndarray
        A core, of uint8, uint16 or float32.
    weights : tuple of float
        Of red, green and blue.
    dtype : {"float32", "uint8", "uint16"}
        Of the result; whole numbers are rounded to.
    out : ndarray or None
        For the result.
    """
    if image.ndim == 2:
        return to_depth(image, dtype)
    with core_of(image[..., 0], all_of(image.shape), dtype, out) as result:
        loops.grays(
            rows_of(image),
            np.array(weights, np.float32),
            np.float32(1 / WHITE[str(image.dtype)]),
            np.float32(WHITE[dtype]),
            dtype != "float32",
            rows_of(result),
        )
    return result if out is None else out


def mixed(
    image: Image,
    *,
    matrix: NDArray[Any],
    offset: tuple[float, float, float] | None = None,
    dtype: str,
    out: Image | None,
) -> Image:
    """Make each colour of the result a sum of an image's, weighted by a row of a matrix.

    Parameters
    ----------
    image : ndarray
        A core of three colours, of uint8, uint16 or float32.
    matrix : ndarray
        3 × 3.
    offset : tuple of float, optional
        What is added to each colour of the result.
    dtype : {"float32", "uint8", "uint16"}
        Of the result.
    out : ndarray or None
        For the result.
    """
    with core_of(image, all_of(image.shape), dtype, out) as result:
        target = result if dtype == "float32" else np.empty(result.shape, np.float32)
        loops.mixtures(
            rows_of(image),
            np.asarray(matrix, np.float32).ravel(),
            np.float32(1 / WHITE[str(image.dtype)]),
            rows_of(target),
        )
        if offset is not None:
            target += np.array(offset, np.float32)
        if target is not result:
            result[...] = to_depth(target, dtype)
    return result if out is None else out


def weighed(
    image: Image,
    *,
    table: NDArray[np.float64],
    weights: NDArray[np.float64],
    dtype: str,
    out: Image | None,
) -> Image:
    """Weigh what the levels of a pixel's colours stand for; what is less than 0 becomes 0.

    Parameters
    ----------
    image : ndarray
        A core of three colours, of uint8 or uint16.
    table : ndarray
        What each level stands for.
    weights : ndarray
        (3,), for a gray result, or (channels of the result, 3).
    dtype : {"float32", "uint8", "uint16"}
        Of the result.
    out : ndarray or None
        For the result.
    """
    planes = np.ascontiguousarray(np.atleast_2d(weights))
    gives = image if weights.ndim == 2 else image[..., 0]
    with core_of(gives, all_of(image.shape), dtype, out) as result:
        target = result if dtype == "float32" else np.empty(result.shape, np.float32)
        loops.weighed(rows_of(image), table, planes, rows_of(target))
        if target is not result:
            result[...] = to_depth(target, dtype)
    return result if out is None else out


def stained(
    image: Image,
    *,
    table: NDArray[np.float64],
    amounts: NDArray[np.float64],
    colours: NDArray[np.float64],
    dtype: str,
    out: Image | None,
) -> Image:
    """Give the colours that one stain has, or three together, by how much of it is at a pixel.

    Parameters
    ----------
    image : ndarray
        A core of three colours, of uint8 or uint16.
    table : ndarray
        What each level stands for.
    amounts : ndarray
        (stains, 3), by which that is weighed; what is less than 0 becomes 0.
    colours : ndarray
        (3, stains): logarithms of the colours of each stain.
    dtype : {"float32", "uint8", "uint16"}
        Of the result.
    out : ndarray or None
        For the result.
    """
    rows = rows_of(image)
    many = max(LOGARITHMS_BYTES // (4 * rows.shape[1]), 1)
    scratch = np.empty((many, rows.shape[1]), np.float32)
    weights = np.ascontiguousarray(amounts), np.ascontiguousarray(colours)
    with core_of(image, all_of(image.shape), dtype, out) as result:
        for top in range(0, len(rows), many):
            given = rows[top : top + many]
            found = scratch[: len(given)]
            loops.stained(given, table, *weights, found)
            np.exp(found, out=found)
            target = rows_of(result)[top : top + many]
            if dtype == "float32":
                np.minimum(found, 1, out=target)
            else:
                depths.to_levels(found.reshape(-1), np.float32(WHITE[dtype]), target.reshape(-1))
    return result if out is None else out
