"""Ranks are forked from one warm process, which may die without harm to the jobs in hand."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from cluster_worker import Engine
from config.contract.settings import TOP
from tests.app.processes import below, name_of
from tests.infra.processes import eventually, is_alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 70), np.uint8)
INVERT = [{"operation": "invert"}]


@pytest.fixture(scope="module")
def engine():
    with Engine(2) as engine:
        yield engine


def forkserver_of(engine):
    return engine.source.process.pid


def is_right(engine):
    return np.array_equal(engine.run(IMAGE, INVERT), 255 - IMAGE)


def test_a_rank_is_a_fork_of_the_forkserver(engine):
    forkserver = forkserver_of(engine)
    assert set(engine.pids()) == {"seat 0", "seat 1", "rank 0", "rank 1"}
    for name, pid in engine.pids().items():
        assert name_of(pid) == f"dip {name}"
        assert pid in below(forkserver)


@pytest.mark.parametrize("victim", ["seat 1", "rank 1"])
def test_a_new_world_comes_from_the_same_forkserver_and_the_others_stay(engine, victim):
    forkserver, before = forkserver_of(engine), engine.pids()
    os.kill(before[victim], signal.SIGKILL)
    assert is_right(engine)
    eventually(lambda: engine.pids().get(victim, before[victim]) != before[victim])
    kept = {name for name, pid in engine.pids().items() if pid == before[name]}
    lost = {"seat 1"} if victim == "seat 1" else {"rank 0", "rank 1"}
    assert kept == set(before) - lost
    assert forkserver_of(engine) == forkserver


def test_the_death_of_the_forkserver_costs_no_job_and_a_new_one_is_made_when_needed(engine):
    ranks = engine.pids()
    os.kill(forkserver_of(engine), signal.SIGKILL)
    assert is_right(engine)
    assert engine.pids() == ranks
    os.kill(ranks["seat 0"], signal.SIGKILL)
    os.kill(ranks["rank 0"], signal.SIGKILL)
    assert is_right(engine)
    eventually(lambda: len(engine.pids()) == len(ranks))
    assert name_of(forkserver_of(engine)) == "dip forkserver"
    assert engine.pids()["seat 1"] == ranks["seat 1"]
    gone = [ranks[name] for name in ("seat 0", "rank 0", "rank 1")]
    eventually(lambda: not [pid for pid in gone if is_alive(pid)])


def test_a_stopped_forkserver_is_replaced_once_a_seat_is_needed(engine):
    before = forkserver_of(engine)
    os.kill(before, signal.SIGSTOP)
    assert is_right(engine)
    os.kill(engine.pids()["seat 0"], signal.SIGKILL)
    assert is_right(engine)
    eventually(lambda: "seat 0" in engine.pids())
    assert forkserver_of(engine) != before
    assert not is_alive(before)


IDLE = """
import time
from cluster_worker import Engine
engine = Engine(2)
print("ready", flush=True)
time.sleep(600)
"""
# One tile, in one call of many minutes.
BUSY = """
import numpy as np
from cluster_worker import Engine
slow = {"operation": "denoise_nl_means", "patch_size": 31, "patch_distance": 31, "fast_mode": False}
engine = Engine(2, core=(4000, 4000), job_seconds_max=1e6)
image = np.random.default_rng(0).integers(0, 256, (900, 900), np.uint8)
job = engine.prepare(image.shape, "uint8", [slow])
job.source[...] = image
job.start()
print("ready", flush=True)
job.wait()
"""


@pytest.mark.parametrize("code", [IDLE, BUSY])
def test_nothing_is_left_of_an_engine_that_is_killed(code):
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(1.0)
        pids = below(process.pid)
        names = {"dip forkserver", "dip seat 0", "dip seat 1", "dip rank 0", "dip rank 1"}
        assert names <= {name_of(pid) for pid in pids}
        process.kill()
    eventually(lambda: not [pid for pid in pids if is_alive(pid)])


def test_a_silent_client_keeps_no_world_from_its_ranks(engine):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(engine.source.address))
        os.kill(engine.pids()["seat 0"], signal.SIGKILL)
        assert is_right(engine)


def test_an_engine_beside_another_takes_its_rank_from_the_same_forkserver(engine):
    forkserver = forkserver_of(engine)
    with Engine(1, beside=engine) as small:
        assert small.pids()["seat 0"] in below(forkserver)
        assert is_right(small)
    assert forkserver_of(engine) == forkserver
    assert is_right(engine)


def test_an_engine_beside_another_may_restart_the_forkserver_and_close(engine):
    with Engine(1, beside=engine) as small:
        os.kill(forkserver_of(engine), signal.SIGKILL)
        os.kill(small.pids()["seat 0"], signal.SIGKILL)
        assert is_right(small)
        made = forkserver_of(engine)
    time.sleep(0.5)
    assert forkserver_of(engine) == made
    assert is_right(engine)
