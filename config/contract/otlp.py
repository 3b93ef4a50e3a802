"""Spans sent to a collector by OTLP, OpenTelemetry's protocol, as JSON over HTTP.

OpenTelemetry's own exporter would bring protobuf, a native library, into the worker's image and to
Lambda. Its JSON form (https://opentelemetry.io/docs/specs/otlp/#otlphttp) needs none, and every
collector reads it. A test reads what is sent here by OpenTelemetry's own definition.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from queue import Empty, Full, Queue
from typing import Any

from config import VERSION
from config.contract.settings import SettingError
from config.contract.trace import Kind, Span, Value

# Numbers of the kinds and of the status of a failure in opentelemetry/proto/trace/v1/trace.proto.
KINDS: dict[Kind, int] = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
FAILED = {"code": 2}

PATH = "/v1/traces"
SEND_SECONDS = 2.0
# Spans that come within this time are sent together.
GATHER_SECONDS = 0.5
# Spans that wait while the collector is slow; further ones are dropped.
WAITING_MAX = 10_000
SENT_TOGETHER_MAX = 512


class Spans:
    """Sends spans on a thread of its own; without a collector, it does nothing.

    Parameters
    ----------
    collector : str
        Address of the collector, such as ``http://127.0.0.1:4318``; empty for none.
    on_error : callable
        Called with a sentence when spans are first lost after some arrived.
    at_once : bool
        Whether `send` itself waits for the collector. Lambda stops all threads after an answer.

    Raises
    ------
    SettingError
        If the collector has no address of HTTP.
    """

    def __init__(
        self,
        collector: str,
        on_error: Callable[[str], None] = lambda _: None,
        at_once: bool = False,
    ) -> None:
        if collector and not collector.startswith(("http://", "https://")):
            raise SettingError(
                f"TRACE_COLLECTOR: must begin with http:// or https://, got {collector!r}"
            )
        self.collector = collector.rstrip("/")
        self.on_error = on_error
        self.at_once = at_once
        self.waiting: Queue[Span] = Queue(WAITING_MAX)
        self.is_losing = False
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()

    def __bool__(self) -> bool:
        """Whether spans are sent."""
        return bool(self.collector)

    def send(self, spans: Iterable[Span]) -> None:
        """Send spans; never raises, and only waits if `at_once`."""
        if not self.collector:
            return
        if self.at_once:
            self.post(list(spans))
            return
        try:
            for each in spans:
                self.waiting.put_nowait(each)
        except Full:
            self.lose(f"more than {WAITING_MAX} spans wait")
        with self.lock:
            if self.thread is None:
                self.thread = threading.Thread(target=self.run, name="spans", daemon=True)
                self.thread.start()

    def run(self) -> None:
        """Send what waits, for ever."""
        pause = threading.Event()
        while True:
            spans = [self.waiting.get()]
            pause.wait(GATHER_SECONDS)
            spans += self.take(SENT_TOGETHER_MAX - 1)
            self.post(spans)

    def flush(self) -> None:
        """Send what waits now, before the process ends."""
        while spans := self.take(SENT_TOGETHER_MAX):
            self.post(spans)

    def take(self, most: int) -> list[Span]:
        """Take spans that wait."""
        spans: list[Span] = []
        try:
            while len(spans) < most:
                spans.append(self.waiting.get_nowait())
        except Empty:
            pass
        return spans

    def post(self, spans: list[Span]) -> None:
        """Send spans in one request; they are lost if the collector does not take them."""
        # Imported here, as most installations send no spans.
        from urllib.request import Request, urlopen

        body = json.dumps(document(spans)).encode()
        headers = {"Content-Type": "application/json"}
        try:
            request = Request(self.collector + PATH, body, headers)  # noqa: S310 - checked above
            with urlopen(request, timeout=SEND_SECONDS):  # noqa: S310 - as above
                self.is_losing = False
        except (OSError, ValueError) as error:
            self.lose(str(error))

    def lose(self, why: str) -> None:
        """Report that spans are lost, unless those before were, too."""
        if not self.is_losing:
            self.is_losing = True
            self.on_error(f"{self.collector}: takes no spans: {why}")


def document(spans: Iterable[Span]) -> dict[str, Any]:
    """Return spans as an ``ExportTraceServiceRequest`` in JSON."""
    by_service = groupby(sorted(spans, key=lambda each: each.service), lambda each: each.service)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes({"service.name": f"dip-{service}"})},
                "scopeSpans": [
                    {
                        "scope": {"name": "dip", "version": VERSION},
                        "spans": [as_json(each) for each in found],
                    }
                ],
            }
            for service, found in by_service
        ]
    }


def as_json(span: Span) -> dict[str, Any]:
    """Return one span; ids are hex, and integers of 64 bits are text."""
    return {
        "traceId": span.link.trace,
        "spanId": span.link.span,
        **({"parentSpanId": span.parent} if span.parent else {}),
        "name": span.name,
        "kind": KINDS[span.kind],
        "startTimeUnixNano": str(span.began),
        "endTimeUnixNano": str(span.ended),
        "attributes": attributes(span.attributes),
        **({"status": FAILED} if span.failed else {}),
    }


def attributes(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    """Return attributes as key and value."""
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def any_value(value: Value) -> dict[str, Any]:
    """Return a value with its type."""
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
