"""The viewer of traces: a small collector of OTLP that shows the spans of each job as a page.

Run as ``python -m infra.local.traces --port PORT``. It keeps the newest traces in memory only. Real
installations send spans to a collector of their own; `make run TRACE=1` sends them here.
"""

import argparse
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from aiohttp import web

from infra.headers import HEADERS
from infra.local.ports import HOST

TRACES_MAX = 200
SPANS_MAX = 2000
BODY_BYTES_MAX = 4 * 1024 * 1024
# Nothing of the page is loaded from elsewhere, and it has no scripts.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

COLOURS = {
    "dip-page": "#7c5cbf",
    "dip-api": "#2f6fb5",
    "dip-broker": "#98712a",
    "dip-worker": "#23804a",
    "dip-ranks": "#b5472f",
}
OTHER_COLOUR = "#666"

STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 24px; color: #1c2024; background: #fff }
h1 { font-size: 18px; margin: 0 0 4px } p { margin: 0 0 16px; color: #5a6169 }
table { border-collapse: collapse; width: 100% } td, th { padding: 2px 8px; text-align: left }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td.bar { width: 55%; position: relative } tr:nth-child(even) { background: #f5f6f7 }
td.bar i { position: absolute; top: 6px; height: 14px; min-width: 2px; border-radius: 2px }
small { color: #5a6169 } .failed { color: #b3261e } a { color: #2457a6 }
"""


@dataclass(frozen=True)
class Received:
    """A span as it came; times are nanoseconds since 1970."""

    span: str
    parent: str
    name: str
    service: str
    began: int
    ended: int
    attributes: Mapping[str, str]
    failed: bool


class Traces:
    """The newest traces, by their ids; the one that changed last comes last."""

    def __init__(self) -> None:
        self.spans: OrderedDict[str, dict[str, Received]] = OrderedDict()

    def add(self, document: Mapping[str, Any]) -> None:
        """Keep the spans of an ``ExportTraceServiceRequest`` in JSON.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none.
        """
        for trace, span in read_spans(document):
            found = self.spans.setdefault(trace, {})
            if len(found) < SPANS_MAX:
                found[span.span] = span
            self.spans.move_to_end(trace)
        while len(self.spans) > TRACES_MAX:
            self.spans.popitem(last=False)

    def tree(self, trace: str) -> list[tuple[int, Received]]:
        """Return the spans of a trace with their depths, each below its parent, by time."""
        spans = self.spans[trace]
        below: dict[str, list[Received]] = {}
        for each in sorted(spans.values(), key=lambda each: (each.began, -each.ended)):
            # The parent of the first span may be a program that sends its spans elsewhere.
            below.setdefault(each.parent if each.parent in spans else "", []).append(each)
        listed: list[tuple[int, Received]] = []
        waiting = [(0, each) for each in reversed(below.get("", []))]
        while waiting:
            depth, span = waiting.pop()
            listed.append((depth, span))
            # Spans that name each other as parents are listed nowhere.
            waiting += [(depth + 1, each) for each in reversed(below.pop(span.span, []))]
        return listed


def read_spans(document: Mapping[str, Any]) -> Iterator[tuple[str, Received]]:
    """Yield the spans of a request, with the ids of their traces."""
    for resource in document["resourceSpans"]:
        known = texts(resource["resource"]["attributes"])
        for scope in resource["scopeSpans"]:
            for each in scope["spans"]:
                yield (
                    str(each["traceId"]),
                    Received(
                        span=str(each["spanId"]),
                        parent=str(each.get("parentSpanId", "")),
                        name=str(each["name"]),
                        service=known.get("service.name", ""),
                        began=int(each["startTimeUnixNano"]),
                        ended=int(each["endTimeUnixNano"]),
                        attributes=texts(each.get("attributes", [])),
                        failed=each.get("status", {}).get("code") == 2,
                    ),
                )


def texts(attributes: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return attributes as names and texts."""
    return {each["key"]: str(*each["value"].values()) for each in attributes}


def page(title: str, body: str) -> web.Response:
    """Build a page."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
    headers = {**HEADERS, "Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


def list_page(traces: Traces) -> web.Response:
    """Build the list of all traces, the newest first."""
    lines = []
    for trace in reversed(traces.spans):
        spans = traces.spans[trace].values()
        began, ended = min(each.began for each in spans), max(each.ended for each in spans)
        job = next((job for each in spans if (job := each.attributes.get("job"))), "")
        when = time.strftime("%H:%M:%S", time.localtime(began / 1e9))
        lines.append(
            f'<tr><td>{when}<td><a href="/{escape(trace)}">{escape(trace)}</a>'
            f"<td>{escape(job)}<td>{len(spans)}"
            f'<td class="number">{milliseconds(ended - began)}'
        )
    head = "<tr><th>Began<th>Trace<th>Job<th>Spans<th>Took"
    none = "<p>None yet: process an image, then load this page again."
    return page("Traces", f"<table>{head}{''.join(lines)}</table>" if lines else none)


def trace_page(traces: Traces, trace: str) -> web.Response:
    """Build the page of one trace: a bar for each span, below that of its parent."""
    tree = traces.tree(trace)
    began = min((span.began for _, span in tree), default=0)
    length = max(1, max((span.ended for _, span in tree), default=0) - began)
    lines = []
    for depth, span in tree:
        left, width = (
            100 * each / length for each in (span.began - began, span.ended - span.began)
        )
        known = " ".join(f"{name}={value}" for name, value in span.attributes.items())
        lines.append(
            f'<tr><td style="padding-left: {8 + 18 * depth}px"'
            f"{' class=failed' if span.failed else ''}>{escape(span.name)} "
            f"<small>{escape(span.service)}</small>"
            f'<td class="number">{milliseconds(span.ended - span.began)}'
            f'<td class="bar"><i title="{escape(known)}" style="left: {left:.3f}%; '
            f'width: {width:.3f}%; background: {COLOURS.get(span.service, OTHER_COLOUR)}"></i>'
        )
    head = "<tr><th>Span<th>Took<th>When"
    about = f'<p>{len(tree)} spans in {milliseconds(length)}. <a href="/">All traces</a>'
    return page(f"Trace {trace}", f"{about}<table>{head}{''.join(lines)}</table>")


def milliseconds(nanoseconds: int) -> str:
    """Return a time for people."""
    return f"{nanoseconds / 1e6:,.1f} ms"


def application() -> web.Application:
    """Build the aiohttp application."""
    traces = Traces()

    async def receive(request: web.Request) -> web.Response:
        try:
            traces.add(await request.json())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return web.json_response({"message": f"no spans: {error!r}"}, status=400)
        return web.json_response({})

    async def show_list(_: web.Request) -> web.Response:
        return list_page(traces)

    async def show_trace(request: web.Request) -> web.Response:
        trace = request.match_info["trace"]
        if trace not in traces.spans:
            raise web.HTTPNotFound(text="no such trace; the newest ones are listed at /")
        return trace_page(traces, trace)

    found = web.Application(client_max_size=BODY_BYTES_MAX)
    found.router.add_post("/v1/traces", receive)
    found.router.add_get("/", show_list)
    found.router.add_get("/{trace:[0-9a-f]{32}}", show_trace)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    web.run_app(
        application(),
        host=HOST,
        port=parser.parse_args().port,
        access_log=None,
        print=None,
        shutdown_timeout=0.5,
    )
