"""S3 and DynamoDB on this machine: moto's server, made safe and quick for many clients at once.

Run as ``python -m infra.local.aws --port PORT --origin ORIGIN``. Makes the app's buckets and its
table before it answers anybody, so that a new start finds them in place.
"""

import argparse
import copy
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

# Read by moto when it is imported: answer preflights by the bucket's own rules, not with a "*".
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
# (code, message, row) as DynamoDB gives for each write of a cancelled transaction.
Reason = tuple[str | None, str | None, dict[str, Any] | None]
Key = tuple[Table, DynamoType, DynamoType | None]


def main(port: int, origin: str) -> None:
    """Serve until killed."""
    settings = load(Endpoints)
    DynamoDBBackend.transact_write_items = transact_write_items
    quicker.take_places()
    moto = DomainDispatcherApplication(create_backend_app)
    # The page goes by either of the names that a browser on this machine may use.
    origins = [origin, origin.replace(HOST, "localhost")]
    application = readable_to(origins, one_table_request_at_a_time(moto))
    server = make_server(HOST, port, application, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    make_places(f"http://{HOST}:{port}", origins, settings)
    # All that moto has loaded need not be looked through again and again, for 0.1 s each time.
    gc.freeze()
    sys.stdout.write("ready\n")
    thread.join()


class Handler(MotoRequestHandler):
    """moto's handler, quicker and silent."""

    # Unbuffered small writes and Nagle's algorithm together cost 40 ms for each answer.
    wbufsize = -1
    disable_nagle_algorithm = True

    def make_environ(self) -> dict[str, Any]:
        """Send the "100 Continue" that has been written, for which S3's client waits a second."""
        self.wfile.flush()
        environ: dict[str, Any] = super().make_environ()
        return environ

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: keys hold batch ids, and who knows one may read the batch."""


def one_table_request_at_a_time(application: Answer) -> Answer:
    """Let requests to DynamoDB wait for each other.

    moto reads, checks and writes a row with no lock, while its server answers each client on a
    thread of its own: two conditional writes could both find their condition true.
    """
    lock = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            return application(environ, start_response)
        with lock:
            return application(environ, start_response)

    return answer


def readable_to(origins: list[str], application: Answer) -> Answer:
    """Let pages from `origins` read the answer to an uploaded form, which moto's lacks."""

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
    """Check every condition, then write: takes the place of moto's own method.

    moto's writes first and checks as it goes, with a deep copy of every table made beforehand to
    be put back when a condition fails. The copy takes longer with every row that the table holds,
    and putting it back undoes what other clients have written meanwhile.
    """
    if len(transact_items) > TRANSACTION_ITEMS_MAX:
        raise TooManyTransactionsException
    if any(len(item) != 1 for item in transact_items):
        raise TransactWriteSingleOpException
    writes = [next(iter(item.items())) for item in transact_items]
    keys = [key_of(self, kind, write) for kind, write in writes]
    if len({(id(table), repr((hash_, range_))) for table, hash_, range_ in keys}) < len(keys):
        raise MultipleTransactionsException
    reasons = [
        check(write, table.get_item(hash_, range_))
        for (_, write), (table, hash_, range_) in zip(writes, keys, strict=True)
    ]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    before = [copy.deepcopy(table.get_item(hash_, range_)) for table, hash_, range_ in keys]
    reasons = []
    try:
        for kind, write in writes:
            apply(self, kind, write)
            reasons.append((None, None, None))
    except Exception as error:
        # A write that no condition foretold, such as adding a number to a text.
        for key, item in zip(keys, before, strict=True):
            put_back(key, item)
        if isinstance(error, MockValidationException):
            raise
        reasons.append((type(error).__name__, str(error), None))
        raise TransactionCanceledException(reasons) from error


def key_of(backend: DynamoDBBackend, kind: str, write: dict[str, Any]) -> Key:
    """Find which row of which table a write is for."""
    table = backend.get_table(write["TableName"])
    hash_, range_ = backend.get_keys_value(table, write["Item" if kind == "Put" else "Key"])
    return table, hash_, range_


def check(write: dict[str, Any], row: Item | None) -> Reason:
    """Check the condition of one write against the row as it is."""
    condition = get_filter_expression(
        write.get("ConditionExpression"),
        write.get("ExpressionAttributeNames"),
        write.get("ExpressionAttributeValues"),
    )
    # With no row, conditions are asked of one that has no attributes.
    if condition.expr(row if row is not None else Item(DynamoType({"S": "-"}), None, {})):
        return None, None, None
    wants_row = write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and row is not None
    shown = row.to_json()["Attributes"] if wants_row and row is not None else None
    return "ConditionalCheckFailed", str(ConditionalCheckFailed().message), shown


def apply(backend: DynamoDBBackend, kind: str, write: dict[str, Any]) -> None:
    """Carry out one write, whose condition is known to hold."""
    match kind:
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


def put_back(key: Key, item: Item | None) -> None:
    """Make one row what it was."""
    table, hash_, range_ = key
    if item is None:
        table.delete_item(hash_, range_)
    elif range_ is None:
        table.items[hash_] = item
    else:
        table.items[hash_][range_] = item


def make_places(endpoint: str, origins: list[str], settings: Endpoints) -> None:
    """Make the buckets, which pages from `origins` may upload to, and the table."""
    session = boto3.Session(region_name=settings.aws_region)
    s3 = session.client("s3", endpoint_url=endpoint)
    where = {"LocationConstraint": settings.aws_region}
    for bucket in {settings.uploads_bucket, settings.results_bucket}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
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
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", required=True)
    arguments = parser.parse_args()
    main(arguments.port, arguments.origin)
