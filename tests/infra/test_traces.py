"""The viewer of traces: what it receives, and what it shows."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from aiohttp.test_utils import TestClient, TestServer

from config.contract.otlp import document
from config.contract.trace import Link, Span
from infra.local.traces import TRACES_MAX, Traces, application

ROOT = Link("a" * 32, "1" * 16)
JOB, RANK = Link("a" * 32, "2" * 16), Link("a" * 32, "3" * 16)
SPANS = [
    Span(RANK, JOB.span, "rank 0 <b>", 4_000_000, 9_000_000, "ranks"),
    Span(JOB, ROOT.span, "run job", 3_000_000, 9_500_000, "worker", attributes={"job": "j1"}),
    Span(ROOT, "f" * 16, "send file", 1_000_000, 2_000_000, "page"),
]


def ask(*requests):
    """Send requests to the viewer; return statuses and texts."""

    async def send():
        async with TestClient(TestServer(application())) as client:
            found = []
            for method, path, body in requests:
                async with client.request(method, path, json=body) as answer:
                    found.append((answer.status, await answer.text()))
            return found

    # A test of the page may have left its loop running on this thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, send()).result(30)


def test_a_job_s_spans_are_shown_as_a_tree_below_their_parents():
    traces = Traces()
    traces.add(document(SPANS))
    tree = [(depth, span.name) for depth, span in traces.tree(ROOT.trace)]
    # The page's own parent was sent elsewhere, so that its span is the first.
    assert tree == [(0, "send file"), (1, "run job"), (2, "rank 0 <b>")]


def test_the_pages_list_and_show_what_was_sent():
    sent, listed, shown, missing = ask(
        ("POST", "/v1/traces", document(SPANS)),
        ("GET", "/", None),
        ("GET", f"/{ROOT.trace}", None),
        ("GET", f"/{'b' * 32}", None),
    )
    assert sent == (200, "{}")
    assert listed[0] == 200
    assert f'href="/{ROOT.trace}"' in listed[1]
    assert "j1" in listed[1]
    assert "3 spans in 8.5 ms" in shown[1]
    assert "rank 0 &lt;b&gt;" in shown[1]
    assert missing[0] == 404


def test_what_are_no_spans_is_refused():
    wrong = [[], {"resourceSpans": 3}, {"resourceSpans": [{}]}, {"spans": []}]
    assert {status for status, _ in ask(*(("POST", "/v1/traces", each) for each in wrong))} == {400}


def test_spans_that_name_each_other_as_parents_end_no_page():
    a, b = Link("c" * 32, "1" * 16), Link("c" * 32, "2" * 16)
    circle = [Span(a, b.span, "a", 1, 2, "x"), Span(b, a.span, "b", 1, 2, "x")]
    traces = Traces()
    traces.add(document(circle))
    assert traces.tree(a.trace) == []
    status, _ = ask(("POST", "/v1/traces", document(circle)), ("GET", f"/{a.trace}", None))[1]
    assert status == 200


def test_only_the_newest_traces_are_kept():
    traces = Traces()
    for number in range(TRACES_MAX + 5):
        traces.add(document([Span(Link(f"{number:032x}", "1" * 16), "", "a", 1, 2, "x")]))
    assert len(traces.spans) == TRACES_MAX
    assert f"{4:032x}" not in traces.spans
