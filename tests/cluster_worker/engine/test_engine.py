"""Runs of the engine on real MPI worlds."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from cluster_worker import Engine, Rejected
from cluster_worker.engine.dispatch import OVERTAKEN_MAX, queue_position
from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.wire import Task
from cluster_worker.errors import Broken, Cancelled
from cluster_worker.operations import OPERATIONS, catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe
from tests.cluster_worker.operations.images import ALONE, IMAGES
from tests.cluster_worker.operations.reference import is_meant_for

pytestmark = pytest.mark.slow

CATALOGUE = catalogue()
# It takes the big image some seconds.
SLOW = [
    {
        "operation": "denoise_nl_means",
        "patch_size": 5,
        "patch_distance": 7,
        "fast_mode": False,
    }
]
BIG = np.random.default_rng(1).integers(0, 255, (1500, 1500), np.uint8)


def alone(image, steps, depth="input"):
    checked = json.dumps(recipe.check(steps, CATALOGUE, 20))
    return run_alone(
        plan(PlanRequest(header_of(image.shape, str(image.dtype)), checked, depth)), image
    )


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as engine:
        yield engine


@functools.cache
def outcome(image, *names):
    """Return what one tile gives for an image of IMAGES, or the error that refuses it."""
    try:
        return alone(IMAGES[image], [{"operation": name} for name in names])
    except Rejected as error:
        return error


def assert_world_equals_one_tile(engine, name, *names):
    """Compare the result of a world, or its refusal, with that of a single tile.

    Operations that state a tolerance (`seam`) may differ by one level.
    """
    image, steps = IMAGES[name], [{"operation": each} for each in names]
    expected = outcome(name, *names)
    if isinstance(expected, Rejected):
        with pytest.raises(Rejected, match=f"^{re.escape(str(expected))}$"):
            engine.run(image, steps)
        return
    found = engine.run(image, steps)
    if any(OPERATIONS[step["operation"]].seam for step in steps):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1)
    else:
        np.testing.assert_array_equal(found, expected)


# Either number of ranks has a picture and a mask or classes, so that it is given every operation
# that stands alone. The long test below has other numbers of ranks, and all images.
@pytest.mark.parametrize(
    ("ranks", "images"),
    [(2, ("photograph", "classes")), (3, ("16 bit hot corner", "labels", "mask"))],
)
def test_a_world_equals_one_tile_for_every_operation(warm_engine, ranks, images):
    asked = [(name, each) for name in ALONE for each in images if is_meant_for(name, IMAGES[each])]
    assert {name for name, _ in asked} == set(ALONE)
    with Engine(ranks=ranks, core=(19, 31), beside=warm_engine) as engine:
        for name, image in asked:
            assert_world_equals_one_tile(engine, image, name)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_a_world_equals_one_tile_on_every_image_and_within_a_chain(ranks):
    with Engine(ranks=ranks, core=(19, 31)) as engine:
        for name in ALONE:
            for image, pixels in IMAGES.items():
                if is_meant_for(name, pixels):
                    assert_world_equals_one_tile(engine, image, name)
                if pixels.dtype != np.uint32:
                    assert_world_equals_one_tile(engine, image, "gaussian", name, "median")


def test_native_results_have_the_types_of_scikit_image(engine):
    image = IMAGES["gray photograph"]
    assert engine.run(image, [{"operation": "gaussian"}], depth="native").dtype == np.float64
    assert engine.run(image, [{"operation": "threshold_otsu"}], depth="native").dtype == np.bool_
    assert engine.run(image, [{"operation": "median"}], depth="native").dtype == np.uint8


def test_many_small_images_run_side_by_side_and_each_gets_its_own_result(engine):
    steps = [{"operation": "gaussian", "sigma": 1.5}]
    images = [np.roll(IMAGES["photograph"], i, axis=0).copy() for i in range(24)]
    results = {}

    def run(i):
        results[i] = engine.run(images[i], steps)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for i, image in enumerate(images):
        np.testing.assert_array_equal(results[i], alone(image, steps))


def test_progress_counts_every_tile_of_every_pass(engine):
    seen = []
    steps = [
        {"operation": "median", "footprint": "disk", "radius": 7},
        {"operation": "threshold_otsu"},
    ]
    engine.run(BIG, steps, progress=lambda *each: seen.append(each))
    done, total = seen[-1]
    assert done == total
    assert total >= 2 * engine.ranks
    assert [each for each, _ in seen] == sorted(each for each, _ in seen)


def test_a_cancelled_job_frees_the_ranks(engine):
    steps = [{"operation": "median", "footprint": "disk", "radius": 8}]
    with engine.prepare(BIG.shape, "uint8", steps) as job:
        job.source[...] = BIG
        started = threading.Event()
        job.start(lambda done, total: started.set())
        assert started.wait(60)
        job.cancel()
        with pytest.raises(Cancelled):
            job.wait(30)
    small = IMAGES["photograph"]
    np.testing.assert_array_equal(
        engine.run(small, [{"operation": "invert"}]), alone(small, [{"operation": "invert"}])
    )


def test_a_job_over_its_time_is_rejected_and_the_next_one_runs(warm_engine):
    with Engine(ranks=2, job_seconds_max=1.0, beside=warm_engine) as engine:
        sentence = "took more than 1 s of processor time, the limit for one image"
        with pytest.raises(Rejected, match=sentence):
            engine.run(BIG, SLOW)
        small = IMAGES["photograph"]
        assert (engine.run(small, [{"operation": "invert"}]) == 255 - small).all()


def test_a_job_far_beyond_its_time_is_refused_with_the_numbers(engine):
    steps = [
        {"operation": "gaussian"},
        {"operation": "denoise_nl_means", "patch_size": 31, "patch_distance": 31},
    ]
    steps[1]["fast_mode"] = False
    sentence = r"^denoise_nl_means: this chain would take about [\d,]+ s for this image, and"
    with pytest.raises(Rejected, match=sentence):
        engine.prepare((7000, 7100), "uint8", steps)


def test_a_job_that_would_need_too_much_memory_is_refused_with_the_numbers(warm_engine):
    with Engine(ranks=1, job_memory_bytes_max=130 << 20, beside=warm_engine) as engine:
        with pytest.raises(Rejected, match=r"needs about \d+ MiB in a rank .* at most 130 MiB"):
            engine.run(BIG, [{"operation": "felzenszwalb"}])
        # An operation that can do with less says how.
        with pytest.raises(Rejected, match='allowed; set ties of watershed to "position"'):
            engine.run(BIG, [{"operation": "watershed"}])
        with pytest.raises(Rejected, match=r"MiB of shared memory; this machine has"):
            engine.prepare((2_000_000, 2_000_000), "uint8", [{"operation": "invert"}])


def test_a_rank_that_runs_out_of_memory_rejects_the_image_and_lives_on(monkeypatch):
    # Switch off the plan's estimate, so that the rank itself reaches its limit.
    monkeypatch.setattr("cluster_worker.plan.passes.Plan.rank_bytes", lambda *_: 0)
    # What a rank loads counts as memory of its job.
    warm = ["denoise_wavelet", "invert"]
    with Engine(ranks=1, job_memory_bytes_max=8 << 20, warm=warm) as engine:
        before = engine.pids()
        with pytest.raises(Rejected, match="needs more memory than one job may take"):
            engine.run(np.tile(BIG, (4, 4)), [{"operation": "denoise_wavelet"}])
        assert (engine.run(BIG[:9, :9], [{"operation": "invert"}]) == 255 - BIG[:9, :9]).all()
        assert engine.pids() == before


def test_bad_steps_and_images_are_one_sentence(engine):
    with pytest.raises(Rejected, match=r"^steps\[0\]\.sigma: must lie between 0\.1 and 100 px"):
        engine.run(BIG, [{"operation": "gaussian", "sigma": 1e9}])
    with pytest.raises(Rejected, match="image: must be of bool, uint8"):
        engine.run(BIG.astype(np.complex64), [{"operation": "invert"}])
    with pytest.raises(Rejected, match="image: must be rows × columns"):
        engine.run(BIG[0], [{"operation": "invert"}])
    with pytest.raises(Rejected, match="image: must hold a pixel, got 0 × 5"):
        engine.run(BIG[:0, :5], [{"operation": "invert"}])
    with pytest.raises(Rejected, match=r"^threshold_otsu: the image holds NaN or infinity"):
        engine.run(np.full((5, 5), np.nan, np.float32), [{"operation": "threshold_otsu"}])
    both = {"operation": "canny", "low_threshold": 0.9, "high_threshold": 0.1}
    with pytest.raises(Rejected, match=r"^canny: low_threshold should be lower"):
        engine.run(BIG, [both])


@pytest.mark.parametrize(
    "steps", [({"operation": "invert"},), [MappingProxyType({"operation": "invert"})]]
)
def test_steps_may_be_of_any_sequence_and_mapping(engine, steps):
    image = IMAGES["gray photograph"]
    np.testing.assert_array_equal(engine.run(image, steps), 255 - image)


@pytest.mark.parametrize("value", [np.int64(2), {1}, b"2"], ids=["numpy", "set", "bytes"])
def test_a_parameter_that_json_does_not_know_is_refused(engine, value):
    steps = [{"operation": "gaussian", "sigma": value}]
    with pytest.raises(Rejected, match=r"^steps\[0\]\.sigma: must be a number, got "):
        engine.run(IMAGES["gray photograph"], steps)


def mpiexec_of(engine):
    return next(seat.world.process.pid for seat in engine.dispatcher.seats if seat.wide)


def test_a_closed_engine_leaves_no_process_and_no_memory():
    engine = Engine(ranks=2)
    pids = [*engine.pids().values(), mpiexec_of(engine)]
    assert len(pids) == 5
    folder = engine.segments.folder
    engine.run(BIG, [{"operation": "invert"}])
    engine.close()
    assert not folder.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_an_engine_may_be_closed_twice():
    with Engine(1, warm=False) as engine:
        engine.close()


def test_waiting_jobs_of_a_closed_engine_fail_as_broken(warm_engine):
    engine = Engine(ranks=1, beside=warm_engine)
    jobs = [engine.prepare(BIG.shape, "uint8", SLOW) for _ in range(2)]
    for job in jobs:
        job.start()
    engine.close()
    for job in jobs:
        with pytest.raises(Broken, match="the engine was closed"):
            job.wait(30)


def test_progress_that_raises_ends_its_own_job_alone(engine, monkeypatch):
    # Ranks hear of a cancel after each tile; on a busy machine a tile takes long.
    monkeypatch.setattr("cluster_worker.engine.seat.CANCEL_SECONDS", 30.0)

    def fail(done, total):
        raise OSError("a defect of the caller")

    before = engine.pids()
    with pytest.raises(OSError, match="a defect of the caller"):
        engine.run(BIG, SLOW, progress=fail)
    assert (engine.run(BIG, [{"operation": "invert"}]) == 255 - BIG).all()
    assert engine.pids() == before


def test_a_job_that_is_cancelled_before_its_start_never_runs(engine):
    with engine.prepare(BIG.shape, "uint8", SLOW) as job:
        job.cancel()
        job.start()
        with pytest.raises(Cancelled):
            job.wait(10)


def test_a_job_closed_early_gives_its_memory_back_only_once_no_rank_writes_there(
    engine, monkeypatch
):
    jobs = [engine.prepare(BIG.shape, "uint8", SLOW) for _ in range(3)]
    release = engine.segments.release
    ranks_then = []

    def note(segments):
        ranks_then.append([job.ranks for job in jobs if not job.done.done()])
        release(segments)

    monkeypatch.setattr(engine.segments, "release", note)
    running = threading.Event()
    for job in jobs:
        job.source[...] = 0
        job.start(lambda done, total: running.set())
    assert running.wait(60)
    # The first job is running; the others still wait in the queue.
    for i, job in enumerate(jobs):
        job.close()
        with pytest.raises(Cancelled):
            job.wait(30)
        until = time.monotonic() + 5
        while len(ranks_then) <= i and time.monotonic() < until:
            time.sleep(0.01)
        assert len(ranks_then[i]) == len(jobs) - i - 1
    assert engine.segments.taken == 0
    assert (engine.run(BIG, [{"operation": "invert"}]) == 255 - BIG).all()


def test_an_array_of_the_other_byte_order_gives_the_same_pixels(engine):
    image = IMAGES["16 bit"]
    steps = [{"operation": "median"}]
    np.testing.assert_array_equal(engine.run(image.astype(">u2"), steps), alone(image, steps))


def test_a_job_started_after_the_close_fails_as_broken(warm_engine):
    engine = Engine(ranks=1, beside=warm_engine)
    job = engine.prepare(BIG.shape, "uint8", SLOW)
    engine.close()
    job.start()
    with pytest.raises(Broken, match="the engine was closed"):
        job.wait(10)
    engine.close()


def test_an_engine_whose_seat_does_not_come_up_again_still_cancels_and_closes(monkeypatch):
    def refuse(*_):
        raise Broken("no world today")

    engine = Engine(ranks=1)
    monkeypatch.setattr("cluster_worker.engine.launch.Launcher.launch", refuse)
    monkeypatch.setattr("cluster_worker.engine.dispatch.START_BACKOFF_SECONDS", 5.0)
    job = engine.prepare(BIG.shape, "uint8", SLOW)
    os.kill(engine.pids()["seat 0"], signal.SIGKILL)
    job.start()
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait(4)
    closing = threading.Thread(target=engine.close)
    closing.start()
    closing.join(4)
    assert not closing.is_alive()


def test_a_killed_engine_leaves_no_process_and_no_file_of_mpi():
    lines = (
        "import time; from cluster_worker import Engine; engine = Engine(2)",
        "world = next(each.world for each in engine.dispatcher.seats if each.wide)",
        "print(world.process.pid, *engine.pids().values(), flush=True)",
        "print(*world.shared_files, flush=True)",
        "time.sleep(60)",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pids = process.stdout.readline().split()
        files = process.stdout.readline().split()
        process.kill()

    def alive(pid):
        status = Path(f"/proc/{pid}/status")
        return status.exists() and "State:\tZ" not in status.read_text()

    until = time.monotonic() + 15
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(pids) == 5
    assert not [each for each in files if Path(each).exists()]


def test_a_job_tells_what_its_ranks_took(engine):
    with engine.prepare(BIG.shape, "uint8", [{"operation": "denoise_tv_chambolle"}]) as job:
        job.source[...] = BIG
        job.start()
        job.wait(60)
        assert job.spent.seconds > 0
        # Both ranks worked, and neither used more processor time than the job took.
        assert 0 < job.spent.cpu_seconds <= 2 * job.spent.seconds


def test_a_job_of_a_small_batch_goes_before_bulk_jobs_and_after_earlier_small_ones():
    line = []
    for number, first in enumerate([False, False, True, False, True]):
        job = EngineJob(Task(number, None, None, (), None, False), None, None, 1, 0, first=first)
        line.insert(queue_position(line, job), job)
    assert [job.task.job for job in line] == [2, 4, 0, 1, 3]
    line[-2].passed = OVERTAKEN_MAX
    late = EngineJob(Task(5, None, None, (), None, False), None, None, 1, 0)
    assert queue_position(line, late) == 4
