"""A gigapixel that lies in the store: the file of one host with two ranks, and of two with one.

The environment variable `DIP_SIDE` sets a smaller side, in pixels, for quick runs.
"""

import hashlib
import os
import sys

import numpy as np
import pytest
import tifffile
from skimage import data

from tests.cluster_worker.engine.test_gigapixel import Watch, pss
from tests.hosts.lab import Lab, missing

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

SIDE = int(os.environ.get("DIP_SIDE", 32768))
TILE = 512
STEPS = [
    {"operation": "gaussian", "sigma": 3},
    {"operation": "threshold_otsu"},
    {"operation": "label"},
]
# Each with its hosts, and the ranks of each of them.
WAYS = {"1 host × 2 ranks": ("a", 2), "2 hosts × 1 rank": ("ab", 1)}
# The result of label has four bytes for a pixel; a file of one gigapixel would show.
FILES_MIB_MAX = 64


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Write a tiled, deflated BigTIFF of shifted photographs of different brightness."""
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    picture = data.camera()
    tifffile.imwrite(
        path,
        (
            (np.roll(picture, at, axis=1) // (1 + at % 3) + at % 40).astype(np.uint8)
            for at in range((SIDE // TILE) ** 2)
        ),
        shape=(SIDE, SIDE),
        dtype=np.uint8,
        tile=(TILE, TILE),
        compression="adobe_deflate",
        bigtiff=True,
        photometric="minisblack",
    )
    yield path
    path.unlink()


@pytest.fixture
def lab(tmp_path):
    with Lab("ab", tmp_path) as lab:
        yield lab


class HostsWatch(Watch):
    """What hosts hold while the block runs: most memory of all processes and most files, in MiB."""

    def __init__(self, lab):
        super().__init__(os.getpid())
        self.lab = lab
        self.memory = dict.fromkeys(lab.hosts, 0.0)
        self.files = dict.fromkeys(lab.hosts, 0.0)

    def sample(self):
        while not self.ended.wait(0.2):
            for name in self.lab.hosts:
                held = sum(map(pss, self.lab.processes(name)))
                self.memory[name] = max(self.memory[name], held)
                self.files[name] = max(self.files[name], self.lab.files_bytes(name) / 2**20)


def test_two_hosts_write_the_bytes_of_one_and_take_bounded_memory(lab, scan, tmp_path):
    source, found = lab.put(scan), {}
    for way, (hosts, ranks) in WAYS.items():
        target = tmp_path / "out.tif"
        before = {name: lab.received_bytes(name) for name in hosts}
        with HostsWatch(lab) as watch:
            job = {"hosts": hosts, "ranks": ranks, "steps": STEPS}
            lab.ask(**job, source=source, target=str(target))
            answer = lab.answer(2400)
        assert "error" not in answer, answer["error"]
        with target.open("rb") as file:
            found[way] = hashlib.file_digest(file, "sha256").hexdigest()
        say(f"{way}: {answer['run seconds']:.0f} s, {target.stat().st_size >> 20} MiB of result")
        for name in hosts:
            received, sent = (
                now - then >> 20
                for now, then in zip(lab.received_bytes(name), before[name], strict=True)
            )
            say(
                f"  host {name}: at most {watch.memory[name]:.0f} MiB of memory and "
                f"{watch.files[name]:.0f} MiB of files; {received} MiB received, {sent} sent"
            )
            assert watch.files[name] < FILES_MIB_MAX
        target.unlink()
        assert lab.objects() == ["in.tif"]
    assert len(set(found.values())) == 1


def say(line):
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()
