"""Processes are killed while the app works: every job still ends once, with the right pixels."""

import os
import signal
import time
from collections import Counter

import numpy as np
import pytest
from skimage import filters, morphology

from infra.local.app import LocalApp
from tests.app import pictures
from tests.app.processes import cpu_seconds, named
from tests.client import Client

pytestmark = pytest.mark.slow

COUNT = 40


@pytest.fixture(scope="module")
def own_app(tmp_path_factory):
    """Start an app for these tests alone, which break it; it must work again after each."""
    settings = {
        "HEARTBEAT_LAPSE_SECONDS": "10",
        "REPUBLISH_SECONDS": "5",
        "WARM_OPERATIONS": "median, gaussian",
    }
    folder = tmp_path_factory.mktemp("app")
    with LocalApp(folder, ranks=2, sweep_seconds=1.0, say=print, **settings) as app:
        yield app


@pytest.fixture
def client(own_app):
    with Client(own_app.url) as client:
        yield client


def wait_for(what, seconds=60):
    """Poll until `what` returns something, and return that."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, what
        time.sleep(0.05)
    return found


def finished(client, batch):
    """Return how many jobs of a batch have succeeded."""
    return client.call("GET", f"/batches/{batch}?limit=1")[1]["counts"].get("succeeded", 0)


def submit(client, count):
    images = [(f"{i}.png", "image/png", pictures.png(pictures.small(i))) for i in range(count)]
    return client.submit(
        [{"operation": "median", "footprint": "disk", "radius": 4}, *pictures.BLUR], images
    )


def assert_all_right(client, batch, jobs):
    """Check that every job succeeded once, and that each result is its own image's."""
    views = client.wait(batch, len(jobs), seconds=180)
    assert Counter(view["state"] for view in views.values()) == {"succeeded": len(jobs)}
    _, page = client.call("GET", f"/batches/{batch}?limit=1")
    assert {k: v for k, v in page["counts"].items() if v} == {"succeeded": len(jobs)}
    for i, job in enumerate(jobs):
        found = pictures.pixels(client.download(views[job]))
        pictures.assert_blurred(found, median(pictures.small(i)))


def median(image):
    disk = morphology.disk(4)
    return np.dstack([filters.median(image[..., i], disk) for i in range(3)])


def test_deaths_of_rank_forkserver_world_and_consumer_lose_and_double_nothing(own_app, client):
    batch, jobs = submit(client, COUNT)

    def worker():
        return own_app.pids().get("worker")

    victims = ("dip seat", "dip rank", "mpiexec -n", "dip forkserver", "")
    for victim, progress in zip(victims, (3, 6, 9, 12, 16), strict=True):
        wait_for(lambda progress=progress: finished(client, batch) >= progress)
        before = worker()
        pids = wait_for(lambda victim=victim: named(worker(), victim) if worker() else [])
        os.kill(pids[-1] if victim else before, signal.SIGKILL)
    assert_all_right(client, batch, jobs)


def test_a_broker_that_dies_and_comes_back_loses_nothing(own_app, client):
    batch, jobs = submit(client, COUNT // 2)
    os.kill(own_app.pids()["broker"], signal.SIGKILL)
    # Accepted while the broker is down: the jobs are in the table, and the sweep publishes them.
    late_batch, late_jobs = submit(client, 2)
    assert_all_right(client, batch, jobs)
    assert_all_right(client, late_batch, late_jobs)


def ranks_of(app):
    """Return the process ids of all ranks of the app's worker; none while it starts again."""
    worker = app.pids().get("worker")
    return named(worker, "dip rank") + named(worker, "dip seat") if worker else []


@pytest.mark.timeout(700)
def test_an_image_that_always_kills_its_rank_fails_with_a_reason_and_lands_in_the_dead_letters(
    own_app, client
):
    image = np.tile(pictures.small(0), (9, 9, 1))
    # It takes a rank many seconds.
    steps = [{"operation": "median", "footprint": "disk", "radius": 20}] * 12
    before = {pid: cpu_seconds(pid) for pid in ranks_of(own_app)}
    batch, (job,) = client.submit(steps, [("poison.png", "image/png", pictures.png(image))])
    until = time.monotonic() + 600

    def view():
        return client.call("GET", f"/batches/{batch}/jobs/{job}")[1]

    while (now := view())["state"] != "failed":
        assert time.monotonic() < until, now
        for pid in ranks_of(own_app):
            # A rank starts in hundredths of a second: one that worked longer has the image.
            if cpu_seconds(pid) > before.get(pid, 0.0) + 1.0:
                os.kill(pid, signal.SIGKILL)
                break
        time.sleep(0.1)
    assert (now["cause"], now["reason"]) == (
        "broken",
        "poison.png: a rank died twice while it worked on this image",
    )
