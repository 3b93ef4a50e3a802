"""The spans and the metrics of jobs on a worker: a real world, an S3 and a DynamoDB."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster_worker.node.consumer import Verdict
from cluster_worker.node.metrics import Figures, NodeCollector, gauges, serve
from config.contract import resources
from config.contract.settings import SettingError
from config.contract.trace import Link
from infra.local.ports import free_ports
from tests.cluster_worker.node.runner_jobs import SIXTEEN_BITS, put

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

QUEUED = Link("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
def ended(runner, monkeypatch):
    """Collect the attempts that ended."""
    attempts = []
    monkeypatch.setattr(runner, "on_ended", attempts.append)
    return attempts


def test_a_job_s_spans_reach_from_its_queue_to_each_rank(runner, s3, ended, capfd):
    trace = QUEUED.traceparent
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "gaussian"}], trace=trace)
    assert runner.run(message) is Verdict.DONE
    spans = list(ended[0].spans())
    names = [each.name for each in spans]
    job, compute = spans[names.index("run job")], spans[names.index("compute")]
    assert (job.parent, job.link.trace) == (QUEUED.span, QUEUED.trace)
    assert job.attributes["outcome"] == "succeeded"
    assert {"table", "s3", "decode", "compute", "encode", "rank 0"} <= set(names)
    assert {each.parent for each in spans if each.service == "worker"} - {QUEUED.span} == {
        job.link.span
    }
    (rank,) = (each for each in spans if each.service == "ranks")
    assert rank.parent == compute.link.span
    assert job.began <= compute.began <= rank.ended <= compute.ended <= job.ended
    assert rank.attributes["cpu_seconds"] > 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line[0] == "{"]
    (settled,) = (line for line in lines if line["event"] == "message settled")
    assert settled["trace"] == QUEUED.trace
    assert not any(message.batch in repr(each) for each in spans)


def test_the_passes_of_a_rank_are_shown_one_after_the_other(runner, s3, ended):
    steps = [{"operation": "gaussian"}, {"operation": "threshold_otsu"}, {"operation": "label"}]
    runner.run(put(runner, s3, SIXTEEN_BITS, steps, trace=QUEUED.traceparent))
    rank, *passes = (each for each in ended[0].spans() if each.service == "ranks")
    assert rank.name == "rank 0"
    assert passes[0].name == "pass 1: to_float, gaussian"
    assert passes[-1].name == "last pass"
    assert {each.parent for each in passes} == {rank.link.span}
    begins = [each.began for each in passes]
    ends = [each.ended for each in passes]
    assert begins == [rank.began, *ends[:-1]]
    assert ends[-1] == rank.ended
    assert begins == sorted(begins)


def test_a_wait_in_the_queue_is_shown_of_the_first_attempt(runner, s3, ended):
    trace = QUEUED.traceparent
    runner.run(put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}], trace=trace))
    published = ended[0].began // 1_000_000 - 250
    first = replace(ended[0], row=replace(ended[0].row, published_at=published))
    again = replace(first, row=replace(first.row, attempt=2))
    waits = [each for each in first.spans() if each.name == "wait in the queue"]
    assert [(each.began, each.ended) for each in waits] == [(1_000_000 * published, first.began)]
    assert "wait in the queue" not in {each.name for each in again.spans()}


def test_a_job_without_a_trace_has_no_spans(runner, s3, ended):
    runner.run(put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}]))
    assert list(ended[0].spans()) == []


def test_prometheus_reads_what_became_of_jobs_and_what_the_node_holds(runner, s3, ended):
    runner.run(put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}]))
    changed = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    key = resources.upload_key(changed.batch, changed.job)
    s3.put_object(Bucket=runner.settings.uploads_bucket, Key=key, Body=b"another file")
    runner.run(changed)
    figures = Figures()
    for each in ended:
        figures.add(each)
    consumer = SimpleNamespace(in_hand={"message": "delivery"}, depths={"dip-jobs": 7})
    (port,) = free_ports(1)
    collector = NodeCollector(figures, gauges(runner.engine, consumer, os.getpid()))
    server = serve(f"127.0.0.1:{port}", collector)
    try:
        found = read_metrics(f"127.0.0.1:{port}")
    finally:
        server.shutdown()
        server.server_close()
    assert found["dip_attempts_total", "succeeded"] == 1
    assert found["dip_attempts_total", "failed"] == 1
    assert found["dip_attempt_seconds_count",] == found["dip_attempt_seconds_bucket", "+Inf"] == 2
    assert found["dip_pixels_total",] == SIXTEEN_BITS.size
    assert found["dip_phase_seconds_total", "processor", "compute"] > 0
    assert found["dip_jobs_in_hand",] == 1
    assert found["dip_queue_messages", "dip-jobs"] == 7
    assert found["dip_engine_waiting", "one"] == 0
    assert found["dip_memory_bytes", "node"] > 10_000_000
    assert found["dip_memory_bytes", "seat 0"] > 1_000_000


def read_metrics(address):
    """Ask for metrics as Prometheus does; return numbers by name and values of labels."""
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("address", ["9400", "localhost:", "localhost:http"])
def test_an_address_of_metrics_that_is_none_is_refused_in_one_sentence(address):
    with pytest.raises(SettingError, match=r"^METRICS_ADDRESS: must read HOST:PORT, got"):
        serve(address, NodeCollector(Figures(), []))
