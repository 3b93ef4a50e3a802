"""Run a plan's passes over the tiles of one rank. Pure but for the images that it fills.

The same code runs a small image on one rank and a large one on all, in memory or from file to
file: only the group and the surfaces differ.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Measure, Rounds, Stage, context_of
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.surfaces import Array, Plane, Sink, Source, Surface, read
from cluster_worker.pixels.tiling import Place, Span, rank_share
from cluster_worker.plan.blocks import measure_block, operation_errors, run_stage
from cluster_worker.plan.passes import Pass, Plan

Image = NDArray[Any]
Report = Callable[[int], None]


class RankGroup(Protocol):
    """The ranks that work on one image together."""

    rank: int
    size: int

    def combine(self, work: Callable[[], Any], combine: Callable[[Any, Any], Any]) -> Any:
        """Do this rank's work and give every rank the combined value.

        A rank without work gives None, which is left out. If the work of one raises, all raise.
        """


class SingleRank:
    """A group of one."""

    rank = 0
    size = 1

    def combine(self, work: Callable[[], Any], _: Callable[[Any, Any], Any]) -> Any:
        """Do the work; there is nothing to combine it with."""
        return work()

    def raise_on_others(self, error: Exception) -> None:
        """Do nothing: there is nobody to tell."""


def nothing(a: None, b: None) -> None:
    """Combine work that gives no value: only wait for each other."""


def run(
    plan: Plan,
    source: Source,
    scratch: Sequence[Surface],
    result: Sink,
    group: RankGroup,
    report: Report,
) -> None:
    """Run every pass over this rank's tiles.

    Parameters
    ----------
    plan : Plan
        For exactly this source.
    source, result : Source, Sink
        The image and what it becomes, alpha included; shared by the group.
    scratch : sequence of Surface
        One for each of the plan's buffers, shared by the group.
    group : RankGroup
        The ranks that run the same plan.
    report : callable
        Called after each tile with how many of the plan's tiles that makes; what it raises
        ends the run on all ranks.

    Raises
    ------
    Rejected
        If an operation refuses the image; on every rank of the group.
    """
    Run(plan, source, iter(scratch), result, group, report).run()


class Run:
    """One plan being run by one rank."""

    def __init__(
        self,
        plan: Plan,
        source: Source,
        scratch: Iterator[Surface],
        result: Sink,
        group: RankGroup,
        report: Report,
    ) -> None:
        self.plan = plan
        self.source = source
        self.scratch = scratch
        self.result = result
        self.group = group
        self.report = report
        self.alpha: Source | None = None

    def run(self) -> None:
        """Run every pass."""
        plan = self.plan
        image = self.source
        if plan.source_alpha:
            image = Plane(self.source, slice(None, -1))
            self.alpha = self.moved_alpha(Plane(self.source, slice(-1, None)))
        early: tuple[Any, ...] = ()
        for i, each in enumerate(plan.passes[:-1]):
            follower = plan.passes[i + 1].stages[0] if plan.measures_early(i + 1) else None
            before = image
            image, early = self.run_inner(each, before, early, follower)
            before.release_cache()
        # Nobody waits for the others at the end: whoever asked for the run hears of them all.
        last = plan.passes[-1]
        known = self.measure(last, image, early)
        self.fill(last, image, self.result, known, with_alpha=plan.result_alpha)

    def moved_alpha(self, alpha: Source) -> Source:
        """Give alpha where the passes need it."""
        if self.plan.alpha is None:
            return alpha
        scratch = [next(self.scratch) for _ in self.plan.alpha.buffers]
        moved = next(self.scratch)
        move = partial(run, self.plan.alpha, alpha, scratch, moved, self.group, self.report)
        self.group.combine(move, nothing)
        return moved

    def run_inner(
        self, each: Pass, image: Source, early: tuple[Any, ...], follower: Stage | None
    ) -> tuple[Source, tuple[Any, ...]]:
        """Run a pass that others follow; give its result, and what was measured as it was made."""
        target = next(self.scratch)
        fill = partial(self.fill, each, image, target, self.measure(each, image, early), follower)
        found = self.group.combine(fill, follower.measures[0].combine if follower else nothing)
        rounds = each.stages[0].rounds
        if rounds is None:
            return target, () if follower is None else (found,)
        return self.iterate(each, rounds, image, target, next(self.scratch)), ()

    def own_share(self, cores: Sequence[Span]) -> Sequence[Span]:
        """Give this rank's share of the cores."""
        return rank_share(cores, self.group.rank, self.group.size)

    def fill(
        self,
        each: Pass,
        image: Source,
        target: Sink,
        statistics: tuple[Any, ...],
        follower: Stage | None = None,
        *,
        with_alpha: bool = False,
    ) -> Any:
        """Run a pass on this rank's tiles, each core into its place in the target.

        Gives the first measure of the stage that follows, if one asks for it.
        """
        total = None
        for core in self.own_share(self.plan.tiles(each, self.group.size)):
            out = None if with_alpha and self.alpha is not None else target.view(core)
            block = self.run_tile(each, image, core, statistics, out)
            if follower is not None:
                wanted = follower.measures[0]
                with operation_errors(follower.name):
                    found = measure_block(wanted, block, Place(core, core, each.shape), ())
                    total = found if total is None else wanted.combine(total, found)
            if with_alpha and self.alpha is not None:
                opacity = to_depth(self.alpha.read(core), str(block.dtype))
                block = np.dstack([block, opacity])
            if block is not out:
                target.write(core, block)
            self.report(1)
        return total

    def run_tile(
        self,
        each: Pass,
        image: Source,
        core: Span,
        statistics: tuple[Any, ...],
        out: Image | None,
    ) -> Image:
        """Run a pass's stages on one tile; each keeps what the next one reads.

        The last one may leave its result in `out`.
        """
        spans = each.spans(core)
        block = read(image, spans[0])
        for stage, shape, window, kept in zip(
            each.stages, each.shapes[:-1], spans[:-1], spans[1:], strict=True
        ):
            place = Place(window, kept, shape)
            alpha = None
            if "alpha" in stage.context and self.alpha is not None:
                alpha = self.alpha.read(window)
            known = statistics if stage.measures else None
            last = stage is each.stages[-1]
            block = run_stage(stage, block, place, alpha, known, out if last else None)
            if not stage.returns_core:
                block = block[place.inner]
        return block

    def measure(self, each: Pass, image: Source, early: tuple[Any, ...]) -> tuple[Any, ...]:
        """Measure the statistics that a pass's first stage asks for, over all ranks."""
        statistics = early
        stage = each.stages[0]
        if len(stage.measures) == len(early):
            return statistics
        mine = self.own_share(self.plan.measure_tiles(each, self.group.size))
        for wanted in stage.measures[len(early) :]:
            work = partial(self.measure_tiles, stage, wanted, image, mine, statistics)
            statistics += (self.group.combine(work, wanted.combine),)
        return statistics

    def measure_tiles(
        self,
        stage: Stage,
        wanted: Measure,
        image: Source,
        mine: Sequence[Span],
        earlier: tuple[Any, ...],
    ) -> Any:
        """Measure one statistic over this rank's cores; None if it has none."""
        total = None
        rows, columns = image.shape[:2]
        for core in mine:
            window = core.grown(wanted.halo)
            window = window if stage.wraps else window.clipped((rows, columns))
            place = Place(window, core, (rows, columns))
            with operation_errors(stage.name):
                found = measure_block(wanted, read(image, window), place, earlier)
                total = found if total is None else wanted.combine(total, found)
            self.report(1)
        return total

    def iterate(
        self, each: Pass, rounds: Rounds, image: Source, state: Surface, spare: Surface
    ) -> Source:
        """Update a state until its rule says stop, and give what holds the last one.

        Every round reads one surface and writes the other; all ranks meet between two rounds.
        """
        mine = self.own_share(self.plan.tiles(each, self.group.size))
        name = each.stages[0].name
        history: list[Any] = []
        while not (history and rounds.stop(history)):
            update = partial(self.update, name, rounds, image, state, spare, mine, history)
            history.append(self.group.combine(update, rounds.combine))
            state, spare = spare, state
        self.report(len(mine) * max(rounds.expected - len(history), 0))
        return state

    def update(
        self,
        name: str,
        rounds: Rounds,
        image: Source,
        state: Source,
        target: Sink,
        mine: Sequence[Span],
        history: Sequence[Any],
    ) -> Any:
        """Do one round on this rank's tiles, and measure it; None if it has none."""
        total = None
        rows, columns = state.shape[:2]
        asks = context_of(rounds.update)
        for core in mine:
            place = Place(core.grown(rounds.halo).clipped((rows, columns)), core, (rows, columns))
            told = {"place": place, "history": history}
            extra = {each: told[each] for each in asks}
            old = state.read(place.window)
            with operation_errors(name):
                new = rounds.update(old, image.read(place.window), **extra)[place.inner]
            target.write(core, new)
            found = rounds.measure(old[place.inner], new)
            total = found if total is None else rounds.combine(total, found)
            self.report(1 if len(history) < rounds.expected else 0)
        return total


def run_alone(plan: Plan, source: Image) -> Image:
    """Run a plan in this process; the reference that every world must equal."""
    result = np.empty(plan.result_shape, plan.result_dtype)
    scratch = [Array(np.empty(each.shape, each.dtype)) for each in plan.buffers]
    run(plan, Array(source), scratch, Array(result), SingleRank(), lambda tiles: None)
    return result
