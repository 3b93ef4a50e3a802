"""The spans of an attempt at a job: its wait in the queue, its phases, and what each rank did."""

from collections.abc import Iterator
from dataclasses import dataclass

from cluster_worker.timings import Share, Spent, Timings
from config.contract.job import Job
from config.contract.trace import Link, Span, Value

SERVICE = "worker"
RANKS = "ranks"
# A phase whose ranks are shown below it.
COMPUTE = "compute"


@dataclass(frozen=True)
class Attempt:
    """An attempt at a job that ended; times are nanoseconds since 1970."""

    row: Job
    worker: str
    began: int
    ended: int
    timings: Timings

    def spans(self) -> Iterator[Span]:
        """Yield the spans of the attempt; none if the job has no trace."""
        queued = Link.read(self.row.trace)
        if not queued.trace:
            return
        published = 1_000_000 * self.row.published_at
        if 0 < published < self.began and self.row.attempt == 1:
            link = queued.child()
            yield Span(link, queued.span, "wait in the queue", published, self.began, "broker")
        link, times = queued.child(), (self.began, self.ended)
        attributes: dict[str, Value] = {
            "job": self.row.job,
            "attempt": self.row.attempt,
            "worker": self.worker,
            "outcome": self.timings.outcome,
            "pixels": self.timings.pixels,
        }
        name, failed = "run job", self.timings.outcome == "fault"
        yield Span(link, queued.span, name, *times, SERVICE, "consumer", attributes, failed)
        yield from self.phases(link)

    def phases(self, job: Link) -> Iterator[Span]:
        """Yield the span of each phase, and those of the ranks below the one that computed."""
        for phase in self.timings.phases:
            link, times = job.child(), period(phase.ended, phase.spent)
            cpu: dict[str, Value] = {"cpu_seconds": round(phase.spent.cpu_seconds, 6)}
            yield Span(link, job.span, phase.name, *times, SERVICE, attributes=cpu)
            if phase.name != COMPUTE:
                continue
            for share in self.timings.shares:
                name = f"rank {share.rank}" + (f" on {share.host}" if share.host else "")
                times = period(share.ended, share.spent)
                cpu = {"cpu_seconds": round(share.spent.cpu_seconds, 6)}
                rank = link.child()
                yield Span(rank, link.span, name, *times, RANKS, attributes=cpu)
                yield from passes_of(share, rank, *times)


def passes_of(share: Share, rank: Link, began: int, ended: int) -> Iterator[Span]:
    """Yield the spans of the passes of one rank; none if there was one pass only."""
    if not share.passes:
        return
    begins = began
    for each in share.passes:
        ends = began + round(1e9 * each.seconds)
        yield Span(rank.child(), rank.span, each.name, begins, ends, RANKS)
        begins = ends
    yield Span(rank.child(), rank.span, "last pass", begins, ended, RANKS)


def period(ended: int, spent: Spent) -> tuple[int, int]:
    """Return the begin and the end of a time, in nanoseconds since 1970."""
    return ended - round(1e9 * spent.seconds), ended
