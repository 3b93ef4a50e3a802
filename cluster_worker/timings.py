"""Wall time and processor time of a job, by phase: s3, table, decode, compute, encode."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

# Shares that are kept of a file of many planes.
SHARES_MAX = 256
# Decimals of the seconds in the log: microseconds.
DIGITS = 6


class Spent(NamedTuple):
    """Seconds of wall time, and of processor time in the same period."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Return the sum of both times."""
        return Spent(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


NOTHING = Spent()


class PassEnd(NamedTuple):
    """When a rank ended a pass: what the pass was, and seconds since the rank began the job."""

    name: str
    seconds: float


class Share(NamedTuple):
    """What one rank did of a job: on which host, until when (ns since 1970), and how long.

    `passes` has all passes that all ranks ended together: all but the last.
    """

    host: str
    rank: int
    ended: int
    spent: Spent
    passes: tuple[PassEnd, ...] = ()


class Phase(NamedTuple):
    """One time in which a phase took place, with its end in nanoseconds since 1970."""

    name: str
    ended: int
    spent: Spent


class Timings:
    """The phases of one job and their times; used by the one thread that runs the job.

    Attributes
    ----------
    spent : dict of str to Spent
        By phase.
    phases : list of Phase
        One after the other, as they were measured.
    shares : list of Share
        Of the ranks that computed the job.
    pixels : int
        Rows × columns of the images that the job reads; 0 before they are known.
    outcome : str
        What became of this attempt at the job.
    """

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}
        self.phases: list[Phase] = []
        self.shares: list[Share] = []
        self.pixels = 0
        self.outcome = "handed back"

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the wall time and this thread's processor time of a ``with`` block to a phase."""
        began, worked = time.monotonic(), time.thread_time()
        try:
            yield
        finally:
            self.add(name, Spent(time.monotonic() - began, time.thread_time() - worked))

    def add(self, name: str, spent: Spent) -> None:
        """Add a time to a phase; it may have been measured in another process."""
        self.spent[name] = self.spent.get(name, NOTHING).plus(spent)
        if spent.seconds:
            self.phases.append(Phase(name, time.time_ns(), spent))

    def cpu_seconds(self) -> float:
        """Return the processor time of all phases, in seconds."""
        return sum(each.cpu_seconds for each in self.spent.values())

    def as_log(self) -> Mapping[str, Mapping[str, float]]:
        """Return the times as they are logged: phase to seconds and cpu_seconds."""
        return {
            name: {unit: round(value, DIGITS) for unit, value in each._asdict().items()}
            for name, each in self.spent.items()
        }
