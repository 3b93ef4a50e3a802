"""Seats: what ends one job, or its world, harms no other job."""

import contextlib
import os
import signal
import threading
import time
from concurrent import futures

import numpy as np
import pytest

from cluster_worker import Engine, Rejected
from cluster_worker.engine import limits
from cluster_worker.errors import Broken, Cancelled, RankDied
from cluster_worker.plan.checkpoints import Checkpoint, tiles_done
from tests.infra.processes import eventually, is_alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

RANDOM = np.random.default_rng(0)
SMALL = RANDOM.integers(0, 256, (60, 70), np.uint8)
LARGE = RANDOM.integers(0, 256, (1100, 1100), np.uint8)
INVERT = [{"operation": "invert"}]


def means(patch):
    """Return a step that is slow; it takes the small image one call, without a tile between."""
    return [{"operation": "denoise_nl_means", "patch_size": patch, "patch_distance": patch} | EXACT]


EXACT = {"fast_mode": False}
# It takes about half a second of processor time, and about fifteen seconds.
LONG, STUCK = means(13), means(31)
# It takes the large image long enough for a signal to reach its ranks.
WIDE = means(3)


@pytest.fixture(scope="module")
def engine(warm_engine):
    # Its ranks are born warm, so that each new one begins its work at once.
    with Engine(2, beside=warm_engine) as engine:
        yield engine


@pytest.fixture
def quick_to_notice(monkeypatch):
    """Notice within half a second that a rank is stopped."""
    monkeypatch.setattr(limits, "STOPPED_SECONDS", 0.3)
    monkeypatch.setattr(limits, "LOOK_SECONDS", 0.1)


@contextlib.contextmanager
def started(engine, image, steps):
    """Start a job; cancel it at the end, and wait until it has left its rank."""
    with engine.prepare(image.shape, "uint8", steps) as job:
        job.source[...] = image
        job.start()
        yield job
    futures.wait([job.done], 30)


def name_of_rank(engine, job):
    """Wait until a job runs; return the name of the rank that runs it, or of the last one."""

    def running():
        seats = [each for each in engine.dispatcher.seats if each.job is job and each.world]
        return job.ranks and seats

    eventually(running)
    (seat,) = running()
    return f"rank {engine.ranks - 1}" if seat.wide else f"seat {seat.number}"


def strike(engine, job, number):
    """Send a signal to a rank of a running job, and wait until the job has lost its world."""
    name, before = name_of_rank(engine, job), len(job.losses)
    pid = engine.pids()[name]
    os.kill(pid, number)
    eventually(lambda: len(job.losses) > before)
    return pid


def is_right(engine):
    return np.array_equal(engine.run(SMALL, INVERT), 255 - SMALL)


def wait_for_all(engine):
    eventually(lambda: len(engine.pids()) == 2 * engine.ranks)


@pytest.mark.parametrize(("image", "steps"), [(SMALL, STUCK), (LARGE, WIDE)])
def test_a_job_whose_rank_dies_twice_fails_and_the_others_stay_where_they_are(engine, image, steps):
    wait_for_all(engine)
    beside = (SMALL, STUCK) if image is LARGE else (LARGE, WIDE * 3)
    with started(engine, *beside) as other, started(engine, image, steps) as poison:
        name = name_of_rank(engine, other)
        kept = engine.pids()[name]
        for _ in range(2):
            strike(engine, poison, signal.SIGKILL)
        with pytest.raises(RankDied, match=r"^a rank died twice while it worked on this image$"):
            poison.wait(60)
        assert engine.pids()[name] == kept
        assert not other.losses


@pytest.mark.parametrize("victim", ["seat", "rank", "mpiexec"])
def test_a_job_survives_one_death(engine, victim):
    wait_for_all(engine)
    image, steps = (SMALL, LONG) if victim == "seat" else (LARGE, WIDE)
    expected = engine.run(image, steps)
    with started(engine, image, steps) as job:
        name = name_of_rank(engine, job)
        wide = next(seat for seat in engine.dispatcher.seats if seat.wide)
        pid = wide.world.process.pid if victim == "mpiexec" else engine.pids()[name]
        os.kill(pid, signal.SIGKILL)
        job.wait(60)
        np.testing.assert_array_equal(job.result, expected)
        assert len(job.losses) == 1
        # The death of mpiexec is no fault of the image.
        assert isinstance(job.losses[0], RankDied) == (victim != "mpiexec")


def test_after_a_death_a_wide_job_begins_with_the_pass_that_was_under_way(engine):
    wait_for_all(engine)
    steps = [{"operation": "gaussian"}, {"operation": "equalize_hist"}, *WIDE]
    expected = engine.run(LARGE, steps)
    before, seen = engine.pids()["rank 0"], []

    def kill_in_the_second_pass(done, total):
        if job.task.begin.passes and engine.pids().get("rank 0") == before:
            os.kill(before, signal.SIGKILL)
        elif job.losses:
            seen.append(done)

    with engine.prepare(LARGE.shape, "uint8", steps) as job:
        job.source[...] = LARGE
        job.start(kill_in_the_second_pass)
        job.wait(60)
        np.testing.assert_array_equal(job.result, expected)
        assert len(job.losses) == 1
        first_pass = tiles_done(job.plan, Checkpoint(passes=1), engine.ranks)
        assert job.task.begin.passes == 1
        assert min(seen) >= first_pass > 0


def test_farmed_jobs_run_beside_a_wide_one(engine):
    wait_for_all(engine)
    with started(engine, LARGE, WIDE * 6) as wide:
        eventually(lambda: wide.ranks)
        for _ in range(5):
            assert is_right(engine)
        assert not wide.done.done()
        niceness = {
            name: os.getpriority(os.PRIO_PROCESS, pid) for name, pid in engine.pids().items()
        }
        assert niceness["rank 0"] == niceness["seat 0"] + 5


@pytest.mark.parametrize(("image", "steps"), [(SMALL, STUCK), (LARGE, STUCK)])
def test_a_cancel_within_a_long_call_ends_that_rank_alone(engine, image, steps):
    wait_for_all(engine)
    before = engine.pids()
    with started(engine, image, steps) as job:
        name_of_rank(engine, job)
        time.sleep(0.5)
        job.cancel()
        with pytest.raises(Cancelled):
            job.wait(10)
        assert is_right(engine)
    wait_for_all(engine)
    changed = {name for name, pid in engine.pids().items() if before[name] != pid}
    assert len(changed) == (1 if image is SMALL else 2)
    assert not [before[name] for name in changed if is_alive(before[name])]


def test_jobs_of_one_visitor_that_are_cancelled_do_not_stop_anothers(engine):
    wait_for_all(engine)
    with started(engine, LARGE, WIDE * 2) as victim:
        until = time.monotonic() + 6
        while not victim.done.done() and time.monotonic() < until:
            with started(engine, SMALL, STUCK) as attack, contextlib.suppress(TimeoutError):
                attack.wait(0.05)
        victim.wait(60)
        assert not victim.losses


def test_a_stopped_rank_is_replaced_and_its_job_tried_again(engine, quick_to_notice):
    wait_for_all(engine)
    for image, steps in ((SMALL, LONG), (LARGE, WIDE)):
        with started(engine, image, steps) as job:
            pid = strike(engine, job, signal.SIGSTOP)
            job.wait(60)
            assert [type(each) for each in job.losses] == [Broken]
        assert not is_alive(pid)


def test_a_job_whose_ranks_hang_twice_is_broken_and_not_a_fault_of_the_image(
    engine, quick_to_notice
):
    wait_for_all(engine)
    with started(engine, SMALL, STUCK) as job:
        for _ in range(2):
            strike(engine, job, signal.SIGSTOP)
        with pytest.raises(Broken, match=r"^a rank was stopped for") as caught:
            job.wait(60)
        assert not isinstance(caught.value, RankDied)


def test_the_limit_counts_the_processor_time_of_the_rank(engine, monkeypatch):
    wait_for_all(engine)
    for seat in engine.dispatcher.seats:
        monkeypatch.setattr(seat, "job_seconds", 1.0)
    with started(engine, SMALL, STUCK) as job:
        name = name_of_rank(engine, job)
        pid = engine.pids()[name]
        # A stop of two seconds is no time of the image's.
        os.kill(pid, signal.SIGSTOP)
        time.sleep(2.0)
        assert not job.done.done()
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(Rejected, match=r"^took more than 1 s of processor time, the limit"):
            job.wait(60)
    assert is_right(engine)


def test_jobs_wait_for_the_memory_of_others(engine):
    jobs = [engine.prepare(SMALL.shape, "uint8", INVERT) for _ in range(2)]
    order = []
    for job in jobs:
        job.source[...] = SMALL
        job.private_bytes = engine.dispatcher.memory_bytes
        job.start(lambda done, total, job=job: order.append(job.task.job))
    for job in jobs:
        job.wait(60)
        job.close()
    assert order == sorted(order)
    assert set(order) == {job.task.job for job in jobs}


def test_a_job_waits_for_memory_that_is_lent_though_no_other_job_runs(engine):
    own = engine.dispatcher
    own.lend(1)
    with engine.prepare(SMALL.shape, "uint8", INVERT) as job:
        job.source[...] = SMALL
        job.private_bytes = own.memory_bytes
        job.start()
        # The second call comes after a look at the jobs that wait.
        for _ in range(2):
            called = threading.Event()
            own.call_soon(called.set)
            assert called.wait(60)
        assert job.began == 0
        own.lend(0)
        job.wait(60)


def test_lent_memory_must_fit_beside_the_jobs_that_run(engine):
    own = engine.dispatcher
    with engine.prepare(SMALL.shape, "uint8", LONG) as job:
        job.source[...] = SMALL
        job.private_bytes = own.memory_bytes - 1
        job.start()
        eventually(lambda: job.began > 0)
        for lent, fits in ((1, True), (2, False)):
            own.lend(lent)
            assert own.lent_fits() is fits
        job.wait(60)
        assert own.lent_fits()
    own.lend(0)


def test_a_rank_whose_memory_has_grown_is_replaced_between_two_jobs(engine, monkeypatch):
    wait_for_all(engine)
    before = engine.pids()
    monkeypatch.setattr("cluster_worker.engine.seat.GROWN_BYTES", -1)
    monkeypatch.setattr("cluster_worker.engine.seat.GROWTH_SECONDS", 0.0)
    assert is_right(engine)
    monkeypatch.undo()
    assert is_right(engine)
    wait_for_all(engine)
    assert len(set(before.values()) - set(engine.pids().values())) == 1


def test_an_engine_starts_though_a_world_fails_at_first(warm_engine, monkeypatch):
    from cluster_worker.engine.launch import Launcher

    launch, failed = Launcher.launch, threading.Event()

    def once(launcher, ranks, seat):
        if seat is None and not failed.is_set():
            failed.set()
            raise Broken("a rank died")
        return launch(launcher, ranks, seat)

    monkeypatch.setattr(Launcher, "launch", once)
    with Engine(2, beside=warm_engine) as engine:
        assert failed.is_set()
        assert len(engine.pids()) == 4


def test_jobs_of_a_kind_whose_world_does_not_start_are_broken_and_others_run(engine, monkeypatch):
    from cluster_worker.engine.launch import Launcher

    wait_for_all(engine)
    launch = Launcher.launch

    def seats_only(launcher, ranks, seat):
        if seat is None:
            raise Broken("no room for MPI")
        return launch(launcher, ranks, seat)

    monkeypatch.setattr(Launcher, "launch", seats_only)
    monkeypatch.setattr("cluster_worker.engine.dispatch.START_BACKOFF_SECONDS", 0.05)
    os.kill(engine.pids()["rank 0"], signal.SIGKILL)
    eventually(lambda: "rank 0" not in engine.pids())
    with pytest.raises(Broken, match="no room for MPI"):
        engine.run(LARGE, WIDE)
    assert is_right(engine)
    monkeypatch.undo()
    wait_for_all(engine)
    engine.run(LARGE, WIDE)


def test_a_job_that_no_world_begins_fails_in_the_end(engine, monkeypatch):
    def begin(seat, job):
        seat.job = job
        return False

    wait_for_all(engine)
    monkeypatch.setattr("cluster_worker.engine.dispatch.NOT_BEGUN_MAX", 1)
    monkeypatch.setattr("cluster_worker.engine.seat.Seat.begin", begin)
    with pytest.raises(Broken, match="a rank died before it got its task"):
        engine.run(SMALL, INVERT)
    monkeypatch.undo()
    wait_for_all(engine)
    assert is_right(engine)
