"""A machine with Docker, set up as a worker by the script, and the rest of the app beside it."""

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

# For the tests: what takes a minute in earnest.
DROP_IN = """\
[Service]
WatchdogSec=10s
"""
UNIT = "docker-worker-compose.service"


@pytest.fixture(scope="session")
def beside(tmp_path_factory):
    """The whole app but its worker."""
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
    """A booted machine that the script has made a worker node, image and all."""
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
        )
        yield machine
