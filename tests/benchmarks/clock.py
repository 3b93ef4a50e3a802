"""Clocks: candidates take turns, so that a busy moment of the machine affects all of them alike."""

import statistics
import threading
import time
from contextlib import contextmanager
from pathlib import Path

SAMPLE_SECONDS = 0.02
# A quick candidate runs again within its turn until this time has passed. Its first run after that
# of another candidate meets a cold cache and a core that has just woken up.
TURN_SECONDS = 0.1
# Another virtual machine on the same host may be busy for as long as a whole turn, so quick
# candidates take more turns.
QUICK_ROUNDS = 7


def interleave(candidates, repeats, seconds_max):
    """Run candidates in turn; return the median seconds of each one's turns.

    Parameters
    ----------
    candidates : mapping
        From name to a callable that returns the seconds of a run; it has run once before.
    repeats : int
        Most rounds of all candidates. Those that run within `TURN_SECONDS` take part in at least
        `QUICK_ROUNDS`.
    seconds_max : float
        Seconds after which only those quick candidates take part in further rounds.

    Returns
    -------
    dict of str to float
        Seconds by name.
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
    """Return the median seconds of the runs of one turn."""
    until = time.monotonic() + TURN_SECONDS
    taken = [run()]
    while time.monotonic() < until:
        taken.append(run())
    return statistics.median(taken)


def seconds_of(run):
    """Return the seconds that one call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def resident_bytes(pids):
    """Return the proportional memory of processes in bytes; shared pages are counted once."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024


class Peak:
    """The most memory, in bytes, that processes took above what they had before."""

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
    """Watch the memory of processes while the block runs; yield their peak."""
    peak = Peak(pids)
    thread = threading.Thread(target=peak.watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak.ended.set()
        thread.join()
