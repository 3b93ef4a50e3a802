"""How far an attempt at a job has come, so that the next one need not begin again. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan


class Checkpoint(NamedTuple):
    """What all ranks have finished; the next attempt goes on from there.

    Attributes
    ----------
    chains : int
        Chains of a recipe that are done; 0 for a plan of one chain.
    passes : int
        Passes of the next chain that are done.
    buffer : int
        Number of the buffer, among all of the plan's, that holds the result of the last of these
        passes; -1 if none is done.
    ranks : int
        How many ranks did these passes: their tiles follow from it.
    """

    chains: int = 0
    passes: int = 0
    buffer: int = -1
    ranks: int = 1


# Called on every rank when all ranks have reached a checkpoint.
Reached = Callable[[Checkpoint], None]
START = Checkpoint()


def ignore(checkpoint: Checkpoint) -> None:
    """Remember no checkpoint."""


class Finished(NamedTuple):
    """What the next attempt needs of the attempts before.

    Attributes
    ----------
    buffers, results, tables : frozenset of int
        Numbers of the plan's buffers, of its results and of its tables.
    """

    buffers: frozenset[int]
    results: frozenset[int]
    tables: frozenset[int]


def finished(planned: Plan | RecipePlan, checkpoint: Checkpoint) -> Finished:
    """Return what must stay as it is, so that an attempt can go on from a checkpoint."""
    buffers = {checkpoint.buffer} if checkpoint.passes else set()
    if isinstance(planned, Plan):
        return Finished(frozenset(buffers), frozenset(), frozenset())
    done = planned.chains[: checkpoint.chains]
    sources = 1 + len(planned.inputs)
    buffers |= {each.surface - sources for each in done if each.surface is not None}
    results = {each.result for each in done if each.result is not None}
    tables = range(sum(bool(each.table) for each in done))
    return Finished(frozenset(buffers), frozenset(results), frozenset(tables))


def tiles_done(planned: Plan | RecipePlan, checkpoint: Checkpoint, ranks: int) -> int:
    """Return how many of the plan's tiles an attempt that begins at a checkpoint need not do."""
    if isinstance(planned, Plan):
        return sum(planned.tiles_of(i, ranks) for i in range(checkpoint.passes))
    before = sum(each.plan.tiles_total(ranks) for each in planned.chains[: checkpoint.chains])
    if not checkpoint.passes:
        return before
    begun = planned.chains[checkpoint.chains].plan
    return before + tiles_done(begun, Checkpoint(passes=checkpoint.passes), ranks)
