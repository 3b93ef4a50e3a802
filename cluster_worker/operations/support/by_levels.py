"""Kernels of operations that see one pixel at a time: whole numbers by a table of all levels."""

from functools import partial
from typing import Any

import numpy as np

from cluster_worker.kernels import tables
from cluster_worker.operations.declare import Kernel, Measure

TYPES = ("uint8", "uint16")
# All that such an operation measures of an image.
TALLY = (Measure(tables.tally, np.add),)
# Work for a pixel: to look it up, and to count it first.
COST, COST_COUNTED = 0.02, 0.04


def by_table() -> Kernel:
    """Declare the kernel of an operation that measures nothing."""
    return Kernel(tables.looked_up, takes=TYPES, exact=True, arrays=0, cost=COST)


def by_histogram(
    measured: tables.Statistics, takes: tuple[str, ...] = TYPES, **given: Any
) -> Kernel:
    """Declare the kernel of an operation whose statistics follow from a histogram.

    Parameters
    ----------
    measured : callable
        From the histogram of the whole image to the operation's statistics.
    takes : tuple of str
        Types of images.
    **given
        More of `Kernel`.
    """
    return Kernel(
        partial(tables.looked_up, measured=measured),
        takes=takes,
        exact=True,
        measures=TALLY,
        arrays=0,
        cost=COST_COUNTED,
        **given,
    )
