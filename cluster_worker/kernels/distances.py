"""The distance of each pixel of a mask to the nearest pixel that is not set."""

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.distances")


def along_columns(mask: Image) -> Image:
    """Return the distance to the nearest pixel of the same column that is not set.

    Parameters
    ----------
    mask : ndarray of bool
        (rows, columns), whole columns of the image.

    Returns
    -------
    ndarray of int32
        (rows, columns), in pixels; a large number in a column whose pixels are all set.
    """
    given = np.require(mask, requirements=["C", "W"]).view(np.uint8)
    result = np.empty(mask.shape, np.int32)
    loops.along_columns(given, result)
    return result


def along_rows(columns: Image, top: int) -> Image:
    """Return the distance to the nearest pixel that is not set.

    Parameters
    ----------
    columns : ndarray of int32
        (rows, columns), whole rows of what `along_columns` returns.
    top : int
        Row of the image in which they begin.

    Returns
    -------
    ndarray of float64
        (rows, columns), in pixels: square roots of whole numbers.
    """
    given = np.require(columns, requirements=["C", "W"])
    result = np.empty(columns.shape, np.float64)
    loops.along_rows(given, top, result)
    return result
