"""Compiled loops that count levels."""

from cluster_worker.kernels.loops.compiling import compiled

# Tables that a loop counts in by turns: neighbours are often alike, and a count that has just been
# written cannot be read again at once.
COUNTS = 8


@compiled
def count(rows, counts):
    """Count the pixels of each level.

    Parameters
    ----------
    rows : ndarray of uint8
        (rows, values).
    counts : ndarray of int64
        (`COUNTS`, 256), added to; the sum over the first axis is what is wanted.
    """
    values = rows.shape[1]
    whole = values - values % COUNTS
    for y in range(rows.shape[0]):
        row = rows[y]
        for x in range(0, whole, COUNTS):
            for i in range(COUNTS):
                counts[i, row[x + i]] += 1
        for x in range(whole, values):
            counts[0, row[x]] += 1
