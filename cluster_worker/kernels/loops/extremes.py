"""Compiled loops of the least and the greatest values of small neighbourhoods, by networks.

A few rows of results are computed at a time. The values of each image row are compared once for
each width of a neighbourhood's rows. The rows that two neighbouring results share are compared
once.
"""

from functools import cache, partial

from cluster_worker.kernels.footprints import SMALL
from cluster_worker.kernels.loops.compiling import compiled, named
from cluster_worker.kernels.loops.networks import GROUP, compared, one_of, swept, wired
from cluster_worker.kernels.loops.vectors import VECTOR_BYTES


def furthest_of(greatest, wires):
    """Return the least or the greatest of some wires, as a list of one wire; empty if none."""
    while len(wires) > 1:
        pairs = zip(wires[::2], wires[1::2], strict=False)
        found = [compared(*pair)[greatest] for pair in pairs]
        wires = found + wires[len(wires) // 2 * 2 :]
    return wires


def extreme(mask, greatest, *rows):
    """Build the network for the least or the greatest value of each neighbourhood of a group.

    Each row of `mask` is a run of pixels around its middle, without gaps.
    """
    reach = len(mask) // 2

    @cache
    def further(one, other):
        return compared(one, other)[greatest]

    @cache
    def around(y, width):
        """Compare the middle of a row with `width` values on both sides of it."""
        if width == 0:
            return rows[y][reach]
        wider = further(rows[y][reach - width], rows[y][reach + width])
        return further(around(y, width - 1), wider)

    furthest = partial(furthest_of, greatest)
    segments = [{(i + y, row.sum() // 2) for y, row in enumerate(mask)} for i in range(GROUP)]
    found = []
    for i, own in enumerate(segments):
        # Two neighbouring results share the network for their common rows.
        other = segments[i ^ 1]
        shared, rest = (
            [around(*each) for each in sorted(some)] for some in (own & other, own - other)
        )
        found += furthest([*furthest(shared), *furthest(rest)])
    return found


def extreme_of_columns(reach, greatest, *rows):
    """Build the network for the least or the greatest value of each column of some squares."""
    wires = [wire for [wire] in rows]
    found = []
    for i in range(0, GROUP, 2):
        # Two neighbouring results share the network for their common rows.
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
    """Make the loop of a square, which compares columns first and then rows.

    `loop` serves the last few values of each row.
    """
    side = 2 * reach + 1
    columns, line = partial(extreme_of_columns, reach, greatest), partial(furthest_of, greatest)
    gray, colours = (swept(columns, line, GROUP + side - 1, side, apart) for apart in (1, 3))

    @compiled
    @named(side, greatest)
    def run(kind, source, result, count):
        (start, down, pixel), (target, below) = source, result
        # At most one of the two loops fits the distance of pixels; the other does nothing.
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
def extremes(kind, brightest, number, pieces, height, pixel):
    """Compute the least or the greatest values of small neighbourhoods.

    Parameters
    ----------
    kind : ndarray
        Any array of the images' type, which is an unsigned integer.
    brightest : bool
        Whether the greatest values are wanted.
    number : int
        Index of the neighbourhood in `SMALL`.
    pieces, height, pixel
        As in `medians`.
    """
    if brightest:
        greatest(number, kind, pieces, height, pixel)
    else:
        least(number, kind, pieces, height, pixel)
