"""Compiled loops of medians of squares, by networks from rows of an image to rows of the result.

A few rows of results are made at a time. Each row of an image is sorted once for all of them. What
the squares of two neighbouring results share is merged once, and of that only the ranks are kept
that a median can have when a last row is added to it.
"""

from functools import cache

from cluster_worker.kernels.loops.compiling import compiled
from cluster_worker.kernels.loops.networks import GROUP, in_order, merged, one_of, ranked, wired


def squares(radius):
    """Give the network from the rows of a group of squares to their medians."""
    side = 2 * radius + 1
    middle = side * side // 2

    def network(*lists):
        rows = [in_order(each) for each in lists]

        @cache
        def pairs(first, last):
            """Merge pairs of rows, first those that two neighbours in a group share."""
            if last - first == 1:
                return merged(rows[2 * first + 1], rows[2 * first + 2])
            between = last - 1 if first % 2 else first + 1
            return merged(pairs(first, between), pairs(between, last))

        found = []
        for i in range(GROUP // 2):
            shared = pairs(i, i + radius)[middle - side : middle + 1]
            found += ranked(side)(shared, rows[2 * i])
            found += ranked(side)(shared, rows[2 * i + side])
        return found

    return network


def loop_of(radius):
    """Make the loop for squares of one radius."""
    side = 2 * radius + 1
    return wired(squares(radius), GROUP + 2 * radius, side)


squares_of = one_of("medians", [loop_of(radius) for radius in (1, 2, 3, 4)])


@compiled
def medians(kind, radius, parts, height, pixel):
    """Give the medians of squares.

    Parameters
    ----------
    kind : ndarray
        Any of the images' type: whole numbers without sign, or floats, none of which is NaN.
    radius : int
        From 1 to 4.
    parts : tuple
        Three parts of a result, of the same rows: for each the address of the first value that is
        read and the bytes from one row to the next, the same of the result, and the values in each
        row: none, or as many as a vector holds or more. What is read reaches beyond the part by
        the radius on every side.
    height : int
        Rows of the parts: as many as `GROUP`, or more.
    pixel : int
        Bytes from a pixel to the next.
    """
    squares_of(radius - 1, kind, parts, height, pixel)
