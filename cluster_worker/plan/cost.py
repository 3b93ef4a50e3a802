"""Estimate how long a plan takes on a number of ranks, from measured rates. Pure.

In a pass over n tiles a rank has at most m = ⌈n / ranks⌉ tiles. Its work takes

    (m · (tile + pixels of a window · Σ work · rate) + Σ once · rate) · max(1, ranks / cores)

seconds, but at least the time to read all windows and write all cores at the speed of the memory.

All ranks synchronize between two passes, after each measure, and after each round. This takes
⌈log2 ranks⌉ times as long as for two ranks.

A job has an overhead: the dispatcher sends the task and receives the answer. It does so for one
rank after the other, so each rank beyond the first adds to the overhead.

The rates are those of one machine (`rates.py`); on another machine the estimate is wrong by the
ratio of their speeds. The time to read and write files is not included.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, inf, log2, prod
from statistics import median

import numpy as np

from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.declare import Stage
from cluster_worker.pixels.tiling import Span, span_count
from cluster_worker.plan.passes import Load, Pass, Plan, middle
from cluster_worker.plan.recipe import RecipePlan

# An image is cut over all ranks if that saves at least this share of its time, and at least this
# many seconds. A smaller gain is lost again: the ranks do not start at the same moment, and the
# next images wait for all of them.
WORTH_SHARE = 0.1
WORTH_SECONDS = 0.0005


@dataclass(frozen=True)
class Rates:
    """Speeds measured on one machine; times in seconds.

    Attributes
    ----------
    source : str
        Where and when they were measured.
    job : float
        Overhead of a job on one rank.
    extra_rank : float
        Overhead of each rank beyond the first.
    tile : float
        Overhead of a tile.
    synchronization : float
        Time to synchronize two ranks.
    bytes_per_second : float
        Bytes that all cores together read from memory and write to it.
    conversion : float
        Time per unit of work, for conversions between operations.
    operations : mapping
        From the name of an operation to its time per unit of work, on integers and on floats. One
        pixel with all its channels is `Load.work` units.
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
        """Return the same rates without the limit by the memory's speed.

        The limit holds for all cores together. One rank alone does not reach it; its own memory
        accesses are part of its measured work.
        """
        return replace(self, bytes_per_second=inf)

    @cached_property
    def typical(self) -> tuple[float, float]:
        """Median of the operations' rates, on integers and on floats.

        Holds for an operation that has not been measured yet.
        """
        if not self.operations:
            return self.conversion, self.conversion
        whole, floating = zip(*self.operations.values(), strict=True)
        return median(whole), median(floating)

    def rate(self, load: Load) -> float:
        """Return the seconds per unit of a stage's work."""
        default = self.typical if load.name in OPERATIONS else (self.conversion, self.conversion)
        whole, floating = self.operations.get(load.name, default)
        return floating if np.dtype(load.input_dtype).kind == "f" else whole


@dataclass(frozen=True)
class Estimate:
    """Seconds that a plan takes: for its work, to synchronize ranks, and as the job's overhead."""

    work: float
    synchronization: float
    job: float

    @property
    def seconds(self) -> float:
        """The sum."""
        return self.work + self.synchronization + self.job


def estimate(planned: Plan | RecipePlan, ranks: int, cores: int, rates: Rates) -> Estimate:
    """Estimate how long a plan takes.

    Parameters
    ----------
    planned : Plan or RecipePlan
        The plan of one image.
    ranks : int
        Number of ranks that share the image: 1 if it is not cut.
    cores : int
        Number of cores that these ranks share.
    rates : Rates
        Speeds of the machine.
    """
    if isinstance(planned, RecipePlan):
        return estimate_recipe(planned, ranks, cores, rates)
    work = sum(work_seconds(planned, each, ranks, cores, rates) for each in planned.passes)
    count = sum(map(planned.synchronizations, range(len(planned.passes))))
    synchronization = count * synchronization_seconds(ranks, rates)
    for each in planned.alphas:
        alpha = estimate(each, ranks, cores, rates)
        work += alpha.work
        synchronization += alpha.synchronization + synchronization_seconds(ranks, rates)
    return Estimate(work, synchronization, rates.job + rates.extra_rank * (ranks - 1))


def estimate_recipe(planned: RecipePlan, ranks: int, cores: int, rates: Rates) -> Estimate:
    """Estimate how long the chains of a recipe take, one after the other."""
    chains = [estimate(each.plan, ranks, cores, rates) for each in planned.chains]
    meetings = (len(chains) - 1) * synchronization_seconds(ranks, rates)
    synchronization = meetings + sum(each.synchronization for each in chains)
    return Estimate(sum(each.work for each in chains), synchronization, chains[0].job)


def costliest(planned: Plan | RecipePlan, ranks: int, cores: int, rates: Rates) -> str:
    """Return the name of the operation that takes most of a plan's time."""
    if isinstance(planned, RecipePlan):
        chain = max(planned.chains, key=lambda each: estimate(each.plan, ranks, cores, rates).work)
        return costliest(chain.plan, ranks, cores, rates)
    slowest = max(planned.passes, key=lambda each: work_seconds(planned, each, ranks, cores, rates))
    return max(slowest.loads, key=lambda load: load.work * rates.rate(load)).name


def is_worth_cutting(alone: float, shared: float) -> bool:
    """Return whether all ranks should share an image.

    Parameters
    ----------
    alone, shared : float
        Seconds that the image takes on one rank, and on all ranks.
    """
    return alone - shared >= max(WORTH_SHARE * alone, WORTH_SECONDS)


def work_seconds(planned: Plan, each: Pass, ranks: int, cores: int, rates: Rates) -> float:
    """Return the seconds of one pass without synchronization."""
    count = planned.tile_count(each, ranks)
    spans = each.spans(typical_core(planned, each, ranks))
    times = 1 + (each.stages[0].rounds.expected if each.stages[0].rounds else 0)
    tile_seconds = rates.tile * times + window_seconds(each, spans, rates)
    once = sum(load.once * rates.rate(load) for load in each.loads)
    work = (ceil(count / ranks) * tile_seconds + once) * max(1.0, ranks / cores)
    return max(work, moved_bytes(planned, each, ranks) / rates.bytes_per_second)


def typical_core(planned: Plan, each: Pass, ranks: int) -> Span:
    """Return a core of the usual size near the middle of the image, on the grid of the pass."""
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
    """Return the seconds of the work on one tile, halos included."""
    return sum(
        counted_pixels(stage, before, after) * load.work * rates.rate(load)
        for stage, load, before, after in zip(
            each.stages, each.loads, spans[:-1], spans[1:], strict=True
        )
    )


def counted_pixels(stage: Stage, before: Span, after: Span) -> int:
    """Return the pixels that make the work of a stage, from its spans of the image and result."""
    if stage.geometry is not None and stage.geometry.counts_result:
        return after.pixels
    return max(before.pixels, after.pixels)


def moved_bytes(planned: Plan, each: Pass, ranks: int) -> float:
    """Return the bytes that all tiles of one pass read from memory and write to it."""
    spans = each.spans(typical_core(planned, each, ranks))
    colours = prod(planned.shape[2:])
    read = spans[0].pixels * colours * np.dtype(each.loads[0].input_dtype).itemsize
    written = spans[-1].pixels * prod(each.channels) * np.dtype(each.dtype).itemsize
    return float(planned.tile_count(each, ranks) * (read + written))


def synchronization_seconds(ranks: int, rates: Rates) -> float:
    """Return the seconds to synchronize all ranks once."""
    return rates.synchronization * ceil(log2(ranks)) if ranks > 1 else 0.0
