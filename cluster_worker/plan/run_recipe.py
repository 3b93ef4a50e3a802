"""Run the chains of a recipe over the tiles of one rank, one chain after the other. Pure."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.surfaces import Array, Sink, Source, Surface
from cluster_worker.plan.bands import Allocate
from cluster_worker.plan.blocks import operation_errors
from cluster_worker.plan.checkpoints import START, Checkpoint, Reached, ignore
from cluster_worker.plan.group import RankGroup, SingleRank, combine_nothing
from cluster_worker.plan.recipe import Columns, PlannedChain, RecipePlan
from cluster_worker.plan.run import Report, measure, run

__all__ = ["Columns", "Outcome", "Surfaces", "run_recipe", "run_recipe_alone"]

Image = NDArray[Any]


class Surfaces(NamedTuple):
    """Where the images of a recipe lie; all ranks use the same.

    Attributes
    ----------
    sources : sequence of Source
        The original, then the inputs.
    scratch : sequence of Surface
        One for each of the plan's buffers.
    results : sequence of Sink
        One for each of the plan's results.
    """

    sources: Sequence[Source]
    scratch: Sequence[Surface]
    results: Sequence[Sink]


def run_recipe(
    plan: RecipePlan,
    surfaces: Surfaces,
    write_table: Callable[[str, Columns], None],
    group: RankGroup,
    report: Report,
    *,
    begin: Checkpoint = START,
    reached: Reached = ignore,
    allocate: Allocate = np.empty,
) -> None:
    """Run every chain of a recipe on this rank's share of the tiles.

    Parameters
    ----------
    plan : RecipePlan
        The plan for these images.
    surfaces : Surfaces
        Where they lie.
    write_table : callable
        ``write_table(name, columns)``; called on the first rank alone.
    group, report, begin, reached, allocate
        As for `run`. All ranks also reach a checkpoint after each chain that is not the last.

    Raises
    ------
    Rejected
        If an operation refuses an image; on every rank of the group.
    """
    left = len(plan.surfaces)
    lying = [*surfaces.sources, *surfaces.scratch[:left]]
    first, stop = left, left
    for number, each in enumerate(plan.chains):
        first, stop = stop, stop + len(each.plan.buffers)
        if number < begin.chains:
            continue
        marks = Marks(number, first, begin if number == begin.chains else START, reached)
        own = surfaces.scratch[first:stop]
        given = lying, own, surfaces.results, write_table, group, report, marks, allocate
        work = partial(run_chain, each, *given)
        if each is plan.chains[-1]:
            work()
        else:
            # The next chain may read what this one leaves, or write where this one reads.
            group.combine(work, combine_nothing)
            for surface in set(each.reads):
                lying[surface].release_cache()
            reached(Checkpoint(chains=number + 1))


class Marks(NamedTuple):
    """The checkpoints of one chain of a recipe.

    Attributes
    ----------
    chain, first : int
        Number of the chain, and of the first buffer of its passes among all of the recipe's.
    recipe_begin : Checkpoint
        Where the recipe begins in this chain.
    recipe_reached : callable
        Called with the checkpoints of the recipe.
    """

    chain: int
    first: int
    recipe_begin: Checkpoint
    recipe_reached: Reached

    @property
    def begin(self) -> Checkpoint:
        """Where this chain begins, in its own numbers."""
        begin = self.recipe_begin
        return begin._replace(chains=0, buffer=begin.buffer - self.first)

    def reached(self, own: Checkpoint) -> None:
        """Call `recipe_reached` with the numbers of the recipe."""
        self.recipe_reached(own._replace(chains=self.chain, buffer=self.first + own.buffer))


def run_chain(
    chain: PlannedChain,
    lying: Sequence[Any],
    scratch: Sequence[Surface],
    results: Sequence[Sink],
    write_table: Callable[[str, Columns], None],
    group: RankGroup,
    report: Report,
    marks: Marks,
    allocate: Allocate,
) -> None:
    """Run one chain; `lying` are the surfaces of the recipe by their numbers."""
    planned, source = chain.plan, lying[chain.source]
    inputs = [lying[each.surface] for each in planned.seconds]
    way: dict[str, Any] = {"begin": marks.begin, "reached": marks.reached, "allocate": allocate}
    if chain.finish is not None:
        found = measure(planned, source, scratch, group, report, inputs, **way)
        if group.rank == 0:
            last = planned.passes[-1]
            with operation_errors(last.stages[0].name):
                columns = chain.finish(found, last.shape)
            write_table(chain.table, columns)
        return
    target = lying[chain.surface] if chain.surface is not None else results[chain.result or 0]
    run(planned, source, scratch, target, group, report, inputs, **way)
    # The next attempt may begin after this chain.
    target.flush()


class Outcome(NamedTuple):
    """The results of a recipe: its images in the order of their numbers, and its tables."""

    images: list[Image]
    tables: dict[str, Columns]


def run_recipe_alone(plan: RecipePlan, source: Image, inputs: Mapping[str, Image]) -> Outcome:
    """Run a recipe on arrays in this process; every world must give the same results.

    Parameters
    ----------
    plan : RecipePlan
        The plan for these images.
    source : ndarray
        The original.
    inputs : mapping
        The other images by their names.

    Raises
    ------
    Rejected
        If an operation refuses an image.
    """
    images = [np.empty(each.result_shape, each.result_dtype) for each in plan.results]
    tables: dict[str, Columns] = {}
    surfaces = Surfaces(
        [Array(source), *(Array(inputs[name]) for name, _ in plan.inputs)],
        [Array(np.empty(each.shape, each.dtype)) for each in plan.buffers],
        [Array(each) for each in images],
    )
    run_recipe(plan, surfaces, tables.__setitem__, SingleRank(), lambda tiles: None)
    return Outcome(images, tables)
