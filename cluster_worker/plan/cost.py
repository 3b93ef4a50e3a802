"""How long a plan takes on so many ranks: measured rates, multiplied. Pure.

In a pass over n tiles a rank has m = ⌈n / ranks⌉ of them at most. Its work takes

    m · (tile + pixels of a window · Σ work · rate) · max(1, ranks / cores),

but no less than all windows read and all cores written take at the memory's speed. All ranks meet
between two passes, after each measure, and after each round; a meeting takes ⌈log2 ranks⌉ times
what that of two ranks does. A job adds what it takes to hand it out and hear that it is done, and
more for every rank beside the first: they are told, and heard, one after the other.

The rates are those of one machine (`rates.py`); on another one the estimate is off by the ratio of
the two. Reading and writing files is not stage of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, log2, prod

import numpy as np

from cluster_worker.pixels.tiling import Span, span_count
from cluster_worker.plan.passes import Load, Pass, Plan, middle

# An image is cut over all ranks if that saves so large a share of its time, and so many seconds:
# less is lost where they do not begin at the same moment, or hold up the images behind this one.
WORTH_SHARE = 0.1
WORTH_SECONDS = 0.0005


@dataclass(frozen=True)
class Rates:
    """What was measured on one machine; times in seconds.

    Attributes
    ----------
    source : str
        Where it was measured, and when.
    job, further, tile, meeting : float
        Of handing out a job to one rank, and to a further one, of a tile besides its work, and of
        a meeting of two ranks.
    bytes_per_second : float
        What all cores together read from memory and write to it.
    conversion : float
        For a unit of work of the conversions between operations.
    operations : mapping
        From an operation's name to the seconds for a unit of its work, on whole numbers and on
        floats. Work is what the operation states as its cost, for a pixel of all colours.
    """

    source: str
    job: float
    extra_rank: float
    tile: float
    synchronization: float
    bytes_per_second: float
    conversion: float
    operations: Mapping[str, tuple[float, float]]

    def compute_bound(self) -> "Rates":
        """Give the same without the memory's bound, which is that of all cores together.

        One does not reach it; what the memory takes of one rank is stage of its work.
        """
        return replace(self, bytes_per_second=inf)

    def rate(self, load: Load) -> float:
        """Seconds for a unit of a stage's work."""
        whole, floating = self.operations.get(load.name, (self.conversion, self.conversion))
        return floating if np.dtype(load.input_dtype).kind == "f" else whole


@dataclass(frozen=True)
class Estimate:
    """Seconds of a plan, by what they are spent on."""

    work: float
    synchronization: float
    job: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.work + self.synchronization + self.job


def estimate(planned: Plan, ranks: int, cores: int, rates: Rates) -> Estimate:
    """Estimate what a plan takes.

    Parameters
    ----------
    planned : Plan
        Of any size.
    ranks : int
        That share the image: 1 if it is not worth cutting up.
    cores : int
        That these ranks share.
    rates : Rates
        Of a machine.
    """
    work = sum(work_seconds(planned, each, ranks, cores, rates) for each in planned.passes)
    count = sum(map(planned.synchronizations, range(len(planned.passes))))
    together = count * synchronization_seconds(ranks, rates)
    if planned.alpha:
        alpha = estimate(planned.alpha, ranks, cores, rates)
        work += alpha.work
        together += alpha.synchronization + synchronization_seconds(ranks, rates)
    return Estimate(work, together, rates.job + rates.extra_rank * (ranks - 1))


def is_worth_cutting(alone: float, shared: float) -> bool:
    """Whether all ranks should share an image.

    Parameters
    ----------
    alone, shared : float
        Seconds that it takes one rank, and all of them.
    """
    return alone - shared >= max(WORTH_SHARE * alone, WORTH_SECONDS)


def work_seconds(planned: Plan, each: Pass, ranks: int, cores: int, rates: Rates) -> float:
    """Seconds of one pass without its meetings."""
    count = planned.tile_count(each, ranks)
    spans = each.spans(typical_core(planned, each, ranks))
    times = 1 + (each.stages[0].rounds.expected if each.stages[0].rounds else 0)
    one = rates.tile * times + window_seconds(each, spans, rates)
    work = ceil(count / ranks) * one * max(1.0, ranks / cores)
    return max(work, moved_bytes(planned, each, ranks) / rates.bytes_per_second)


def typical_core(planned: Plan, each: Pass, ranks: int) -> Span:
    """Give a core in the middle, as large as the tiling makes them, where a cell begins."""
    grid = planned.grid_of(each)
    (rows, columns), (height, width) = each.shape, planned.core_of(each, ranks)
    height, width = (
        ceil(rows / span_count(rows, height, grid)),
        ceil(columns / span_count(columns, width, grid)),
    )
    around = middle(each.shape, height, width)
    top, left = around.top // grid * grid, around.left // grid * grid
    return Span(top, top + height, left, left + width)


def window_seconds(each: Pass, spans: list[Span], rates: Rates) -> float:
    """Seconds of the work on one tile, halos included."""
    return sum(
        max(before.pixels, after.pixels) * load.work * rates.rate(load)
        for load, before, after in zip(each.loads, spans[:-1], spans[1:], strict=True)
    )


def moved_bytes(planned: Plan, each: Pass, ranks: int) -> float:
    """Bytes that all tiles of one pass read from memory and write to it."""
    spans = each.spans(typical_core(planned, each, ranks))
    colours = prod(planned.shape[2:])
    read = spans[0].pixels * colours * np.dtype(each.loads[0].input_dtype).itemsize
    written = spans[-1].pixels * prod(each.channels) * np.dtype(each.dtype).itemsize
    return float(planned.tile_count(each, ranks) * (read + written))


def synchronization_seconds(ranks: int, rates: Rates) -> float:
    """Seconds of one meeting."""
    return rates.synchronization * ceil(log2(ranks)) if ranks > 1 else 0.0
