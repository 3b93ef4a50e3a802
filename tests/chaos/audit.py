"""After a storm: look at every job, every object and every counter from outside."""

import time
from collections import Counter
from pathlib import Path

import boto3

from config.contract.job import FINAL
from tests.chaos.load import ABSENT

FINISH_SECONDS = 300.0
RETRIES_MAX = 2


class Audit:
    """What was found wrong, and what came of every job.

    Attributes
    ----------
    outcomes : Counter
        Jobs by kind and final state.
    faults : list of str
        What is wrong; empty if all is right.
    retried : int
        Jobs that too many strikes hit, and that their visitor retried.
    """

    def __init__(self, app, visitors):
        self.app = app
        self.visitors = visitors
        self.outcomes = Counter()
        self.faults = [each for visitor in visitors for each in visitor.wrong]
        self.retried = 0

    def run(self):
        """Wait until every job is final, and check everything."""
        for visitor in self.visitors:
            for expected in visitor.expected:
                self.check_job(visitor, expected)
        self.check_counters()
        self.check_objects()
        self.check_queues()

    def check_job(self, visitor, expected):
        """Check the end of one job, or of a deleted batch."""
        state, view = self.await_end(visitor, expected)
        self.outcomes[expected.kind, state] += 1
        if state not in expected.ends:
            reason = view.get("reason", "")
            self.faults.append(f"{expected.kind} job {expected.job[:6]} ended {state}: {reason}")
        elif state == "succeeded" and expected.check:
            try:
                expected.check(visitor.client.download(view))
                check_results(visitor.client, view["results"])
            except AssertionError as error:
                self.faults.append(f"{expected.kind}: other pixels: {str(error)[:200]}")

    def await_end(self, visitor, expected):
        """Wait for the end of a job; return its state and view."""
        until = time.monotonic() + FINISH_SECONDS
        retries = 0
        while True:
            path = f"/batches/{expected.batch}" + (f"/jobs/{expected.job}" if expected.job else "")
            status, view = visitor.call("GET", path, (200, 404, 410))
            state = view["state"] if expected.job and status == 200 else "gone"
            if status == 200 and not expected.job:
                state = "not deleted yet"
            if state == "failed" and view["cause"] == "broken" and retries < RETRIES_MAX:
                retries += 1
                self.retried += 1
                visitor.call("POST", f"{path}/retry", (200, 202))
            elif state in expected.ends or state in (*FINAL, *ABSENT):
                return state, view
            if time.monotonic() > until:
                return state, view
            time.sleep(0.2)

    def last_finish(self):
        """Return when the last job finished, in seconds since 1970."""
        return max((float(item.get("finished", 0)) for item in self.rows()), default=0.0) / 1000

    def check_counters(self):
        """Compare each batch's counters with its jobs' states."""
        for visitor in self.visitors:
            for batch in {each.batch for each in visitor.expected if each.job}:
                states, counts, cursor = Counter(), {}, ""
                while True:
                    _, page = visitor.call("GET", f"/batches/{batch}?since={cursor}", (200,))
                    states.update({job["job"]: job["state"] for job in page["jobs"]}.values())
                    counts, cursor = page["counts"], page["cursor"]
                    if not page["more"]:
                        break
                if {k: v for k, v in counts.items() if v} != dict(states):
                    self.faults.append(f"counters {counts} are not {dict(states)}")

    def check_objects(self):
        """Look for objects that belong to no job, such as results of a former attempt."""
        rows = {key for item in self.rows() for key in strings_of(item)}
        for bucket in ("UPLOADS_BUCKET", "RESULTS_BUCKET"):
            for key in self.keys(self.app.environment[bucket]):
                if key not in rows and not any(part in rows for part in key.split("/")):
                    self.faults.append(f"no row knows the object {key[:20]}…{key[-30:]}")

    def rows(self):
        """Return all rows of the table."""
        table = self.aws("resource", "dynamodb").Table(self.app.environment["TABLE"])
        page = table.scan()
        found = page["Items"]
        while "LastEvaluatedKey" in page:
            page = table.scan(ExclusiveStartKey=page["LastEvaluatedKey"])
            found += page["Items"]
        return found

    def keys(self, bucket):
        """Return all keys of a bucket."""
        pages = self.aws("client", "s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def aws(self, kind, service):
        """Make a boto3 client or resource of the stand-in for AWS."""
        environment = self.app.environment
        return getattr(boto3, kind)(
            service,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def check_queues(self):
        """Check that no message is left on a lane, waiting or unacknowledged."""
        until = time.monotonic() + 30  # copies of messages are still being dropped
        left = self.messages()
        while left and time.monotonic() < until:
            time.sleep(0.5)
            left = self.messages()
        if left:
            self.faults.append(f"messages are left: {left}")

    def messages(self):
        """Return the messages of each lane, delivered ones included."""
        text = self.app.broker_command("--quiet", "list_queues", "name", "messages")
        counts = dict(line.split() for line in text.splitlines() if line.startswith("dip."))
        return {name: int(n) for name, n in counts.items() if int(n) and "dead" not in name}


def strings_of(item):
    """Return all texts of a row, keys of the table included."""
    texts = {value for value in item.values() if isinstance(value, str)}
    return texts | {text.partition("#")[2] for text in texts}


def left_behind(app):
    """Return what is left after the app has ended: files in memory, and in the spool."""
    folders = (Path("/dev/shm"), app.spool)  # noqa: S108 - the storm's own
    return [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]


def check_results(client, results):
    """Check that every result of a job is there, and every table has its rows."""
    for result in results:
        lines = client.fetch(result).count(b"\n")
        assert result["kind"] == "image" or lines == result["rows"] + 1 > 1, result["name"]
