"""Ranks are forked from one warm process, which may die without harm to the jobs in hand."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cluster_worker import Engine
from config.contract.settings import TOP
from tests.app.processes import below, name_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 70), np.uint8)
INVERT = [{"operation": "invert"}]


@pytest.fixture(scope="module")
def engine():
    with Engine(2, warm=False) as engine:
        yield engine


def forkserver_of(pid):
    [found] = [each for each in below(pid) if name_of(each) == "dip forkserver"]
    return found


def is_right(engine):
    return np.array_equal(engine.run(IMAGE, INVERT), 255 - IMAGE)


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_rank_is_a_fork_of_the_forkserver(engine):
    forkserver = forkserver_of(os.getpid())
    for rank, pid in engine.pids().items():
        assert name_of(pid) == f"dip rank {rank}"
        assert pid in below(forkserver)


def test_a_new_world_comes_from_the_same_forkserver(engine):
    forkserver, ranks = forkserver_of(os.getpid()), engine.pids()
    os.kill(ranks[1], signal.SIGKILL)
    assert is_right(engine)
    wait_for(lambda: len(engine.pids()) == 2)
    assert not set(ranks.values()) & set(engine.pids().values())
    assert forkserver_of(os.getpid()) == forkserver


def test_the_death_of_the_forkserver_costs_no_job_and_a_new_one_is_made_when_needed(engine):
    ranks = engine.pids()
    os.kill(forkserver_of(os.getpid()), signal.SIGKILL)
    assert is_right(engine)
    assert engine.pids() == ranks
    os.kill(ranks[0], signal.SIGKILL)
    assert is_right(engine)
    assert name_of(forkserver_of(os.getpid())) == "dip forkserver"
    wait_for(lambda: not [pid for pid in ranks.values() if is_there(pid)])


def is_there(pid):
    """Return whether a process runs; the remains of one that has ended do not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


CODE = """
import os, time
from cluster_worker import Engine
engine = Engine(2, warm=False)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def test_nothing_is_left_of_an_engine_that_is_killed():
    command = [sys.executable, "-c", CODE]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        pids = below(process.pid)
        assert {"dip forkserver", "dip rank 0", "dip rank 1"} <= {name_of(pid) for pid in pids}
        process.kill()
    wait_for(lambda: not [pid for pid in pids if is_there(pid)])


def test_an_engine_beside_another_takes_its_rank_from_the_same_forkserver(engine):
    forkserver = forkserver_of(os.getpid())
    with Engine(1, beside=engine) as small:
        assert small.pids()[0] in below(forkserver)
        assert is_right(small)
    assert forkserver_of(os.getpid()) == forkserver
    assert is_right(engine)
