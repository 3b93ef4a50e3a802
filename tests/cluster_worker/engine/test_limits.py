"""Limits of a job are those of its ranks' processors; a rank that hangs is told from a busy one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cluster_worker.engine import limits
from cluster_worker.engine.limits import Watch, processor_seconds
from cluster_worker.errors import Broken, Rejected
from tests.infra.processes import eventually

pytestmark = pytest.mark.timeout(60)

BUSY = "while True: pass"
IDLE = "import time; time.sleep(60)"
# A rank that waits for its decoder looks at it now and then.
WAITING = "import time\nwhile True: time.sleep(0.1)"


@pytest.fixture
def process():
    started = []

    def start(code):
        started.append(subprocess.Popen([sys.executable, "-c", code], start_new_session=True))
        return started[-1].pid

    yield start
    for each in started:
        os.killpg(each.pid, signal.SIGKILL)
        each.wait()


def verdict(watch, seconds, ranks=(0,)):
    """Look again and again; return the first reason to end the job, or None after some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if reason := watch.look(ranks):
            return reason
        time.sleep(0.02)
    return None


def test_a_rank_that_computes_longer_than_allowed_has_its_job_rejected(process):
    pid = process(BUSY)
    before = processor_seconds(pid)
    assert isinstance(verdict(Watch({0: pid}, 0.5), 30), Rejected)
    assert processor_seconds(pid) - before >= 0.5


def test_what_a_rank_computed_for_earlier_jobs_does_not_count(process):
    pid = process(BUSY)
    eventually(lambda: processor_seconds(pid) > 0.5)
    assert Watch({0: pid}, 0.5).look([0]) is None


def test_time_that_a_rank_waits_is_not_the_images(process):
    pid = process(IDLE)
    eventually(lambda: limits.state_of(pid) == "S")
    assert verdict(Watch({0: pid}, 0.2), 1.0) is None


def test_a_rank_that_sleeps_hangs_after_some_time_unless_it_wakes_now_and_then(
    process, monkeypatch
):
    monkeypatch.setattr(limits, "ASLEEP_SECONDS", 0.5)
    waiting, idle = process(WAITING), process(IDLE)
    eventually(lambda: limits.state_of(waiting) == "S")
    eventually(lambda: limits.state_of(idle) == "S")
    assert verdict(Watch({0: waiting}, 60.0), 2.0) is None
    watch = Watch({0: waiting, 1: idle}, 60.0)
    assert str(verdict(watch, 30, (0, 1))).startswith("a rank did nothing for")


def test_a_rank_that_has_done_its_share_may_sleep(process, monkeypatch):
    monkeypatch.setattr(limits, "ASLEEP_SECONDS", 0.3)
    watch = Watch({0: process(BUSY), 1: process(IDLE)}, 60.0)
    assert verdict(watch, 1.0, (0,)) is None


def test_a_rank_that_a_signal_has_stopped_hangs(process, monkeypatch):
    monkeypatch.setattr(limits, "STOPPED_SECONDS", 0.3)
    pid = process(BUSY)
    watch = Watch({0: pid}, 60.0)
    assert verdict(watch, 0.5) is None
    os.kill(pid, signal.SIGSTOP)
    reason = verdict(watch, 30)
    assert isinstance(reason, Broken)
    assert str(reason).startswith("a rank was stopped for")


def test_whatever_a_rank_waits_for_it_hangs_after_many_times_the_limit(process):
    pid = process(IDLE)
    eventually(lambda: limits.state_of(pid) == "S")
    assert isinstance(verdict(Watch({0: pid}, 0.05), 30), Broken)
