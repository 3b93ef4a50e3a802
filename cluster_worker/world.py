"""The ranks of one world. The only room that knows MPI."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from mpi4py import MPI

from cluster_worker.errors import in_family

# MPI's own waiting burns a core; looking this often costs 1.6 % of one and half a millisecond.
PATIENCE_SECONDS = 0.001
# A rank that is merely a little late is met without sleeping.
EAGER_SECONDS = 0.0005


class Share(NamedTuple):
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
            mine = Share(work(), None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must hear of it
            mine = Share(None, in_family(error))
        self.wait()
        total: Share = self.comm.allreduce(mine, op=lambda a, b: join(a, b, combine))
        if total.error is not None:
            raise total.error
        return total.value

    def wait(self) -> None:
        """Wait for all ranks without burning a core."""
        request = self.comm.Ibarrier()
        eager_until = time.monotonic() + EAGER_SECONDS
        while not request.Test():
            if time.monotonic() > eager_until:
                time.sleep(PATIENCE_SECONDS)


def join(a: Share, b: Share, combine: Callable[[Any, Any], Any]) -> Share:
    """Join the shares of two groups of ranks; None of a rank without work is left out."""
    if a.error is not None or b.error is not None:
        return Share(None, a.error or b.error)
    if a.value is None or b.value is None:
        return Share(b.value if a.value is None else a.value, None)
    return Share(combine(a.value, b.value), None)
