"""Whether broker, table and buckets answer."""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Response

from chalicelib.problems import NO_STORE, Problem
from chalicelib.queue import BrokerError
from chalicelib.services import Services
from config.contract.node import Node

# The broker is on the worker's host, which starts when images wait.
ASLEEP = "asleep"


def check(services: Services) -> Response:
    """Ask broker, table and buckets.

    Raises
    ------
    Problem
        503 with the name and the error of each that does not answer.
    """
    found = {
        "broker": ask_broker(services),
        "table": ask(lambda: services.table.batch("health")),
        "bucket": ask(lambda: ask_buckets(services)),
    }
    down = [f"{name}: {answer}" for name, answer in found.items() if answer not in ("ok", ASLEEP)]
    if down:
        # "status" is a member of every problem, as a number.
        raise Problem(503, "; ".join(down), **found)
    return Response({"status": "ok", **found}, dict(NO_STORE))


def ask_broker(services: Services) -> str:
    """Ask the broker; where it is on the worker's host, look whether the host is there."""
    if services.publisher.in_reach:
        return ask(lambda: services.publisher.waiting())
    awake: list[Node] = []
    answer = ask(lambda: awake.extend(find_awake(services)))
    return answer if answer != "ok" or awake else ASLEEP


def find_awake(services: Services) -> list[Node]:
    """Return the nodes that are there; raises what boto3 raises."""
    return [node for node in services.table.nodes() if node.is_there(services.clock())]


def ask_buckets(services: Services) -> None:
    """Check that both buckets are there; raises what boto3 raises."""
    for bucket in (services.settings.uploads_bucket, services.settings.results_bucket):
        services.s3.head_bucket(Bucket=bucket)


def ask(question: Callable[[], object]) -> str:
    """Send one question; returns ``ok``, or the error as a sentence."""
    try:
        question()
    except (BrokerError, BotoCoreError, ClientError) as error:
        return str(error)
    return "ok"
