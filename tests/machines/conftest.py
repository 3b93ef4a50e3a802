"""A machine with Docker that the script sets up as a worker, beside the rest of the app."""

import pytest

from infra.local.app import LocalApp
from tests.client import Client
from tests.machines.machine import (
    Machine,
    base,
    call,
    copy_of,
    copy_sources,
    debian,
    prepare_docker,
)

# Shortens the watchdog for the tests; in production it is a minute.
DROP_IN = """\
[Service]
WatchdogSec=10s
"""
UNIT = "docker-worker-compose.service"


@pytest.fixture(scope="session")
def beside(tmp_path_factory):
    """Run the whole app except its worker."""
    folder = tmp_path_factory.mktemp("beside")
    settings = {"HEARTBEAT_LAPSE_SECONDS": "20", "REPUBLISH_SECONDS": "10"}
    with LocalApp(folder, sweep_seconds=1.0, say=print, worker=False, **settings) as app:
        yield app


@pytest.fixture
def client(beside):
    with Client(beside.url) as client:
        yield client


@pytest.fixture(scope="session")
def worker(beside, tmp_path_factory):
    """Boot a machine and have the script make it a worker node, including the image."""
    folder = tmp_path_factory.mktemp("machines")
    docker = debian("bookworm", "docker.io", prepare_docker)
    root = copy_of(docker, folder / "worker")
    (root / "opt/app").mkdir(parents=True)
    copy_sources(root / "opt/app")
    lines = [f"{name}={value}" for name, value in beside.environment.items()]
    settings = ["RANKS=1", "DRAIN_SECONDS=300"]
    (root / "root/worker.env").write_text("\n".join([*lines, *settings]) + "\n")
    drop_in = root / f"etc/systemd/system/{UNIT}.d"
    drop_in.mkdir(parents=True)
    (drop_in / "test.conf").write_text(DROP_IN)
    (folder / "docker").mkdir()
    with Machine(root, {"/var/lib/docker": folder / "docker"}) as machine:
        archive = folder / "base.tar"
        call("tar", "--create", "--directory", base("bookworm"), "--file", archive, ".")
        with archive.open("rb") as opened:
            machine.do("docker", "import", "-", "dip-base", stdin=opened)
        archive.unlink()
        machine.do(
            "/opt/app/config/worker-node-config.sh",
            *("--env-file", "/root/worker.env"),
            *("--base-image", "dip-base"),
            *("--memory", "4g"),
            # It builds an image and compiles kernels: minutes, on a busy machine many.
            timeout=1500,
        )
        yield machine
