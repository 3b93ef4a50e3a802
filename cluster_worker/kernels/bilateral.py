"""The bilateral filter: averages over neighbours of similar colour."""

import numpy as np
from numpy.typing import NDArray
from skimage import util

from cluster_worker.kernels import Image, channels_of, core_of, lazily, rows_of
from cluster_worker.kernels.planes import as_planes, cut_out
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.tiling import Place, Span, tiles

loops = lazily("cluster_worker.kernels.loops.bilateral")

# (rows, columns) worked on at a time: the rows of a window fit the second cache.
CORE = (512, 1024)

Weights = NDArray[np.float32]


def bilateral(
    image: Image,
    extent: tuple[float, float],
    colours: Weights,
    places: Weights,
    side: int,
    mode: str,
    cval: float,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Average each pixel of a block with those around it that are of similar colour.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3) of uint8, uint16 or float32.
    extent : tuple of float
        Least and greatest value of the whole image.
    colours, places : ndarray
        scikit-image's tables of weights.
    side : int
        Of the window.
    mode, cval
        As in ``skimage.restoration.denoise_bilateral``.
    dtype : {"float32", "uint8", "uint16"}
        Of the result; whole numbers are rounded to.
    place : Place
        Of the block, for its core.
    out : ndarray or None
        For the result.

    Returns
    -------
    ndarray
        The core.
    """
    core, channels = place.core, channels_of(image)
    least, greatest = extent
    lift = min(least, 0)
    # scikit-image divides whole numbers here.
    scale = np.float32(len(colours) // channels / (greatest - lift))
    with core_of(image, core.relative_to(place.window), dtype, out) as result:
        for part in tiles(core.shape, CORE):
            span = part.relative_to(Span(-core.top, 0, -core.left, 0))
            planes = planes_of(image, span.grown((side - 1) // 2), place, lift, mode, cval)
            averaged = np.empty((*part.shape, *image.shape[2:]), np.float32)
            lines = rows_of(averaged)
            loops.bilateral(planes, side, scale, colours, places, np.float32(lift), lines)
            result[part.slices] = to_depth(averaged, dtype)
    return result if out is None else out


def planes_of(
    image: Image, window: Span, place: Place, lift: float, mode: str, cval: float
) -> NDArray[np.float32]:
    """Cut a window out of a block, and continue it beyond the image border, as planes of floats.

    Parameters
    ----------
    image : ndarray
        The block.
    window : Span
        In the whole image; it may reach beyond.
    place : Place
        Of the block.
    lift : float
        What is taken from the image, if it is negative.
    mode, cval
        As above.
    """
    inside = window if mode == "wrap" else window.clipped(place.shape)
    cut = util.img_as_float32(cut_out(image, inside, place))
    level = {"constant_values": cval} if mode == "constant" else {}
    return as_planes(cut - lift if lift else cut, inside, window, mode, **level)
