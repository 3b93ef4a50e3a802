"""The S3 of a test's hosts: lists its keys, and clears itself when it is asked."""

import json
import sys

import boto3
from moto.server import ThreadedMotoServer

from tests.hosts.lab import ADDRESSES, STORE_PORT


def main():
    server = ThreadedMotoServer(ADDRESSES["s"], STORE_PORT, verbose=False)
    server.start()
    client = boto3.client("s3", region_name="eu-central-1")
    where = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket="images", CreateBucketConfiguration=where)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        found = client.list_objects_v2(Bucket="images").get("Contents", [])
        if line.strip() == "clear":
            for each in found:
                client.delete_object(Bucket="images", Key=each["Key"])
        sys.stdout.write(json.dumps([each["Key"] for each in found]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
