"""Runs: neighbours in a row that are equal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def runs_of(
    found: NDArray[np.bool_], values: Array, labels: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return the runs of pixels that are found and equal, their values and their labels.

    Parameters
    ----------
    found : ndarray of bool
        (rows, columns).
    values : ndarray
        (rows, columns): pixels of a run have one value.
    labels : ndarray of int, optional
        (rows, columns): and one label.

    Returns
    -------
    runs : ndarray of int
        (runs, 3): row, first column, and the column after the last.
    values, labels : ndarray
        Of each run; the labels are 0 without a label image.
    """
    rows, columns = np.nonzero(found)
    held = values[rows, columns]
    owners = np.zeros(rows.size, np.int64) if labels is None else labels[rows, columns]
    apart = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1] + 1)
    apart |= (held[1:] != held[:-1]) | (owners[1:] != owners[:-1])
    firsts = np.flatnonzero(np.append(True, apart))[: rows.size]
    lengths = np.diff(firsts, append=rows.size)
    starts = columns[firsts]
    runs = np.column_stack([rows[firsts], starts, starts + lengths])
    return runs, held[firsts], owners[firsts]
