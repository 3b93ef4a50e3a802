"""The bilateral filter: averages over neighbours of similar colour."""

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, channels_of, core_of, rows_of
from cluster_worker.kernels.planes import as_planes, cut_out
from cluster_worker.lazy import lazily
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.tiling import Place, Span, tiles

util = lazily("skimage.util")
loops = lazily("cluster_worker.kernels.loops.bilateral")

# (rows, columns) of a strip that is filtered at a time: the rows of a window fit the L2 cache.
CORE = (512, 1024)

Weights = NDArray[np.float32]


def bilateral(
    image: Image,
    extent: tuple[float, float],
    colours: Weights,
    spatial: Weights,
    side: int,
    mode: str,
    cval: float,
    *,
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Average each pixel of a block with the pixels around it that have a similar colour.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3) of uint8, uint16 or float32.
    extent : tuple of float
        Least and greatest value of the whole image.
    colours, places : ndarray of float32
        scikit-image's tables of weights: by difference of colour, and by position in the window.
    side : int
        Side of the window, in pixels.
    mode, cval
        As in ``skimage.restoration.denoise_bilateral``.
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
    core, channels = place.core, channels_of(image)
    least, greatest = extent
    lift = min(least, 0)
    # scikit-image divides the number of bins by the channels as integers.
    scale = np.float32(len(colours) // channels / (greatest - lift))
    with core_of(image, core.relative_to(place.window), dtype, out) as result:
        for strip in tiles(core.shape, CORE):
            span = strip.relative_to(Span(-core.top, 0, -core.left, 0))
            planes = planes_of(image, span.grown((side - 1) // 2), place, lift, mode, cval)
            averaged = np.empty((*strip.shape, *image.shape[2:]), np.float32)
            lines = rows_of(averaged)
            loops.bilateral(planes, side, scale, colours, spatial, np.float32(lift), lines)
            result[strip.slices] = to_depth(averaged, dtype)
    return result if out is None else out


def planes_of(
    image: Image, window: Span, place: Place, lift: float, mode: str, cval: float
) -> NDArray[np.float32]:
    """Cut a window out of a block and extend it beyond the image border, as planes of float32.

    Parameters
    ----------
    image : ndarray
        The block.
    window : Span
        The window, in the whole image; it may reach beyond the border.
    place : Place
        Where the block lies in the whole image.
    lift : float
        The least value of the whole image if that is negative, else 0; it is subtracted.
    mode, cval
        As in `bilateral`.

    Returns
    -------
    ndarray of float32
        (channels, rows, columns).
    """
    inside = window if mode == "wrap" else window.clipped(place.shape)
    cut = util.img_as_float32(cut_out(image, inside, place))
    level = {"constant_values": cval} if mode == "constant" else {}
    return as_planes(cut - lift if lift else cut, inside, window, mode, **level)
