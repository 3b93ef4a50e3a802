"""Gaussian filters: the same weights along columns and along rows, in float32, row by row."""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, WHITE, Image, channels_of, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

_filters = lazily("scipy.ndimage._filters")
loops = lazily("cluster_worker.kernels.loops.separable")


def kernel_of(sigma: float, truncate: float) -> NDArray[np.float64]:
    """Return scipy's weights of a Gaussian with this standard deviation, in pixels."""
    weights: NDArray[np.float64] = _filters._gaussian_kernel1d(
        sigma, 0, int(truncate * sigma + 0.5)
    )
    return weights


def gaussian(
    image: Image,
    sigma: float,
    mode: str,
    cval: float,
    truncate: float,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Blur a block with a Gaussian.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    sigma, mode, cval, truncate
        As in ``skimage.filters.gaussian``.
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
    with core_of(image, place.core.relative_to(place.window), dtype, out) as result:
        convolve(image, kernel_of(sigma, truncate), mode, cval, dtype, place, result)
    return result if out is None else out


def difference(
    image: Image,
    sigmas: tuple[float, float],
    mode: str,
    cval: float,
    truncate: float,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Subtract a wide Gaussian blur of a block from a narrow one.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns) or (rows, columns, channels).
    sigmas : tuple of float
        Standard deviations of the narrow one and the wide one.
    mode, cval, truncate, place, out
        As in `gaussian`.

    Returns
    -------
    ndarray of float32
        The result for the core.
    """
    narrow, wide = (
        gaussian(image, sigma, mode, cval, truncate, dtype="float32", place=place, out=None)
        for sigma in sigmas
    )
    return np.subtract(narrow, wide, out=narrow if out is None else out)


def unsharp_mask(
    image: Image,
    radius: float,
    amount: float,
    preserve_range: bool,  # noqa: ARG001 - False: see the declaration
    *,
    statistics: tuple[bool],
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Sharpen a block by unsharp masking.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    radius, amount, preserve_range
        As in ``skimage.filters.unsharp_mask``; `preserve_range` is False.
    statistics : tuple of bool
        Whether any pixel of the whole image is negative.
    dtype, place, out
        As in `gaussian`.

    Returns
    -------
    ndarray
        The result for the core.
    """
    low = -1.0 if statistics[0] else 0.0
    with core_of(image, place.core.relative_to(place.window), dtype, out) as result:
        convolve(image, kernel_of(radius, 4.0), "reflect", 0.0, dtype, place, result, amount, low)
    return result if out is None else out


def convolve(
    image: Image,
    weights: NDArray[np.float64],
    mode: str,
    cval: float,
    dtype: str,
    place: Place,
    result: Image,
    amount: float | None = None,
    low: float = 0.0,
) -> None:
    """Blur the core of a block into an array, or sharpen it if there is an amount.

    Parameters
    ----------
    image, mode, cval, dtype, place
        As in `gaussian`.
    weights : ndarray of float64
        Weights along either axis, of odd length.
    result : ndarray
        Array for the core, contiguous and of type `dtype`.
    amount : float, optional
        How much of the difference from the blur is added to the image.
    low : float
        Least value of a sharpened pixel, as a share of white.
    """
    core = place.core.relative_to(place.window)
    channels = channels_of(image)
    taken, white = WHITE[str(image.dtype)], WHITE[dtype]
    gain = white / taken
    loops.convolve(
        rows_of(image),
        (weights * gain).astype(np.float32),
        weights.astype(np.float32),
        channels,
        BORDERS[mode],
        np.float32(cval * taken),
        loops.BLUR if amount is None else loops.SHARPEN,
        np.float32(gain),
        np.float32(amount or 0),
        np.float32(low * white),
        np.float32(white),
        core.top,
        core.left * channels,
        rows_of(result),
    )
