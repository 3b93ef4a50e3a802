"""The whole app with two workers, each on a host of its own: one image over both."""

import os
import signal

import numpy as np
import pytest
from skimage import data

from cluster_worker.engine.steps import checked_steps
from cluster_worker.node.table import job_table, milliseconds
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract.settings import WorkerSettings, load
from infra.local.app import LocalApp
from tests.app import pictures
from tests.app.processes import below
from tests.client import Client
from tests.hosts.lab import missing, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

# The ranks of both hosts combine a statistic of the whole image.
QUICK = [{"operation": "gaussian", "sigma": 3}, {"operation": "equalize_hist"}]
# Long enough to be struck in the middle.
SLOW = [{"operation": "denoise_nl_means", "patch_distance": 31}]
IMAGE = np.tile(data.camera(), (3, 3))
NAMES = ["worker-host-a", "worker-host-b"]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    settings = {"HOSTS_SAVE_SECONDS": "-60", "WARM_OPERATIONS": "gaussian"}
    with LocalApp(folder, ranks=1, hosts=2, sweep_seconds=1.0, **settings) as app:
        yield app


@pytest.fixture
def table(app, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, app.environment[name])
    found = job_table(load(WorkerSettings, environment=app.environment))
    until(lambda: len([each for each in found.hosts() if each.is_idle]) == 2, 60)
    return found


@pytest.fixture
def client(app):
    with Client(app.url) as client:
        yield client


def check(client, batch, steps):
    """Check that the job of a batch has the pixels of one tile; return its view."""
    (job,) = client.wait(batch, 1).values()
    assert (job["state"], job["reason"]) == ("succeeded", "")
    request = PlanRequest(header_of(IMAGE.shape, "uint8"), checked_steps(steps), kernels=True)
    expected = run_alone(plan(request), IMAGE)
    np.testing.assert_array_equal(pictures.pixels(client.download(job)), expected)
    return job


def host_of(worker):
    """Return the host that a worker's name begins with, as LocalApp names it."""
    return worker.rpartition("-")[0]


def has_leased(app, worker, job):
    """Return whether a worker has leased hosts for a job, as its log says."""
    lines = (app.folder / f"{worker}.log").read_text().splitlines()
    return any('"hosts leased"' in line and f'"{job}/' in line for line in lines)


def wait_until_idle(table):
    """Wait until both hosts say that they have nothing to do."""
    until(lambda: [each.is_idle for each in table.hosts()] == [True, True], 60)


def test_an_image_is_computed_by_the_ranks_of_both_hosts(app, client, table):
    wait_until_idle(table)
    batch, _ = client.submit(QUICK, [("big.png", "image/png", pictures.png(IMAGE))])
    job = check(client, batch, QUICK)
    assert job["hosts"] == {"host 1": [0], "host 2": [1]}
    row = table.job(batch, job["job"])
    assert sorted(map(host_of, row.hosts)) == ["host-a", "host-b"]
    assert job["attempt"] <= 2
    assert all(each.until == 0 for each in table.hosts())
    for name in NAMES:
        log = (app.folder / f"{name}.log").read_text()
        assert '"engine connected"' in log


@pytest.mark.long
def test_after_the_second_host_was_killed_the_first_finishes_the_image(app, client, table):
    wait_until_idle(table)
    batch, (name,) = client.submit(SLOW, [("big.png", "image/png", pictures.png(IMAGE))])
    until(lambda: table.job(batch, name).tiles_done > 0, 60)
    head, other = sorted(NAMES, key=lambda each: not has_leased(app, each, name))
    assert [each.until > 0 for each in table.hosts()] == [True, True]
    for pid in below(app.pids()[other]):
        os.kill(pid, signal.SIGKILL)
    job = check(client, batch, SLOW)
    assert [f"worker-{host_of(each)}" for each in table.job(batch, name).hosts] == [head]
    assert list(job["hosts"]) == ["host 1"]
    # The lease of the killed host ends by itself; its supervisor has started another worker.
    until(lambda: all(each.until <= milliseconds() for each in table.hosts()), 30)
