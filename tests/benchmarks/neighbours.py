"""What a job costs its neighbours: `python -m tests.benchmarks.neighbours`.

Measures one engine, whose process imports nothing else: the time until a killed rank is replaced,
the memory of its processes, a job beside a visitor who submits and cancels, and jobs beside a job
that takes all ranks.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from functools import partial

import numpy as np

from cluster_worker import Engine
from cluster_worker.errors import Cancelled
from tests.app.processes import below, cpu_seconds, name_of
from tests.benchmarks.clock import resident_bytes, seconds_of

RANKS = 2
# How many ranks an engine has whose memory is measured.
MANY_RANKS = (1, 2, 4, 8)
ROUNDS = 15
ATTACK_SECONDS = 60.0
# What one job of the attacker may run until it is cancelled.
LOOK_SECONDS = 0.05
WAIT_SECONDS = 120.0

RANDOM = np.random.default_rng(0)
TINY = RANDOM.integers(0, 256, (8, 8), np.uint8)
SMALL = RANDOM.integers(0, 256, (512, 512), np.uint8)
LARGE = RANDOM.integers(0, 256, (3000, 4000), np.uint8)
INVERT = [{"operation": "invert"}]
BLUR = [{"operation": "gaussian", "sigma": 2.0}]


def means(patch):
    """Return a step that takes a rank long, in one call on a small image."""
    step = {"operation": "denoise_nl_means", "fast_mode": False}
    return [step | {"patch_size": patch, "patch_distance": patch}]


# About four seconds of both ranks, about four of one, and about half a minute in one call.
WIDE, FARMED, STUCK = means(5), means(13), means(31)
WIDE_IMAGE, STUCK_IMAGE = LARGE[:1100, :1100], SMALL[:60, :70]
FARMED_IMAGE = SMALL[:200, :240]


def run(say, many_ranks=MANY_RANKS, rounds=ROUNDS, attack_seconds=ATTACK_SECONDS):
    """Return the figures of all four, by name."""
    found = {"memory": [memory(ranks) for ranks in many_ranks]}
    say("memory: " + ", ".join(f"{row['ranks']}: {row['total']:.0f}" for row in found["memory"]))
    measures = {
        "replaced": partial(replaced, rounds=rounds),
        "attacked": partial(attacked, rounds=rounds, attack_seconds=attack_seconds),
        "beside": beside,
    }
    with Engine(RANKS, warm=("invert", "gaussian", "denoise_nl_means")) as engine:
        for name, measure in measures.items():
            found[name] = measure(engine)
            say(f"{name}: {json.dumps(found[name])}")
    return found


def memory(ranks):
    """Return the proportional memory of an engine's processes in MiB, by kind, after two jobs."""
    with Engine(ranks, warm=("gaussian",)) as engine:
        engine.run(LARGE, BLUR)
        engine.run(SMALL, BLUR)
        found = Counter()
        for pid in below(os.getpid()):
            # Ranks differ by a number alone.
            kind = name_of(pid).removeprefix("dip ").rstrip("0123456789 ")
            with contextlib.suppress(OSError, StopIteration):
                found["engine" if pid == os.getpid() else kind] += resident_bytes([pid]) / 2**20
        return {"ranks": ranks, "total": found.total(), "by_kind": dict(found)}


def replaced(engine, rounds):
    """Return the seconds until a killed seat, and a killed world, is there again.

    The row of each also has the processor time of one new rank at that moment.
    """
    found = {}
    for kind, name in (("seat", "seat 0"), ("world", "rank 0")):
        seconds, spent = [], []
        for _ in range(rounds):
            wait_until(lambda: len(engine.pids()) == 2 * RANKS)
            old = engine.pids()[name]
            began = time.perf_counter()
            os.kill(old, signal.SIGKILL)
            wait_until(lambda name=name, old=old: engine.pids().get(name, old) != old)
            seconds.append(time.perf_counter() - began)
            spent.append(cpu_seconds(engine.pids()[name]))
            time.sleep(0.1)
        found[kind] = summary(seconds) | {"cpu": statistics.mean(spent)}
    return found


def attacked(engine, rounds, attack_seconds):
    """Return the seconds of a job beside a visitor who submits and cancels, and of the next job.

    The job is a wide one, and one on a seat; it is compared with its time while a foreign process
    takes a core. The next job, a tiny one, is submitted once the last attack is cancelled.
    """
    found = {}
    for kind, image, steps in (("wide", WIDE_IMAGE, WIDE), ("seat", FARMED_IMAGE, FARMED)):
        alone = [timed(engine, image, steps) for _ in range(3)]
        with one_core_taken():
            taken = [timed(engine, image, steps) for _ in range(3)]
        with attacker(engine) as attacks:
            until = time.monotonic() + attack_seconds
            under = []
            while time.monotonic() < until:
                under.append(timed(engine, image, steps))
        after = []
        for _ in range(rounds):
            attack(engine)
            after.append(timed(engine, TINY, INVERT))
        found[kind] = {
            "alone": summary(alone),
            "one_core_taken": summary(taken),
            "attacked": summary(under),
            "attacks": attacks[0],
            "next": summary(after),
        }
    return found


def beside(engine):
    """Return the seconds of a wide job, and of small ones, apart and at the same time."""
    wide = [timed(engine, WIDE_IMAGE, WIDE) for _ in range(3)]
    small = [timed(engine, SMALL, BLUR) for _ in range(50)]
    both, many = [], []
    for _ in range(3):
        thread = threading.Thread(target=lambda: both.append(timed(engine, WIDE_IMAGE, WIDE)))
        thread.start()
        while thread.is_alive():
            many.append(timed(engine, SMALL, BLUR))
        thread.join()
    return {
        "wide": summary(wide),
        "wide_beside_small": summary(both),
        "small": summary(small),
        "small_beside_wide": summary(many),
    }


def attack(engine):
    """Submit a job that takes a rank for long, and cancel it soon."""
    with engine.prepare(STUCK_IMAGE.shape, "uint8", STUCK) as job:
        job.source[...] = STUCK_IMAGE
        job.start()
        with contextlib.suppress(TimeoutError):
            job.wait(LOOK_SECONDS)
        job.cancel()
        with contextlib.suppress(Cancelled):
            job.wait(WAIT_SECONDS)


@contextlib.contextmanager
def attacker(engine):
    """Attack the engine while the block runs; yield a list of one, the count of attacks."""
    count, ended = [0], threading.Event()

    def work():
        while not ended.is_set():
            attack(engine)
            count[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def one_core_taken():
    """Keep one core busy from another process while the block runs."""
    process = multiprocessing.get_context("spawn").Process(target=spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def spin():
    """Take a core until the process is killed."""
    while True:
        pass


def timed(engine, image, steps):
    """Return the seconds of one run."""
    return seconds_of(lambda: engine.run(image, steps))


def summary(seconds):
    """Return median and largest, and how many there were."""
    return {"median": statistics.median(seconds), "most": max(seconds), "count": len(seconds)}


def wait_until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come true in time")
        time.sleep(0.001)


def main():
    """Print the figures as JSON; lines on the way go to stderr."""
    found = run(lambda line: sys.stderr.write(f"  {line}\n"))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
