"""The trace of an image, from the page to the ranks, as the viewer shows it."""

import re
from urllib.request import urlopen

import pytest

from tests.app import pictures
from tests.site.pages import add_filter, choose, process, succeeds, until

pytestmark = pytest.mark.slow

EXPECTED = [
    "send file",
    "check upload",
    "queue job",
    "publish message",
    "run job",
    "decode",
    "compute",
    "rank 0",
    "encode",
]


def read(url):
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - the viewer's own address
        return answer.read().decode()


def test_one_trace_leads_from_the_page_to_the_rank(page, warm_app):
    sent = []
    page.on(
        "request",
        lambda request: sent.append(request.headers) if "/uploaded" in request.url else None,
    )
    choose(page, ("traced.png", "image/png", pictures.png(pictures.small(5))))
    add_filter(page, "Inversion")
    process(page)
    succeeds(page, "traced.png")
    trace = sent[0]["traceparent"].split("-")[1]
    address = f"{warm_app.traces_url}/{trace}"

    def is_shown():
        return trace in read(warm_app.traces_url) and "rank 0" in read(address)

    until(page, is_shown, "the spans of the worker arrived")
    shown = read(address)
    missing = [name for name in EXPECTED if f">{name} <small>" not in shown]
    assert missing == []
    assert re.search(r">POST /batches/\{batch\}/jobs/\{job\}/uploaded <small>dip-api", shown)
    # The same id is in the logs of API and worker.
    for part in ("api", "worker"):
        assert trace in (warm_app.folder / f"{part}.log").read_text()
