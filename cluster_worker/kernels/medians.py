"""Medians of squares: small ones by networks that sort, larger ones by OpenCV, which counts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cluster_worker.kernels import Image, lazily
from cluster_worker.kernels.footprints import Footprint
from cluster_worker.kernels.framed import MODES, framed
from cluster_worker.kernels.strips import by_strips, straight
from cluster_worker.pixels.tiling import Place

loops = lazily("cluster_worker.kernels.loops.medians")
opencv = lazily("cluster_worker.kernels.opencv")

# OpenCV's own border repeats the last pixel. Beyond a block that wraps lies more of the image.
OWN_BORDER = ("nearest", "wrap")
# Radius of the largest squares that are sorted; larger ones are counted, of 8 bits alone.
SORTED = 4


def is_square(footprint: Footprint, radius: int, half_width: int | None) -> bool:
    """Whether a neighbourhood is a square."""
    return footprint == "square" or (footprint == "rectangle" and half_width in (None, radius))


def is_sorted(footprint: Footprint, radius: int, half_width: int | None) -> bool:
    """Whether a neighbourhood is a square so small that its pixels are sorted."""
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
    """Give the medians of small squares.

    Parameters
    ----------
    image : ndarray
        Of uint8, uint16 or float32.
    footprint, radius, half_width, mode
        Of the operation.
    model : callable
        The operation's function, which knows what becomes of NaN.
    """
    if image.dtype.kind == "f" and np.isnan(image.min()):
        return by_strips(
            lambda strip: model(strip, footprint, radius, half_width, mode),
            image,
            radius,
            place,
            out,
        )
    loop = partial(loops.medians, np.empty(0, image.dtype), radius)
    return framed(loop, image, radius, mode, 0, place, out)


def counted_median(
    image: Image, radius: int, mode: str, *, place: Place, out: Image | None, **_: Any
) -> Image:
    """Give the medians of larger squares, of an image of uint8, as above."""

    def apply(part: Image, result: Image | None = None) -> Image:
        if mode in OWN_BORDER:
            found: Image = opencv.cv2.medianBlur(part, 2 * radius + 1, dst=result)
            return found.reshape(part.shape)
        border = getattr(opencv.cv2, MODES[mode])
        padded = opencv.cv2.copyMakeBorder(part, *(radius,) * 4, border)
        found = opencv.cv2.medianBlur(padded, 2 * radius + 1)
        return found[radius:-radius, radius:-radius].reshape(part.shape)

    run = straight if mode in OWN_BORDER else by_strips
    return run(apply, image, radius, place, out)
