"""Traces: the ids that requests carry, and spans as a collector of OpenTelemetry reads them."""

import base64
import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.contract.job import Job, Message
from config.contract.otlp import Spans, document
from config.contract.settings import SettingError
from config.contract.trace import Link, Span

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LINK = Link(TRACE, SPAN)
WORK = Span(
    *(LINK.child(), SPAN, "compute", 1_800_000_000_000_000_001, 1_800_000_000_000_000_009),
    service="worker",
    attributes={"job": "c" * 16, "attempt": 2, "cpu_seconds": 0.25},
    failed=True,
)


@pytest.fixture
def collector():
    """Receive what is sent to /v1/traces; yields the address and the documents."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_traceparent_is_read_as_it_was_written():
    assert Link.read(LINK.traceparent) == LINK
    assert LINK.traceparent == f"00-{TRACE}-{SPAN}-01"
    assert LINK.child().trace == TRACE
    assert LINK.child().span != SPAN
    assert Link.read(Link().child().traceparent).trace


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"01-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_what_is_no_traceparent_gives_no_trace(text):
    assert Link.read(text) == Link()
    assert Link.read(text).traceparent == ""


def test_a_message_carries_the_trace_of_its_row_and_without_one_is_as_it_always_was():
    row = Job("b" * 32, "j", "a.png", 1, "image/png", "queued", 0, 0, publish=3)
    old = {"batch": "b" * 32, "job": "j", "publish": 3, "version": 1}
    assert json.loads(row.message.to_bytes()) == old
    traced = Job.from_item(row.to_item() | {"trace": LINK.traceparent}).message
    assert Message.from_bytes(traced.to_bytes()).trace == LINK.traceparent
    # A message in hand is found again by its numbers.
    assert {traced: 1}[row.message] == 1


def test_opentelemetry_reads_what_is_sent():
    sent = document([WORK])
    assert json.loads(json.dumps(sent)) == sent
    # OTLP writes ids in hex where the JSON of protobuf has base64, and nothing else differs.
    as_protobuf = copy.deepcopy(sent)
    (span,) = as_protobuf["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for name in ("traceId", "spanId", "parentSpanId"):
        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    request = json_format.ParseDict(as_protobuf, ExportTraceServiceRequest())
    (resource,) = request.resource_spans
    assert resource.resource.attributes[0].value.string_value == "dip-worker"
    (read,) = resource.scope_spans[0].spans
    assert (read.trace_id.hex(), read.parent_span_id.hex()) == (TRACE, SPAN)
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (WORK.began, WORK.ended)
    assert read.kind == read.SPAN_KIND_INTERNAL
    assert read.status.code == read.status.STATUS_CODE_ERROR
    values = {each.key: each.value for each in read.attributes}
    assert values["job"].string_value == "c" * 16
    assert values["attempt"].int_value == 2
    assert values["cpu_seconds"].double_value == 0.25


@pytest.mark.parametrize("at_once", [True, False])
def test_spans_arrive_at_the_collector(collector, at_once):
    address, received = collector
    lost = []
    spans = Spans(f"{address}/", lost.append, at_once)
    spans.send([WORK])
    spans.flush()
    if spans.thread is not None:
        wait = threading.Event()
        for _ in range(100):
            if received:
                break
            wait.wait(0.05)
    assert received == [("/v1/traces", "application/json", document([WORK]))]
    assert lost == []


def test_a_collector_that_is_away_is_reported_once_and_delays_no_request():
    lost = []
    spans = Spans("http://127.0.0.1:1", lost.append, at_once=True)
    spans.send([WORK])
    spans.send([WORK])
    assert len(lost) == 1
    assert lost[0].startswith("http://127.0.0.1:1: takes no spans: ")


def test_without_a_collector_no_span_is_even_made():
    def never():
        raise AssertionError
        yield

    spans = Spans("")
    spans.send(never())
    assert not spans
    assert spans.thread is None


def test_a_collector_without_http_is_refused_in_one_sentence():
    with pytest.raises(SettingError, match=r"^TRACE_COLLECTOR: must begin with http:// or https"):
        Spans("localhost:4318")
