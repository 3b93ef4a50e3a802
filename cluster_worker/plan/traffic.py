"""How many bytes a plan reads and writes, and where: what a run over hosts costs. Pure."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from cluster_worker.pixels.tiling import Span, all_of
from cluster_worker.plan.bands import Bands, pixel_bytes
from cluster_worker.plan.passes import Pass, Plan
from cluster_worker.plan.recipe import RecipePlan


class Traffic(NamedTuple):
    """Bytes of pixels, before any compression.

    Attributes
    ----------
    source : int
        Read from the given images.
    read, written : int
        Read and written between passes. Halos and chunks are read by several tiles.
    result : int
        Written as results.
    exchanged : int
        Sent from rank to rank: rows around the bands of passes with rounds.
    """

    source: int = 0
    read: int = 0
    written: int = 0
    result: int = 0
    exchanged: int = 0

    @property
    def stored(self) -> int:
        """Bytes on their way from or to the store."""
        return sum(self) - self.exchanged

    def plus(self, other: "Traffic") -> "Traffic":
        """Return the sum of both."""
        return Traffic(*(a + b for a, b in zip(self, other, strict=True)))


def traffic(planned: Plan | RecipePlan, ranks: int) -> Traffic:
    """Count what all ranks of a world read and write, alpha and second images not counted.

    Parameters
    ----------
    planned : Plan or RecipePlan
        Rounds count as often as they are expected; their state stays in the ranks, as it does over
        hosts.
    ranks : int
        Number of ranks, which the tiles depend on.
    """
    if isinstance(planned, Plan):
        return of_chain(planned, ranks, from_source=True, to_result=True)
    total = Traffic()
    given = 1 + len(planned.inputs)
    for each in planned.chains:
        ends = each.source < given, each.surface is None
        total = total.plus(of_chain(each.plan, ranks, *ends))
    return total


def of_chain(planned: Plan, ranks: int, from_source: bool, to_result: bool) -> Traffic:
    """Count what a chain reads and writes.

    Parameters
    ----------
    planned : Plan
        Of the chain.
    ranks : int
        Number of ranks.
    from_source, to_result : bool
        Whether it reads a given image, and writes a result; else what lies between chains.
    """
    total = Traffic()
    pixel = pixel_bytes(planned.dtype, planned.shape[2:])
    for number, each in enumerate(planned.passes):
        is_last = each is planned.passes[-1]
        read = pixel * sum(span.pixels for span in windows(planned, number, ranks))
        own = pixel_bytes(each.dtype, each.channels)
        written = own * prod(each.shape)
        if is_last and planned.gives_table:
            written = 0
        in_source = from_source and number == 0
        rounds = each.stages[0].rounds
        if rounds is not None:
            pixels = Bands(planned, each, ranks).exchanged_pixels(rounds.expected)
            total = total.plus(Traffic(exchanged=own * pixels))
        total = total.plus(Traffic(source=read) if in_source else Traffic(read=read))
        ends = is_last and to_result
        total = total.plus(Traffic(result=written) if ends else Traffic(written=written))
        pixel = own
    return total


def windows(planned: Plan, number: int, ranks: int) -> Iterator[Span]:
    """Yield every span of its input that a pass reads: to measure, then to compute."""
    each: Pass = planned.passes[number]
    first = each.stages[0]
    image = all_of(each.shapes[0])
    if not (planned.gives_table and number == len(planned.passes) - 1):
        if first.rounds is not None:
            yield from Bands(planned, each, ranks).read
        else:
            for core in planned.tiles(each, ranks):
                yield each.spans(core)[0]
    for measure in first.measures[planned.measures_early(number) :]:
        for core in planned.measure_tiles(each, ranks):
            window = core.grown(measure.halo)
            yield window if first.wraps else window.intersection(image)
