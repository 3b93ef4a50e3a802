"""What MPI needs in shared memory is reserved when a world starts."""

import subprocess
import sys

import pytest

# On /dev/shm of 12 MiB in a mount namespace of its own: the ranks start, and work while it is full.
SMALL_MEMORY = """
mount -t tmpfs -o size=12m tmpfs /dev/shm
exec "$0" -c '
import numpy as np
from pathlib import Path
from cluster_worker import Engine
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.shared_memory import Wait
image = np.random.default_rng(0).integers(0, 256, (900, 900), np.uint8)
wide = [{"operation": "median", "footprint": "disk", "radius": 3}, {"operation": "threshold_otsu"}]
with Engine(2) as engine:
    expected = engine.run(image, wide)
    with engine.prepare(image.shape, "uint8", wide) as job:
        assert job.task.wide
        job.source[...] = image
        with Path("/dev/shm/filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass
        job.start()
        job.wait(60)
        assert not job.losses
        assert np.array_equal(job.result, expected)
    large = np.zeros((1600, 1600), np.uint8)
    request = engine.plan_request(header_of(large.shape, "uint8"), wide)
    try:
        engine.allocate_job(request, wait=Wait(1.0))
    except TimeoutError as error:
        print(error)
    Path("/dev/shm/filler").unlink()
    engine.run(large, wide)
'
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_full_shared_memory_kills_no_rank_and_rejects_no_image():
    command = ["unshare", "--mount", "sh", "-c", SMALL_MEMORY, sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "no room for" in done.stdout
