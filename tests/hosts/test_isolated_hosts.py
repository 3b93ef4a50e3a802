"""The networks of isolated hosts on one machine."""

import os
import subprocess

import pytest

from infra.local.hosts import IsolatedHosts
from tests.hosts.lab import missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


def namespaces(tag):
    found = subprocess.run(["ip", "netns"], check=True, capture_output=True, text=True, timeout=20)
    return {line.split()[0] for line in found.stdout.splitlines() if line.startswith(tag)}


def test_hosts_start_after_a_start_that_was_killed_and_leave_nothing():
    tag = f"dipt{os.getpid()}"
    IsolatedHosts(2, tag).__enter__()
    killed = namespaces(tag)
    assert killed == {f"{tag}-{name}" for name in ("switch", "host-a", "host-b")}
    with IsolatedHosts(2, tag):
        assert namespaces(tag) == killed
    assert namespaces(tag) == set()
