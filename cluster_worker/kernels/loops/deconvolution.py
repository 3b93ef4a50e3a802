"""Compiled loops over Fourier coefficients, to numpy's last bit.

Complex numbers are pairs of floats side by side. numpy divides them by a real number as it would
by a complex one: it multiplies with the inverse.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly


@exactly
def invert(transfer, precision, gain, one, result):
    """Multiply conjugates of complex numbers with `gain`, and divide them by real numbers.

    All are (rows, columns) of one type of float, those of complex numbers twice as wide; `one` is
    1 of that type.
    """
    for y in range(precision.shape[0]):
        given, by, found = transfer[y], precision[y], result[y]
        for x in range(by.size):
            inverse = one / by[x]
            found[2 * x] = gain * given[2 * x] * inverse
            found[2 * x + 1] = gain * -given[2 * x + 1] * inverse


@exactly
def scatter(precision, half, real, imaginary, result):
    """Divide random complex numbers by the root of twice a precision.

    `real` and `imaginary` are doubles; `half` is 0.5 of the result's type.
    """
    for y in range(precision.shape[0]):
        by, found = precision[y], result[y]
        for x in range(by.size):
            deviation = np.sqrt(half / by[x])
            found[2 * x] = real[y, x]
            found[2 * x + 1] = imaginary[y, x]
            found[2 * x] *= deviation
            found[2 * x + 1] *= deviation


@exactly
def advance(total, before, share, share_before, result):
    """Take shares of what was before from shares of a total."""
    for y in range(total.shape[0]):
        now, then, found = total[y], before[y], result[y]
        for x in range(now.size):
            found[x] = now[x] * share - then[x] * share_before
