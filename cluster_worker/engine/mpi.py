"""The ranks of one world. The only room that knows MPI."""

import contextlib
import os
import time
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

from mpi4py import MPI

from cluster_worker.errors import classify_error

# MPI's own waiting burns a core. A rank that is a little late is met without sleeping; then ranks
# look at longer and longer intervals, so that none is noticed later than by so large a share of
# what it has been waited for, nor by more than the most, where looking costs 1.6 % of a core.
SPIN_SECONDS = 0.0005
SLEEP_SHARE = 1 / 8
SLEEP_SECONDS_MAX = 0.001


class Contribution(NamedTuple):
    """What one rank brings to a collective step: a value, or why it has none."""

    value: Any
    error: Exception | None


class WholeWorld:
    """All ranks as one team."""

    def __init__(self) -> None:
        self.comm = MPI.COMM_WORLD
        self.rank: int = self.comm.Get_rank()
        self.size: int = self.comm.Get_size()

    def combine(self, work: Callable[[], Any], combine: Callable[[Any, Any], Any]) -> Any:
        """Do this rank's work and give every rank the combined value.

        Raises
        ------
        Exception
            On every rank, the error of the first rank that had one: so no rank waits for another
            that gave up.
        """
        try:
            mine = Contribution(work(), None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must hear of it
            mine = Contribution(None, classify_error(error))
        if not self.synchronize(mine.value is not None or mine.error is not None):
            return None
        total: Contribution = self.comm.allreduce(mine, op=lambda a, b: merge(a, b, combine))
        if total.error is not None:
            raise total.error
        return total.value

    def raise_on_others(self, error: Exception) -> None:
        """Bring an error to the next `combine` of all ranks, which raises it on the others."""

        def fail() -> None:
            raise error

        with contextlib.suppress(Exception):
            self.combine(fail, lambda a, b: None)

    def synchronize(self, brings: bool) -> bool:
        """Wait for all ranks without burning a core; tell whether any of them brings a share."""
        found = array("b", [0])
        request = self.comm.Iallreduce(array("b", [brings]), found, MPI.MAX)
        began = time.monotonic()
        while not request.Test():
            waited = time.monotonic() - began
            if waited < SPIN_SECONDS:
                os.sched_yield()
            else:
                time.sleep(min(waited * SLEEP_SHARE, SLEEP_SECONDS_MAX))
        return bool(found[0])


def merge(a: Contribution, b: Contribution, combine: Callable[[Any, Any], Any]) -> Contribution:
    """Join the shares of two groups of ranks; None of a rank without work is left out."""
    if a.error is not None or b.error is not None:
        return Contribution(None, a.error or b.error)
    if a.value is None or b.value is None:
        return Contribution(b.value if a.value is None else a.value, None)
    return Contribution(combine(a.value, b.value), None)
