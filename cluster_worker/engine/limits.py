"""The limits of a running job: processor time of its ranks, and signs of life.

Time is counted on each rank's own processor clock, which the engine reads. So a busy machine is not
the image's fault, and a call that does not return is noticed, too. A rank that neither uses its
processor nor waits for one hangs: that is never the image's fault.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster_worker.errors import Broken, Rejected

# Longest time between two looks at a running job.
LOOK_SECONDS = 1.0
# Shortest time; a job may exceed its limit by this much.
LOOK_SECONDS_MIN = 0.02
# Time after which a rank hangs that a signal has stopped.
STOPPED_SECONDS = 3.0
# Time after which a rank hangs that sleeps. One that waits for its decoder wakes every second.
ASLEEP_SECONDS = 60.0
# A rank that does nothing, for an unknown reason, hangs after this many times the limit of a
# job. It may wait for a disk, or for a processor on a machine that is far too busy.
BACKSTOP = 20
# States of processes in /proc.
STOPPED = ("T", "t")
ASLEEP = ("S", *STOPPED)


@dataclass
class Sign:
    """A rank's last sign of life.

    Attributes
    ----------
    seconds : float
        Its processor time.
    at : float
        When that last changed, on the monotonic clock.
    """

    seconds: float
    at: float


class Watch:
    """Watches the ranks of one job.

    Parameters
    ----------
    pids : mapping
        Process id of each rank.
    limit_seconds : float
        Most processor time that a rank may use for the job.
    """

    def __init__(self, pids: Mapping[int, int], limit_seconds: float) -> None:
        self.pids = pids
        self.limit_seconds = limit_seconds
        now = time.monotonic()
        self.before = {rank: processor_seconds(pid) for rank, pid in pids.items()}
        # Filled at the first look, which most jobs do not live to see.
        self.signs: dict[int, Sign] = {}
        self.next_look = now + min(LOOK_SECONDS, limit_seconds)

    def look(self, ranks: Collection[int]) -> Exception | None:
        """Look at the ranks that still work on the job.

        Returns
        -------
        Exception or None
            `Rejected` if a rank has used more processor time than allowed, `Broken` if one hangs.
        """
        now = time.monotonic()
        used = 0.0
        for rank in ranks:
            seconds = processor_seconds(self.pids[rank])
            used = max(used, seconds - self.before[rank])
            if hung := self.hangs(rank, seconds, now):
                return Broken(hung)
        left = self.limit_seconds - used
        if left <= 0:
            return Rejected(
                f"took more than {self.limit_seconds:g} s of processor time, the limit for one "
                "image"
            )
        self.next_look = now + min(max(left, LOOK_SECONDS_MIN), LOOK_SECONDS)
        return None

    def hangs(self, rank: int, seconds: float, now: float) -> str | None:
        """Return in which way a rank hangs; None if it does not.

        Parameters
        ----------
        rank : int
            The rank.
        seconds : float
            Its processor time.
        now : float
            On the monotonic clock.
        """
        pid, sign = self.pids[rank], self.signs.get(rank)
        if not sign or seconds != sign.seconds:
            self.signs[rank] = Sign(seconds, now)
            return None
        quiet, state = now - sign.at, state_of(pid)
        if state in STOPPED and quiet >= STOPPED_SECONDS:
            return f"a rank was stopped for {quiet:.0f} s"
        if (state in ASLEEP and quiet >= ASLEEP_SECONDS) or quiet >= BACKSTOP * self.limit_seconds:
            return f"a rank did nothing for {quiet:.0f} s"
        return None


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process in seconds; 0 if it has ended."""
    try:
        # The kernel's name for the clock of a process: see clock_getcpuclockid(3).
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def state_of(pid: int) -> str:
    """Return the state of a process, one letter as in ps; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process."""
    return state_of(pid) in STOPPED
