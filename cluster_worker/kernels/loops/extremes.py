"""Compiled loops of the least and the greatest values of small neighbourhoods, by networks.

A few rows of results are made at a time. Of each row the values side by side are compared once for
each width, and what the neighbourhoods of two neighbouring results share is compared once.
"""

from functools import cache, partial

from cluster_worker.kernels.footprints import SMALL
from cluster_worker.kernels.loops.compiling import compiled
from cluster_worker.kernels.loops.networks import GROUP, compared, one_of, wired


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

    def furthest(wires):
        while len(wires) > 1:
            pairs = zip(wires[::2], wires[1::2], strict=False)
            wires = [further(*pair) for pair in pairs] + wires[len(wires) // 2 * 2 :]
        return wires

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


def loops_of(greatest):
    """Make the loops for all small neighbourhoods."""
    return one_of(
        "greatest" if greatest else "least",
        [
            wired(partial(extreme, mask, greatest), GROUP + len(mask) - 1, len(mask))
            for mask in SMALL
        ],
    )


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
