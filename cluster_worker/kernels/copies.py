"""Copies that bypass the caches: a large result would be evicted before it is read again."""

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.kernels.framed import is_in_rows, rows_at
from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.copies")
opencv = lazily("cluster_worker.kernels.opencv")

# The type in which OpenCV gets values of 1, 2 or 4 bytes: it only moves them.
OPENCV_TYPES = {1: "uint8", 2: "uint16", 4: "float32"}
# Results of this size or more bypass the caches.
STREAMED_BYTES = 1 << 20


def lines_of(*images: Image) -> tuple[list[tuple[int, int]], int, int]:
    """Return where the rows of images of one shape lie in memory.

    Returns
    -------
    starts : list of tuple of int
        For each image, the address of its first value and the bytes from one row to the next.
    height, values : int
        Number of rows, and values in each row. If all images are contiguous, each counts as a
        single row.
    """
    height, values = len(images[0]), images[0][:1].size
    if all(each.flags.c_contiguous for each in images):
        height, values = 1, images[0].size
    return [rows_at(each) for each in images], height, values


def copy(image: Image, out: Image) -> None:
    """Copy an image into an array of the same shape and type."""
    if image.dtype != out.dtype or not moved_past_caches(image, out):
        out[...] = image


def clear(out: Image) -> None:
    """Set all values of an image to zero."""
    if not is_in_rows(out):
        out[...] = 0
        return
    [start], height, values = lines_of(out)
    loops.clear(start, height, values * out.itemsize)


def copy_colours(image: Image, out: Image) -> Image:
    """Copy an image into three channels, and return the copy; a gray image fills each of them.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3).
    out : ndarray
        (rows, columns, 3) of the same type.

    Returns
    -------
    ndarray
        `out`.
    """
    if image.ndim == 3:
        copy(image, out)
    elif image.itemsize in OPENCV_TYPES and is_in_rows(out):
        dtype = OPENCV_TYPES[image.itemsize]
        opencv.cv2.cvtColor(image.view(dtype), opencv.cv2.COLOR_GRAY2RGB, dst=out.view(dtype))
    else:
        out[...] = image[..., np.newaxis]
    return out


def invert(image: Image, out: Image) -> None:
    """Write the integers of an image with all bits flipped into an array of its shape and type."""
    if not moved_past_caches(image, out, flipped=255):
        np.invert(image, out=out)


def threshold(image: Image, out: Image, level: int, white: int) -> None:
    """Write white where an image exceeds a level, and 0 elsewhere.

    Parameters
    ----------
    image : ndarray of uint8 or uint16
        (rows, columns) or (rows, columns, channels).
    out : ndarray
        Array of the same shape, of the image's type or bool.
    level, white : int
        The level, in the image's type, and white, in the type of `out`.
    """
    is_bytes = image.itemsize == out.itemsize == 1
    if is_bytes and moved_past_caches(image, out, kept=0, level=level, white=white):
        return
    if out.dtype == bool:
        np.greater(image, image.dtype.type(level), out=out)
    elif is_in_rows(out):
        opencv.cv2.threshold(image, level, white, opencv.cv2.THRESH_BINARY, dst=out)
    else:
        out[...] = np.where(image > level, out.dtype.type(white), out.dtype.type(0))


def moved_past_caches(
    image: Image, out: Image, kept: int = 255, flipped: int = 0, level: int = 255, white: int = 0
) -> bool:
    """Move an image past the caches if it is large enough, and return whether it was moved.

    It is not moved if the result is smaller than `STREAMED_BYTES`, if shapes or item sizes differ,
    if the values of a row are not side by side, or if the arrays may share memory.

    Parameters
    ----------
    image, out : ndarray
        The source and the result: same shape, same bytes in a value.
    kept, flipped, level, white : int
        What is written for each byte: ``byte & kept ^ flipped``, and where the byte exceeds
        `level`, the bits of `white` are set as well.
    """
    # Looked up before the size is checked: the small images of the warm-up then load the loop.
    move = loops.move
    alike = image.shape == out.shape and image.itemsize == out.itemsize
    in_rows = is_in_rows(image) and is_in_rows(out)
    if out.nbytes < STREAMED_BYTES or not alike or not in_rows or np.may_share_memory(image, out):
        return False
    (start, to), height, values = lines_of(image, out)
    move(start, to, height, values * image.itemsize, (kept, flipped, level, white))
    return True
