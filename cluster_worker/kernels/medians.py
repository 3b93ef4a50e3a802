"""Medians of squares: sorting networks for small squares, OpenCV's histograms for larger ones."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.kernels.footprints import Footprint, footprint_reach
from cluster_worker.kernels.framed import MODES, framed
from cluster_worker.kernels.strips import by_strips, direct
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.medians")
opencv = lazily("cluster_worker.kernels.opencv")

# The modes that OpenCV's median serves without padding. It repeats the last pixel, as "nearest"
# does; with "wrap" the block already holds the pixels beyond the border.
OWN_BORDER = ("nearest", "wrap")
# Radius of the largest squares whose pixels are sorted. Larger ones are counted, in uint8 only.
SORTED = 4


def is_square(footprint: Footprint, radius: int, half_width: int | None) -> bool:
    """Return whether a neighbourhood is a square."""
    return footprint == "square" or (footprint == "rectangle" and half_width in (None, radius))


def is_sorted(footprint: Footprint, radius: int, half_width: int | None) -> bool:
    """Return whether a neighbourhood is a square that is small enough for a sorting network."""
    return is_square(footprint, radius, half_width) and radius <= SORTED


def sorted_median(
    image: Image,
    footprint: Footprint,
    radius: int,
    half_width: int | None,
    mode: str,
    *,
    model: Callable[..., Image],
    place: Place,
    out: Image | None,
) -> Image:
    """Compute the medians of small squares.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels) of uint8, uint16 or float32.
    footprint, radius, half_width, mode
        Parameters of the operation.
    model : callable
        The operation's function. It is called if the image holds NaN.
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core, of the image's type.
    """
    reach = footprint_reach(footprint, radius, half_width)
    if image.dtype.kind == "f" and np.isnan(image.min()):
        return by_strips(
            lambda strip: model(strip, footprint, radius, half_width, mode),
            image,
            reach,
            place,
            out,
        )
    loop = partial(loops.medians, np.empty(0, image.dtype), reach)
    return framed(loop, image, reach, mode, 0, place, out)


def counted_median(
    image: Image, radius: int, mode: str, *, place: Place, out: Image | None, **_: Any
) -> Image:
    """Compute the medians of larger squares of a uint8 image; the rest is as in `sorted_median`."""

    def apply(strip: Image, result: Image | None = None) -> Image:
        if mode in OWN_BORDER:
            found: Image = opencv.cv2.medianBlur(strip, 2 * radius + 1, dst=result)
            return found.reshape(strip.shape)
        border = getattr(opencv.cv2, MODES[mode])
        padded = opencv.cv2.copyMakeBorder(strip, *(radius,) * 4, border)
        found = opencv.cv2.medianBlur(padded, 2 * radius + 1)
        return found[radius:-radius, radius:-radius].reshape(strip.shape)

    run = direct if mode in OWN_BORDER else by_strips
    return run(apply, image, radius, place, out)
