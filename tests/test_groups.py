"""Tests that share servers, worlds or results run in one process."""

import re
import subprocess
import sys
from collections import defaultdict

import pytest

from config.contract.settings import TOP
from tests.groups import group_of

FILES = ("tests/config/test_job.py", "tests/config/test_visitor.py")


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("api/test_app.py::test_a", "api/test_app.py"),
        ("app/test_app.py::test_a", "app"),
        ("infra/test_operator.py::test_a[sobel]", "app"),
        ("site/test_chain.py::test_a", "site"),
        ("cluster_worker/operations/test_catalogue.py::test_a[sobel]", "sobel"),
        ("cluster_worker/operations/test_catalogue.py::test_a", "test_a"),
    ],
)
def test_a_test_has_the_group_whose_parts_it_shares(test, group):
    assert group_of(f"tests/{test}") == group


def test_a_group_runs_in_one_process_and_another_beside_it():
    spread = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *spread, *FILES],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    processes = defaultdict(set)
    for process, file in re.findall(r"^\[(gw\d)\].* PASSED (\S+?)::", found.stdout, re.MULTILINE):
        processes[file].add(process)
    first, second = (processes[file] for file in FILES)
    assert len(first) == len(second) == 1
    assert first != second
