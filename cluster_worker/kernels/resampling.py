"""Other rows and columns: each a sum of some of the image's, in float32, row by row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import WHITE, Image, channels_of, core_of, lazily, rows_of
from cluster_worker.pixels.tiling import Place, all_of

loops = lazily("cluster_worker.kernels.loops.resampling")


class Taps(NamedTuple):
    """What the pixels of a result are made from along one axis.

    Attributes
    ----------
    lines : ndarray of int
        (pixels, 3): the first pixel that is weighed, how many are, and whether the weights are
        the same for all that are marked so.
    weights : ndarray of float32
        (pixels, most that are weighed).
    step : int
        How far the first pixel moves from one marked pixel to the next.
    """

    lines: NDArray[np.intp]
    weights: NDArray[np.float32]
    step: int


def resample(
    image: Image, down: Taps, across: Taps, *, dtype: str, place: Place, out: Image | None
) -> Image:
    """Make a core of a result of other rows and columns.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    down, across : Taps
        Of the core's rows and columns, in coordinates of the image.
    dtype : {"float32", "uint8", "uint16"}
        Type of the result; integers are rounded.
    place : Place
        Its window is the block, its core that of the result.
    out : ndarray or None
        Array for the result; None makes a new one.
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
    """Count pixels from the first of a block."""
    lines = lines.copy()
    lines[:, 0] -= start
    return lines
