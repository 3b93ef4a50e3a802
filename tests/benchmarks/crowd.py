"""What visitors of the app cost each other: `python -m tests.benchmarks.crowd`.

Measures one app with a worker of two ranks: a visitor's job beside one who submits and cancels,
images and previews of a visitor beside many jobs of two others, and images whose decoders are
killed.
"""

import base64
import contextlib
import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from infra.local.app import LocalApp
from tests.app import pictures
from tests.app.processes import below, name_of
from tests.benchmarks.clock import seconds_of
from tests.benchmarks.neighbours import (
    ATTACK_SECONDS,
    BLUR,
    INVERT,
    LARGE,
    RANKS,
    ROUNDS,
    SMALL,
    STUCK,
    STUCK_IMAGE,
    TINY,
    WIDE,
    WIDE_IMAGE,
    one_core_taken,
    summary,
)
from tests.client import FINAL, Client

# Jobs of the hostile visitors, and decoders that are killed.
WIDE_JOBS, TINY_JOBS, DECODERS = 10, 5000, 30
# Threads that send the tiny images, and images of one of their batches.
SENDERS, BATCH = 4, 100
# Between two images of the visitor who waits beside the others.
PAUSE_SECONDS = 1.0
LOOK_SECONDS = 0.02
# Between two looks at a job of many seconds, as the site looks: each look takes processor time of
# the one machine that computes the job.
SITE_LOOK_SECONDS = 0.5
WAIT_SECONDS = 600.0
# A busy machine takes long to send all of them; the figures say how many were sent.
SENDING_SECONDS_MAX = 900.0


def run(
    say,
    *,
    attack_seconds=ATTACK_SECONDS,
    rounds=ROUNDS,
    wide_jobs=WIDE_JOBS,
    tiny_jobs=TINY_JOBS,
    decoders=DECODERS,
):
    """Return the figures of all three, by name."""
    with tempfile.TemporaryDirectory() as folder, LocalApp(Path(folder), ranks=RANKS) as app:
        found = {}
        for name, measure in (
            ("attacked", lambda: attacked(app, attack_seconds, rounds)),
            ("decoders", lambda: decoders_killed(app, decoders)),
            ("crowd", lambda: crowd(app, wide_jobs, tiny_jobs, rounds)),
        ):
            found[name] = measure()
            say(f"{name}: {json.dumps(found[name])}")
        return found


def attacked(app, attack_seconds, rounds):
    """Return the seconds of a wide job beside one who submits and cancels, and of the next job.

    It is compared with its time while a foreign process takes a core. The next job, a tiny one, is
    sent once an attack is cancelled.
    """
    with visitor(app, 1) as client:
        victim = (client, WIDE, WIDE_IMAGE, SITE_LOOK_SECONDS)
        alone = [timed(*victim) for _ in range(3)]
        with one_core_taken():
            taken = [timed(*victim) for _ in range(3)]
        with attacker(app) as attacks:
            until, under = time.monotonic() + attack_seconds, []
            while time.monotonic() < until:
                under.append(timed(*victim))
        after = []
        with visitor(app, 2) as hostile:
            for _ in range(rounds):
                while not attack(hostile):
                    time.sleep(PAUSE_SECONDS)
                after.append(timed(client, INVERT, TINY))
    return {
        "alone": summary(alone),
        "one_core_taken": summary(taken),
        "attacked": summary(under),
        "attacks": attacks[0],
        "refused": attacks[1],
        "next": summary(after),
    }


def decoders_killed(app, number):
    """Kill decoders while images are computed; return how many images ended in which state."""
    killed, ended = set(), threading.Event()

    def kill():
        while len(killed) < number and not ended.wait(0.1):
            found = {each for each in below(app.pids()["worker"]) if name_of(each) == "dip decoder"}
            for each in sorted(found - killed)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
                    killed.add(each)

    states, content = Counter(), pictures.png(LARGE)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with visitor(app, 1) as client:
            until = time.monotonic() + WAIT_SECONDS
            while killer.is_alive() and time.monotonic() < until:
                batch, jobs = client.submit(INVERT, [("a.png", "image/png", content)] * 4)
                found = client.wait(batch, len(jobs), WAIT_SECONDS).values()
                states.update(each["state"] for each in found)
    finally:
        ended.set()
        killer.join()
    return {"killed": len(killed), "states": dict(states)}


def crowd(app, wide_jobs, tiny_jobs, rounds):
    """Return the seconds of a third visitor's image and preview beside the jobs of two others.

    They are measured while the tiny images are sent, and for some rounds after that, as long as
    tiny ones are left.
    """
    with visitor(app, 1) as client, visitor(app, 2) as wide:
        apart = [timed(client, BLUR, SMALL) for _ in range(rounds)]
        image = ("wide.png", "image/png", pictures.png(LARGE))
        for _ in range(wide_jobs):
            wide.submit(WIDE, [image])
        senders = Senders(app, tiny_jobs)
        images, previews = [], []
        with senders.at_work():
            after, until = 0, time.monotonic() + SENDING_SECONDS_MAX
            while time.monotonic() < until and (
                senders.are_sending or (after < rounds and senders.left())
            ):
                after += not senders.are_sending
                images.append(timed(client, BLUR, SMALL))
                previews.append(seconds_of(lambda: preview(client, len(previews))))
                time.sleep(PAUSE_SECONDS)
        return {
            "alone": summary(apart),
            "image": summary(images),
            "preview": summary(previews),
            "sent": senders.sent,
            "left": senders.left(),
        }


class Senders:
    """Threads that send the tiny images of one visitor."""

    def __init__(self, app, jobs):
        self.app, self.jobs = app, jobs
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.sent, self.batches, self.starts = 0, [], iter(range(0, jobs, BATCH))
        self.threads = [threading.Thread(target=self.send) for _ in range(SENDERS)]

    @contextlib.contextmanager
    def at_work(self):
        """Send while the block runs."""
        for thread in self.threads:
            thread.start()
        try:
            yield
        finally:
            self.ending.set()
            for thread in self.threads:
                thread.join()

    @property
    def are_sending(self):
        """Whether images are still sent."""
        return any(thread.is_alive() for thread in self.threads)

    def send(self):
        """Send one batch after the other."""
        image = ("tiny.png", "image/png", pictures.png(TINY))
        with visitor(self.app, 3) as client:
            while not self.ending.is_set():
                with self.lock:
                    start = next(self.starts, None)
                if start is None:
                    return
                count = min(BATCH, self.jobs - start)
                batch, _ = client.submit(INVERT, [image] * count)
                with self.lock:
                    self.sent += count
                    self.batches.append(batch)

    def left(self):
        """Return how many of the images that were sent are not done."""
        with visitor(self.app, 3) as client:
            counts = Counter()
            for batch in list(self.batches):
                counts.update(client.call("GET", f"/batches/{batch}?limit=1")[1]["counts"])
        return sum(count for state, count in counts.items() if state not in FINAL)


def visitor(app, number):
    """Return a client from an address of its own."""
    return Client(app.url, source=f"127.0.0.{number + 1}")


def timed(client, steps, image, look_seconds=LOOK_SECONDS):
    """Return the seconds from the word that a file was sent until its job has succeeded."""
    content = pictures.png(image)
    batch, [job] = client.create(steps, [("a.png", "image/png", content)])
    client.upload(job["upload"], content)
    began = time.perf_counter()
    client.call("POST", f"/batches/{batch}/jobs/{job['job']}/uploaded")
    found = client.wait(batch, 1, WAIT_SECONDS, every=look_seconds)[job["job"]]
    seconds = time.perf_counter() - began
    if found["state"] != "succeeded":
        raise RuntimeError(f"a job {found['state']}: {found}")
    return seconds


def preview(client, number):
    """Ask for the preview of a picture that was not asked for before."""
    image = SMALL.copy()
    image[0, :8] = [number >> bit & 1 for bit in range(8)]
    content = pictures.png(image)
    body = {
        "steps": BLUR,
        "picture": hashlib.sha256(content).hexdigest(),
        "content": base64.b64encode(content).decode(),
    }
    status, answer = client.call("POST", "/previews", body)
    if status != 200:
        raise RuntimeError(f"a preview was answered {status}: {answer}")


def attack(client):
    """Submit a job that takes a rank for long, and cancel it as soon as it runs.

    Returns
    -------
    bool
        Whether it was accepted, and not refused because too many were cancelled.
    """
    content = pictures.png(STUCK_IMAGE)
    image = {"name": "a.png", "type": "image/png", "bytes": len(content)}
    body = {"steps": STUCK, "format": "same", "images": [image]}
    status, answer = client.call("POST", "/batches", body)
    if status == 429:
        return False
    [made], batch = answer["jobs"], answer["batch"]
    job = made["job"]
    client.upload(made["upload"], content)
    client.call("POST", f"/batches/{batch}/jobs/{job}/uploaded")
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        _, page = client.call("GET", f"/batches/{batch}?limit=1")
        if page["counts"].get("running") or not page["counts"].get("queued"):
            break
        time.sleep(LOOK_SECONDS)
    client.call("POST", f"/batches/{batch}/jobs/{job}/cancel")
    return True


@contextlib.contextmanager
def attacker(app):
    """Attack the app without a pause while the block runs.

    Yields a list of two: how many attacks were made, and how many more were refused.
    """
    count, ended = [0, 0], threading.Event()

    def work():
        with visitor(app, 2) as client:
            while not ended.is_set():
                count[0 if attack(client) else 1] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()


def main():
    """Print the figures as JSON; lines on the way go to stderr."""
    found = run(lambda line: sys.stderr.write(f"  {line}\n"))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
