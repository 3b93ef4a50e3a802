"""`python -m infra.local` as a user meets it."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from config.contract import resources
from config.contract.settings import TOP
from infra.local import app as room
from infra.local import selfcheck
from infra.local.__main__ import handle_signals
from infra.local.app import LocalApp
from infra.local.guard import list_descendants
from infra.local.ports import HOST, answers, free_ports
from infra.local.process import LocalError
from tests.infra.processes import (
    THIS_MACHINE,
    addresses_listened_on,
    eventually,
    is_alive,
    name_of,
    sockets_of,
)
from tests.infra.web import request

pytestmark = pytest.mark.slow


@contextmanager
def local(port, until="ready"):
    """Run `python -m infra.local` until it prints a word; yield the process and its lines."""
    environment = os.environ | {"PORT": str(port), "RANKS": "1", "WARM_OPERATIONS": "gaussian"}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=TOP,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line.rstrip())
            if line.startswith(until):
                break
        yield process, said
    finally:
        process.kill()
        process.stdout.close()
        process.wait(10)


def test_it_runs_beside_another_copy_and_a_signal_leaves_nothing(app):
    (port,) = free_ports(1)
    with local(port) as (process, said):
        assert said[-1].startswith(f"ready http://{HOST}:{port} in ")
        for path in ("/", "/api/operations", "/api/health", "/api/openapi.json"):
            assert request("GET", f"http://{HOST}:{port}{path}").status == 200
        for url in (f"http://{HOST}:{port}", app.url):
            selfcheck.check(url)
        pids = list_descendants(process.pid)
        assert not set(pids) & set(app.pids().values())
        assert {"beam.smp", "epmd"} <= {name_of(pid) for pid in pids}
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not [pid for pid in pids if is_alive(pid)]
        assert not answers(port)
    selfcheck.check(app.url)


def test_other_signals_do_what_ctrl_c_does(monkeypatch):
    handlers = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    handle_signals(None)
    assert set(handlers) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert len(set(handlers.values())) == 1


def test_nothing_is_left_of_a_copy_that_is_killed():
    (port,) = free_ports(1)
    with local(port, until="starting") as (process, _):
        # While it starts: the worker warms up, after all others listen.
        eventually(lambda: "dip forkserver" in names_below(process.pid))
        pids = list_descendants(process.pid)
        assert len(pids) > 8
        process.kill()
        eventually(lambda: not [pid for pid in pids if is_alive(pid)])
        assert not answers(port)


def names_below(pid):
    return {name_of(each) for each in list_descendants(pid)}


def test_a_taken_port_is_one_sentence_and_exit_code_1():
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with local(port) as (process, said):
            assert process.wait(30) == 1
        assert said[1:] == [
            f"port {port} of {HOST} is taken; free it or choose another: make run PORT={port + 1}"
        ]


def test_a_second_copy_on_the_same_port_is_refused_and_harms_nothing(tmp_path):
    (tmp_path / "lock").touch()
    (tmp_path / "worker.log").write_text("theirs")
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LocalError, match="the app already runs on port 8123"):
            LocalApp(tmp_path, port=8123).__enter__()
    assert (tmp_path / "worker.log").read_text() == "theirs"


def test_a_site_that_is_not_built_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "SITE", tmp_path)
    with pytest.raises(LocalError, match="the site is not built; run: make run"):
        LocalApp(tmp_path).__enter__()


def test_a_process_that_does_not_start_is_one_sentence_and_leaves_nothing(tmp_path):
    # The worker cannot read this setting.
    app = LocalApp(tmp_path, ranks=1, JOB_SECONDS_MAX="long")
    with pytest.raises(LocalError, match=r"worker ended .* JOB_SECONDS_MAX: must be a number"):
        app.__enter__()
    assert not [
        pid for running in app.supervisor.processes.values() if is_alive(pid := running.pid)
    ]


def test_each_start_begins_empty(tmp_path):
    (tmp_path / "rabbitmq").mkdir()
    (tmp_path / "rabbitmq" / "old").touch()
    (tmp_path / "old.log").touch()
    with room.claim_folder(tmp_path, free_ports(1)[0]):
        assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def test_its_processes_listen_on_this_machine_alone(app):
    sockets, of_mpiexec = set(), set()
    for running in app.supervisor.processes.values():
        for pid in (running.pid, *list_descendants(running.pid)):
            (of_mpiexec if name_of(pid) == "mpiexec" else sockets).update(sockets_of(pid))
    # MPICH's mpiexec opens its control port on all interfaces. No option changes that, and the
    # ranks inherit the port.
    listening = addresses_listened_on(sockets - of_mpiexec)
    assert listening
    assert listening <= THIS_MACHINE


def test_no_log_names_a_batch(app):
    created = selfcheck.call_api(
        "POST",
        f"{app.url}/api/batches",
        {
            "steps": selfcheck.STEPS,
            "format": "same",
            "images": [{"name": "a.png", "bytes": 8, "type": "image/png"}],
        },
    )
    batch, job = created["batch"], created["jobs"][0]
    selfcheck.upload(job["upload"], selfcheck.PNG)
    assert request("GET", f"{app.url}/api/batches/{batch}").status == 200
    key = resources.result_key(batch, job["job"], 1, "png")
    assert request("GET", f"{app.url}/{key}").status == 404
    for log in app.folder.glob("*.log"):
        assert batch not in log.read_text(errors="replace"), log.name


@pytest.mark.parametrize("name", ["front", "api", "worker", "broker"])
def test_the_app_works_again_after_a_process_has_died(app, name):
    pid = app.pids()[name]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: app.pids().get(name, pid) != pid)

    def works():
        try:
            health = request("GET", f"{app.url}/api/health")
        except OSError:
            return False
        return health.status == 200 and json.loads(health.body)["status"] == "ok"

    eventually(works, 120)
    selfcheck.check(app.url)
