"""Clocks: candidates take turns, so that a busy moment of the machine affects all of them alike."""

import statistics
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SAMPLE_SECONDS = 0.02
# A quick candidate runs again within its turn until this time has passed.
TURN_SECONDS = 0.1
# Another virtual machine on the same host may be busy for as long as a whole turn, so quick
# candidates take more turns.
QUICK_ROUNDS = 7


class Times(NamedTuple):
    """What candidates took, by name.

    Attributes
    ----------
    seconds : dict of str to float
        Median seconds of a run.
    cold : dict of str to float
        Median seconds of the first run of a turn. It is not among `seconds`: it finds a cold cache,
        and asks for memory that the operating system, or the host of a virtual machine, has taken
        back meanwhile.
    """

    seconds: dict
    cold: dict


def interleave(candidates, repeats, seconds_max):
    """Run candidates in turn; return the medians of each one's turns.

    Parameters
    ----------
    candidates : mapping
        From name to a callable that returns the seconds of a run; it has run once before. Its
        argument says whether the run is cold: it first discards memory kept from earlier runs.
    repeats : int
        Most rounds of all candidates. Those that run within `TURN_SECONDS` take part in at least
        `QUICK_ROUNDS`.
    seconds_max : float
        Seconds after which only those quick candidates take part in further rounds.

    Returns
    -------
    Times
    """
    turns = {name: [] for name in candidates}
    began = time.monotonic()
    for i in range(max(repeats, QUICK_ROUNDS)):
        is_late = i >= repeats or time.monotonic() - began > seconds_max
        for name, run in candidates.items():
            if not i or not is_late or min(turns[name])[0] < TURN_SECONDS:
                turns[name].append(turn(run))
    medians = {
        name: map(statistics.median, zip(*each, strict=True)) for name, each in turns.items()
    }
    seconds, cold = zip(*medians.values(), strict=True)
    return Times(dict(zip(turns, seconds, strict=True)), dict(zip(turns, cold, strict=True)))


def turn(run):
    """Return the median seconds of the runs of one turn, and those of the cold run before them."""
    cold = run(True)
    until = time.monotonic() + TURN_SECONDS
    taken = [run(False)]
    while time.monotonic() < until:
        taken.append(run(False))
    return statistics.median(taken), cold


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
