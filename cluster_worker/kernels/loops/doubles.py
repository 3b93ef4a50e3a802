"""Compiled loops of weighted sums in double precision, with the same bits as scipy."""

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, named

# Values from one buffered row to the next. It is no multiple of a page, because rows would then
# evict each other from the cache. A row has room for 256 values and the halo of a Gaussian that
# reaches 134 pixels.
STRIDE = 528


@exactly_inlined
def begin(weight, middle, total):
    """Start the sums with the middle value."""
    for x in range(total.size):
        total[x] = middle[x] * weight


@exactly_inlined
def added(before, after):
    """Join two values whose weights are equal: weights symmetric about the middle."""
    return before + after


@exactly_inlined
def subtracted(before, after):
    """Join two values whose weights are opposite: weights antisymmetric about the middle."""
    return before - after


def weighing(step, joined=added):
    """Make a loop that computes weighted sums of values that lie `step` apart, in scipy's order.

    The compiler knows the step, so that values are at fixed offsets from one address.

    Parameters
    ----------
    step : int
        Distance of the values.
    joined : callable
        `added` or `subtracted`: the symmetry of the weights.

    Returns
    -------
    callable
        ``weigh(lines, weights, total)``: `weights` are those from the first to the middle.
    """

    @exactly_inlined
    def add_pair(weight, before, after, total):
        for x in range(total.size):
            total[x] += joined(before[x], after[x]) * weight

    @exactly_inlined
    def add_four_pairs(weights, before, after, total):
        p, q, r, s = weights[0], weights[1], weights[2], weights[3]
        for x in range(total.size):
            b, c, d = x + step, x + 2 * step, x + 3 * step
            found = total[x] + joined(before[x], after[d]) * p
            found += joined(before[b], after[c]) * q
            found += joined(before[c], after[b]) * r
            total[x] = found + joined(before[d], after[x]) * s

    @exactly
    @named(step, joined.py_func.__name__)
    def weigh(lines, weights, total):
        radius = weights.size - 1
        begin(weights[radius], lines[radius * step :], total)
        four = radius - radius % 4
        for k in range(0, four, 4):
            after = lines[(2 * radius - k - 3) * step :]
            add_four_pairs(weights[k:], lines[k * step :], after, total)
        for k in range(four, radius):
            after = lines[(2 * radius - k) * step :]
            add_pair(weights[k], lines[k * step :], after, total)

    return weigh


weigh_down = weighing(STRIDE)
weigh_across = weighing(1)
