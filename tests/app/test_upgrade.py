"""Upgrades: the last release's worker beside this API, and this worker beside that API.

The old side is the last tag. Without one, it is the last commit that is older than a day, or what
`UPGRADE_FROM` names. It runs from a checkout of its own, with this environment's libraries.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from skimage import data

from config.contract.resources import DELIVERY_LIMIT
from config.contract.settings import TOP
from infra.local.app import LocalApp
from tests.app import pictures
from tests.app import test_app as life
from tests.client import Client

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

# Runs a module of the checkout at the first argument, in place of this one.
START = (
    "import os, runpy, sys; folder, module = sys.argv[1:3]; os.chdir(folder);"
    "sys.path[0] = folder; del sys.argv[1:3];"
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)
# Runs this worker with a catalogue of before: an operation is gone, and a parameter of another one.
# Once the first argument's file exists, it runs as it is.
START_BEFORE = """
import runpy, sys
from pathlib import Path
from cluster_worker import operations
catalogue = operations.catalogue
def before():
    found = catalogue()
    found["operations"] = [each for each in found["operations"] if each["name"] != "invert"]
    (gaussian,) = [each for each in found["operations"] if each["name"] == "gaussian"]
    del gaussian["parameters"]["properties"]["mode"]
    return found
if not Path(sys.argv.pop(1)).exists():
    operations.catalogue = before
from cluster_worker.node import newer
newer.WAIT_SECONDS = 1.0
runpy.run_module("cluster_worker", run_name="__main__", alter_sys=True)
"""
# Commands of the API and files of a worker's whole life.
CLAIMS = (
    life.test_a_photograph_comes_back_as_scikit_image_blurs_it,
    life.test_a_large_image_is_cut_over_all_ranks_and_comes_back_the_same,
    life.test_a_file_of_another_size_is_refused_by_its_form,
    life.test_a_running_job_can_be_cancelled_and_tried_again,
    life.test_a_deleted_batch_is_gone_with_its_files,
)


def git(*arguments):
    found = subprocess.run(
        ["git", "-C", TOP, *arguments], capture_output=True, check=False, timeout=60
    )
    return found.stdout if found.returncode == 0 else b""


def old_commit():
    """Return the commit of the old side."""
    if given := os.environ.get("UPGRADE_FROM"):
        return given
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^").decode().strip()
    return tag or git("log", "-1", "--before=1 day ago", "--format=%h").decode().strip()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """Return a checkout of the old side, with its contract."""
    commit, folder = old_commit(), tmp_path_factory.mktemp("old")
    packed = git(
        "archive", commit, "api", "cluster_worker", "config", "docs", "infra", "pyproject.toml"
    )
    assert packed, f"{commit}: no such commit; a shallow clone has no history"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    sys.stdout.write(f"the old side is {commit}\n")
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'api'}"}
    run = partial(subprocess.run, cwd=folder, env=environment, check=True, timeout=300)
    with (folder / "config/contract/catalogue.json").open("wb") as catalogue:
        run((sys.executable, "-m", "cluster_worker.operations"), stdout=catalogue)
    run((sys.executable, "-m", "chalicelib.contract"))
    return folder


class MixedApp(LocalApp):
    """The app, one of whose processes is of the old side: `api` or `worker`."""

    def __init__(self, *given, old, which, **settings):
        super().__init__(*given, **settings)
        self.old, self.which = old, which

    def _aged(self, process):
        if process.name != self.which:
            return process
        python, _, *module = process.command
        environment = dict(process.environment) | {"PYTHONPATH": str(self.old)}
        command = (python, "-c", START, str(self.old), *module)
        return replace(process, command=command, environment=environment)

    def _api(self, port):
        return self._aged(super()._api(port))

    def _workers(self):
        return list(map(self._aged, super()._workers()))


@pytest.fixture(scope="module", params=["worker", "api"])
def client(request, old, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    which = request.param
    with MixedApp(folder, ranks=2, say=print, old=old, which=which, sweep_seconds=1.0) as app:
        pid = app.pids()[which]
        assert Path(f"/proc/{pid}/cwd").readlink() == old
        with Client(app.url) as client:
            client.worker_log = app.folder / "worker.log"
            yield client


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda each: each.__name__.removeprefix("test_"))
def test_a_job_s_life_is_the_same_while_one_side_is_old(client, claim):
    claim(client)


def test_no_side_passes_over_the_quality_of_a_result(client):
    files = [("cat.jpg", "image/jpeg", pictures.jpeg(data.astronaut()))]
    body = {"steps": [{"operation": "invert"}], "format": "jpeg", "images": []}
    sizes = []
    for quality in (90, 30):
        described = {"name": "cat.jpg", "type": "image/jpeg", "bytes": len(files[0][2])}
        asked = {**body, "quality": quality, "images": [described]}
        status, answer = client.call("POST", "/batches", asked)
        if status == 422:
            assert "quality" in answer["detail"], answer
            return
        batch, (job,) = client.submit(body["steps"], files, "jpeg", quality=quality)
        until = time.monotonic() + 120
        while (state := state_of(client, batch, job))["state"] == "queued":
            if "message of a newer version" in client.worker_log.read_text():
                return
            assert time.monotonic() < until, state
            time.sleep(0.1)
        (done,) = client.wait(batch, 1).values()
        sizes.append(len(client.download(done)))
    assert sizes[1] < sizes[0] / 2


def state_of(client, batch, job):
    _, found = client.call("GET", f"/batches/{batch}")
    return next(each for each in found["jobs"] if each["job"] == job)


class BeforeApp(LocalApp):
    """The app, whose worker knows less than its API until `updated` exists."""

    updated: Path

    def _workers(self):
        (process,) = super()._workers()
        python, *_ = process.command
        return [replace(process, command=(python, "-c", START_BEFORE, str(self.updated)))]


def test_a_job_that_an_old_worker_does_not_know_is_done_by_the_next_one(tmp_path):
    files = [("cat.png", "image/png", pictures.png(data.astronaut()[::4, ::4]))]
    chains = [{"operation": "invert"}], [{"operation": "gaussian", "sigma": 1.0, "mode": "wrap"}]
    BeforeApp.updated = tmp_path / "updated"
    with (
        BeforeApp(tmp_path / "app", ranks=1, say=print, sweep_seconds=1.0) as app,
        Client(app.url) as client,
    ):
        log = app.folder / "worker.log"
        sent = [client.submit(steps, files) for steps in chains]
        until = time.monotonic() + 120
        # More often than the broker would deliver one message.
        while log.read_text().count("message of a newer version") < 2 * DELIVERY_LIMIT + 10:
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.1)
        # What it knows is done meanwhile.
        batch, _ = client.submit([{"operation": "sobel"}], files)
        client.wait(batch, 1)
        states = [state_of(client, batch, job) for batch, (job,) in sent]
        assert [each["state"] for each in states] == ["queued", "queued"], states
        BeforeApp.updated.touch()
        os.kill(app.pids()["worker"], signal.SIGTERM)
        for batch, (job,) in sent:
            client.wait(batch, 1)
            assert state_of(client, batch, job)["state"] == "succeeded"
