"""Run a plan's passes over the tiles of one rank. Pure but for the arrays that it fills.

The same code runs a small image on one rank and a large one on all: only the team differs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Measure
from cluster_worker.planning import Pass, Plan, run_step, to_depth
from cluster_worker.tiling import Span, Tile, share

Image = NDArray[Any]


class Team(Protocol):
    """The ranks that work on one image together."""

    rank: int
    size: int

    def combine(self, work: Callable[[], Any], combine: Callable[[Any, Any], Any]) -> Any:
        """Do this rank's work and give every rank the combined value.

        A rank without work gives None, which is left out. If the work of one raises, all raise.
        """


class Alone:
    """A team of one."""

    rank = 0
    size = 1

    def combine(self, work: Callable[[], Any], _: Callable[[Any, Any], Any]) -> Any:
        """Do the work; there is nothing to combine it with."""
        return work()


def nothing(a: None, b: None) -> None:
    """Combine work that gives no value: only wait for each other."""


def run(
    plan: Plan,
    source: Image,
    scratch: list[Image],
    result: Image,
    team: Team,
    report: Callable[[], None],
) -> None:
    """Run every pass over this rank's tiles.

    Parameters
    ----------
    plan : Plan
        For exactly this source.
    source, result : ndarray
        The image and what it becomes, alpha included; shared by the team.
    scratch : list of ndarray
        One image for each step between two passes, shared by the team.
    team : Team
        The ranks that run the same plan.
    report : callable
        Called after each tile; what it raises ends the run on all ranks.

    Raises
    ------
    Rejected
        If an operation refuses the image; on every rank of the team.
    """
    colours, alpha = split_alpha(source, plan.source_alpha)
    targets = [*scratch, split_alpha(result, plan.result_alpha)[0]]
    for each, target in zip(plan.passes, targets, strict=True):
        mine = share(plan.tiles(each, team.size), team.rank, team.size)
        statistics = measure(each, colours, mine, team, report)
        work = partial(fill, target, each, colours, alpha, mine, statistics, report)
        team.combine(work, nothing)
        colours = target
    if plan.result_alpha and alpha is not None:
        rows = Span(*share_rows(plan.shape[0], team), 0, plan.shape[1])
        result[(*rows.slices, -1)] = to_depth(alpha[rows.slices], plan.result_dtype)
        team.combine(lambda: None, nothing)


def share_rows(rows: int, team: Team) -> tuple[int, int]:
    """Give this rank's rows of an image."""
    return rows * team.rank // team.size, rows * (team.rank + 1) // team.size


def fill(
    target: Image,
    each: Pass,
    colours: Image,
    alpha: Image | None,
    mine: Sequence[Tile],
    statistics: tuple[Any, ...],
    report: Callable[[], None],
) -> None:
    """Run a pass on this rank's tiles, each core into its place in the target."""
    for tile in mine:
        target[tile.core.slices] = run_tile(each, colours, alpha, tile, statistics)
        report()


def measure(
    each: Pass,
    colours: Image,
    mine: Sequence[Tile],
    team: Team,
    report: Callable[[], None],
) -> tuple[Any, ...]:
    """Measure the statistics that a pass's first step asks for, over all ranks."""
    statistics: tuple[Any, ...] = ()
    for wanted in each.steps[0].measures:
        work = partial(measure_tiles, wanted, colours, mine, statistics, report)
        statistics += (team.combine(work, wanted.combine),)
    return statistics


def measure_tiles(
    wanted: Measure,
    colours: Image,
    mine: Sequence[Tile],
    earlier: tuple[Any, ...],
    report: Callable[[], None],
) -> Any:
    """Measure one statistic over this rank's cores; None if it has none."""
    total = None
    for tile in mine:
        part = wanted.of(colours[tile.core.slices], *earlier)
        total = part if total is None else wanted.combine(total, part)
        report()
    return total


def run_tile(
    each: Pass, colours: Image, alpha: Image | None, tile: Tile, statistics: tuple[Any, ...]
) -> Image:
    """Run a pass's steps on one tile and cut its core out."""
    block = colours[tile.window.slices]
    transparency = None if alpha is None else alpha[tile.window.slices]
    for step in each.steps:
        block = run_step(step, block, transparency, statistics if step.measures else None)
    return block[tile.core.relative_to(tile.window).slices]


def split_alpha(image: Image, has_alpha: bool) -> tuple[Image, Image | None]:
    """Part an image into views of its colours and its alpha; one colour has no channel axis."""
    colours = image[..., :-1] if has_alpha else image
    if colours.ndim == 3 and colours.shape[2] == 1:
        colours = colours[..., 0]
    return colours, image[..., -1] if has_alpha else None


def run_alone(plan: Plan, source: Image) -> Image:
    """Run a plan in this process; the reference that every world must equal."""
    result = np.empty(plan.result_shape, plan.result_dtype)
    scratch = [np.empty(shape, dtype) for shape, dtype in plan.scratch()]
    run(plan, source, scratch, result, Alone(), lambda: None)
    return result
