"""`docker compose up` on a machine that has Docker and nothing else of the app's.

No image can be pulled here, so a Debian with Python and Node, from its archive, is the base of all
stages, and containers share the machine's network.
"""

import pytest

from infra.local import selfcheck
from infra.local.ports import HOST, answers, free_ports
from tests.infra.processes import eventually
from tests.machines.machine import Machine, call, copy_checkout, copy_of, debian, prepare_docker

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

OVERRIDE = """\
services:
  app:
    build:
      network: host
      args:
        PYTHON_IMAGE: dip-base
        NODE_IMAGE: dip-base
    network_mode: host
    ports: !reset []
    environment:
      LOCAL_HOST: 127.0.0.1
      PORT: "{port}"
      S3_PORT: "{s3_port}"
      RANKS: "1"
"""
COMPOSE = ("docker", "compose", "--project-directory", "/opt/app")


def trust(root):
    """Have npm trust the certificates that this machine trusts."""
    prepare_docker(root)
    (root / "etc/npmrc").write_text("cafile=/etc/ssl/certs/ca-certificates.crt\n")


@pytest.fixture(scope="module")
def ports():
    return free_ports(2)


@pytest.fixture(scope="module")
def machine(tmp_path_factory, ports):
    folder = tmp_path_factory.mktemp("machines")
    more = "docker.io docker-cli docker-buildx nodejs npm rabbitmq-server procps"
    made = debian("trixie", "docker-compose", trust, more)
    root = copy_of(made, folder / "compose")
    app = root / "opt/app"
    app.mkdir(parents=True)
    copy_checkout(app)
    port, s3_port = ports
    (app / "compose.override.yaml").write_text(OVERRIDE.format(port=port, s3_port=s3_port))
    (folder / "docker").mkdir()
    with Machine(root, {"/var/lib/docker": folder / "docker"}) as machine:
        archive = folder / "base.tar"
        call("tar", "--create", "--directory", made, "--file", archive, ".")
        with archive.open("rb") as opened:
            machine.do("docker", "import", "-", "dip-base", stdin=opened)
        archive.unlink()
        yield machine


def test_the_app_comes_up_takes_an_image_and_goes(machine, ports):
    machine.do(*COMPOSE, "up", "--build", "--detach", timeout=1200)
    try:
        url = f"http://{HOST}:{ports[0]}"
        # The page answers before the worker takes images.
        eventually(lambda: f"ready {url}" in machine.ask(*COMPOSE, "logs"), 400)
        selfcheck.check(url)
        user = machine.ask(*COMPOSE, "exec", "app", "id", "--user", "--name")
        assert user == "dip-app"
    finally:
        print(machine.ask(*COMPOSE, "logs", "--tail", "20"))  # noqa: T201
        machine.do(*COMPOSE, "down", timeout=120)
    assert not answers(ports[0])
