"""Compiled loops of the least and the greatest values of small neighbourhoods, by networks.

A few rows of results are made at a time. Of each row the values side by side are compared once for
each width, and what the neighbourhoods of two neighbouring results share is compared once.
"""

from functools import cache, partial

from cluster_worker.kernels.footprints import SMALL
from cluster_worker.kernels.loops.compiling import compiled, named
from cluster_worker.kernels.loops.networks import GROUP, compared, one_of, swept, wired
from cluster_worker.kernels.loops.vectors import VECTOR_BYTES


def furthest_of(greatest, wires):
    """Give the least or the greatest of some wires, in a list."""
    while len(wires) > 1:
        pairs = zip(wires[::2], wires[1::2], strict=False)
        found = [compared(*pair)[greatest] for pair in pairs]
        wires = found + wires[len(wires) // 2 * 2 :]
    return wires


def extreme(mask, greatest, *rows):
    """Give the least or the greatest of each neighbourhood of a group: a network.

    Each row of `mask` holds values around its middle, without gaps.
    """
    reach = len(mask) // 2

    @cache
    def further(one, other):
        return compared(one, other)[greatest]

    @cache
    def around(y, width):
        """Compare so many values to both sides of the middle of a row."""
        if width == 0:
            return rows[y][reach]
        wider = further(rows[y][reach - width], rows[y][reach + width])
        return further(around(y, width - 1), wider)

    furthest = partial(furthest_of, greatest)
    parts = [{(i + y, row.sum() // 2) for y, row in enumerate(mask)} for i in range(GROUP)]
    found = []
    for i, part in enumerate(parts):
        # Results go by twos.
        other = parts[i ^ 1]
        shared, rest = (
            [around(*each) for each in sorted(some)] for some in (part & other, part - other)
        )
        found += furthest([*furthest(shared), *furthest(rest)])
    return found


def extreme_of_columns(reach, greatest, *rows):
    """Give the least or the greatest of each column of a group of squares: a network."""
    wires = [wire for [wire] in rows]
    found = []
    for i in range(0, GROUP, 2):
        # Results go by twos.
        shared = furthest_of(greatest, wires[i + 1 : i + 2 * reach + 1])
        found += [furthest_of(greatest, [*shared, wires[y]]) for y in (i, i + 2 * reach + 1)]
    return [wire for [wire] in found]


def loop_of(mask, greatest):
    """Make the loop for a small neighbourhood."""
    reach, side = len(mask) // 2, len(mask)
    height = GROUP + side - 1
    loop = wired(partial(extreme, mask, greatest), height, side)
    return in_steps(loop, reach, greatest) if mask.all() else loop


def in_steps(loop, reach, greatest):
    """Make the loop of a square, columns first, from the one that serves the last few values."""
    side = 2 * reach + 1
    columns, line = partial(extreme_of_columns, reach, greatest), partial(furthest_of, greatest)
    gray, colours = (swept(columns, line, GROUP + side - 1, side, apart) for apart in (1, 3))

    @compiled
    @named(side, greatest)
    def run(kind, source, result, count):
        (start, down, pixel), (target, below) = source, result
        # Pixels are as far apart as one of the two has it, or none: the other does nothing.
        done = max(gray(kind, source, result, count), colours(kind, source, result, count))
        done = min(done, count - VECTOR_BYTES // kind.itemsize)
        start, target = start + done * kind.itemsize, target + done * kind.itemsize
        loop(kind, (start, down, pixel), (target, below), count - done)

    return run


def loops_of(greatest):
    """Make the loops for all small neighbourhoods."""
    name = "greatest" if greatest else "least"
    return one_of(name, [loop_of(mask, greatest) for mask in SMALL])


least, greatest = loops_of(False), loops_of(True)


@compiled
def extremes(kind, brightest, number, parts, height, pixel):
    """Give the least or the greatest values of small neighbourhoods.

    Parameters
    ----------
    kind : ndarray
        Any of the images' type: whole numbers without sign.
    brightest : bool
        Whether the greatest are wanted.
    number : int
        Of the neighbourhood in `SMALL`.
    parts, height, pixel
        As in `medians`.
    """
    if brightest:
        greatest(number, kind, parts, height, pixel)
    else:
        least(number, kind, parts, height, pixel)
