"""Round dilations of masks, and labels that grow, by the exact distance between pixels."""

import math

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.nearness")

# Types of labels, and of masks.
TYPES = ("bool", "uint8", "uint16", "uint32")


def square_of(radius: float) -> int:
    """Return the greatest whole number whose square root, as a float, does not exceed a radius."""
    square = int(radius * radius) + 1
    while math.sqrt(square) > radius:
        square -= 1
    return square


def heights_of(radius: float) -> NDArray[np.uint8]:
    """Return how far a disk reaches up and down, for each of its columns."""
    reach, square = int(radius), square_of(radius)
    return np.array([math.isqrt(square - x * x) for x in range(-reach, reach + 1)], np.uint8)


def dilated(image: Image, radius: float) -> Image:
    """Set all pixels within `radius` pixels of one that is set.

    Parameters
    ----------
    image : ndarray of bool
        (rows, columns).
    radius : float
        Less than 254, in pixels.

    Returns
    -------
    ndarray of bool
        (rows, columns).
    """
    given = np.require(image, requirements=["C", "W"]).view(np.uint8)
    result = np.empty(image.shape, np.uint8)
    loops.near(given, heights_of(radius), result)
    return result.view(np.bool_)


def eroded(image: Image, radius: float) -> Image:
    """Keep the pixels farther than `radius` pixels from every one that is not set."""
    return ~dilated(~image, radius)


def opened(image: Image, radius: float) -> Image:
    """Erode, then dilate."""
    return dilated(eroded(image, radius), radius)


def closed(image: Image, radius: float) -> Image:
    """Dilate, then erode."""
    return eroded(dilated(image, radius), radius)


def expanded(image: Image, distance: float) -> Image:
    """Label each pixel without a label as its nearest one within a distance, as scikit-image does.

    Parameters
    ----------
    image : ndarray
        (rows, columns), of one of `TYPES`; 0 is no label.
    distance : float
        Less than 254, in pixels.

    Returns
    -------
    ndarray
        (rows, columns), of the image's type.
    """
    given = np.require(image, requirements=["C", "W"])
    given = given.view(np.uint8) if image.dtype.kind == "b" else given
    result = np.empty_like(given)
    loops.expand(given, int(distance), square_of(distance), result)
    return result.view(image.dtype)
