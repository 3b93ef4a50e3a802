"""The time that a child process may take for one question, on the clock of its own processor time.

A child on a busy machine waits for the processor, and that is not the fault of its file. Elapsed
time counts only where the child does not work at all.
"""

import os
import time

# A child that uses less than `IDLE_SECONDS` of processor time during this many times its limit, and
# a second at least, is stopped or blocked.
HANGS_AFTER = 20
IDLE_SECONDS = 0.01
# Time between two looks at the clock: the shortest, and the longest.
LOOK_SECONDS = (0.01, 1.0)

# Of the id of a process's clock: linux/posix-timers_types.h, CPUCLOCK_SCHED.
CLOCK_OF_ALL_THREADS = 2


class Hangs(Exception):
    """The child has not worked for far longer than its limit: it is stopped, or blocked."""


class Allowance:
    """The processor time that a process may use from now on, and the end of its patience.

    Parameters
    ----------
    pid : int
        Of the process.
    seconds : float
        Processor time that all its threads may use, in seconds.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self.clock = (~pid << 3) | CLOCK_OF_ALL_THREADS
        self.hangs_after = max(1.0, HANGS_AFTER * seconds)
        self.worked, self.worked_at = self.processor_time(), time.monotonic()
        self.end = self.worked + seconds

    def processor_time(self) -> float:
        """Return the processor time of the process so far, in seconds; 0 if it has ended."""
        try:
            return time.clock_gettime(self.clock)
        except OSError:
            return 0.0

    def next_look(self) -> float:
        """Check both limits, and return the seconds until they must be checked again.

        Raises
        ------
        TimeoutError
            If the process has used its time.
        Hangs
            If it does not work.
        """
        used, now = self.processor_time(), time.monotonic()
        if used > self.end:
            raise TimeoutError
        if used > self.worked + IDLE_SECONDS:
            self.worked, self.worked_at = used, now
        elif now > self.worked_at + self.hangs_after:
            raise Hangs(f"it has not worked for {now - self.worked_at:.0f} s")
        soonest = (self.end - used) / len(os.sched_getaffinity(0))
        shortest, longest = LOOK_SECONDS
        return min(longest, max(shortest, soonest))
