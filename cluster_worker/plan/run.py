"""Run the passes of a plan over the tiles of one rank. Pure, except for the images that it fills.

The same code runs a small image on one rank and a large one on all ranks, in memory or from file
to file: only the group of ranks and the surfaces differ.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Measure, Rounds, Stage, context_of
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.surfaces import Array, Plane, Sink, Source, Surface, read
from cluster_worker.pixels.tiling import Place, Span, rank_share
from cluster_worker.plan.bands import Allocate, Bands, OwnBands
from cluster_worker.plan.blocks import NOTHING, measure_block, operation_errors, run_stage, taken
from cluster_worker.plan.checkpoints import START, Checkpoint, Reached, ignore
from cluster_worker.plan.group import RankGroup, SingleRank, combine_nothing
from cluster_worker.plan.passes import Pass, Plan

Image = NDArray[Any]
Report = Callable[[int], None]


def run(
    plan: Plan,
    source: Source,
    scratch: Sequence[Surface],
    result: Sink,
    group: RankGroup,
    report: Report,
    inputs: Sequence[Source] = (),
    *,
    begin: Checkpoint = START,
    reached: Reached = ignore,
    allocate: Allocate = np.empty,
) -> None:
    """Run every pass of a plan over this rank's tiles.

    Parameters
    ----------
    plan : Plan
        The plan for this source.
    source, result : Source, Sink
        The image and its result, alpha included; all ranks of the group use the same.
    scratch : sequence of Surface
        One for each of the plan's buffers; all ranks of the group use the same.
    group : RankGroup
        The ranks that run the same plan.
    report : callable
        Called after each tile with the number of the plan's tiles that are newly done, which may be
        0. An error that it raises ends the run on all ranks.
    inputs : sequence of Source
        The second images, one for each of `plan.seconds`.
    begin : Checkpoint
        Where to begin: what comes before was done by an earlier attempt, and its buffer is as that
        left it. The number of ranks may be another one.
    reached : callable
        Called on every rank when all have finished a pass that is not the last.
    allocate : callable
        Makes the arrays for what this rank keeps of a pass with rounds, from shape and dtype.

    Raises
    ------
    Rejected
        If an operation refuses the image; on every rank of the group.
    """
    Run(plan, source, scratch, group, report, inputs, begin, reached, allocate).run(result)


def measure(
    plan: Plan,
    source: Source,
    scratch: Sequence[Surface],
    group: RankGroup,
    report: Report,
    inputs: Sequence[Source] = (),
    *,
    begin: Checkpoint = START,
    reached: Reached = ignore,
    allocate: Allocate = np.empty,
) -> Any:
    """Run every pass of a plan that gives a table; return what was found, on the first rank.

    The parameters and errors are those of `run`.
    """
    given = group, report, inputs, begin, reached, allocate
    return Run(plan, source, scratch, *given).run_to_table()


class Run:
    """The run of one plan on one rank."""

    def __init__(
        self,
        plan: Plan,
        source: Source,
        scratch: Sequence[Surface],
        group: RankGroup,
        report: Report,
        inputs: Sequence[Source],
        begin: Checkpoint,
        reached: Reached,
        allocate: Allocate,
    ) -> None:
        self.plan = plan
        self.source = source
        self.scratch = scratch
        self.begin = begin
        self.reached = reached
        self.allocate = allocate
        # How many of the buffers have been given to a pass.
        self.taken = 0
        self.group = group
        self.report = report
        self.inputs = inputs
        # The alpha of the source, and those that steps have moved.
        self.alphas: list[Source] = []

    def run(self, result: Sink) -> None:
        """Run every pass."""
        image, early = self.run_to_last()
        # No synchronization after the last pass: the engine waits until all ranks are done.
        last = self.plan.passes[-1]
        statistics = self.measure(last, image, early)
        self.fill(last, image, result, statistics, with_alpha=self.plan.result_alpha)

    def run_to_table(self) -> Any:
        """Run every pass but the last, whose last measure finds what the table is made of."""
        image, early = self.run_to_last()
        # Only the first rank makes the table: no other one needs memory for all regions.
        *_, found = self.measure(self.plan.passes[-1], image, early, on_first=True)
        return found

    def run_to_last(self) -> tuple[Source, tuple[Any, ...]]:
        """Run every pass but the last; return what that reads, and its early statistics."""
        plan = self.plan
        image = self.source
        if plan.source_alpha:
            image = Plane(self.source, slice(None, -1))
            self.alphas.append(Plane(self.source, slice(-1, None)))
            for move in plan.alphas:
                self.alphas.append(self.run_alpha(move, self.alphas[-1]))
        # An earlier attempt has done these. What it measured early is measured again.
        for each in plan.passes[: self.begin.passes]:
            self.take(2 if each.stages[0].rounds and not plan.has_bands(each) else 1)
            image = self.scratch[self.begin.buffer]
        early: tuple[Any, ...] = ()
        for i in range(self.begin.passes, len(plan.passes) - 1):
            next_stage = plan.passes[i + 1].stages[0] if plan.measures_early(i + 1) else None
            before = image
            number, early = self.run_to_buffer(plan.passes[i], before, early, next_stage)
            image = self.scratch[number]
            before.release_cache()
            self.reached(Checkpoint(passes=i + 1, buffer=number, ranks=self.group.size))
        return image, early

    def take(self, count: int = 1) -> int:
        """Take the next buffers; return the number of the first."""
        self.taken += count
        return self.taken - count

    def read_inputs(self, stage: Stage, window: Span) -> Mapping[str, Image]:
        """Read the blocks of the second images of a stage."""
        if not stage.inputs:
            return NOTHING
        return {name: self.plan.seconds[i].read(self.inputs[i], window) for name, i in stage.inputs}

    def run_alpha(self, plan: Plan, alpha: Source) -> Source:
        """Run a plan for alpha, and return its result."""
        first = self.take(len(plan.buffers) + 1)
        *scratch, moved = self.scratch[first : self.taken]
        given = plan, alpha, scratch, moved, self.group, self.report
        move = partial(run, *given, allocate=self.allocate)
        self.group.combine(move, combine_nothing)
        return moved

    def run_to_buffer(
        self, each: Pass, image: Source, early: tuple[Any, ...], next_stage: Stage | None
    ) -> tuple[int, tuple[Any, ...]]:
        """Run a pass that is not the last, on all ranks of the group.

        Parameters
        ----------
        each : Pass
            The pass.
        image : Source
            Its input.
        early : tuple
            Statistics of its first stage that are known already.
        next_stage : Stage or None
            The first stage of the next pass, if its first measure is to run on each tile as soon as
            the tile is computed.

        Returns
        -------
        result : int
            Number of the buffer that holds the result of the pass.
        early : tuple
            The statistic of `next_stage`, if there is one.
        """
        rounds = each.stages[0].rounds
        if rounds is not None:
            return self.run_rounds(each, rounds, image, early), ()
        number = self.take()
        target = self.scratch[number]
        statistics = self.measure(each, image, early)
        fill = partial(self.fill, each, image, target, statistics, next_stage)
        last = self.plan.passes[-1].stages[0]
        ends = self.plan.gives_table and next_stage is last and len(last.measures) == 1
        if next_stage is None:
            self.group.combine(fill, combine_nothing)
            return number, ()
        return number, (self.combine(next_stage, next_stage.measures[0], fill, on_first=ends),)

    def own_share(self, cores: Sequence[Span]) -> Sequence[Span]:
        """Return this rank's share of the cores."""
        return rank_share(cores, self.group.rank, self.group.size)

    def own_cores(self, each: Pass) -> Sequence[Span]:
        """Return this rank's cores of a pass: all that begin in its band, if it has one."""
        cores = self.plan.tiles(each, self.group.size)
        if not self.plan.has_bands(each):
            return self.own_share(cores)
        own = Bands(self.plan, each, self.group.size).owned[self.group.rank]
        return [core for core in cores if own.top <= core.top < own.bottom]

    def fill(
        self,
        each: Pass,
        image: Source,
        target: Sink,
        statistics: tuple[Any, ...],
        next_stage: Stage | None = None,
        *,
        with_alpha: bool = False,
    ) -> Any:
        """Run a pass on this rank's tiles, and write each core to the target.

        Returns
        -------
        object
            What the first measure of `next_stage` found on this rank's tiles. None without
            `next_stage`, or without tiles.
        """
        total = None
        for core in self.own_cores(each):
            out = None if with_alpha else target.view(core)
            block = self.run_tile(each, image, core, statistics, out)
            if next_stage is not None:
                measure = next_stage.measures[0]
                with operation_errors(next_stage.name):
                    found = measure_block(measure, block, Place(core, core, each.shape), ())
                    total = found if total is None else measure.combine(total, found)
            if with_alpha:
                opacity = to_depth(self.alphas[-1].read(core), str(block.dtype))
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
        """Run the stages of a pass on one tile, and return the core.

        After each stage the block is cut to the span that the next stage reads. The last stage may
        compute its result into `out`.
        """
        spans = each.spans(core)
        first = each.stages[0]
        if first.reach is not None:
            with operation_errors(first.name):
                reached = first.reach(core, *statistics)
            spans[0] = reached.grown(first.halo).clipped(each.shapes[0])
        block = read(image, spans[0])
        for stage, shape, window, kept in zip(
            each.stages, each.shapes[:-1], spans[:-1], spans[1:], strict=True
        ):
            place = Place(window, kept, shape)
            alpha = None
            if "alpha" in stage.context and self.alphas:
                alpha = read(self.alphas[stage.alpha_index], window)
            own = statistics if stage.measures else None
            is_last = stage is each.stages[-1]
            beside = self.read_inputs(stage, window)
            block = run_stage(stage, block, place, alpha, own, out if is_last else None, beside)
            if not stage.returns_core:
                block = block[place.inner]
        return block

    def measure(
        self, each: Pass, image: Source, early: tuple[Any, ...], *, on_first: bool = False
    ) -> tuple[Any, ...]:
        """Measure the statistics that a pass's first stage needs, over all ranks of the group.

        `early` are the first ones, which are known already. With `on_first` only the first rank
        needs the last one.
        """
        statistics = early
        stage = each.stages[0]
        if len(stage.measures) == len(early):
            return statistics
        for number, measure in enumerate(stage.measures[len(early) :], len(early)):
            cores = self.own_share(self.measured_tiles(each, number))
            work = partial(self.measure_tiles, stage, measure, image, cores, statistics)
            last = on_first and measure is stage.measures[-1]
            statistics += (self.combine(stage, measure, work, on_first=last),)
        return statistics

    def combine(
        self, stage: Stage, measure: Measure, work: Callable[[], Any], *, on_first: bool
    ) -> Any:
        """Do this rank's work for a measure of a stage, and return the statistic of all ranks.

        With `on_first` only the first rank gets it.
        """
        finish = measure.finish
        found = self.group.combine(work, measure.combine, on_first=on_first or finish is not None)
        if finish is None:
            return found

        def finished() -> Any:
            with operation_errors(stage.name):
                return None if found is None else finish(found)

        return self.group.combine(finished, combine_nothing, on_first=on_first)

    def measured_tiles(self, each: Pass, number: int) -> list[Span]:
        """Return the tiles on which a measure of a pass runs.

        What an earlier attempt has left between two stages of an operation may mean something only
        together with the tiles that it was made in, such as regions that are numbered in each tile.
        Those tiles are measured then, as that attempt did it.
        """
        i = self.begin.passes
        if i and number == 0 and each is self.plan.passes[i] and self.plan.measures_early(i):
            return self.plan.tiles(self.plan.passes[i - 1], self.begin.ranks)
        return self.plan.measure_tiles(each, self.group.size)

    def measure_tiles(
        self,
        stage: Stage,
        measure: Measure,
        image: Source,
        cores: Sequence[Span],
        earlier: tuple[Any, ...],
    ) -> Any:
        """Measure one statistic over this rank's cores; return None if it has no cores."""
        total = None
        rows, columns = image.shape[:2]
        for core in cores:
            window = core.grown(measure.halo)
            window = window if stage.wraps else window.clipped((rows, columns))
            place = Place(window, core, (rows, columns))
            with operation_errors(stage.name):
                block, beside = read(image, window), self.read_inputs(stage, window)
                found = measure_block(measure, block, place, earlier, beside)
                total = found if total is None else measure.combine(total, found)
            self.report(1)
        return total

    def run_rounds(self, each: Pass, rounds: Rounds, image: Source, early: tuple[Any, ...]) -> int:
        """Run a pass with rounds; return the number of the buffer that holds the last state."""
        statistics = self.measure(each, image, early)
        if self.plan.has_bands(each):
            number = self.take()
            self.run_in_bands(each, rounds, image, self.scratch[number], statistics)
            return number
        first = self.take(2)
        states = self.scratch[first], self.scratch[first + 1]
        fill = partial(self.fill, each, image, states[0], statistics)
        self.group.combine(fill, combine_nothing)
        return first + int(self.iterate(each, rounds, image, states) is states[1])

    def run_in_bands(
        self,
        each: Pass,
        rounds: Rounds,
        image: Source,
        target: Sink,
        statistics: tuple[Any, ...],
    ) -> None:
        """Run a pass with rounds on what each rank keeps; write the last state to the target."""
        bands = Bands(self.plan, each, self.group.size)
        own = OwnBands(bands, self.group, self.allocate, self.report)
        # This run, but with the second images that the rank keeps.
        within = copy(self)

        def begin() -> None:
            own.make(image)
            kept = {i: own.keep(self.inputs[i]) for _, i in each.stages[0].inputs}
            within.inputs = [kept.get(i, given) for i, given in enumerate(self.inputs)]
            within.fill(each, own.image, own.states[0], statistics)

        def meet(state: Surface) -> None:
            own.exchange(state, bands.updated)

        self.group.combine(begin, combine_nothing)
        last = within.iterate(each, rounds, own.image, own.states, meet)
        own.exchange(last, bands.written)
        self.group.combine(partial(own.write, last, target), combine_nothing)

    def iterate(
        self,
        each: Pass,
        rounds: Rounds,
        image: Source,
        states: tuple[Surface, Surface],
        meet: Callable[[Surface], None] = lambda state: None,
    ) -> Surface:
        """Update the state in rounds until the stop rule holds; return the last one.

        Every round reads one surface and writes the other; the first state lies in the first. The
        ranks synchronize after each round, and `meet` is called with the state before the next one.
        """
        cores = self.own_cores(each)
        stage = each.stages[0]
        history: list[Any] = []
        state, spare = states
        while not (history and rounds.stop(history)):
            meet(state)
            update = partial(self.update, stage, rounds, image, state, spare, cores, history)
            history.append(self.group.combine(update, rounds.combine))
            state, spare = spare, state
        # Rounds that were expected but not needed count as done.
        self.report(len(cores) * max(rounds.expected - len(history), 0))
        return state

    def update(
        self,
        stage: Stage,
        rounds: Rounds,
        image: Source,
        state: Source,
        target: Sink,
        cores: Sequence[Span],
        history: Sequence[Any],
    ) -> Any:
        """Do one round on this rank's tiles, and return its measure; None without tiles."""
        total = None
        rows, columns = state.shape[:2]
        names = context_of(rounds.update)
        for core in cores:
            place = Place(core.grown(rounds.halo).clipped((rows, columns)), core, (rows, columns))
            known = {"place": place, "history": history}
            context: dict[str, Any] = {each: known[each] for each in names}
            context |= taken(rounds.update, self.read_inputs(stage, place.window))
            old = state.read(place.window)
            with operation_errors(stage.name):
                new = rounds.update(old, image.read(place.window), **context)[place.inner]
            target.write(core, new)
            found = rounds.measure(old[place.inner], new)
            total = found if total is None else rounds.combine(total, found)
            self.report(1 if len(history) < rounds.expected else 0)
        return total


def run_alone(plan: Plan, source: Image) -> Image:
    """Run a plan on an array in this process; every world must give the same result.

    Parameters
    ----------
    plan : Plan
        The plan for this source.
    source : ndarray
        Of the plan's shape and dtype.

    Returns
    -------
    ndarray
        A new array of the plan's result shape and dtype.

    Raises
    ------
    Rejected
        If an operation refuses the image.
    """
    result = np.empty(plan.result_shape, plan.result_dtype)
    scratch = [Array(np.empty(each.shape, each.dtype)) for each in plan.buffers]
    run(plan, Array(source), scratch, Array(result), SingleRank(), lambda tiles: None)
    return result
