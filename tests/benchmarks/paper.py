"""The cost model extended to worlds of several hosts, which are not measured here."""

import json
from dataclasses import dataclass, replace
from math import ceil, log2, prod

import numpy as np

from cluster_worker.operations import catalogue
from cluster_worker.pixels.header import header_of
from cluster_worker.plan import cost
from cluster_worker.plan.chain import plan
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.request import PlanRequest
from config.contract import recipe
from tests.benchmarks.text import table

RANKS_PER_HOST = 16
SHAPE = (100_000, 100_000, 3)
RANKS = (1, 2, 4, 16, 64, 256)
STEPS = {
    "gaussian σ=2": [{"operation": "gaussian", "sigma": 2.0}],
    "otsu": [{"operation": "threshold_otsu"}],
    "median 5×5": [{"operation": "median", "footprint": "square", "radius": 2}],
}

TEXT = """### On paper: several hosts

One world of several hosts is not built yet. What the model says of it: hosts of {ranks} cores
with a rank on each, in a network of {gigabit:.0f} Gbit/s and {latency:.0f} µs, and an image of
{rows} × {columns} RGB pixels ({gibibytes:.0f} GiB) in a store that gives each host its share at the
speed of the host's link:

    seconds  = work + synchronization + transfer
    work     = ⌈tiles / ranks⌉ · (tile + pixels of a window · Σ work · rate)
    synchronization = count · (⌈log2 ranks on a host⌉ · pair + ⌈log2 hosts⌉ · 2 · latency)
    transfer = (source + result) / (hosts · link) + rows of the halos / link

with {tile:.0f} µs for a tile, {pair:.0f} µs (`pair`) to synchronize two ranks, and the rates of the
operations ({source}). Transfer is not hidden behind work here, as it could be; what it takes to
tell the ranks of a job is left out.
"""


@dataclass(frozen=True)
class Network:
    """The network between hosts: bytes per second of a host's link, and latency in seconds."""

    bytes_per_second: float
    latency: float


# 25 gigabits a second and 50 µs, as hosts of 16 cores in one data centre have them.
NETWORK = Network(25e9 / 8, 50e-6)


@dataclass(frozen=True)
class Spread:
    """Seconds of a plan over several hosts, by what takes them."""

    work: float
    synchronization: float
    transfer: float

    @property
    def seconds(self):
        return self.work + self.synchronization + self.transfer


def spread(planned, ranks, rates, network, ranks_per_host=RANKS_PER_HOST):
    """Estimate a plan on a number of ranks, on hosts that have a core for each rank.

    Every host reads its share of the source from the store and writes back its share of the result,
    at the speed of its own link. Between passes it sends the rows that its neighbours' halos read.
    """
    hosts = ceil(ranks / ranks_per_host)
    here = min(ranks, ranks_per_host)
    # Each host adds the bandwidth of its own memory.
    together = replace(rates, bytes_per_second=rates.bytes_per_second * hosts)
    one = cost.estimate(planned, ranks, ranks, together)
    count = sum(map(planned.synchronizations, range(len(planned.passes))))
    across = count * ceil(log2(hosts)) * 2 * network.latency if hosts > 1 else 0.0
    near = count * cost.synchronization_seconds(here, rates)
    moved = size(planned.shape, planned.dtype) + size(planned.result_shape, planned.result_dtype)
    halos = sum(
        2 * each.halo * each.shapes[0][1] * prod(planned.shape[2:]) * planned.float_bytes
        for each in planned.passes
    )
    transfer = moved / hosts / network.bytes_per_second
    if hosts > 1:
        transfer += halos / network.bytes_per_second
    return Spread(one.work, near + across, transfer)


def size(shape, dtype):
    """Return the bytes of an image."""
    return prod(shape) * np.dtype(dtype).itemsize


def section():
    """Return the text of the page's section."""
    lines = [
        TEXT.format(
            ranks=RANKS_PER_HOST,
            gigabit=8e-9 * NETWORK.bytes_per_second,
            latency=1e6 * NETWORK.latency,
            rows=SHAPE[0],
            columns=SHAPE[1],
            gibibytes=prod(SHAPE) / 2**30,
            tile=1e6 * MEASURED.tile,
            pair=1e6 * MEASURED.synchronization,
            source=MEASURED.source,
        )
    ]
    for name, steps in STEPS.items():
        checked = json.dumps(recipe.check(steps, catalogue(), 1))
        planned = plan(PlanRequest(header_of(SHAPE, "uint8"), checked))
        alone = spread(planned, 1, MEASURED, NETWORK).seconds
        cells = []
        for ranks in RANKS:
            found = spread(planned, ranks, MEASURED, NETWORK)
            share = alone / found.seconds
            cells.append(
                [
                    str(ranks),
                    str(ceil(ranks / RANKS_PER_HOST)),
                    f"{found.work:.2f}",
                    f"{1000 * found.synchronization:.1f}",
                    f"{found.transfer:.2f}",
                    f"{found.seconds:.2f}",
                    f"{share:.1f}",
                    f"{100 * share / ranks:.0f} %",
                ]
            )
        heads = ["ranks", "hosts", "work, s", "synchronization, ms", "transfer, s", "in all, s"]
        lines.append(f"{name}:\n")
        lines.append(table([*heads, "times one rank", "of ideal"], cells))
    return "\n".join(lines)
