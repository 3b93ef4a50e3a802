"""What a small job costs: `python -m tests.benchmarks.jobs`.

Starts the processes of the app except the worker, and queues many small JPEGs. Then starts a worker
and measures jobs per second, and processor time per job by process and by stage. Then sends PNGs of
512 × 512 pixels one by one, and measures the time from `uploaded` to `succeeded`.

The times of stages come from the worker's log, those of processes from /proc.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from skimage import data

from infra.local.app import LocalApp, has_event
from infra.local.process import Process, Running
from tests.app import pictures
from tests.app.processes import below, cpu_seconds, name_of
from tests.client import Client

JPEGS, PNGS, RANKS = 500, 40, 2
# Jobs that warm the worker up and are not counted: PNGs, and JPEGs while its previews start.
WARMING, MANY_WARMING = 20, 200
SECONDS = 600
LOOK_SECONDS = 0.002
# Events that the worker logs of its previews.
STARTED = ("ready", "broken")
STAGES = ("decode", "compute", "encode", "s3", "table")


class Worker:
    """A worker of the app, with its log."""

    def __init__(self, app):
        self.log = app.folder / "worker.log"
        self.running = Running(
            Process.python("worker", "cluster_worker", **app.environment), app.folder
        )
        self.read = 0
        self.rest = ""
        self.settled = {}
        wait_until(lambda: has_event(self.log, "ready"))
        (ready,) = self.events("ready")
        self.ranks = [int(pid) for pid in ready["pids"].values()]
        self.releases = ready["threads"]["releases"]

    def events(self, name):
        """Return the events of one name that were logged so far."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [each for each in map(json.loads, lines) if each["event"] == name]

    def read_log(self):
        """Read from the log which jobs were settled since the last call."""
        with self.log.open() as file:
            file.seek(self.read)
            text = self.rest + file.read()
            self.read = file.tell()
        *lines, self.rest = text.split("\n")
        for line in lines:
            if '"message settled"' in line:
                found = json.loads(line)
                self.settled[found["job"]] = found

    def wait(self, count):
        """Wait until `count` jobs are settled."""

        def are_settled():
            self.read_log()
            return len(self.settled) >= count

        wait_until(are_settled)

    def cpu(self):
        """Return the processor time of consumer, decoders and ranks so far, in seconds."""
        pids = below(self.running.pid)
        decoders = [each for each in pids if name_of(each) == "dip decoder"]
        return {
            "consumer": cpu_seconds(self.running.pid),
            "decoders": sum(map(cpu_seconds, decoders)),
            "ranks": sum(map(cpu_seconds, self.ranks)),
        }

    def releases_cpu(self):
        """Return the processor time of the thread that publishes waiting jobs, in seconds."""
        return cpu_seconds(f"{self.running.pid}/task/{self.releases}")

    def stop(self):
        """Stop the worker and wait until it has ended."""
        self.running.stop()
        self.running.wait(SECONDS)


def wait_until(is_so):
    """Poll a condition until it holds, for at most `SECONDS`."""
    until = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(LOOK_SECONDS)


def jpegs(count):
    """Return small photographs as files to upload; the same 97 photographs repeat."""
    return [(f"{i}.jpg", "image/jpeg", pictures.jpeg(pictures.small(i % 97))) for i in range(count)]


def many(app, client, count):
    """Start a worker on a queue of small JPEGs; return the worker, and its figures per job."""
    batch, _ = client.submit(pictures.BLUR, jpegs(count + MANY_WARMING))
    worker = Worker(app)
    worker.wait(MANY_WARMING)
    wait_until(lambda: any(has_event(worker.log, f"previews {state}") for state in STARTED))
    worker.read_log()
    warming = set(worker.settled)
    before, began = cpu_of_all(app, worker), time.monotonic()
    asking = worker.releases_cpu()
    worker.wait(count + MANY_WARMING)
    seconds, after = time.monotonic() - began, cpu_of_all(app, worker)
    asking = worker.releases_cpu() - asking
    counted = [each for job, each in worker.settled.items() if job not in warming]
    assert len(counted) > count // 2, f"only {len(counted)} jobs were left once previews were up"
    assert all(
        job["state"] == "succeeded" for job in client.wait(batch, count + MANY_WARMING).values()
    )
    cpu = {name: 1000 * (after[name] - before[name]) / len(counted) for name in after}
    stages = {
        name: 1000 * statistics.mean(each["stages"][name]["cpu_seconds"] for each in counted)
        for name in STAGES
    }
    # After the stages, a thread of its own asks the table for waiting jobs and publishes them.
    stages["table"] += 1000 * asking / len(counted)
    whole = sum(cpu[name] for name in ("consumer", "decoders", "ranks"))
    stages["rest"] = whole - sum(stages.values())
    return worker, {
        "jobs": len(counted),
        "jobs_per_second": len(counted) / seconds,
        "cpu_ms_by_stage": stages,
        "cpu_ms_of_worker": whole,
        "cpu_ms_by_process": cpu,
    }


def cpu_of_all(app, worker):
    """Return the processor time of all processes so far, in seconds."""
    others = {name: sum(map(cpu_seconds, below(pid))) for name, pid in app.pids().items()}
    return worker.cpu() | others


def one_by_one(app, worker, client, count):
    """Send PNGs, each when the one before is done; return the medians in milliseconds.

    The result also has the mean processor time of every process, per PNG.
    """
    content = pictures.png(data.astronaut())
    found, cpu = [], []
    for _ in range(count + WARMING):
        batch, job = uploaded(client, content)
        before = cpu_of_all(app, worker)
        found.append(timed(worker, client, batch, job))
        after = cpu_of_all(app, worker)
        cpu.append({name: 1000 * (after[name] - before[name]) for name in after})
    found, cpu = found[WARMING:], cpu[WARMING:]
    medians = {name: statistics.median(each[name] for each in found) for name in found[0]}
    means = {name: statistics.mean(each[name] for each in cpu) for name in cpu[0]}
    return medians | {"cpu_ms_by_process": means}


def uploaded(client, content):
    """Upload one PNG without reporting it to the API; return its batch and its job."""
    batch, (job,) = client.create(pictures.BLUR, [("a.png", "image/png", content)])
    client.upload(job["upload"], content)
    return batch, job


def timed(worker, client, batch, job):
    """Report an upload to the API and wait; return where the milliseconds went."""
    began, count = time.time(), len(worker.settled)
    status, _ = client.call("POST", f"/batches/{batch}/jobs/{job['job']}/uploaded")
    answered = time.time()
    assert status == 202
    worker.wait(count + 1)
    settled = worker.settled[job["job"]]
    stages = {name: 1000 * settled["stages"][name]["seconds"] for name in STAGES}
    in_worker = 1000 * settled["seconds"]
    whole = 1000 * (settled["time"] - began)
    return {
        "uploaded_to_succeeded": whole,
        "without_compute": whole - stages["compute"],
        "api_answered": 1000 * (answered - began),
        "before_worker": whole - in_worker,
        "in_worker": in_worker,
        **stages,
        "rest_of_worker": in_worker - sum(stages.values()),
    }


def measure(jpeg_count=JPEGS, png_count=PNGS, ranks=RANKS):
    """Measure both, on an app that is started for it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalApp(Path(folder), ranks=ranks, worker=False) as app,
        Client(app.url) as client,
    ):
        worker, jobs = many(app, client, jpeg_count)
        try:
            return {"small_jpegs": jobs, "png_512": one_by_one(app, worker, client, png_count)}
        finally:
            worker.stop()


def main():
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jpegs", type=int, default=JPEGS)
    parser.add_argument("--pngs", type=int, default=PNGS)
    parser.add_argument("--ranks", type=int, default=RANKS)
    arguments = parser.parse_args()
    found = measure(arguments.jpegs, arguments.pngs, arguments.ranks)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
