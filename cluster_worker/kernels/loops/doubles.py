"""Compiled loops that weigh neighbours in double precision, to scipy's last bit."""

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined, named

# Values between two rows: no multiple of a page, or rows would displace each other in the cache.
# There is room for 256 values and the halo of a Gaussian that reaches 134 pixels.
STRIDE = 528


@exactly_inlined
def begin(weight, middle, total):
    """Begin sums with the middle."""
    for x in range(total.size):
        total[x] = middle[x] * weight


@exactly_inlined
def added(before, after):
    """Join what weighs the same on both sides of the middle."""
    return before + after


@exactly_inlined
def subtracted(before, after):
    """Join what weighs the opposite after the middle."""
    return before - after


def weighing(step, joined=added):
    """Make a loop that weighs values that lie a step apart, in scipy's order.

    With the step known to the compiler, values are offsets from one address. Its weights go from
    the first to the middle; `joined` says what those after it are.
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
