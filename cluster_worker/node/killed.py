"""Attempts at a job that ended because decoders were killed from outside."""

import threading

# So many attempts say nothing about a job. Those after them are faults of the job: the kernel
# kills, each time, the decoder of a file that needs more memory than the machine has.
ATTEMPTS_MAX = 8
# Jobs whose attempts are counted; of more, the one counted first is forgotten.
JOBS_MAX = 256


class KilledAttempts:
    """Counts such attempts of each job, on any thread; a node that starts anew counts anew."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, int] = {}

    def is_fault(self, job: str) -> bool:
        """Count an attempt at a job, and return whether it is one of too many."""
        with self.lock:
            self.counts[job] = self.counts.get(job, 0) + 1
            if len(self.counts) > JOBS_MAX:
                del self.counts[next(iter(self.counts))]
            return self.counts.get(job, 0) > ATTEMPTS_MAX
