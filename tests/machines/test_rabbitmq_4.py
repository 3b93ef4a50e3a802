"""The tests of a job's life cycle once more, on RabbitMQ 4, which Amazon MQ runs."""

import subprocess
import sys

import pytest

from config.contract.settings import TOP
from tests.machines import rabbitmq4

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

TESTS = (
    "tests/api/test_jobs.py",
    "tests/api/test_queue.py",
    "tests/api/test_sweep.py",
    "tests/api/test_backlog.py",
    "tests/cluster_worker/node/test_consumer.py",
    "tests/app/test_app.py",
    "tests/app/test_chaos.py",
)
# These tests call RabbitMQ's own command, whose version must be that of the server.
LEFT_OUT = "memory_ran_out"


def test_the_server_is_of_version_4():
    said = subprocess.run(
        ["chroot", rabbitmq4.root(), "dpkg-query", "--show", "rabbitmq-server"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.split()[1].startswith("4.0")


def test_the_life_of_a_job_is_the_same():
    command = [sys.executable, "-m", "pytest", "-p", "tests.machines.rabbitmq4", "-q"]
    command += ["-m", "not long", "-k", f"not {LEFT_OUT}", *TESTS]
    found = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=800)
    sys.stdout.write(found.stdout.splitlines()[-1] + "\n")
    assert found.returncode == 0, found.stdout[-5000:]
