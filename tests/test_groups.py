"""Tests that share servers, worlds or results run in one process."""

import os
import re
import subprocess
import sys
from collections import defaultdict

import pytest

from config.contract.settings import TOP
from tests.groups import group_of

CATALOGUE = "tests/cluster_worker/operations/test_catalogue.py"


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/api/test_app.py::test_a", "api/test_app.py"),
        ("tests/app/test_app.py::test_a", "app"),
        ("tests/infra/test_operator.py::test_a[sobel]", "app"),
        ("tests/site/test_chain.py::test_a", "site"),
        (f"{CATALOGUE}::test_a[sobel]", "cluster_worker/operations/test_catalogue.py sobel"),
        (f"{CATALOGUE}::test_a", "cluster_worker/operations/test_catalogue.py test_a"),
    ],
)
def test_a_test_has_the_group_whose_parts_it_shares(test, group):
    assert group_of(test) == group


# Named like the catalogue's tests, which take seconds to load.
OF_OPERATIONS = """
import pytest

pytestmark = pytest.mark.parametrize("name", ["flip", "invert"])

def test_one(name):
    pass

def test_two(name):
    pass

def test_three(name):
    pass
"""


def test_a_group_runs_in_one_process_and_another_beside_it(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_xdist_make_scheduler")
    (tmp_path / "test_catalogue.py").write_text(OF_OPERATIONS)
    found = run_pytest(tmp_path, "-v", "-n", "2")
    processes = defaultdict(set)
    for process, name in re.findall(
        r"^\[(gw\d)\].* PASSED .*\[(\w+)\]", found.stdout, re.MULTILINE
    ):
        processes[name].add(process)
    assert len(processes["flip"]) == len(processes["invert"]) == 1
    assert processes["flip"] != processes["invert"]


def run_pytest(folder, *options):
    """Run the tests in a folder by groups."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "--dist", "loadscope", *options, "."],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(TOP), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


# Two groups in each process: one that is finished, and one in which the first process dies.
DYING = """
import os, signal
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(3))
def test_before(number):
    pass

def test_killed():
    if {dies}:
        os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.parametrize("number", range(3))
def test_after(number):
    pass
"""
CONFTEST = """
from tests.groups import GroupScheduling

def pytest_xdist_make_scheduler(config, log):
    return GroupScheduling(config, log)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_ends_when_a_process_was_killed_and_all_other_tests_have_run(tmp_path, processes):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for number in range(6):
        dies = number == 3
        (tmp_path / f"test_{number}.py").write_text(DYING.format(dies=dies))
    found = run_pytest(tmp_path, "-n", str(processes))
    assert "crashed while running 'test_3.py::test_killed'" in found.stdout
    assert "1 failed, 41 passed" in found.stdout
