"""Candidates that the clocks time: processes of peers, and the engine."""

import json
import os
import select
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import numpy as np

from tests.benchmarks.clock import peak_of, seconds_of

ANSWER_SECONDS = 1800.0
LIBRARIES = (
    ("scikit-image", 1),
    ("OpenCV", 1),
    ("OpenCV", 2),
    ("libvips", 1),
    ("libvips", 2),
    ("dask", 1),
    ("dask", 2),
    ("dask-image", 1),
    ("dask-image", 2),
    ("Pillow", 1),
)
SERIAL = "scikit-image"
# Libraries that always run on one thread, so that their name says enough.
ONE_THREAD = (SERIAL, "Pillow", "rank.median", "cc3d", "fill-voids")
# Keeps numerical libraries from starting threads beyond those asked for.
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Peer:
    """A library with a number of threads, in a process of its own."""

    def __init__(self, library, threads, module):
        self.library = library
        self.name = library if library in ONE_THREAD else f"{library} {threads}"
        environment = {**os.environ, **QUIET, "VIPS_CONCURRENCY": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.peer", library, str(threads), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, question, cold=False, save="", last=False):
        """Have the library run once; return the seconds.

        Parameters
        ----------
        question : dict
            What `tests.benchmarks.peer` reads: the work and the image.
        cold : bool
            Whether the process first returns the memory that it keeps to the system.
        save : str
            Path for the result, if it is wanted.
        last : bool
            Whether the image is not needed again.
        """
        line = json.dumps({**question, "cold": cold, "save": save, "last": last})
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read_answer()

    def read_answer(self):
        """Read one answer of the process."""
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"{self.name}: no answer within {ANSWER_SECONDS:g} s, or it ended")
        return json.loads(line)

    def first(self, question, folder):
        """Run once outside the clock; return the result and the peak bytes, with both images."""
        path = Path(folder) / "result.npy"
        with peak_of([self.process.pid]) as peak:
            self.ask(question, save=str(path))
        result = np.load(path)
        path.unlink()
        return result, peak.bytes

    def close(self):
        """End the process."""
        with self.process:
            self.process.terminate()


def peers(stack: ExitStack, libraries=LIBRARIES, module="peers"):
    """Start peers side by side; they end with the stack.

    Parameters
    ----------
    stack : ExitStack
    libraries : sequence of tuple
        (library, threads) of each.
    module : str
        Module of this folder that has their functions.
    """
    started = [Peer(*each, module) for each in libraries]
    for each in started:
        stack.callback(each.close)
    for each in started:
        each.read_answer()
    return started


def processes_of(engine):
    """Return the ids of all processes that work for an engine, this one included."""
    return [os.getpid(), *engine.pids().values()]


class Resident:
    """Repeated runs of the same steps on an image that the engine holds.

    Attributes
    ----------
    in_ranks : list of float
        Seconds that the busiest rank took in each run.
    """

    def __init__(self, engine, held, steps):
        self.engine = engine
        self.held = held
        self.steps = steps
        self.in_ranks = []

    def run(self, cold=False):
        """Return the seconds of one run; its result is released outside the clock.

        A cold run finds no memory that the engine kept from earlier results.
        """
        if cold:
            cool(self.engine)
        began = perf_counter()
        with self.engine.prepare_held(self.held, self.steps) as job:
            job.start()
            job.wait()
            result = job.keep()
        seconds = perf_counter() - began
        result.release()
        self.in_ranks.append(job.spent.seconds)
        return seconds


def run_held(engine, held, steps, cold=False):
    """Return the seconds of one run of a held image, without the release of its result."""
    return Resident(engine, held, steps).run(cold)


def run_whole(engine, image, steps, cold=False):
    """Return the seconds of one run from the caller's array to a new array of the caller's."""
    if cold:
        cool(engine)
    return seconds_of(lambda: engine.run(image, steps))


def cool(engine):
    """Discard the memory that an engine keeps warm for the next job."""
    segments = engine.segments
    with segments.changed:
        cold, segments.warm = segments.warm, []
    segments.discard(cold)
