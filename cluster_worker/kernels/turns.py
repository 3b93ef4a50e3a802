"""Flips, rotations and transposes by OpenCV, which transposes in blocks that fit the cache."""

from collections.abc import Callable

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

opencv = lazily("cluster_worker.kernels.opencv")

TYPES = ("bool", "uint8", "uint16", "uint32", "float32", "float64")
# The type in which OpenCV gets values of 1, 2, 4 or 8 bytes: it only moves them.
OPENCV_TYPES = {1: "uint8", 2: "uint16", 4: "int32", 8: "float64"}
FLIPS = {"vertical": 0, "horizontal": 1, "both": -1}
TURNS = {
    1: "ROTATE_90_COUNTERCLOCKWISE",
    2: "ROTATE_180",
    3: "ROTATE_90_CLOCKWISE",
}


def flip(image: Image, axis: str, *, out: Image | None) -> Image:
    """Mirror an image; `axis` is the parameter of the operation, a key of `FLIPS`."""
    return moved(lambda pixels, dst: opencv.cv2.flip(pixels, FLIPS[axis], dst=dst), image, out)


def rot90(image: Image, k: int, *, out: Image | None) -> Image:
    """Rotate an image by `k` times 90 degrees counterclockwise, with k from 1 to 3."""
    code = getattr(opencv.cv2, TURNS[k])
    return moved(lambda pixels, dst: opencv.cv2.rotate(pixels, code, dst=dst), image, out)


def transpose(image: Image, *, out: Image | None) -> Image:
    """Swap the rows and columns of an image."""
    return moved(lambda pixels, dst: opencv.cv2.transpose(pixels, dst=dst), image, out)


def moved(move: Callable[[Image, Image | None], Image], image: Image, out: Image | None) -> Image:
    """Move the pixels of an image by a function of OpenCV.

    Parameters
    ----------
    move : callable
        Takes an image and an array for the result, or None, and returns the result.
    image : ndarray
        Image of one of `TYPES`.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        `out` if it is given.
    """
    dtype = OPENCV_TYPES[image.dtype.itemsize]
    target = None if out is None else out.view(dtype)
    found = move(image.view(dtype), target).view(image.dtype)
    return found if out is None else out
