"""Previews: a request to a warm worker over the broker, while the page waits for the answer."""

import base64
import hashlib
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chalicelib import log, problems
from chalicelib.images import MAGIC_BYTES, UploadError, sniff
from chalicelib.problems import Problem
from chalicelib.queue import BrokerError, Publisher
from chalicelib.services import Services
from chalicelib.services import publisher as make_publisher
from config.contract import recipe, resources
from config.contract.preview import Answer, Question

# Open connections that no request uses now.
_idle: "queue.LifoQueue[Publisher]" = queue.LifoQueue()


def make(services: Services, body: Mapping[str, Any]) -> dict[str, Any]:
    """Run steps on a picture and answer with the result.

    Raises
    ------
    Problem
        404 if the picture must be sent with the request, 422 if steps or picture cannot be used,
        501 if this installation has no previews, 503 with Retry-After if no worker is there, or
        none answered in time, or it failed.
    """
    if not services.publisher.in_reach:
        raise Problem(501, "this installation has no previews: its worker sleeps between batches")
    steps = recipe.without_unset(body["steps"], services.catalogue)
    question = Question(body["picture"], content_of(body), tuple(steps), body.get("read"))
    try:
        with asker(services) as publisher:
            answer = Answer.from_bytes(publisher.ask(question.to_bytes(), resources.PREVIEWS))
    except BrokerError as error:
        log.trouble("preview_unanswered", reason=str(error))
        raise problems.unavailable("no worker is free for a preview; try again") from error
    if answer.retry_seconds:
        raise problems.unavailable(answer.reason, answer.retry_seconds)
    if answer.reason:
        raise Problem(422, answer.reason)
    if not answer.content:
        raise Problem(404, "picture: is not at hand; send its content with the request", "/picture")
    picture = base64.b64encode(answer.content).decode()
    kind = resources.VIEW_TYPES["values" if answer.content[:4] == b"DIPV" else "png"]
    return {
        "url": f"data:{kind};base64,{picture}",
        "margin": answer.margin,
        "image_kind": answer.image_kind,
        "tables": list(answer.tables),
        "file": dict(answer.file) or None,
    }


def content_of(body: Mapping[str, Any]) -> bytes:
    """Read the picture that came with a request; empty if none did.

    Raises
    ------
    Problem
        422 if it does not fit its hash, or is not an image this app reads.
    """
    try:
        content = base64.b64decode(body.get("content", ""), validate=True)
    except ValueError as error:
        raise Problem(422, "content: must be base64", "/content") from error
    if content and hashlib.sha256(content).hexdigest() != body["picture"]:
        raise Problem(422, "picture: is not the SHA-256 of the content", "/picture")
    try:
        if content:
            sniff("content", content[:MAGIC_BYTES])
    except UploadError as error:
        raise Problem(422, str(error), "/content") from error
    return content


@contextmanager
def asker(services: Services) -> Iterator[Publisher]:
    """Lend a connection to the broker to one request; requests at the same time get others."""
    try:
        publisher = _idle.get_nowait()
    except queue.Empty:
        publisher = make_publisher(services.settings, resources.PREVIEW_SECONDS)
    yield publisher
    # After an error the publisher is not kept: its connection is closed already.
    _idle.put(publisher)
