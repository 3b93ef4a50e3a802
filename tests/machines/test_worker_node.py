"""A real worker node: the script, the image and the unit, with a real Docker and a real systemd.

The tests follow each other like the days of a node; each leaves the node working.
"""

import re
import sys
import time
from collections import Counter

import numpy as np
import pytest

from tests.app import pictures
from tests.machines.conftest import UNIT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

# Seconds of work for one image on one rank.
LONG = [{"operation": "median", "footprint": "disk", "radius": 8}] * 4


def wait_for(what, seconds=300):
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, what()
        time.sleep(0.1)
    return found


def say(line):
    sys.stdout.write(line + "\n")


def is_active(machine):
    return machine.property(UNIT, "ActiveState") == "active"


def container(machine):
    return machine.ask("docker", "inspect", "--format", "{{.Id}}", "dip-worker")


def count_ready_events(machine):
    """Return how often the log of the unit has reported that a worker is ready."""
    return machine.journal(UNIT).count('"event": "ready"')


def submit(client, count=3):
    images = [(f"{i}.png", "image/png", pictures.png(pictures.small(i))) for i in range(count)]
    return client.submit(pictures.BLUR, images)


def submit_long(client):
    image = np.tile(pictures.small(0)[..., 0], (8, 10))
    return client.submit(LONG, [("long.png", "image/png", pictures.png(image))])


def assert_succeed(client, batch, jobs, seconds=400):
    views = client.wait(batch, len(jobs), seconds=seconds)
    assert Counter(view["state"] for view in views.values()) == {"succeeded": len(jobs)}
    return views


def is_running(client, batch):
    counts = client.call("GET", f"/batches/{batch}?limit=1")[1]["counts"]
    return counts.get("running", 0)


@pytest.fixture(autouse=True)
def _node_works(worker):
    wait_for(lambda: is_active(worker))


def test_the_script_leaves_a_node_that_works(worker, client):
    batch, jobs = submit(client)
    views = assert_succeed(client, batch, jobs)
    for number, job in enumerate(jobs):
        found = pictures.pixels(client.download(views[job]))
        pictures.assert_blurred(found, pictures.small(number))


def test_the_script_run_again_changes_nothing(worker):
    before = container(worker)
    said = worker.do(
        "/opt/app/config/worker-node-config.sh", "--image", "dip-worker", "--memory", "4g"
    )
    assert "wrote" not in said
    assert container(worker) == before


def test_the_container_is_bounded_and_may_do_little(worker):
    def ask(format):
        return worker.ask("docker", "inspect", "--format", format, "dip-worker")

    assert ask("{{.Config.User}}") == "dip-worker"
    assert ask("{{.HostConfig.ReadonlyRootfs}}") == "true"
    assert ask("{{.HostConfig.CapDrop}}") == "[ALL]"
    assert ask("{{.HostConfig.Memory}}") == str(4 * 1024**3)
    assert int(ask("{{.HostConfig.ShmSize}}")) > 64 * 1024**2
    size = int(worker.ask("docker", "image", "inspect", "--format", "{{.Size}}", "dip-worker"))
    base = int(worker.ask("docker", "image", "inspect", "--format", "{{.Size}}", "dip-base"))
    say(f"image: {size / 1e6:.0f} MB, of which the base {base / 1e6:.0f} MB")


def test_the_container_has_room_on_disk_for_images_larger_than_memory(worker):
    code = (
        "from config.contract.settings import WorkerSettings, load; import os, pathlib;"
        "folder = pathlib.Path(load(WorkerSettings).spool_dir);"
        "(folder / 'x').write_bytes(b'x'); (folder / 'x').unlink();"
        "print(folder, os.statvfs(folder).f_blocks > 0)"
    )
    found = worker.ask("docker", "exec", "dip-worker", "python", "-c", code)
    assert found.split() == ["/var/spool/dip", "True"]
    filesystem = worker.ask(
        "docker", "exec", "dip-worker", "stat", "-f", "-c", "%T", found.split()[0]
    )
    assert filesystem.strip() != "tmpfs"


def test_the_container_says_that_it_is_healthy(worker):
    ask = ("docker", "inspect", "--format", "{{.State.Health.Status}}", "dip-worker")
    wait_for(lambda: worker.ask(*ask) == "healthy")


def test_a_killed_container_is_started_again_and_its_job_is_not_lost(worker, client):
    batch, jobs = submit_long(client)
    wait_for(lambda: is_running(client, batch))
    ready = count_ready_events(worker)
    worker.do("docker", "kill", "dip-worker")
    began = time.monotonic()
    wait_for(lambda: count_ready_events(worker) > ready)
    say(f"consuming again {time.monotonic() - began:.1f} s after the kill")
    (view,) = assert_succeed(client, batch, jobs).values()
    assert view["attempt"] == 2


def test_a_worker_that_hangs_is_started_again_by_the_watchdog(worker, client):
    ready = count_ready_events(worker)
    # This stops the consumer's process, which touches the file; the container itself stays up.
    worker.do("docker", "pause", "dip-worker")
    began = time.monotonic()
    wait_for(lambda: count_ready_events(worker) > ready)
    say(f"consuming again {time.monotonic() - began:.1f} s after it began to hang")
    assert "watchdog" in worker.ask("journalctl", "--no-pager", "--unit", UNIT).lower()
    assert_succeed(client, *submit(client))


def test_a_stop_drains_and_what_waits_is_done_after_a_start(worker, client):
    long, long_jobs = submit_long(client)
    wait_for(lambda: is_running(client, long))
    began = time.monotonic()
    worker.do("systemctl", "stop", UNIT)
    say(f"drained and stopped in {time.monotonic() - began:.1f} s")
    (view,) = assert_succeed(client, long, long_jobs, 60).values()
    assert view["attempt"] == 1
    assert worker.property(UNIT, "Result") == "success"
    batch, jobs = submit(client, 5)
    worker.do("systemctl", "start", UNIT)
    assert_succeed(client, batch, jobs)


def test_docker_stop_drains_and_the_node_stays_down(worker, client):
    batch, jobs = submit_long(client)
    wait_for(lambda: is_running(client, batch))
    worker.do("docker", "stop", "--time", "120", "dip-worker")
    (view,) = assert_succeed(client, batch, jobs, 60).values()
    assert view["attempt"] == 1
    wait_for(lambda: worker.property(UNIT, "ActiveState") == "inactive", 60)
    worker.do("systemctl", "start", UNIT)
    assert_succeed(client, *submit(client))


def test_power_off_drains_and_the_next_boot_consumes_again(worker, client):
    batch, jobs = submit_long(client)
    wait_for(lambda: is_running(client, batch))
    began = time.monotonic()
    worker.power_off()
    say(f"drained and off in {time.monotonic() - began:.1f} s")
    (view,) = assert_succeed(client, batch, jobs, 60).values()
    assert view["attempt"] == 1
    waiting, waiting_jobs = submit(client, 5)
    began = time.monotonic()
    worker.boot()
    wait_for(lambda: is_active(worker))
    say(f"active {time.monotonic() - began:.1f} s after power on")
    assert_succeed(client, waiting, waiting_jobs)


def test_the_unit_is_as_closed_as_it_can_be(worker):
    said = worker.ask("systemd-analyze", "security", "--no-pager", UNIT)
    (score,) = re.findall(r"Overall exposure level for .*: ([0-9.]+)", said)
    say(f"systemd-analyze security: {score} of 10")
    assert float(score) < 3
    assert worker.ask("systemd-analyze", "verify", UNIT) == ""
