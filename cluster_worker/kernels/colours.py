"""Weighted sums of a pixel's colours; those of integers without a float image in between."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.tiling import all_of

color = lazily("skimage.color")
colorconv = lazily("skimage.color.colorconv")
loops = lazily("cluster_worker.kernels.loops.colours")
depths = lazily("cluster_worker.kernels.loops.depths")

# Bytes of a strip of logarithms: the strip is still in the cache when its colours are computed.
LOGARITHMS_BYTES = 1 << 18


def gray(
    image: Image, *, weights: tuple[float, float, float], dtype: str, out: Image | None
) -> Image:
    """Compute the weighted sum of the colours of each pixel. A gray image is only converted.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3): a core, of uint8, uint16 or float32.
    weights : tuple of float
        Weights of red, green and blue.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    out : ndarray or None
        Array for the result; None makes a new one.
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
    matrix: str,
    offset: tuple[float, float, float] | None = None,
    dtype: str,
    out: Image | None,
) -> Image:
    """Multiply the colours of each pixel by a matrix.

    Parameters
    ----------
    image : ndarray
        (rows, columns, 3): a core, of uint8, uint16 or float32.
    matrix : str
        Name of a 3 × 3 matrix of ``skimage.color.colorconv``: a row holds the weights for one
        colour of the result.
    offset : tuple of float, optional
        Added to each colour of the result.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result.
    out : ndarray or None
        Array for the result; None makes a new one.
    """
    with core_of(image, all_of(image.shape), dtype, out) as result:
        target = result if dtype == "float32" else np.empty(result.shape, np.float32)
        loops.mixtures(
            rows_of(image),
            np.asarray(getattr(colorconv, matrix), np.float32).ravel(),
            np.float32(1 / WHITE[str(image.dtype)]),
            rows_of(target),
        )
        if offset is not None:
            target += np.array(offset, np.float32)
        if target is not result:
            result[...] = to_depth(target, dtype)
    return result if out is None else out


def summed(image: Image, matrix: NDArray[Any]) -> Image:
    """Multiply the colours of each pixel of a float image by a 3 × 3 matrix, in the image's type.

    The products are added one by one, with the same bits at any place.
    """
    # Separate colour planes are several times faster than interleaved ones.
    first, second, third = np.ascontiguousarray(np.moveaxis(image, 2, 0))
    result = np.empty_like(image)
    for i, (a, b, c) in enumerate(matrix.astype(image.dtype)):
        plane = first * a
        plane += second * b
        plane += third * c
        result[..., i] = plane
    return result


def rgb_to_xyz(image: Image) -> Image:
    """Convert RGB floats to XYZ, by the steps of skimage.color.rgb2xyz."""
    linear = image.copy()
    mask = linear > 0.04045
    linear[mask] = np.power((linear[mask] + 0.055) / 1.055, 2.4)
    linear[~mask] /= 12.92
    return summed(linear, colorconv.xyz_from_rgb)


def xyz_to_rgb(image: Image) -> Image:
    """Convert XYZ floats to RGB, by the steps of skimage.color.xyz2rgb."""
    rgb = summed(image, colorconv.rgb_from_xyz)
    mask = rgb > 0.0031308
    rgb[mask] = 1.055 * np.power(rgb[mask], 1 / 2.4) - 0.055
    rgb[~mask] *= 12.92
    np.clip(rgb, 0, 1, out=rgb)
    return rgb


def rgb_to_lab(image: Image, illuminant: str, observer: str) -> Image:
    """Convert RGB floats to CIE Lab."""
    result: Image = color.xyz2lab(rgb_to_xyz(image), illuminant, observer)
    return result


def lab_to_rgb(image: Image, illuminant: str, observer: str) -> Image:
    """Convert CIE Lab floats to RGB. A negative Z becomes 0, as in scikit-image."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        xyz = color.lab2xyz(image, illuminant, observer)
    return xyz_to_rgb(xyz)


def rgb_to_luv(image: Image) -> Image:
    """Convert RGB floats to CIE Luv."""
    result: Image = color.xyz2luv(rgb_to_xyz(image))
    return result


def weighed(
    image: Image,
    *,
    table: NDArray[np.float64],
    weights: NDArray[np.float64],
    dtype: str,
    out: Image | None,
) -> Image:
    """Compute weighted sums of the table values of each pixel's colours. Negative sums become 0.

    Parameters
    ----------
    image : ndarray
        (rows, columns, 3): a core, of uint8 or uint16.
    table : ndarray of float64
        (levels,): the value of each level.
    weights : ndarray of float64
        (3,) for a gray result, or (3, 3) for a result with three channels.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result.
    out : ndarray or None
        Array for the result; None makes a new one.
    """
    planes = np.ascontiguousarray(np.atleast_2d(weights))
    like = image if weights.ndim == 2 else image[..., 0]
    with core_of(like, all_of(image.shape), dtype, out) as result:
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
    """Compute the colours of one stain, or of three together, from its amount at each pixel.

    Parameters
    ----------
    image : ndarray
        (rows, columns, 3): a core, of uint8 or uint16.
    table : ndarray of float64
        (levels,): the value of each level.
    amounts : ndarray of float64
        (stains, 3): weights of the table values of a pixel's colours, whose sum is the amount of
        each stain; a negative amount becomes 0.
    colours : ndarray of float64
        (3, stains): logarithms of the colours of each stain, for one or three stains.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result.
    out : ndarray or None
        Array for the result; None makes a new one.
    """
    rows = rows_of(image)
    height = max(LOGARITHMS_BYTES // (4 * rows.shape[1]), 1)
    scratch = np.empty((height, rows.shape[1]), np.float32)
    weights = np.ascontiguousarray(amounts), np.ascontiguousarray(colours)
    with core_of(image, all_of(image.shape), dtype, out) as result:
        for top in range(0, len(rows), height):
            given = rows[top : top + height]
            found = scratch[: len(given)]
            loops.stained(given, table, *weights, found)
            np.exp(found, out=found)
            target = rows_of(result)[top : top + height]
            if dtype == "float32":
                np.minimum(found, 1, out=target)
            else:
                depths.to_levels(found.reshape(-1), np.float32(WHITE[dtype]), target.reshape(-1))
    return result if out is None else out
