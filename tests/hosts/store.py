"""The S3 of a test's hosts: when it is asked, it lists its keys, clears itself or fails a while."""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import boto3
from aiohttp import web

from infra.local.store.server import Store, run
from tests.hosts.lab import ADDRESSES, STORE_PORT


class FailingStore(Store):
    """The S3 of `make run`, which answers 503 to every request until a moment that is set."""

    fails_until = 0.0
    refused = 0

    def __init__(self, *given):
        super().__init__(*given)
        self.written = []

    async def answer(self, request):
        if time.monotonic() < self.fails_until:
            self.refused += 1
            return web.Response(status=503)
        if request.method == "PUT":
            self.written.append(request.path)
        return await super().answer(request)


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = FailingStore(Path(folder), {})
        run(store, ADDRESSES["s"], STORE_PORT, lambda: answer_commands(store))


def answer_commands(store):
    """Do what stdin says, line by line; the server ends with it."""
    client = boto3.client("s3", region_name="eu-central-1")
    where = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket="images", CreateBucketConfiguration=where)
    say("ready")
    for line in sys.stdin:
        command, *given = line.split()
        if command == "fail":
            store.fails_until = time.monotonic() + float(given[0])
            say(json.dumps(None))
        elif command == "refused":
            say(json.dumps(store.refused))
        elif command == "written":
            say(json.dumps(store.written))
            store.written = []
        else:
            found = client.list_objects_v2(Bucket="images").get("Contents", [])
            if command == "clear":
                for each in found:
                    client.delete_object(Bucket="images", Key=each["Key"])
            say(json.dumps([each["Key"] for each in found]))
    os.kill(os.getpid(), signal.SIGTERM)


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
