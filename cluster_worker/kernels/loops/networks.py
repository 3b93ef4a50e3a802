"""Networks of comparators, compiled for many values side by side.

A network is a function of lists of wires, each list in rising order, that gives the wires which are
wanted. What it does not need is never computed: a comparator of which one side is wanted costs one
instruction. One of which both are wanted costs little more: the greater of two whole numbers is
their exclusive or, without the lesser, and most processors have more room for that than for a
second comparison.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import compiled, named
from cluster_worker.kernels.loops.vectors import Vectors

# Rows of results that are made together: more of them share more, but no longer fit registers.
GROUP = 4
# So many vectors before a row of results is written, its memory is asked for: a store that waits
# for it holds up those behind it.
AHEAD = 2


@dataclass(frozen=True, eq=False)
class Wire:
    """What is given to a network, or the lesser or the greater of two wires."""

    of: tuple["Wire", "Wire"] | None = None
    greater: bool = False


Wires = Sequence[Wire]
Network = Callable[..., list[Wire]]


def compared(one: Wire, other: Wire) -> tuple[Wire, Wire]:
    """Give the lesser and the greater of two wires."""
    pair = (one, other)
    return Wire(pair), Wire(pair, greater=True)


def merged(some: Wires, others: Wires) -> list[Wire]:
    """Merge two lists in order into one.

    References
    ----------
    K. E. Batcher, Sorting networks and their applications, 1968: the odd-even merge.
    """
    if not some or not others:
        return [*some, *others]
    if len(some) == len(others) == 1:
        return list(compared(some[0], others[0]))
    evens, odds = merged(some[::2], others[::2]), merged(some[1::2], others[1::2])
    first, *evens = evens
    pairs = [each for two in zip(odds, evens, strict=False) for each in compared(*two)]
    shorter = min(len(odds), len(evens))
    return [first, *pairs, *odds[shorter:], *evens[shorter:]]


def in_order(wires: Wires) -> list[Wire]:
    """Sort wires."""
    if len(wires) < 2:
        return list(wires)
    half = len(wires) // 2
    return merged(in_order(wires[:half]), in_order(wires[half:]))


def ranked(rank: int) -> Callable[[Wires, Wires], list[Wire]]:
    """Make the network that gives one wire of two lists in order: that of a rank, from 0 on.

    It is the least of the greatest of any so many, where each list gives its own least.
    """

    def network(some: Wires, others: Wires) -> list[Wire]:
        wanted = rank + 1
        least = [*some[wanted - 1 : wanted], *others[wanted - 1 : wanted]]
        for count in range(max(1, wanted - len(others)), min(len(some), wanted - 1) + 1):
            least.append(compared(some[count - 1], others[wanted - count - 1])[1])
        while len(least) > 1:
            least = [*least[2:], compared(least[0], least[1])[0]]
        return least

    return network


def wired(network: Network, height: int, width: int) -> Any:
    """Make the loop of a network from the pixels around one to pixels of a result.

    Parameters
    ----------
    network : callable
        From lists of wires, one for each row that it reads, to those that are wanted.
    height, width : int
        How many rows it reads, and pixels of each.

    Returns
    -------
    callable
        ``run(kind, source, result, count)``, for compiled loops to call: `kind` is any array of the
        values' type, `source` (address of the first value, bytes to the next row, bytes to the
        next pixel), and `result` (address, bytes to the next row), a row for each wire that is
        wanted. `count` values of each row are computed, as many as a vector holds or more: the
        last vector overlaps the one before.
    """
    rows = [[Wire() for _ in range(width)] for _ in range(height)]
    wanted = network(*rows)

    @intrinsic
    def run(_, kind, source, result, count):
        def generate(context, builder, _signature, arguments):
            _, source, result, count = arguments
            start, down, along = cgutils.unpack_tuple(builder, source)
            target, below = cgutils.unpack_tuple(builder, result)
            vectors = Vectors(context, builder, kind.dtype)
            zero, lanes, ahead = map(count.type, (0, vectors.lanes, AHEAD * vectors.lanes))
            last = builder.sub(count, lanes)
            with cgutils.for_range_slice(builder, zero, count, lanes) as (x, _):
                x = builder.select(builder.icmp_signed("<", x, last), x, last)
                known = {
                    wire: vectors.load(start, x, (down, y), (along, k))
                    for y, wires in enumerate(rows)
                    for k, wire in enumerate(wires)
                }
                further = builder.add(x, ahead)
                for y in range(len(wanted)):
                    vectors.fetch(start, x, (down, height + y))
                    vectors.fetch(target, further, (below, y), writes=True)
                compute(builder, wanted, known, vectors.dtype)
                for y, wire in enumerate(wanted):
                    vectors.store(known[wire], target, x, (below, y))
            return context.get_dummy_value()

        return types.void(kind, source, result, count), generate

    return run


def swept(down: Network, along: Network, height: int, width: int, apart: int) -> Any:
    """Make the loop of two networks: down the columns of the pixels around one, then along these.

    What the first gives of a column serves all pixels around it: it stays in registers, and
    neighbours are shifted out of it. Nothing is loaded twice, nor across lines of memory.

    Parameters
    ----------
    down, along : callable
        From a wire of each row, to as many as are made together; from `width` wires to one.
    height, width : int
        How many rows the first reads, and pixels the second.
    apart : int
        Values from a pixel to the next.

    Returns
    -------
    callable
        ``run(kind, source, result, count)`` as that of `wired`, which gives how many values of
        each row it has computed: whole vectors, of which the next one can be read as well, and
        none if pixels do not lie so far apart.
    """
    rows = [[Wire()] for _ in range(height)]
    columns = down(*rows)
    line = [Wire() for _ in range(width)]
    [wanted] = along(line)

    @intrinsic
    def run(_, kind, source, result, count):
        def generate(context, builder, _signature, arguments):
            _, source, result, count = arguments
            start, step, pixel = cgutils.unpack_tuple(builder, source)
            target, below = cgutils.unpack_tuple(builder, result)
            vectors = Vectors(context, builder, kind.dtype)
            further = (width - 1) * apart
            if further > vectors.lanes:
                return count.type(0)
            zero, lanes = map(count.type, (0, vectors.lanes))

            def columns_at(x):
                known = {w: vectors.load(start, x, (step, y)) for y, [w] in enumerate(rows)}
                for y in range(GROUP):
                    vectors.fetch(start, x, (step, height + y))
                compute(builder, columns, known, vectors.dtype)
                return [known[wire] for wire in columns]

            # Vectors that are whole, and followed by one that can be read.
            whole = builder.sub(
                builder.sdiv(builder.add(count, count.type(further)), lanes), zero.type(1)
            )
            fits = builder.icmp_signed("==", pixel, pixel.type(apart * vectors.bytes))
            some = builder.and_(fits, builder.icmp_signed(">", whole, zero))
            done = builder.select(some, builder.mul(whole, lanes), zero)
            kept = [cgutils.alloca_once(builder, vectors.vector) for _ in columns]
            with builder.if_then(builder.icmp_signed(">", done, zero)):
                for value, slot in zip(columns_at(zero), kept, strict=True):
                    builder.store(value, slot)
                with cgutils.for_range_slice(builder, zero, done, lanes) as (x, _):
                    following = columns_at(builder.add(x, lanes))
                    ahead = builder.add(x, builder.mul(lanes, count.type(AHEAD)))
                    for y, (slot, after) in enumerate(zip(kept, following, strict=True)):
                        here = builder.load(slot)
                        known = {
                            wire: vectors.shifted(here, after, i * apart)
                            for i, wire in enumerate(line)
                        }
                        compute(builder, [wanted], known, vectors.dtype)
                        vectors.fetch(target, ahead, (below, y), writes=True)
                        vectors.store(known[wanted], target, x, (below, y))
                        builder.store(after, slot)
            return done

        return types.int64(kind, source, result, count), generate

    return run


def by_groups(name: str, run: Any) -> Any:
    """Make a loop over all rows of a result of a network's, which gives `GROUP` of them."""

    @compiled
    @named(name)
    def loop(kind, parts, height, pixel):
        for start in range(0, height, GROUP):
            y = min(start, height - GROUP)
            for (first, down), (target, below), count in parts:
                if count:
                    run(kind, (first + y * down, down, pixel), (target + y * below, below), count)

    return loop


def one_of(name: str, runs: Sequence[Any]) -> Any:
    """Make the loop of one of several networks, by its number: all are compiled at once.

    `name` is theirs alone.
    """
    first = by_groups(f"{name}_{len(runs)}", runs[0])

    @compiled
    @named(name, len(runs))
    def only(_, *given):
        first(*given)

    if len(runs) == 1:
        return only
    rest = one_of(name, runs[1:])

    @compiled
    @named(name, len(runs))
    def one(number, *given):
        if number == 0:
            first(*given)
        else:
            rest(number - 1, *given)

    return one


def compute(builder: Any, wanted: Wires, values: dict[Wire, Any], dtype: Any) -> None:
    """Generate what the wires that are wanted need, and enter it into their values."""
    needed = needed_by(wanted, values.keys())
    lesser = {wire.of: wire for wire in needed if not wire.greater}

    def value_of(wire: Wire) -> Any:
        if wire not in values:
            one, other = map(value_of, wire.of or ())
            if wire.greater and wire.of in lesser and isinstance(dtype, types.Integer):
                both = builder.xor(one, other)
                values[wire] = builder.xor(both, value_of(lesser[wire.of]))
            else:
                pair = (other, one) if wire.greater else (one, other)
                values[wire] = builder.select(is_less(builder, dtype, *pair), one, other)
        return values[wire]

    for wire in wanted:
        value_of(wire)


def is_less(builder: Any, dtype: Any, one: Any, other: Any) -> Any:
    """Generate a comparison."""
    if isinstance(dtype, types.Float):
        return builder.fcmp_ordered("<", one, other)
    return builder.icmp_unsigned("<", one, other)


def needed_by(wanted: Wires, known: Collection[Wire]) -> set[Wire]:
    """Give the wires that others are made from, besides what is known, and those."""
    needed: set[Wire] = set()
    waiting = list(wanted)
    while waiting:
        wire = waiting.pop()
        if wire not in known and wire not in needed:
            needed.add(wire)
            waiting += wire.of or ()
    return needed
