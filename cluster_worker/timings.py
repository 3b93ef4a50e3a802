"""Where a job's time goes: seconds of the clock and of the processors, by stage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

# Digits after the point of what is logged: microseconds.
DIGITS = 6


class Spent(NamedTuple):
    """Time that passed, and time that processors worked meanwhile."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """Add what came after."""
        return Spent(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


NOTHING = Spent()


class Timings:
    """Adds up the stages of one job, on the thread that does it."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time until the context is left, with the work of this thread."""
        began, worked = time.monotonic(), time.thread_time()
        try:
            yield
        finally:
            self.add(name, Spent(time.monotonic() - began, time.thread_time() - worked))

    def add(self, name: str, spent: Spent) -> None:
        """Add time that this thread or another process took."""
        self.spent[name] = self.spent.get(name, NOTHING).plus(spent)

    def as_log(self) -> Mapping[str, Mapping[str, float]]:
        """Give it as a log has it."""
        return {
            name: {unit: round(value, DIGITS) for unit, value in each._asdict().items()}
            for name, each in self.spent.items()
        }
