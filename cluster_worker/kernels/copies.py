"""Copies that leave the caches alone: large results could not stay there until they are read."""

import numpy as np

from cluster_worker.kernels import Image, lazily
from cluster_worker.kernels.framed import is_in_rows, rows_at

loops = lazily("cluster_worker.kernels.loops.copies")
opencv = lazily("cluster_worker.kernels.opencv")

# As which OpenCV takes values of so many bytes: it only moves them.
KINDS = {1: "uint8", 2: "uint16", 4: "float32"}
# Results so large go past the caches.
STREAMED_BYTES = 1 << 20


def lines_of(*images: Image) -> tuple[list[tuple[int, int]], int, int]:
    """Give where the rows of images of one shape lie, how many rows there are, and their values.

    Rows without gaps are one.
    """
    height, values = len(images[0]), images[0][:1].size
    if all(each.flags.c_contiguous for each in images):
        height, values = 1, images[0].size
    return [rows_at(each) for each in images], height, values


def copy(image: Image, out: Image) -> None:
    """Copy an image into an array of the same shape and type."""
    if image.dtype != out.dtype or not moved(image, out):
        out[...] = image


def clear(out: Image) -> None:
    """Make an image zero everywhere."""
    if not is_in_rows(out):
        out[...] = 0
        return
    [start], height, values = lines_of(out)
    loops.clear(start, height, values * out.itemsize)


def copy_colours(image: Image, out: Image) -> Image:
    """Copy an image, if it is gray as each of three colours, and give the copy.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3).
    out : ndarray
        (rows, columns, 3) of the same type.
    """
    if image.ndim == 3:
        copy(image, out)
    elif image.itemsize in KINDS and is_in_rows(out):
        kind = KINDS[image.itemsize]
        opencv.cv2.cvtColor(image.view(kind), opencv.cv2.COLOR_GRAY2RGB, dst=out.view(kind))
    else:
        out[...] = image[..., np.newaxis]
    return out


def invert(image: Image, out: Image) -> None:
    """Flip the bits of whole numbers, into an array of the same shape and type."""
    if not moved(image, out, flipped=255):
        np.invert(image, out=out)


def cut(image: Image, out: Image, level: int, white: int) -> None:
    """Make what exceeds a level white, and the rest black.

    Parameters
    ----------
    image : ndarray
        Of uint8 or uint16.
    out : ndarray
        Of the same shape, and of the same type or bool.
    level, white : int
        As of the types of both.
    """
    is_bytes = image.itemsize == out.itemsize == 1
    if is_bytes and moved(image, out, kept=0, level=level, white=white):
        return
    if out.dtype == bool:
        np.greater(image, image.dtype.type(level), out=out)
    elif is_in_rows(out):
        opencv.cv2.threshold(image, level, white, opencv.cv2.THRESH_BINARY, dst=out)
    else:
        out[...] = np.where(image > level, out.dtype.type(white), out.dtype.type(0))


def moved(
    image: Image, out: Image, kept: int = 255, flipped: int = 0, level: int = 255, white: int = 0
) -> bool:
    """Move an image's bytes past the caches if it is worth it, and tell whether it is.

    Parameters
    ----------
    image, out : ndarray
        Of one shape, and types of as many bytes.
    kept, flipped, level, white : int
        What becomes of each byte: some bits are kept, some flipped, and above a level some are
        set.
    """
    # The loop is loaded as a world warms up, on images that are small.
    move = loops.move
    alike = image.shape == out.shape and image.itemsize == out.itemsize
    in_rows = is_in_rows(image) and is_in_rows(out)
    if out.nbytes < STREAMED_BYTES or not alike or not in_rows or np.may_share_memory(image, out):
        return False
    (start, to), height, values = lines_of(image, out)
    move(start, to, height, values * image.itemsize, (kept, flipped, level, white))
    return True
