"""The trace that a request belongs to, and the spans of a request that queues jobs."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from chalice.app import Request, Response

from config.contract.otlp import Spans
from config.contract.trace import Link, Span, Value

SERVICE = "api"

# How long the page took to send the file, in milliseconds, as an entry of W3C's header `baggage`.
SENT_ENTRY = "dip-sent-ms"
# A page that says more is not believed; an upload form is not valid for longer by default.
SENT_MS_MAX = 3_600_000


@dataclass
class Answering:
    """The request that is being answered.

    Attributes
    ----------
    given : Link
        What the client sent; empty if it sent none.
    link : Link
        What the request's jobs belong to: the request's own span if spans are recorded, else
        `given`.
    recording : bool
        Whether spans are recorded.
    is_used : bool
        Whether a job was queued under it.
    steps : list of Span
        Spans below that of the request.
    """

    given: Link = field(default_factory=Link)
    link: Link = field(default_factory=Link)
    recording: bool = False
    is_used: bool = False
    steps: list[Span] = field(default_factory=list)


_answering: ContextVar[Answering | None] = ContextVar("answering", default=None)


def current() -> Link:
    """Return what the request that is being answered belongs to; empty without a request."""
    answering = _answering.get()
    return answering.link if answering else Link()


def traceparent_for_job() -> str:
    """Return the traceparent for a job that is being queued; empty to leave that of its row."""
    answering = _answering.get()
    if answering is None:
        return ""
    answering.is_used = True
    return answering.link.traceparent


@contextmanager
def step(name: str, **attributes: Value) -> Iterator[None]:
    """Record a ``with`` block as a span of the request that is being answered."""
    answering = _answering.get()
    if answering is None or not answering.recording:
        yield
        return
    began, failed = time.time_ns(), True
    try:
        yield
        failed = False
    finally:
        link, parent = answering.link.child(), answering.link.span
        times = began, time.time_ns()
        answering.steps.append(
            Span(link, parent, name, *times, SERVICE, attributes=attributes, failed=failed)
        )


def follow(spans: Callable[[], Spans]) -> Callable[..., Response]:
    """Return the middleware of Chalice that follows the trace of each request.

    Spans are sent of requests that queued a job only: a page asks for its progress all the time.

    Parameters
    ----------
    spans : callable
        Returns where spans go.
    """

    def middleware(request: Request, get_response: Callable[[Request], Response]) -> Response:
        to, began = spans(), time.time_ns()
        given = Link.read(request.headers.get("traceparent", ""))
        answering = Answering(given, given.child() if to else given, bool(to))
        token = _answering.set(answering)
        try:
            response = get_response(request)
        finally:
            _answering.reset(token)
        if to and answering.is_used:
            to.send(spans_of(request, answering, began, response.status_code))
        return response

    return middleware


def spans_of(request: Request, answering: Answering, began: int, status: int) -> Iterator[Span]:
    """Yield the spans of a request: of the page, of the request, and of its steps."""
    sent = sent_ms(request.headers)
    given = answering.given
    if sent is not None and given.trace:
        times = began - 1_000_000 * sent, began
        yield Span(given, "", "send file", *times, "page", "client")
    path = str(request.context.get("resourcePath", ""))
    attributes: dict[str, Value] = {
        "http.request.method": request.method,
        "http.route": path,
        "http.response.status_code": status,
    }
    name, times = f"{request.method} {path}", (began, time.time_ns())
    yield Span(
        answering.link, given.span, name, *times, SERVICE, "server", attributes, status >= 500
    )
    yield from answering.steps


def sent_ms(headers: Mapping[str, str]) -> int | None:
    """Read how long the page took to send the file; None if it does not say."""
    for entry in headers.get("baggage", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == SENT_ENTRY and value.isascii() and value.isdigit():
            return min(int(value[:12]), SENT_MS_MAX)
    return None
