"""A worker's own folder on disk: it ends with the worker, or when the next one starts."""

import signal
import subprocess
import sys

import pytest

from cluster_worker.errors import Broken
from cluster_worker.node.own_spool import own_spool

pytestmark = pytest.mark.timeout(60)

# A worker that is killed in the middle of a job.
WORKER = """
import sys, time
from pathlib import Path
from cluster_worker.errors import Broken
from cluster_worker.node.own_spool import own_spool
with own_spool(Path(sys.argv[1])) as folder:
    (folder / "job").mkdir()
    (folder / "job" / "pixels").write_text("many")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def worker(tmp_path):
    """Start another worker; return its process once it has its folder."""
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_folder_is_removed_when_its_worker_ends(tmp_path):
    with own_spool(tmp_path) as folder:
        (folder / "pixels").write_text("many")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_starts_removes_what_a_killed_one_left_and_nothing_else(tmp_path, worker):
    (tmp_path / "a visitor's").mkdir()
    with own_spool(tmp_path):
        assert list(tmp_path.glob("*/job/pixels"))
    worker.send_signal(signal.SIGKILL)
    worker.wait(30)
    with own_spool(tmp_path) as folder:
        assert {path.name for path in tmp_path.iterdir()} == {folder.name, "a visitor's"}
    assert [path.name for path in tmp_path.iterdir()] == ["a visitor's"]


def test_a_parent_that_is_missing_is_named(tmp_path):
    with pytest.raises(Broken, match=r"^SPOOL_DIR=.*missing: no folder can be made there"):
        own_spool(tmp_path / "missing").__enter__()
