"""A node's metrics for Prometheus: what it has done since its start, and what it does now."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cluster_worker.engine.dispatch import Dispatcher
from cluster_worker.engine.engine import Engine
from cluster_worker.node.consumer import Consumer
from cluster_worker.node.tracing import Attempt
from cluster_worker.timings import NOTHING, Spent
from config.contract.settings import SettingError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# Upper bounds of the classes of seconds that an attempt took.
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Figures:
    """Counts the attempts that ended; safe to use from many threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.outcomes: Counter[str] = Counter()
        self.classes: Counter[float] = Counter()
        self.seconds = 0.0
        self.pixels = 0
        self.phases: dict[str, Spent] = {}

    def add(self, attempt: Attempt) -> None:
        """Count one attempt at a job."""
        seconds = 1e-9 * (attempt.ended - attempt.began)
        bound = next((each for each in SECONDS if seconds <= each), float("inf"))
        timings = attempt.timings
        with self.lock:
            self.outcomes[timings.outcome] += 1
            self.classes[bound] += 1
            self.seconds += seconds
            self.pixels += timings.pixels
            for name, spent in timings.spent.items():
                self.phases[name] = self.phases.get(name, NOTHING).plus(spent)


class Gauge(NamedTuple):
    """Something that is measured when Prometheus asks.

    Attributes
    ----------
    name, help : str
        As Prometheus shows them.
    label : str
        What the numbers are told apart by; empty if there is one number only.
    measure : callable
        Returns the numbers by the values of the label.
    """

    name: str
    help: str
    label: str
    measure: Callable[[], Mapping[str, float]]


def gauges(engine: Engine, consumer: Consumer, node: int) -> list[Gauge]:
    """Return what is measured of a node, whose process id is `node`."""
    assert isinstance(engine.dispatcher, Dispatcher)  # noqa: S101 - it is not one of other hosts
    waiting = engine.dispatcher.waiting
    return [
        Gauge(
            "dip_jobs_in_hand", "Jobs taken and not done", "", lambda: {"": len(consumer.in_hand)}
        ),
        Gauge(
            "dip_engine_waiting",
            "Images that wait for ranks of this node",
            "ranks",
            lambda: {"one": len(waiting[False]), "all": len(waiting[True])},
        ),
        Gauge(
            "dip_queue_messages",
            "Messages that wait in the broker, some seconds ago",
            "queue",
            lambda: dict(consumer.depths),
        ),
        Gauge(
            "dip_memory_bytes",
            "Proportional memory of the node's own process and of its ranks",
            "process",
            lambda: memory_bytes({"node": node, **engine.pids()}),
        ),
        Gauge(
            "dip_shared_memory_bytes",
            "Shared memory that images and results take",
            "",
            lambda: {"": engine.segments.taken},
        ),
    ]


class NodeCollector:
    """Tells Prometheus the figures and the gauges of a node."""

    def __init__(self, figures: Figures, gauges: Sequence[Gauge]) -> None:
        self.figures = figures
        self.gauges = gauges

    def collect(self) -> Iterator["Metric"]:
        """Yield all metrics."""
        # Imported here, as most nodes serve none.
        from prometheus_client.core import GaugeMetricFamily

        with self.figures.lock:
            yield from self.counted()
        for each in self.gauges:
            gauge = GaugeMetricFamily(
                each.name, each.help, labels=[each.label] if each.label else []
            )
            for value, number in each.measure().items():
                gauge.add_metric([value] if each.label else [], number)
            yield gauge

    def counted(self) -> list["Metric"]:
        """Return the figures as metrics; called with their lock."""
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        figures, classes, below = self.figures, [], 0
        for bound in (*SECONDS, float("inf")):
            below += figures.classes[bound]
            classes.append(("+Inf" if bound == float("inf") else f"{bound:g}", below))
        seconds = HistogramMetricFamily(
            "dip_attempt_seconds", "Seconds that attempts took", classes, figures.seconds
        )
        attempts = CounterMetricFamily(
            "dip_attempts", "Attempts at jobs that ended", labels=["outcome"]
        )
        for outcome, number in figures.outcomes.items():
            attempts.add_metric([outcome.replace(" ", "_")], number)
        phases = CounterMetricFamily(
            "dip_phase_seconds", "Seconds of jobs by phase", labels=["phase", "clock"]
        )
        for phase, spent in figures.phases.items():
            phases.add_metric([phase, "wall"], spent.seconds)
            phases.add_metric([phase, "processor"], spent.cpu_seconds)
        pixels = CounterMetricFamily("dip_pixels", "Pixels of the images of jobs", figures.pixels)
        return [attempts, seconds, phases, pixels]


def serve(address: str, collector: NodeCollector) -> Any:
    """Serve the metrics at an address, on a thread of its own; return the server.

    Raises
    ------
    SettingError
        If the address is none, or taken.
    """
    from prometheus_client import CollectorRegistry, start_http_server

    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise SettingError(f"METRICS_ADDRESS: must read HOST:PORT, got {address!r}")
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, _ = start_http_server(int(port), host, registry)
    except OSError as error:
        raise SettingError(f"METRICS_ADDRESS: cannot listen at {address}: {error}") from error
    return server


def memory_bytes(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the proportional memory of processes by their names; those that ended are left out."""
    found = {}
    for name, pid in pids.items():
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found[name] = 1024.0 * sum(int(each.split()[1]) for each in lines if "Pss:" in each[:4])
    return found
