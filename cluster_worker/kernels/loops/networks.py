"""Networks of comparators, compiled to vector instructions.

A network is a function that takes lists of wires and returns the wires that are wanted. Only the
comparators that these wires need are compiled. A comparator with one wanted output costs one
instruction. If both outputs are wanted, it costs little more: the greater of two integers is the
exclusive or of both integers and the lesser one, which most processors execute more often per cycle
than a second comparison.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import compiled, named
from cluster_worker.kernels.loops.vectors import Vectors

# Rows of results that are computed together. More rows would share more comparators, but their
# values would not fit the registers.
GROUP = 4
# The memory of a row of results is prefetched this many vectors before it is written: a store that
# waits for its memory delays the stores behind it.
AHEAD = 2


@dataclass(frozen=True, eq=False)
class Wire:
    """An input of a network, or the lesser or the greater of two wires."""

    of: tuple["Wire", "Wire"] | None = None
    greater: bool = False


Wires = Sequence[Wire]
Network = Callable[..., list[Wire]]


def compared(one: Wire, other: Wire) -> tuple[Wire, Wire]:
    """Return the lesser and the greater of two wires."""
    pair = (one, other)
    return Wire(pair), Wire(pair, greater=True)


def merged(some: Wires, others: Wires) -> list[Wire]:
    """Merge two sorted lists into one.

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
    """Make the network that returns the wire of one rank, from 0 on, of two sorted lists.

    The wire of rank r is the least, over all ways to take r + 1 wires as the first ones of both
    lists, of the greatest of these wires.
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
    """Make the loop of a network that reads the pixels around each pixel of a result.

    Parameters
    ----------
    network : callable
        Takes a list of wires for each row that it reads, and returns the wires that are wanted.
    height, width : int
        Number of rows that the network reads, and of pixels in each.

    Returns
    -------
    callable
        ``run(kind, source, result, count)``, to be called by compiled loops. `kind` is any array of
        the values' type. `source` is (address of the first value, bytes to the next row, bytes to
        the next pixel). `result` is (address, bytes to the next row), with a row for each wanted
        wire. `count` values of each row are computed, at least as many as a vector holds: the last
        vector overlaps the one before.
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
    """Make the loop of two networks: one down each column, then one along the results of columns.

    The results of a column serve all pixels near it. They stay in registers, and the vectors of
    neighbours are shifted out of them, so that no value is loaded twice.

    Parameters
    ----------
    down, along : callable
        `down` takes a list of one wire for each row, and returns a wire for each of the `GROUP`
        results that are computed together. `along` takes `width` wires, and returns one, in a list.
    height, width : int
        Number of rows that `down` reads, and of pixels that `along` reads.
    apart : int
        Values from one pixel to the next.

    Returns
    -------
    callable
        ``run(kind, source, result, count)`` as in `wired`. It returns how many values of each row
        it has computed: a number of whole vectors, after each of which another one can be read. It
        is 0 if pixels are not `apart` values from each other.
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

            # Whole vectors after which another vector can be read.
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
    """Make a loop over all rows of a result from the loop of a network, which makes `GROUP`."""

    @compiled
    @named(name)
    def loop(kind, pieces, height, pixel):
        for start in range(0, height, GROUP):
            y = min(start, height - GROUP)
            for (first, down), (target, below), count in pieces:
                if count:
                    run(kind, (first + y * down, down, pixel), (target + y * below, below), count)

    return loop


def one_of(name: str, runs: Sequence[Any]) -> Any:
    """Make a loop that runs one of several networks, chosen by its number. All are compiled.

    `name` must be unique: it becomes part of the names of the compiled loops.
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
    """Generate the code for the wanted wires, and enter all values that it computes in `values`."""
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
    """Generate a comparison of two vectors: floats, or unsigned integers."""
    if isinstance(dtype, types.Float):
        return builder.fcmp_ordered("<", one, other)
    return builder.icmp_unsigned("<", one, other)


def needed_by(wanted: Wires, known: Collection[Wire]) -> set[Wire]:
    """Return the wanted wires and all wires that they are made from, except the known ones."""
    needed: set[Wire] = set()
    waiting = list(wanted)
    while waiting:
        wire = waiting.pop()
        if wire not in known and wire not in needed:
            needed.add(wire)
            waiting += wire.of or ()
    return needed
