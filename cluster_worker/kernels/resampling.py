"""Resampling: each row and column of a result is a weighted sum of an image's, in float32."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, channels_of, core_of, rows_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, all_of

loops = lazily("cluster_worker.kernels.loops.resampling")


class Taps(NamedTuple):
    """The weighted sums that make the pixels of a result along one axis.

    Attributes
    ----------
    lines : ndarray of int
        (pixels, 3): for each pixel of the result, the first pixel of its sum, the number of pixels
        in it, and a mark, 1 or 0. All marked pixels have the same weights.
    weights : ndarray of float32
        (pixels, pixels in the longest sum).
    step : int
        How far the first pixel of the sum moves from one marked pixel to the next.
    """

    lines: NDArray[np.intp]
    weights: NDArray[np.float32]
    step: int


def resample(
    image: Image, down: Taps, across: Taps, *, dtype: str, place: Place, out: Image | None
) -> Image:
    """Compute a core of a result that has other rows and columns than the image.

    Parameters
    ----------
    image : ndarray
        The block: (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    down, across : Taps
        The sums of the core's rows and of its columns, in coordinates of the whole image.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    place : Place
        Its window is the block, in the image. Its core lies in the result.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The core.
    """
    channels = channels_of(image)
    white = WHITE[dtype]
    with core_of(image, all_of(place.core.shape), dtype, out) as result:
        loops.resample(
            rows_of(image),
            channels,
            moved(down.lines, place.window.top),
            down.weights,
            moved(across.lines, place.window.left),
            across.weights,
            across.step,
            np.float32(white / WHITE[str(image.dtype)]),
            np.float32(white),
            rows_of(result),
        )
    return result if out is None else out


def moved(lines: NDArray[np.intp], start: int) -> NDArray[np.intp]:
    """Return lines of taps whose first pixels count from the start of a block."""
    lines = lines.copy()
    lines[:, 0] -= start
    return lines
