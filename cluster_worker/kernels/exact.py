"""Sums of floats without rounding, so that they do not depend on any order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import lazily

loops = lazily("cluster_worker.kernels.loops.exact")

EXPONENTS = 1 << 11
# From a double's exponent, as its bits have it, to what its fraction counts in 2**-1126.
SHIFT = 51


def exact_sum(values: NDArray[Any]) -> int:
    """Do what `operations.statistics.exact_sum` does by a loop.

    Parameters
    ----------
    values : ndarray
        (rows, columns) of finite floats of 32 or 64 bits; it may be a view of others.

    Returns
    -------
    int
        In 2**-1126.
    """
    upper, lower = np.zeros((2, EXPONENTS), np.int64)
    loops.by_exponents(values, upper, lower)
    return sum(
        (int(upper[i]) << (int(i) + SHIFT + loops.HALF)) + (int(lower[i]) << (int(i) + SHIFT))
        for i in np.flatnonzero(upper | lower)
    )
