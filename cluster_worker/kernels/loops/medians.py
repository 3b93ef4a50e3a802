"""Compiled loops of medians of squares, by networks from rows of an image to rows of the result.

A few rows of results are computed at a time. The values of each image row are sorted once for all
of them. The rows that the squares of two neighbouring results share are merged once. Of those
merged values only the ranks are kept that can be the median once the last row is added.
"""

from functools import cache

from cluster_worker.kernels.loops.compiling import compiled
from cluster_worker.kernels.loops.networks import GROUP, in_order, merged, one_of, ranked, wired


def squares(radius):
    """Return the network from the rows of a group of squares to their medians."""
    side = 2 * radius + 1
    middle = side * side // 2

    def network(*lists):
        rows = [in_order(each) for each in lists]

        @cache
        def pairs(first, last):
            """Merge pairs of rows: first those that two neighbours in the group share."""
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
def medians(kind, radius, pieces, height, pixel):
    """Compute the medians of squares.

    Parameters
    ----------
    kind : ndarray
        Any array of the images' type: unsigned integers, or floats without NaN.
    radius : int
        From 1 to 4, in pixels.
    pieces : tuple
        Three pieces of the result, with the same rows. Each has (address of the first value that is
        read, bytes from one row to the next), the same pair for the result, and the number of
        values in a row: 0, or at least as many as a vector holds. The pixels that are read reach
        beyond the piece by the radius on every side.
    height : int
        Rows of the pieces, at least `GROUP`.
    pixel : int
        Bytes from one pixel to the next.
    """
    squares_of(radius - 1, kind, pieces, height, pixel)
