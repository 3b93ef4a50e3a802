"""Errors as problem details (RFC 9457): those of this app, and those that Chalice makes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ConnectionError as AwsConnectionError
from botocore.exceptions import HTTPClientError
from chalice.app import ChaliceUnhandledError, Request, Response

from chalicelib import log

# Sentences for the errors that Chalice makes, by status.
CHALICE_SAYS = {
    405: "this address does not know that method",
    415: "the body must be JSON: send Content-Type: application/json",
    500: "the app failed here; what happened is in its log. Try again",
}

NO_STORE = {"Cache-Control": "no-store"}

# After this time a service that did not answer is worth another try.
SILENCE_SECONDS = 2


class Problem(ChaliceUnhandledError):
    """An answer that is an error, with one sentence.

    Its base class is the only exception that Chalice passes to middleware without logging it.

    Parameters
    ----------
    status : int
        HTTP status.
    detail : str
        One sentence for people.
    pointer : str
        JSON pointer into the request's body; empty if the error is not there.
    more : object
        Further members of the answer.

    Attributes
    ----------
    retry_seconds : int
        For the header Retry-After: when the same request may succeed; 0 if it is unknown.
    """

    retry_seconds = 0

    def __init__(self, status: int, detail: str, pointer: str = "", **more: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointer = pointer
        self.more = more

    def to_response(self) -> Response:
        """Build the answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.pointer:
            body["pointer"] = self.pointer
        headers = {"Content-Type": "application/problem+json", **NO_STORE}
        if self.retry_seconds:
            headers["Retry-After"] = str(self.retry_seconds)
        return Response(body | self.more, headers, self.status)


def unavailable(detail: str, retry_seconds: int = SILENCE_SECONDS) -> Problem:
    """Build the answer 503, with the time after which to try again."""
    problem = Problem(503, detail)
    problem.retry_seconds = retry_seconds
    return problem


def not_found(what: str) -> Problem:
    """Build the answer 404."""
    return Problem(404, f"{what}: there is none with this id")


def gone(what: str) -> Problem:
    """Build the answer 410."""
    return Problem(410, f"{what}: deleted, or kept no longer")


@contextmanager
def silence_as_problem() -> Iterator[None]:
    """Answer 503 if S3 or the table does not answer in time."""
    try:
        yield
    except (AwsConnectionError, HTTPClientError) as error:
        log.trouble("aws_silent", reason=type(error).__name__)
        raise unavailable("the storage did not answer in time; try again") from error


def answer(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Answer a request, log it, and turn every error into problem details.

    This is a middleware of Chalice. It receives the app's own `Problem` as an exception, and
    Chalice's errors (a wrong method or content type, an uncaught exception) as responses.
    """
    started = time.monotonic()
    try:
        response = get_response(request)
        if response.status_code >= 400 and "Code" in (response.body or {}):
            response = of_chalice(response)
    except Problem as problem:
        response = problem.to_response()
    ids = request.uri_params or {}
    log.event(
        "request",
        ids.get("batch", ""),
        method=request.method,
        path=request.path,
        job=ids.get("job"),
        status=response.status_code,
        seconds=round(time.monotonic() - started, 4),
    )
    return response


def of_chalice(response: Response) -> Response:
    """Convert an error response of Chalice to problem details."""
    found = response.body
    problem = Problem(response.status_code, CHALICE_SAYS.get(response.status_code, found["Code"]))
    made = problem.to_response()
    if "Allow" in response.headers:
        made.headers["Allow"] = response.headers["Allow"]
    return made
