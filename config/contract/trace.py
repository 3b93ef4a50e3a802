"""Traces: one id for a job from the page to the ranks, as W3C's Trace Context writes it.

A request, a job's row and its messages carry a *traceparent*: the id of the trace, and that of the
span that further spans of the job belong to. It is passed on whether or not spans are recorded.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, span, flags.
TRACEPARENT = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float


class Link(NamedTuple):
    """A span of a trace, by their ids in lower-case hex; both are empty if there is none."""

    trace: str = ""
    span: str = ""

    @classmethod
    def read(cls, traceparent: str) -> "Link":
        """Read a traceparent; one that is none, or of zeros, gives an empty link."""
        found = TRACEPARENT.fullmatch(traceparent)
        if found is None or not int(found["trace"], 16) or not int(found["span"], 16):
            return cls()
        return cls(found["trace"], found["span"])

    @property
    def traceparent(self) -> str:
        """The link as text; empty for an empty link."""
        return f"00-{self.trace}-{self.span}-01" if self.trace else ""

    def child(self) -> "Link":
        """Return a new span of the same trace; of a new trace if this link is empty."""
        return Link(self.trace or secrets.token_hex(16), secrets.token_hex(8))


@dataclass(frozen=True)
class Span:
    """Work that is done, and belongs to a trace.

    Attributes
    ----------
    link : Link
        The ids of the span.
    parent : str
        Id of the span that it is part of; empty for the first one of a trace.
    name : str
        What was done.
    began, ended : int
        Nanoseconds since 1970.
    service : str
        The part of the app that did it.
    kind : str
        As OpenTelemetry has it.
    attributes : mapping
        What is known of it; never the id of a batch, which gives access to the batch.
    failed : bool
        Whether it failed.
    """

    link: Link
    parent: str
    name: str
    began: int
    ended: int
    service: str
    kind: Kind = "internal"
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failed: bool = False
