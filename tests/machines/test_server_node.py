"""A server of API and site on Debian 12, set up by the script from a checkout."""

import json
import shutil
import time

import pytest

from config.contract.settings import TOP
from infra.local.ports import HOST, answers, free_ports
from tests.infra.processes import eventually
from tests.infra.web import request
from tests.machines.machine import Machine, base, copy_checkout, copy_from_host, copy_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

UNIT = "docker-compose.service"
SCRIPT = "/root/checkout/config/server-node-config.sh"


@pytest.fixture(scope="module")
def machine(beside, tmp_path_factory):
    root = copy_of(base("bookworm"), tmp_path_factory.mktemp("machines") / "server")
    copy_from_host(root, "/etc/resolv.conf", "/etc/apt/apt.conf.d")
    copy_checkout(root / "root/checkout")
    (port,) = free_ports(1)
    settings = beside.environment | {"LISTEN_PORT": str(port), "SCHEDULE_SECONDS": "1"}
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (root / "root/server.env").write_text("".join(lines))
    with Machine(root) as machine:
        machine.port = port
        yield machine


def set_up(machine):
    return machine.ask(SCRIPT, "--env-file", "/root/server.env", timeout=900)


def is_served(machine):
    return answers(machine.port) and request("GET", url(machine, "/")).status == 200


def url(machine, path):
    return f"http://{HOST}:{machine.port}{path}"


def test_without_node_it_says_so_before_anything_long(machine):
    began = time.monotonic()
    said = set_up(machine)
    assert "Node 20 or newer is needed to build the site" in said
    assert time.monotonic() - began < 60
    assert not (machine.root / "opt/dip").exists()


def test_a_checkout_with_a_built_site_becomes_a_server(machine):
    shutil.copytree(TOP / "frontend/dist", machine.root / "root/checkout/frontend/dist")
    set_up(machine)
    eventually(lambda: is_served(machine), 60)
    health = json.loads(request("GET", url(machine, "/api/health")).body)
    assert health["status"] == "ok"
    assert machine.property(UNIT, "ActiveState") == "active"


def test_the_script_run_again_changes_nothing(machine):
    before = machine.property(UNIT, "MainPID")
    assert "wrote" not in set_up(machine)
    assert machine.property(UNIT, "MainPID") == before


def test_a_killed_server_is_started_again(machine):
    before = machine.property(UNIT, "MainPID")
    machine.do("kill", "-KILL", before)
    eventually(lambda: machine.property(UNIT, "MainPID") not in ("0", before), 30)
    eventually(lambda: is_served(machine), 60)
