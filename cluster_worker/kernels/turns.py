"""Mirrored and turned images by OpenCV, whose blocks of a transpose fit the cache."""

from collections.abc import Callable

from cluster_worker.kernels import Image, lazily

opencv = lazily("cluster_worker.kernels.opencv")

TYPES = ("bool", "uint8", "uint16", "uint32", "float32", "float64")
# As which OpenCV takes values of so many bytes: it only moves them.
KINDS = {1: "uint8", 2: "uint16", 4: "int32", 8: "float64"}
FLIPS = {"vertical": 0, "horizontal": 1, "both": -1}
TURNS = {
    1: "ROTATE_90_COUNTERCLOCKWISE",
    2: "ROTATE_180",
    3: "ROTATE_90_CLOCKWISE",
}


def flip(image: Image, axis: str, *, out: Image | None) -> Image:
    """Mirror an image; `axis` and the result are the operation's."""
    return moved(lambda pixels, dst: opencv.cv2.flip(pixels, FLIPS[axis], dst=dst), image, out)


def rot90(image: Image, k: int, *, out: Image | None) -> Image:
    """Turn an image; `k` and the result are the operation's."""
    code = getattr(opencv.cv2, TURNS[k])
    return moved(lambda pixels, dst: opencv.cv2.rotate(pixels, code, dst=dst), image, out)


def transpose(image: Image, *, out: Image | None) -> Image:
    """Swap the rows and columns of an image."""
    return moved(lambda pixels, dst: opencv.cv2.transpose(pixels, dst=dst), image, out)


def moved(move: Callable[[Image, Image | None], Image], image: Image, out: Image | None) -> Image:
    """Move the pixels of an image of one of `TYPES` by a function of OpenCV's.

    Returns
    -------
    ndarray
        `out` if it is given.
    """
    kind = KINDS[image.dtype.itemsize]
    target = None if out is None else out.view(kind)
    found = move(image.view(kind), target).view(image.dtype)
    return found if out is None else out
