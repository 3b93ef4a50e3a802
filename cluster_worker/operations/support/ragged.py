"""Lists of different lengths in flat arrays."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def ranges(lengths: Integers) -> tuple[Integers, Integers]:
    """Return for each item of all lists the index of its list, and its index in the list.

    Parameters
    ----------
    lengths : ndarray of int64
        Length of each list, 0 or more.
    """
    owners = np.repeat(np.arange(lengths.size), lengths)
    return owners, np.arange(owners.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
