"""Kernels of operations whose result depends on a pixel's level alone: a table of all levels."""

from functools import partial
from typing import Any

import numpy as np

from cluster_worker.kernels import tables
from cluster_worker.operations.declare import Kernel, Measure

TYPES = ("uint8", "uint16")
# The only measure of such an operation: a histogram.
TALLY = (Measure(tables.tally, np.add),)
# Cost per pixel: of a look-up alone, and of a count before it.
COST, COST_COUNTED = 0.02, 0.04


def by_table() -> Kernel:
    """Declare the kernel of an operation without statistics."""
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
        Types of the images that the kernel takes.
    **given
        Other arguments of `Kernel`.
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
