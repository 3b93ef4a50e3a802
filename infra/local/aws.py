"""S3 and DynamoDB on this machine: moto's server, made safe and fast for concurrent clients.

Run as ``python -m infra.local.aws --port PORT --origin ORIGIN``. It creates the app's buckets and
table, and then writes ``ready`` to stdout.
"""

import argparse
import copy
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

# moto reads this at import: preflight requests are answered by the bucket's CORS rules, not by "*".
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

import boto3
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from config.contract import resources
from config.contract.settings import Endpoints, load
from infra.local import quicker
from infra.local.ports import HOST

# DynamoDB's own limit.
TRANSACTION_ITEMS_MAX = 100

Answer = Callable[..., Iterable[bytes]]
# (code, message, row), as DynamoDB reports them for each write of a cancelled transaction.
Reason = tuple[str | None, str | None, dict[str, Any] | None]
# (table, hash key, sort key) of a row.
Key = tuple[Table, DynamoType, DynamoType | None]


def main(port: int, origin: str, host: str = HOST) -> None:
    """Serve until killed.

    Parameters
    ----------
    port : int
        Port to listen on.
    origin : str
        Origin of the page, which may upload to the bucket.
    host : str
        Address to listen on.
    """
    settings = load(Endpoints)
    patch_moto()
    moto = DomainDispatcherApplication(create_backend_app)
    # A browser on this machine may open the page under either name.
    origins = [origin, origin.replace(HOST, "localhost")]
    application = allow_origins(origins, one_table_request_at_a_time(moto))
    server = make_server(host, port, application, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    create_storage(f"http://{HOST}:{port}", origins, settings)
    # The garbage collector need not search the objects loaded so far; that takes 0.1 s each time.
    gc.freeze()
    sys.stdout.write("ready\n")
    thread.join()


@cache
def patch_moto() -> None:
    """Replace in this process what moto does unsafely or slowly; more calls change nothing."""
    DynamoDBBackend.transact_write_items = transact_write_items
    quicker.patch_moto()


class Handler(MotoRequestHandler):
    """moto's request handler, faster and without a log."""

    # Without a write buffer and with Nagle's algorithm, each answer takes 40 ms longer.
    wbufsize = -1
    disable_nagle_algorithm = True

    def make_environ(self) -> dict[str, Any]:
        """Flush the "100 Continue" in the write buffer; S3's client waits a second for it."""
        self.wfile.flush()
        environ: dict[str, Any] = super().make_environ()
        return environ

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do not log: keys hold batch ids, and whoever knows one can read the batch."""


def one_table_request_at_a_time(application: Answer) -> Answer:
    """Wrap a WSGI application so that requests to DynamoDB run one after the other.

    moto reads, checks and writes a row without a lock, and its server answers each client in its
    own thread. So two conditional writes could both find their condition true.
    """
    lock = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            return application(environ, start_response)
        with lock:
            return application(environ, start_response)

    return answer


def allow_origins(origins: list[str], application: Answer) -> Answer:
    """Wrap a WSGI application so that pages from `origins` may read its answers.

    moto sends no CORS header with the answer to an uploaded form.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN")

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            names = {name.lower() for name, _ in headers}
            if origin in origins and "access-control-allow-origin" not in names:
                headers = [*headers, ("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
            return start_response(status, headers, *rest)

        return application(environ, start)

    return answer


def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Check all conditions of a transaction, then write; replaces moto's own method.

    moto checks each condition just before its write. It copies every table first, and restores the
    copy when a condition fails. The copy takes longer with every row of the table, and restoring it
    undoes writes of other clients.

    Parameters
    ----------
    transact_items : list of dict
        Each has one key (``Put``, ``Update``, ``Delete`` or ``ConditionCheck``) with its arguments.

    Raises
    ------
    TooManyTransactionsException, TransactWriteSingleOpException, MultipleTransactionsException
        If there are too many writes, an item is not one write, or two writes are for the same row.
    TransactionCanceledException
        If a condition fails, or a write fails after all conditions held; nothing is changed then.
    """
    if len(transact_items) > TRANSACTION_ITEMS_MAX:
        raise TooManyTransactionsException
    if any(len(item) != 1 for item in transact_items):
        raise TransactWriteSingleOpException
    writes = [next(iter(item.items())) for item in transact_items]
    keys = [find_key(self, action, write) for action, write in writes]
    if len({(id(table), repr((hash_, range_))) for table, hash_, range_ in keys}) < len(keys):
        raise MultipleTransactionsException
    reasons = [
        check_condition(write, table.get_item(hash_, range_))
        for (_, write), (table, hash_, range_) in zip(writes, keys, strict=True)
    ]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    before = [copy.deepcopy(table.get_item(hash_, range_)) for table, hash_, range_ in keys]
    reasons = []
    try:
        for action, write in writes:
            apply_write(self, action, write)
            reasons.append((None, None, None))
    except Exception as error:
        # A write can fail although its condition holds, for example when it adds a number to a
        # text.
        for key, row in zip(keys, before, strict=True):
            restore_row(key, row)
        if isinstance(error, MockValidationException):
            raise
        reasons.append((type(error).__name__, str(error), None))
        raise TransactionCanceledException(reasons) from error


def find_key(backend: DynamoDBBackend, action: str, write: dict[str, Any]) -> Key:
    """Return table, hash key and sort key of the row that a write is for."""
    table = backend.get_table(write["TableName"])
    hash_, range_ = backend.get_keys_value(table, write["Item" if action == "Put" else "Key"])
    return table, hash_, range_


def check_condition(write: dict[str, Any], row: Item | None) -> Reason:
    """Check the condition of one write against its row.

    Returns
    -------
    Reason
        Three times None if the condition holds; otherwise code, message and, if the write asks for
        it, the row.
    """
    condition = get_filter_expression(
        write.get("ConditionExpression"),
        write.get("ExpressionAttributeNames"),
        write.get("ExpressionAttributeValues"),
    )
    # A missing row is checked as a row without attributes.
    if condition.expr(row if row is not None else Item(DynamoType({"S": "-"}), None, {})):
        return None, None, None
    wants_row = write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and row is not None
    shown = row.to_json()["Attributes"] if wants_row and row is not None else None
    return "ConditionalCheckFailed", str(ConditionalCheckFailed().message), shown


def apply_write(backend: DynamoDBBackend, action: str, write: dict[str, Any]) -> None:
    """Execute one write whose condition holds; a ``ConditionCheck`` writes nothing."""
    match action:
        case "Put":
            backend.put_item(write["TableName"], write["Item"])
        case "Delete":
            backend.delete_item(write["TableName"], write["Key"])
        case "Update":
            backend.update_item(
                write["TableName"],
                write["Key"],
                write["UpdateExpression"],
                write.get("ExpressionAttributeNames"),
                write.get("ExpressionAttributeValues"),
            )


def restore_row(key: Key, row: Item | None) -> None:
    """Restore one row to an earlier state; None deletes it."""
    table, hash_, range_ = key
    if row is None:
        table.delete_item(hash_, range_)
    elif range_ is None:
        table.items[hash_] = row
    else:
        table.items[hash_][range_] = row


def create_storage(endpoint: str, origins: list[str], settings: Endpoints) -> None:
    """Create the table, and the buckets, to which pages from `origins` may upload."""
    session = boto3.Session(region_name=settings.aws_region)
    s3 = session.client("s3", endpoint_url=endpoint)
    location = {"LocationConstraint": settings.aws_region}
    for bucket in {settings.uploads_bucket, settings.results_bucket}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
    rule = {
        "AllowedOrigins": origins,
        "AllowedMethods": ["POST", "PUT", "GET"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket=settings.uploads_bucket, CORSConfiguration={"CORSRules": [rule]})
    table = session.client("dynamodb", endpoint_url=endpoint)
    table.create_table(TableName=settings.table, **resources.TABLE_SCHEMA)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.origin, arguments.host)
