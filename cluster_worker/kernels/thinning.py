"""Thinning, with a compiled loop."""

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.thinning")


def thinned(mask: Image, tables: tuple[bytes, bytes], iterations: int) -> Image:
    """Thin a mask by a number of iterations. Pixels beyond its border count as not set.

    Parameters
    ----------
    mask : ndarray of bool
        (rows, columns).
    tables : tuple of bytes
        A table for each half of an iteration: 1 if a pixel stays, for each code of its neighbours.
        The bits of a code, lowest first, are the three neighbours above, the three below, the left
        and the right one.
    iterations : int
        At most 100.

    Returns
    -------
    ndarray of bool
        (rows, columns).
    """
    framed = np.pad(mask.view(np.uint8), 1)
    stays = np.frombuffer(b"".join(tables), np.uint8).reshape(2, 256).copy()
    scratch = np.empty((2, framed.size), np.int32)
    nothing = np.zeros(framed.size, np.uint8)
    loops.thin(framed.reshape(-1), framed.shape[1], stays, iterations, *scratch, nothing)
    result: Image = framed[1:-1, 1:-1].view(np.bool_)
    return result
