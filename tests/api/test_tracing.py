"""The trace of a request reaches the job's row, its message, the logs and the collector."""

import json
from dataclasses import replace

import pytest
from chalicelib import log
from chalicelib import services as services_module
from chalicelib.tracing import sent_ms

from config.contract.otlp import Spans
from config.contract.trace import Link

GIVEN = Link("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


class Recorder(Spans):
    """Keeps spans instead of sending them."""

    def __init__(self):
        super().__init__("http://127.0.0.1:1")
        self.kept = []

    def send(self, spans):
        self.kept += spans


@pytest.fixture
def recorded(api, monkeypatch):
    recorder = Recorder()
    recording = replace(api.services, spans=recorder)
    monkeypatch.setattr(services_module, "_made_once", lambda: recording)
    return recorder.kept


def arrived(api, **headers):
    batch, (job,) = api.batch()
    api.arrive(batch, job)
    status, _ = api.post(f"/batches/{batch}/jobs/{job}/uploaded", **headers)
    assert status == 202
    return batch, job


def test_without_a_collector_a_job_keeps_the_trace_that_its_client_gave(api, queues, caplog):
    batch, job = arrived(api, traceparent=GIVEN.traceparent)
    assert api.row(batch, job).trace == GIVEN.traceparent
    assert [each.trace for each in queues.take()] == [GIVEN.traceparent]
    lines = [json.loads(log.JsonLines().format(record)) for record in caplog.records]
    traced = {line["event"] for line in lines if line.get("trace") == GIVEN.trace}
    assert traced == {"queued", "request"}
    assert not any(batch in json.dumps(line) for line in lines)


def test_without_a_trace_nothing_is_written(api, queues):
    batch, job = arrived(api)
    assert api.row(batch, job).trace == ""
    assert [each.trace for each in queues.take()] == [""]


def test_the_spans_of_a_request_are_those_of_page_request_and_steps(api, recorded, queues):
    baggage = "other=1, dip-sent-ms=1500"
    batch, job = arrived(api, traceparent=GIVEN.traceparent, baggage=baggage)
    page, request, *steps = recorded
    assert (page.link, page.service, page.name) == (GIVEN, "page", "send file")
    assert page.ended - page.began == 1_500_000_000
    assert (request.parent, request.link.trace) == (GIVEN.span, GIVEN.trace)
    assert request.name == "POST /batches/{batch}/jobs/{job}/uploaded"
    assert [each.name for each in steps] == ["check upload", "queue job", "publish message"]
    assert {each.parent for each in steps} == {request.link.span}
    assert api.row(batch, job).trace == request.link.traceparent
    assert not any(batch in repr(each) for each in recorded)


def test_a_client_without_a_trace_gets_one_for_each_job_and_none_for_its_questions(api, recorded):
    batch, job = arrived(api)
    first = api.row(batch, job)
    arrived(api)
    api.get(f"/batches/{batch}")
    traces = [each.link.trace for each in recorded if each.kind == "server"]
    assert len(set(traces)) == len(traces) == 2
    assert Link.read(first.trace).trace == traces[0]


def test_a_job_that_is_done_again_by_the_sweep_stays_in_its_trace(api, queues):
    batch, job = arrived(api, traceparent=GIVEN.traceparent)
    queues.take()
    api.end(batch, job, "failed", cause="broken")
    assert api.post(f"/batches/{batch}/retry")[0] == 202
    api.sweep()
    assert api.row(batch, job).trace == GIVEN.traceparent


@pytest.mark.parametrize(
    ("baggage", "expected"),
    [
        ("", None),
        ("dip-sent-ms=12", 12),
        ("a=b,dip-sent-ms=99999999999999999999", 3_600_000),
        ("dip-sent-ms=-5", None),
        ("dip-sent-ms=1e9", None),
    ],
)
def test_a_time_that_the_page_says_is_believed_within_bounds(baggage, expected):
    assert sent_ms({"baggage": baggage}) == expected
