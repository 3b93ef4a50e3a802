"""Hosts on one machine: what isolates them, and the door by which they reach its servers."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from infra.local.app import LocalApp
from infra.local.hosts import IsolatedHosts
from infra.local.process import LocalError, Process, Running
from tests.hosts.lab import missing, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

needs_root = pytest.mark.skipif(missing() is not None, reason=str(missing()))
TAG = f"t{os.getpid()}"
# Where a host is, and what it finds at a port of its own loopback.
PROGRAM = """
import os, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as sock:
    sock.sendall(b"from " + socket.gethostname().encode())
    sock.shutdown(socket.SHUT_WR)
    print(sock.makefile().read(), os.listdir("/dev/shm"), os.environ["HOST_ADDRESS"])
"""


@pytest.fixture
def echo():
    """A server at this machine's loopback that says again what a client has said."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"heard " + client.makefile("rb").read())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def on_host(hosts, name, *arguments):
    process = Process("test", (sys.executable, "-c", PROGRAM, *map(str, arguments)))
    process = hosts.worker(name, process)
    return subprocess.run(
        process.command, env=process.environment, capture_output=True, text=True, timeout=30
    )


@needs_root
def test_a_host_reaches_the_servers_by_its_door_alone_and_shares_no_memory(tmp_path, echo):
    with IsolatedHosts(2, TAG) as hosts:
        assert hosts.names == ["host-a", "host-b"]
        assert "Connection refused" in on_host(hosts, "host-a", echo).stderr
        door = Running(hosts.door("host-a", [echo]), tmp_path)
        until(lambda: "ready" in (tmp_path / "door-host-a.log").read_text())
        found = on_host(hosts, "host-a", echo)
        assert found.stdout == "heard from host-a [] 10.98.8.1\n", found.stderr
        assert "Connection refused" in on_host(hosts, "host-b", echo).stderr
        door.kill()
        door.wait(10)
    assert TAG not in subprocess.check_output(["ip", "netns", "list"], text=True)


@needs_root
def test_networks_that_a_killed_app_has_left_are_made_anew():
    subprocess.run(["ip", "netns", "add", f"{TAG}-host-a"], check=True, timeout=20)
    with IsolatedHosts(1, TAG):
        pass
    assert TAG not in subprocess.check_output(["ip", "netns", "list"], text=True)


def test_several_workers_without_root_are_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(LocalError, match="HOSTS: several isolated workers need root; run: sudo"):
        IsolatedHosts(2, TAG).__enter__()


@pytest.mark.parametrize("hosts", [0, 9])
def test_a_number_of_workers_that_cannot_be_is_refused_with_a_sentence(tmp_path, hosts):
    with pytest.raises(LocalError, match=f"HOSTS: must lie between 1 and 8, got {hosts}"):
        LocalApp(tmp_path, hosts=hosts)
