"""The ranks of one world as a group. The only file that imports mpi4py."""

import contextlib
import os
import time
from array import array
from collections.abc import Callable, Mapping
from typing import Any

import mpi4py

# A rank starts MPI itself, after the fork that made it; and ends it, if it ends in order.
mpi4py.rc.initialize = False
mpi4py.rc.finalize = True

from mpi4py import MPI  # noqa: E402

from cluster_worker.errors import classify_error  # noqa: E402

# MPI's own wait keeps a core busy. So a waiting rank tests for the others itself: first without
# sleeping, for SPIN_SECONDS, because most ranks are only a little late. Then it sleeps between two
# tests for this share of the time that it has waited, but for SLEEP_SECONDS_MAX at most. At that
# interval the tests take 1.6 % of a core.
SPIN_SECONDS = 0.0005
SLEEP_SHARE = 1 / 8
SLEEP_SECONDS_MAX = 0.001


# What a rank brings to `combine`, in the order in which one goes before another.
NOTHING, A_VALUE, AN_ERROR = range(3)


class WorldGroup:
    """All ranks of the world as one `RankGroup`; making one joins the world."""

    def __init__(self) -> None:
        if not MPI.Is_initialized():
            MPI.Init_thread()
        self.comm = MPI.COMM_WORLD
        self.rank: int = self.comm.Get_rank()
        self.size: int = self.comm.Get_size()

    def leave(self) -> None:
        """End MPI in this rank; the other ranks must do so, too."""
        MPI.Finalize()

    def abort(self) -> None:
        """End the whole world: the other ranks would wait for this one for ever."""
        self.comm.Abort(1)

    def combine(
        self,
        work: Callable[[], Any],
        combine: Callable[[Any, Any], Any],
        *,
        on_first: bool = False,
    ) -> Any:
        """Do this rank's work and return the combined value of all ranks, on every rank.

        Parameters
        ----------
        work : callable
            Returns the value of this rank, or None if it has none.
        combine : callable
            Combines two values; it is not called with None.
        on_first : bool
            Whether only the first rank needs the value; the others get None.

        Returns
        -------
        object
            None if no rank has a value.

        Raises
        ------
        Exception
            On every rank, the error of the first rank that raised one. So no rank waits for a rank
            that has failed.
        """
        value, error = None, None
        try:
            value = work()
        except Exception as caught:  # noqa: BLE001 - the other ranks must get any error
            error = classify_error(caught)
        found = self.synchronize(AN_ERROR if error else NOTHING if value is None else A_VALUE)
        if found == NOTHING:
            return None
        if found == AN_ERROR:
            raise self.comm.allreduce(error, op=lambda a, b: a or b)
        join = self.comm.reduce if on_first else self.comm.allreduce
        return join(value, op=lambda a, b: merge(a, b, combine))

    def exchange(self, sent: Mapping[int, Any], received: Mapping[int, Any]) -> None:
        """Send and receive arrays as `RankGroup.exchange` says, mostly asleep."""
        requests = [self.comm.Irecv([rows, MPI.BYTE], rank) for rank, rows in received.items()]
        requests += [self.comm.Isend([rows, MPI.BYTE], rank) for rank, rows in sent.items()]
        wait_until(lambda: MPI.Request.Testall(requests))

    def raise_on_others(self, error: Exception) -> None:
        """Take part in the next `combine` with an error, which is raised on the other ranks."""

        def fail() -> None:
            raise error

        with contextlib.suppress(Exception):
            self.combine(fail, lambda a, b: None)

    def synchronize(self, brought: int) -> int:
        """Wait for all ranks, mostly asleep; return the greatest of what they have brought."""
        found = array("b", [NOTHING])
        request = self.comm.Iallreduce(array("b", [brought]), found, MPI.MAX)
        wait_until(request.Test)
        return found[0]


def ranks_of_host() -> int:
    """Return how many ranks mpiexec has started on this host; 1 in a process of its own."""
    return int(os.environ.get("MPI_LOCALNRANKS", "1"))


def wait_until(is_done: Callable[[], bool]) -> None:
    """Test for the other ranks until something is done, mostly asleep."""
    began = time.monotonic()
    while not is_done():
        waited = time.monotonic() - began
        if waited < SPIN_SECONDS:
            os.sched_yield()
        else:
            time.sleep(min(waited * SLEEP_SHARE, SLEEP_SECONDS_MAX))


def merge(a: Any, b: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """Merge the values of two sets of ranks; None stands for no value."""
    if a is None or b is None:
        return b if a is None else a
    return combine(a, b)
