"""Attempts at a job that ended because decoders were killed from outside."""

import threading

# Attempts of one job that may end like this without a fault. The next one is a fault: if a file
# needs more memory than the machine has, the kernel kills its decoder at every attempt.
ATTEMPTS_MAX = 8
# Jobs whose attempts are counted; beyond it, the job that was counted first is forgotten.
JOBS_MAX = 256


class KilledAttempts:
    """Counts these attempts for each job; safe to use from many threads.

    The counts are not stored: a node that restarts begins with zero.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, int] = {}

    def is_fault(self, job: str) -> bool:
        """Count an attempt at a job, and return whether there were more than `ATTEMPTS_MAX`."""
        with self.lock:
            self.counts[job] = self.counts.get(job, 0) + 1
            if len(self.counts) > JOBS_MAX:
                del self.counts[next(iter(self.counts))]
            return self.counts[job] > ATTEMPTS_MAX
