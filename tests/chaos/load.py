"""What visitors do during a storm, and what must come of it."""

import base64
import hashlib
import http.client
import random
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pika
from skimage import data, filters, morphology, util

from config.contract.job import Message
from config.contract.resources import LANES
from infra.local.broker import connect
from tests.app import pictures
from tests.client import FINAL, Client

# Jobs of one visitor that may be unfinished at a time: a storm must end in finite time.
OPEN_MAX = 40
TRIES_SECONDS = 120.0
COPIES = 10

MEDIAN = [{"operation": "median", "footprint": "disk", "radius": 3}]
SEGMENTED = [
    {"operation": "gaussian", "sigma": 3.0},
    {"operation": "threshold_otsu"},
    {"operation": "label", "id": "labels", "keep": True},
    {"operation": "regionprops_table", "properties": ["label", "area"]},
]
# Its function does not look at a cancel for some seconds.
LONG = [{"operation": "denoise_nl_means", "patch_size": 7, "patch_distance": 11}]
REFUSED = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@dataclass
class Expected:
    """A job and what must come of it.

    Attributes
    ----------
    batch, job : str
        Ids; `job` is empty if the whole batch is meant.
    ends : tuple of str
        States that are right at the end.
    check : callable, optional
        Raises AssertionError unless the content of its result is right.
    """

    kind: str
    batch: str
    job: str
    ends: tuple[str, ...]
    check: object = None


@dataclass
class Visitor:
    """One visitor, with an address and a thread of its own.

    Attributes
    ----------
    expected : list of Expected
        One for each job that was accepted.
    refusals : Counter
        Answers other than the one asked for, by status.
    wrong : list of str
        What was wrong while the storm lasted: previews with other pixels, answers nobody expects.
    """

    app: object
    number: int
    seed: int
    expected: list = field(default_factory=list)
    refusals: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    previews: int = 0

    def __post_init__(self):
        self.random = random.Random(f"{self.seed} {self.number}")  # noqa: S311 - not for secrets
        self.client = Client(self.app.url, source=f"127.0.0.{self.number + 1}")
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.live, daemon=True)

    def live(self):
        """Do one thing after the other until the storm ends."""
        deeds = (
            self.small, self.small, self.small, self.large, self.refused, self.cancelled,
            self.cancelled, self.deleted, self.preview, self.preview, self.absent, self.replaced,
            self.doubled,
        )  # fmt: skip
        while not self.ending.is_set():
            deed = self.random.choice(deeds)
            try:
                deed()
            except Refused as refusal:
                self.refusals[str(refusal)] += 1
            self.wait_for_room()

    def wait_for_room(self):
        """Wait while too many jobs are unfinished."""
        while not self.ending.wait(0.2):
            batches = {each.batch for each in self.expected if each.ends != ABSENT}
            if sum(self.unfinished(batch) for batch in batches) < OPEN_MAX:
                return

    def unfinished(self, batch):
        """Return how many jobs of a batch are queued or running, as far as the API answers."""
        try:
            status, page = self.call("GET", f"/batches/{batch}?limit=1", (200, 404, 410))
        except Refused:
            return 0
        counts = page["counts"] if status == 200 else {}
        return sum(counts.get(state, 0) for state in ("queued", "running", "joining"))

    # Deeds.

    def small(self):
        """Send some small photographs."""
        numbers = [self.random.randrange(100) for _ in range(self.random.randint(1, 8))]
        contents = [pictures.png(pictures.small(number)) for number in numbers]
        for job, number in zip(self.send(MEDIAN, contents), numbers, strict=True):
            self.expect("small", *job, DONE, lambda found, n=number: check_median(found, n))

    def large(self):
        """Send one image that is cut over all ranks."""
        tiles = self.random.randint(3, 5)
        [job] = self.send(SEGMENTED, [pictures.tiff(coins(tiles))], "image/tiff")
        self.expect("large", *job, DONE, lambda found: check_labels(found, tiles))

    def refused(self):
        """Send a file that is not whole."""
        [job] = self.send(MEDIAN, [REFUSED])
        self.expect("refused", *job, ("failed",))

    def cancelled(self):
        """Cancel a job in a long call."""
        image = np.tile(pictures.small(0), (2, 2, 1))
        [(batch, job)] = self.send(LONG, [pictures.png(image)])
        self.expect("cancelled", batch, job, ("cancelled", "succeeded"))
        self.ending.wait(self.random.uniform(0, 3))
        self.call("POST", f"/batches/{batch}/jobs/{job}/cancel", (200, 202, 409))

    def deleted(self):
        """Delete a batch while it is worked on."""
        [(batch, job), *_] = self.send(MEDIAN, [pictures.png(pictures.small(1))] * 4)
        self.expect("deleted", batch, "", ("gone",))
        self.ending.wait(self.random.uniform(0, 2))
        self.call("DELETE", f"/batches/{batch}", (200, 202, 204, 404, 410))
        del job

    def preview(self):
        """Ask for a preview; it may be refused for a time, but never be wrong."""
        number = self.random.randrange(100)
        content = pictures.png(pictures.small(number))
        body = {
            "steps": MEDIAN,
            "picture": hashlib.sha256(content).hexdigest(),
            "content": base64.b64encode(content).decode(),
        }
        try:
            status, answer = self.attempt("POST", "/previews", body)
        except OSError:
            return
        if status == 200:
            self.previews += 1
            found = base64.b64decode(answer["url"].partition(",")[2])
            try:
                check_median(found, number)
            except AssertionError:
                self.wrong.append("a preview has other pixels")
        elif status not in (429, 502, 503, 504):
            self.wrong.append(f"a preview was answered {status}: {answer.get('detail')}")

    def absent(self):
        """Ask for an upload form and never use it."""
        batch, [job] = self.create(MEDIAN, [b"x" * 100])
        self.expect("absent", batch, job["job"], ABSENT)

    def replaced(self):
        """Replace a file after it was reported."""
        first, second = (pictures.png(pictures.small(number)) for number in (2, 3))
        size = max(len(first), len(second))
        first, second = (each + b"\0" * (size - len(each)) for each in (first, second))
        batch, [job] = self.create(MEDIAN, [first])
        self.upload(batch, job, first)
        self.report(batch, job["job"])
        self.expect("replaced", batch, job["job"], EITHER, lambda found: check_median(found, 2))
        try:
            self.client.upload(job["upload"], second)
        except (OSError, http.client.HTTPException, AssertionError):
            return

    def doubled(self):
        """Put copies of a job's message on its lane."""
        [(batch, job)] = self.send(MEDIAN, [pictures.png(pictures.small(4))])
        self.expect("doubled", batch, job, DONE, lambda found: check_median(found, 4))
        try:
            connection = connect(self.app.environment["BROKER_URL"])
            body = Message(batch, job, 1).to_bytes()
            for _ in range(COPIES):
                connection.channel().basic_publish("", LANES["interactive"].name, body)
            connection.close()
        except (pika.exceptions.AMQPError, OSError):
            return

    # Calls, which are tried again while a part of the app is away, as a page does.

    def expect(self, kind, batch, job, ends, check=None):
        """Remember what must come of a job."""
        self.expected.append(Expected(kind, batch, job, ends, check))

    def send(self, steps, contents, kind="image/png"):
        """Create a batch, upload its files and report them; return pairs of batch and job."""
        batch, jobs = self.create(steps, contents, kind)
        for job, content in zip(jobs, contents, strict=True):
            self.upload(batch, job, content)
            self.report(batch, job["job"])
        return [(batch, job["job"]) for job in jobs]

    def create(self, steps, contents, kind="image/png"):
        """Create a batch, once however often it is asked for."""
        images = [
            {"name": f"{number}.{kind[6:]}", "type": kind, "bytes": len(content)}
            for number, content in enumerate(contents)
        ]
        body = {"steps": steps, "images": images}
        key = {"Idempotency-Key": secrets.token_hex(16)}
        _, answer = self.call("POST", "/batches", (201,), body, **key)
        return answer["batch"], answer["jobs"]

    def upload(self, batch, job, content):
        """Send a file to the bucket."""
        until = time.monotonic() + TRIES_SECONDS
        while True:
            try:
                return self.client.upload(job["upload"], content)
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > until:
                    raise Refused(f"upload: {error}") from error
                time.sleep(0.5)

    def report(self, batch, job):
        """Say that a file is there."""
        self.call("POST", f"/batches/{batch}/jobs/{job}/uploaded", (200, 202))

    def call(self, method, path, right, body=None, **headers):
        """Call the API until it answers with one of the right statuses."""
        until = time.monotonic() + TRIES_SECONDS
        while True:
            try:
                status, answer = self.attempt(method, path, body, **headers)
            except (OSError, http.client.HTTPException, ValueError) as error:
                status, answer = type(error).__name__, {}
            if status in right:
                return status, answer
            is_passing = isinstance(status, str) or status in (429, 500, 502, 503, 504)
            if not is_passing:
                self.wrong.append(f"{method} was answered {status}: {answer.get('detail')}")
            if not is_passing or time.monotonic() > until:
                raise Refused(f"{method} {path.rpartition('/')[2][:12]}: {status}")
            time.sleep(0.5)

    def attempt(self, method, path, body=None, **headers):
        """Call the API once."""
        return self.client.call(method, path, body, **headers)


class Refused(Exception):
    """A call was not answered as it should be, for as long as a visitor would try."""


DONE = ("succeeded",)
EITHER = ("succeeded", "failed")
ABSENT = ("awaiting_upload", "expired")
assert set(DONE + EITHER) <= set(FINAL)


def coins(tiles):
    """Make a large image of gray coins."""
    return np.tile(data.coins(), (2 * tiles, tiles))


def check_median(content, number):
    """Compare a result with scikit-image's median, channel by channel."""
    image, disk = pictures.small(number), morphology.disk(3)
    wanted = np.dstack([filters.median(image[..., i], disk) for i in range(3)])
    np.testing.assert_array_equal(pictures.pixels(content), wanted)


def check_labels(content, tiles):
    """Compare a result with scikit-image's labels of the whole image."""
    blurred = filters.gaussian(util.img_as_float32(coins(tiles)), 3.0)
    wanted = morphology.label(blurred > filters.threshold_otsu(blurred))
    found = pictures.tiff_pixels(content)
    np.testing.assert_array_equal(found, wanted)
