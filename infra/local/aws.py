"""S3 and DynamoDB of the local app: its buckets and its table, and the server for them.

Run as ``python -m infra.local.aws --port PORT --origin ORIGIN --folder FOLDER``. It creates what is
not in the folder yet, and writes ``ready`` to stdout.
"""

import argparse
import os
import sys
from pathlib import Path

from config.contract import resources
from config.contract.settings import Endpoints, load
from infra.local.ports import HOST
from infra.local.store.server import Store, run


def main(port: int, origin: str, folder: Path, host: str = HOST) -> None:
    """Serve until killed.

    Parameters
    ----------
    port : int
        Port to listen on.
    origin : str
        Origin of the page, which may upload to the bucket.
    folder : Path
        Of the files; a later server at the same folder continues with them.
    host : str
        Address to listen on.
    """
    store = Store(folder, {os.environ["AWS_ACCESS_KEY_ID"]: os.environ["AWS_SECRET_ACCESS_KEY"]})
    # A browser on this machine may open the page under either name.
    create_storage(store, [origin, origin.replace(HOST, "localhost")], load(Endpoints))
    run(store, host, port, say_ready)


def say_ready() -> None:
    """Write the line that the local app waits for."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def create_storage(store: Store, origins: list[str], settings: Endpoints) -> None:
    """Create the table, and the buckets, to which pages from `origins` may upload."""
    for bucket in (settings.uploads_bucket, settings.results_bucket):
        store.objects.create_bucket(bucket)
    rule = {
        "AllowedOrigin": origins,
        "AllowedMethod": ["POST", "PUT", "GET"],
        "AllowedHeader": ["*"],
        "ExposeHeader": ["ETag"],
    }
    store.objects.set_rules(settings.uploads_bucket, [rule])
    if settings.table not in store.dynamodb.rows.tables:
        store.dynamodb.rows.create({"TableName": settings.table, **resources.TABLE_SCHEMA})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.origin, arguments.folder, arguments.host)
