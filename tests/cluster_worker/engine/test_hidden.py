"""An engine where /dev/shm and /proc are hidden, as in some sandboxes: it works with one rank.

MPI needs both, so that more ranks cannot work together there.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from config.contract.settings import TOP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

HIDE = """\
mount -t tmpfs tmpfs "$1"
for each in null zero random urandom; do cp -a /dev/$each "$1"; done
mount --bind "$1" /dev && mount -t tmpfs tmpfs /proc
exec "$2" -c "$3" "$4"
"""
PROGRAM = """\
import sys
from pathlib import Path
import numpy as np
from skimage import data, filters
from cluster_worker.engine.engine import Engine

image = np.tile(data.camera(), (3, 3))
assert not Path("/proc/self").exists() and not Path("/dev/shm").exists()
with Engine(ranks=1) as engine:
    assert engine.segments.folder.parent == Path(sys.argv[1])
    mask = engine.run(image, [{"operation": "threshold_otsu"}])
np.testing.assert_array_equal(mask > 0, image > filters.threshold_otsu(image))
print(mask.shape, mask.dtype)
"""


@pytest.fixture
def short_path():
    """Make a folder whose path is short enough for the sockets in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_an_engine_of_one_rank_needs_neither_shared_memory_nor_proc(short_path):
    devices, temporary = short_path / "dev", short_path / "tmp"
    for folder in (devices, temporary):
        folder.mkdir()
    given = (HIDE, "sh", devices, sys.executable, PROGRAM, temporary)
    found = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", *given],
        capture_output=True,
        text=True,
        timeout=350,
        cwd=TOP,
        env={"TMPDIR": str(temporary), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        check=False,
    )
    assert found.stdout == "(1536, 1536) uint8\n", found.stderr[-2000:]
    assert not list(temporary.iterdir())
