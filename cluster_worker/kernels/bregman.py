"""Total variation by Bregman's method, several rows at a time."""

import math

import numpy as np

from cluster_worker.kernels import Image, lazily

loops = lazily("cluster_worker.kernels.loops.bregman")


def denoised(
    image: Image, weight: float, max_num_iter: int, eps: float, *, isotropic: bool
) -> Image:
    """Smooth an image to the last bit as scikit-image does.

    It starts each colour from what the one before has left.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels), of two rows and two columns or more.
    weight, max_num_iter, eps, isotropic
        As of ``skimage.restoration.denoise_tv_bregman``.
    """
    kind = image.dtype.type
    rows, columns = image.shape[:2]
    given, twice, least = kind(weight), kind(2) * kind(weight), float(kind(eps))
    numbers = twice, given + kind(4) * twice
    lines = columns + loops.LANES + 3
    shape = len(loops.PLANES), -(-rows // loops.LANES), lines, loops.PITCH
    state, squares = np.zeros(shape, kind), np.empty((lines, loops.LANES), kind)
    framed, result = np.zeros((rows + 2, columns + 2), kind), np.empty_like(image)
    for colour in np.ndindex(image.shape[2:]):
        state[loops.ACROSS : loops.GIVEN] = state[loops.IMAGE]
        fill(framed, image[:, :, *colour])
        loops.lean(framed, kind(1), state[loops.IMAGE])
        loops.lean(framed, given, state[loops.GIVEN])
        changes, rounds = math.inf, 0
        while rounds < max_num_iter and changes > least:
            total = loops.sweep(state, rows, columns, numbers, isotropic, squares)
            changes = math.sqrt(total / (rows * columns))
            rounds += 1
        loops.straighten(state[loops.IMAGE], framed)
        result[:, :, *colour] = framed[1:-1, 1:-1]
    return result


def fill(framed: Image, plane: Image) -> None:
    """Copy an image into a frame of rows and columns near its border, as scikit-image does."""
    framed[1:-1, 1:-1] = plane
    framed[0, 1:-1], framed[-1, 1:-1] = plane[1], plane[-1]
    framed[1:-1, 0], framed[1:-1, -1] = plane[:, 1], plane[:, -1]
