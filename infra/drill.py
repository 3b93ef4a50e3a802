"""`make drill URL=…`: kill a worker in the middle of a batch, and check that nothing is lost.

On the machine of `make run` it kills the worker's process. With the name of a stack on AWS, it
terminates a node of the stack's group, without its drain, or restarts the host of a tiny stack.
"""

import argparse
import contextlib
import hashlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from config.contract.settings import TOP
from infra.local import selfcheck
from infra.local.process import LocalError

# Seconds of work for each image, so that some are in work when the worker dies.
STEPS = [{"operation": "denoise_tv_chambolle", "weight": 1.0, "eps": 1e-7, "max_num_iter": 150}]
IMAGES = 24
# Longest time without any change: a node may have to start.
SECONDS = 900.0
POLL_SECONDS = 0.2
PROC = Path("/proc")

# Kills a worker; returns what it has killed, in words.
Kill = Callable[[], str]


@dataclass(frozen=True)
class Report:
    """What a drill has seen.

    Attributes
    ----------
    images, lost, different : int
        Images sent; images without a result; results that differ from that of the quiet app.
    quiet_seconds : float
        Time of one image before the drill.
    killed : str
        What was killed.
    done_before : int
        Results that there were when it was killed.
    next_seconds, all_seconds : float
        Time from then to the next result, and to the last.
    """

    images: int
    lost: int
    different: int
    quiet_seconds: float
    killed: str
    done_before: int
    next_seconds: float
    all_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether every image has its result, and the worker was killed while it worked."""
        return not self.lost and not self.different and self.done_before < self.images

    def lines(self) -> list[str]:
        """Format the report for people."""
        right = self.images - self.lost - self.different
        lines = [
            f"one image on the quiet app: {self.quiet_seconds:.1f} s",
            f"killed {self.killed}, when {self.done_before} of {self.images} images were done",
            f"next result: {self.next_seconds:.1f} s after that; last result: "
            f"{self.all_seconds:.1f} s after that",
            f"{right} of {self.images} results equal that of the quiet app, byte for byte; "
            f"{self.lost} lost, {self.different} different",
        ]
        if self.done_before >= self.images:
            lines.append("nothing was in work when the worker was killed; use more images: IMAGES=")
        return lines


class Batch:
    """A batch of copies of one photograph.

    Parameters
    ----------
    url : str
        Origin of the app.
    images : int
        Number of copies.
    """

    def __init__(self, url: str, images: int) -> None:
        photograph = selfcheck.find_photograph()
        image = {"bytes": photograph.stat().st_size, "type": "image/png"}
        names = [f"{number}-{photograph.name}" for number in range(images)]
        body = {"steps": STEPS, "format": "same", "images": [{**image, "name": n} for n in names]}
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        made = selfcheck.call_api("POST", f"{url}/api/batches", body, headers)
        self.url, self.address = url, f"{url}/api/batches/{made['batch']}"
        self.jobs = [each["job"] for each in made["jobs"]]
        for each in made["jobs"]:
            selfcheck.upload(each["upload"], photograph.read_bytes())
            selfcheck.call_api("POST", f"{self.address}/jobs/{each['job']}/uploaded")

    def done(self) -> int:
        """Count the jobs that have ended."""
        counts: dict[str, int] = selfcheck.call_api("GET", self.address)["counts"]
        return sum(counts[state] for state in ("succeeded", "failed", "cancelled", "expired"))

    def wait_for(self, number: int) -> int:
        """Wait until so many jobs have ended; return how many have.

        Raises
        ------
        LocalError
            If nothing has changed for `SECONDS`.
        """
        seen, deadline = -1, 0.0
        while (done := self.done()) < number:
            if done != seen:
                seen, deadline = done, time.monotonic() + SECONDS
            if time.monotonic() > deadline:
                raise LocalError(
                    f"drill: {done} of {len(self.jobs)} images are done, and nothing has changed "
                    f"for {SECONDS:g} s"
                )
            time.sleep(POLL_SECONDS)
        return done

    def digests(self) -> list[str]:
        """Return a digest of each job's result; empty for a job without one."""
        return [self._digest(job) for job in self.jobs]

    def _digest(self, job: str) -> str:
        view: dict[str, Any] = selfcheck.call_api("GET", f"{self.address}/jobs/{job}")
        if view["state"] != "succeeded":
            return ""
        result = selfcheck.send("GET", self.url + view["result"]["url"])
        return hashlib.sha256(result).hexdigest()

    def delete(self) -> None:
        """Delete the batch with its files, unless the app does not answer; it expires then."""
        with contextlib.suppress(LocalError):
            selfcheck.call_api("DELETE", self.address)


def drill(url: str, kill: Kill, images: int = IMAGES) -> Report:
    """Run a drill.

    Parameters
    ----------
    url : str
        Origin of the app.
    kill : callable
        Kills a worker.
    images : int
        Number of images of the batch.

    Raises
    ------
    LocalError
        If the app does not answer, nothing changes for long, or no worker is found.
    """
    quiet_began = time.monotonic()
    quiet = Batch(url, 1)
    try:
        quiet.wait_for(1)
        quiet_seconds = time.monotonic() - quiet_began
        (expected,) = quiet.digests()
        if not expected:
            raise LocalError("drill: the quiet app gives no result; look at it before a drill")
    finally:
        quiet.delete()
    batch = Batch(url, images)
    try:
        done_before = batch.wait_for(1)
        killed, began = kill(), time.monotonic()
        batch.wait_for(min(done_before + 1, images))
        next_seconds = time.monotonic() - began
        batch.wait_for(images)
        all_seconds = time.monotonic() - began
        found = batch.digests()
    finally:
        batch.delete()
    lost = found.count("")
    different = images - lost - found.count(expected)
    return Report(
        images, lost, different, quiet_seconds, killed, done_before, next_seconds, all_seconds
    )


def kill_local_worker(url: str) -> str:
    """Kill the worker's process of the app that `make run` has started at an address.

    Raises
    ------
    LocalError
        If there is none.
    """
    lock = TOP / ".run" / str(urlsplit(url).port) / "lock"
    for process in filter(lambda each: each.name.isdecimal(), PROC.iterdir()):
        # Between the app and its worker is the guard (`infra.local.guard`).
        app = parent_of(parent_of(process))
        if "cluster_worker" in command_of(process) and lock in files_of(app):
            os.kill(int(process.name), signal.SIGKILL)
            return f"the worker, process {process.name}"
    raise LocalError(
        f"drill: no worker of {url} runs here; start the app with make run, or give STACK="
    )


def command_of(process: Path) -> list[str]:
    """Read the command line of a process; empty if it has ended."""
    try:
        return (process / "cmdline").read_text().split("\0")
    except OSError:
        return []


def parent_of(process: Path) -> Path:
    """Return the parent of a process; the process itself if it has ended."""
    try:
        # The name, in brackets, may have spaces and brackets itself.
        return PROC / (process / "stat").read_text().rpartition(")")[2].split()[1]
    except (OSError, IndexError):
        return process


def files_of(process: Path) -> set[Path]:
    """Return the files that a process has open; none if it has ended or is somebody else's."""
    found = set()
    with contextlib.suppress(OSError):
        for each in (process / "fd").iterdir():
            # One may be closed meanwhile.
            with contextlib.suppress(OSError):
                found.add(each.readlink())
    return found


def kill_node(ec2: Any, stack: str) -> str:
    """Terminate a node of a stack's group, or restart the host of a tiny stack.

    Raises
    ------
    LocalError
        If none runs.
    """
    for tag, name in (
        ("aws:autoscaling:groupName", f"{stack}-workers"),
        ("Name", f"{stack}-host"),
    ):
        filters = {f"tag:{tag}": [name], "instance-state-name": ["running"]}
        answer = ec2.describe_instances(
            Filters=[{"Name": name, "Values": values} for name, values in filters.items()]
        )
        for group in answer["Reservations"]:
            for each in group["Instances"]:
                return end_instance(ec2, each["InstanceId"], is_host=tag == "Name")
    raise LocalError(f"drill: no node of {stack} runs")


def end_instance(ec2: Any, instance: str, *, is_host: bool) -> str:
    """End an instance as a failure would; return what was done, in words."""
    if is_host:
        ec2.reboot_instances(InstanceIds=[instance])
        return f"the host {instance}, by a restart"
    ec2.terminate_instances(InstanceIds=[instance])
    return f"the node {instance}"


def main(arguments: list[str]) -> int:
    """Run a drill and print its report.

    Returns
    -------
    int
        Exit code: 0 if nothing was lost, 1 otherwise.
    """
    parser = argparse.ArgumentParser(prog="make drill", description=__doc__)
    parser.add_argument("url", metavar="URL", help="origin of the site")
    parser.add_argument("--stack", help="name of the stack on AWS; none for make run")
    parser.add_argument("--images", type=int, default=IMAGES, help=f"images to send ({IMAGES})")
    given = parser.parse_args(arguments)
    url = given.url.rstrip("/")
    try:
        if given.stack:
            ec2 = boto3.client("ec2")
            report = drill(url, lambda: kill_node(ec2, given.stack), given.images)
        else:
            report = drill(url, lambda: kill_local_worker(url), given.images)
    except (LocalError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
