"""Gradients: differences of neighbours, smoothed along the edge, in float32, row by row."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import BORDERS, WHITE, Image, channels_of, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

edges = lazily("skimage.filters.edges")
loops = lazily("cluster_worker.kernels.loops.slopes")

Method = Literal["sobel", "scharr", "prewitt", "farid"]


def weights_of(method: Method) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights for smoothing and for differences as scikit-image convolves with them.

    Both have the same odd length.
    """
    if method == "farid":
        return edges.farid_smooth.ravel(), edges.farid_edge.ravel()
    name = method.upper()
    return getattr(edges, f"{name}_SMOOTH"), getattr(edges, f"{name}_EDGE")


def slopes(
    image: Image,
    mode: str = "reflect",
    cval: float = 0.0,
    *,
    method: Method,
    axes: tuple[int, ...] = (0, 1),
    dtype: str,
    shows: tuple[float, float],
    place: Place,
    out: Image | None,
) -> Image:
    """Compute the gradient of a block.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    mode, cval
        As in ``skimage.filters.sobel``.
    method : {"sobel", "scharr", "prewitt", "farid"}
        Whose weights to take.
    axes : tuple of int
        The axis along which the slope is computed; for both, the magnitude of the gradient.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    shows : tuple of float
        The values that become black and white in an integer result.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    channels = channels_of(image)
    taken, white = WHITE[str(image.dtype)], WHITE[dtype]
    gain, offset = range_mapped(dtype, shows)
    # Half of the weights, from the centre outwards.
    smooth, differ = (each[len(each) // 2 :: -1].astype(np.float32) for each in weights_of(method))
    with core_of(image, core, dtype, out) as result:
        loops.slopes(
            rows_of(image),
            smooth,
            differ,
            0 in axes,
            1 in axes,
            channels,
            BORDERS[mode],
            np.float32(cval * taken),
            np.float32(gain / taken),
            np.float32(offset),
            np.float32(white),
            core.top,
            core.left * channels,
            rows_of(result),
        )
    return result if out is None else out


def crosses(
    image: Image,
    *,
    diagonals: tuple[str, ...] = (),
    dtype: str,
    shows: tuple[float, float],
    place: Place,
    out: Image | None,
) -> Image:
    """Compute differences of a block's pixels along diagonals, or their Laplacian.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    diagonals : tuple of {"falling", "rising"}
        The diagonal along which differences are computed; for both, the magnitude of the gradient;
        for none, the Laplacian.
    dtype, shows, place, out
        As in `slopes`.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    channels = channels_of(image)
    gain, offset = range_mapped(dtype, shows)
    with core_of(image, core, dtype, out) as result:
        loops.crosses(
            rows_of(image),
            "falling" in diagonals,
            "rising" in diagonals,
            channels,
            np.float32(gain / WHITE[str(image.dtype)]),
            np.float32(offset),
            np.float32(WHITE[dtype]),
            core.top,
            core.left * channels,
            rows_of(result),
        )
    return result if out is None else out


def range_mapped(dtype: str, shows: tuple[float, float]) -> tuple[float, float]:
    """Return the factor and the offset that map a range to black and white of a type.

    Parameters
    ----------
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; float32 is not mapped.
    shows : tuple of float
        The values that become black and white.
    """
    if dtype == "float32":
        return 1.0, 0.0
    low, high = shows
    gain = WHITE[dtype] / (high - low)
    return gain, -low * gain
