"""Total variation denoising by split Bregman iteration, several rows at a time."""

import math

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.bregman")


def denoised(
    image: Image, weight: float, max_num_iter: int, eps: float, *, isotropic: bool
) -> Image:
    """Denoise an image with the same bits as scikit-image.

    Like scikit-image, it starts each colour from the state that the colour before has left.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels), of two rows and two columns or more.
    weight, max_num_iter, eps, isotropic
        As in ``skimage.restoration.denoise_tv_bregman``.

    Returns
    -------
    ndarray
        Same shape and type as the image.
    """
    scalar = image.dtype.type
    rows, columns = image.shape[:2]
    given, twice, least = scalar(weight), scalar(2) * scalar(weight), float(scalar(eps))
    numbers = twice, given + scalar(4) * twice
    lines = columns + loops.LANES + 3
    shape = len(loops.PLANES), -(-rows // loops.LANES), lines, loops.PITCH
    state, squares = np.zeros(shape, scalar), np.empty((lines, loops.LANES), scalar)
    framed, result = np.zeros((rows + 2, columns + 2), scalar), np.empty_like(image)
    for colour in np.ndindex(image.shape[2:]):
        state[loops.ACROSS : loops.GIVEN] = state[loops.IMAGE]
        fill(framed, image[:, :, *colour])
        loops.skew(framed, scalar(1), state[loops.IMAGE])
        loops.skew(framed, given, state[loops.GIVEN])
        changes, rounds = math.inf, 0
        while rounds < max_num_iter and changes > least:
            total = loops.sweep(state, rows, columns, numbers, isotropic, squares)
            changes = math.sqrt(total / (rows * columns))
            rounds += 1
        loops.unskew(state[loops.IMAGE], framed)
        result[:, :, *colour] = framed[1:-1, 1:-1]
    return result


def fill(framed: Image, plane: Image) -> None:
    """Copy an image into the middle of an array with a frame one pixel wide.

    The frame holds the second row or column from each edge, as in scikit-image. Its corners stay
    as they are.
    """
    framed[1:-1, 1:-1] = plane
    framed[0, 1:-1], framed[-1, 1:-1] = plane[1], plane[-1]
    framed[1:-1, 0], framed[1:-1, -1] = plane[:, 1], plane[:, -1]
