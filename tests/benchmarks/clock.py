"""Clocks: candidates take turns, so that a busy moment of the machine meets them all alike."""

import statistics
import threading
import time
from contextlib import contextmanager
from pathlib import Path

SAMPLE_SECONDS = 0.02
# What is quick runs again within its turn until so long has passed: the first run after another's
# meets a cold cache and a core that has just woken up.
TURN_SECONDS = 0.1
# A busy moment of another machine on the same host may last as long as a turn: who is that quick
# takes more turns than others.
QUICK_ROUNDS = 7


def interleave(candidates, repeats, seconds_max):
    """Run candidates in turn and give the median seconds of each one's turns.

    Parameters
    ----------
    candidates : mapping
        From name to a callable that gives the seconds it took; it has run once before.
    repeats : int
        Rounds at most; of those who are through within a turn, `QUICK_ROUNDS` at least.
    seconds_max : float
        No new round of all begins after so long; those who are that quick go on among themselves.
    """
    taken = {name: [] for name in candidates}
    began = time.monotonic()
    for i in range(max(repeats, QUICK_ROUNDS)):
        is_late = i >= repeats or time.monotonic() - began > seconds_max
        for name, run in candidates.items():
            if not i or not is_late or min(taken[name]) < TURN_SECONDS:
                taken[name].append(turn(run))
    return {name: statistics.median(each) for name, each in taken.items()}


def turn(run):
    """Give the median seconds of the runs of one turn."""
    until = time.monotonic() + TURN_SECONDS
    taken = [run()]
    while time.monotonic() < until:
        taken.append(run())
    return statistics.median(taken)


def seconds_of(run):
    """Time one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def resident_bytes(pids):
    """Proportional memory of processes: what they share is counted once."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024


class Peak:
    """The most memory that processes took above what they had before."""

    def __init__(self, pids):
        self.pids = pids
        self.before = resident_bytes(pids)
        self.most = self.before
        self.ended = threading.Event()

    def watch(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            self.most = max(self.most, resident_bytes(self.pids))

    @property
    def bytes(self):
        return self.most - self.before


@contextmanager
def peak_of(pids):
    """Watch processes while the block runs."""
    peak = Peak(pids)
    thread = threading.Thread(target=peak.watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak.ended.set()
        thread.join()
