"""Sums of floats without rounding, so that they do not depend on the order of the values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily

loops = lazily("cluster_worker.kernels.loops.exact")

EXPONENTS = 1 << 11
# The fraction of a double with biased exponent e counts 2**(e + SHIFT) units of 2**-1126.
SHIFT = 51


def exact_sum(values: NDArray[Any]) -> int:
    """Sum floats exactly, as `operations.support.statistics.exact_sum` does, with a compiled loop.

    Parameters
    ----------
    values : ndarray
        (rows, columns) of finite float32 or float64; it may be a view.

    Returns
    -------
    int
        The sum in units of 2**-1126.
    """
    upper, lower = np.zeros((2, EXPONENTS), np.int64)
    loops.by_exponents(values, upper, lower)
    return sum(
        (int(upper[i]) << (int(i) + SHIFT + loops.HALF)) + (int(lower[i]) << (int(i) + SHIFT))
        for i in np.flatnonzero(upper | lower)
    )
