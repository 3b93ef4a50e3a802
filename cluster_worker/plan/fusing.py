"""Split the stages of a chain into passes. Pure."""

from collections.abc import Sequence
from math import prod

from cluster_worker.plan.links import Link
from cluster_worker.plan.passes import Load, Pass


def split_into_passes(links: Sequence[Link]) -> list[list[Link]]:
    """Split the links of a chain into the groups that run as one pass each."""
    passes: list[list[Link]] = []
    for link in links:
        stage = link.stage
        needs_all = (
            stage.measures or stage.rounds or stage.wraps or stage.whole or stage.strips != ""
        )
        first = passes[-1][0].stage if passes else None
        # Rounds end their pass. A pass over one whole tile ends before a stage that costs enough to
        # be shared among the ranks: one with a halo or a geometry. So does a pass over strips,
        # whose long borders would make a halo expensive, and one whose cores are measured.
        is_ended = first is not None and (
            first.rounds
            or ((first.whole or first.strips or first.reach) and (stage.halo or stage.geometry))
        )
        if first is None or needs_all or is_ended:
            passes.append([])
        passes[-1].append(link)
    return passes


def fuse(links: Sequence[Link]) -> Pass:
    """Fuse neighbouring stages into one pass."""
    last = links[-1]
    return Pass(
        stages=tuple(link.stage for link in links),
        shapes=(*(link.before for link in links), last.after),
        channels=last.channels,
        dtype=last.dtype,
        arrays=max(link.arrays for link in links),
        table=max(link.table for link in links),
        cost=sum(link.cost for link in links),
        loads=tuple(
            Load(link.stage.name, link.input_dtype, link.cost * prod(link.channels), link.once)
            for link in links
        ),
    )
