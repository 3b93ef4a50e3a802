"""Whether the parts that the app cannot do without answer."""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Response

from chalicelib.parts import Parts
from chalicelib.problems import NO_STORE, Problem
from chalicelib.queue import BrokerError


def check(parts: Parts) -> Response:
    """Ask broker, table and buckets.

    Raises
    ------
    Problem
        503 with what does not answer.
    """
    found = {
        "broker": ask(lambda: parts.publisher.waiting()),
        "table": ask(lambda: parts.table.batch("health")),
        "bucket": ask(lambda: ask_buckets(parts)),
    }
    down = [f"{name}: {answer}" for name, answer in found.items() if answer != "ok"]
    if down:
        # "status" is a member of every problem, as a number.
        raise Problem(503, "; ".join(down), **found)
    return Response({"status": "ok", **found}, dict(NO_STORE))


def ask_buckets(parts: Parts) -> None:
    """Ask whether both buckets are there."""
    for bucket in (parts.settings.uploads_bucket, parts.settings.results_bucket):
        parts.s3.head_bucket(Bucket=bucket)


def ask(question: Callable[[], object]) -> str:
    """Ask one part; the answer is ``ok`` or a sentence."""
    try:
        question()
    except (BrokerError, BotoCoreError, ClientError) as error:
        return str(error)
    return "ok"
