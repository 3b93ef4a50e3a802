"""The S3 of a test's hosts: lists its keys, clears itself or fails for a while when it is asked."""

import json
import sys
import threading
import time

import boto3
from werkzeug.serving import make_server

from infra.local.aws import Handler
from tests.hosts.lab import ADDRESSES, STORE_PORT
from tests.moto_server import application


class Store:
    """moto's S3, which answers 503 to every request until a moment that is set."""

    def __init__(self):
        self.application = application()
        self.fails_until = 0.0
        self.refused = 0

    def __call__(self, environ, start_response):
        if time.monotonic() < self.fails_until:
            self.refused += 1
            start_response("503 Slow Down", [("Content-Length", "0")])
            return []
        return self.application(environ, start_response)


def main():
    store = Store()
    server = make_server(ADDRESSES["s"], STORE_PORT, store, threaded=True, request_handler=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
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
        else:
            found = client.list_objects_v2(Bucket="images").get("Contents", [])
            if command == "clear":
                for each in found:
                    client.delete_object(Bucket="images", Key=each["Key"])
            say(json.dumps([each["Key"] for each in found]))


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
