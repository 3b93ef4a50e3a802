"""Compiled loops over Fourier coefficients, with the same bits as numpy.

Complex numbers are pairs of adjacent floats. numpy divides them by a real number as it divides them
by a complex one: it multiplies by the inverse.
"""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

FLOATS = "float32", "float64"
DIVIDED = [f"void({each}[:, ::1], {each}[:, ::1], {each}, {each}[:, ::1])" for each in FLOATS]
SCATTERED = [
    f"void({each}[:, ::1], float64[:, ::1], float64[:, ::1], {each}[:, ::1])" for each in FLOATS
]
SHARED = [
    f"void({each}[:, ::1], {each}[:, ::1], {each}, {each}, {each}[:, ::1])" for each in FLOATS
]


@njit(DIVIDED, cache=True, error_model="numpy")
def divide_conjugates(transfer, precision, gain, result):
    """Multiply conjugates of complex numbers by `gain`, and divide them by real numbers.

    `precision` is (rows, columns); `transfer` and `result` are (rows, 2 × columns). All have the
    same float type.
    """
    one = precision.dtype.type(1)
    for y in range(precision.shape[0]):
        given, by, found = transfer[y], precision[y], result[y]
        for x in range(by.size):
            inverse = one / by[x]
            found[2 * x] = gain * given[2 * x] * inverse
            found[2 * x + 1] = gain * -given[2 * x + 1] * inverse


@njit(SCATTERED, cache=True, error_model="numpy")
def scatter(precision, real, imaginary, result):
    """Divide random complex numbers by the square root of twice a precision.

    `precision` is (rows, columns), and `result` (rows, 2 × columns), of one float type. `real` and
    `imaginary` are (rows, columns) of doubles.
    """
    half = precision.dtype.type(0.5)
    for y in range(precision.shape[0]):
        by, found = precision[y], result[y]
        for x in range(by.size):
            deviation = np.sqrt(half / by[x])
            found[2 * x] = real[y, x]
            found[2 * x + 1] = imaginary[y, x]
            found[2 * x] *= deviation
            found[2 * x + 1] *= deviation


@njit(SHARED, cache=True, error_model="numpy")
def take_shares(total, before, share, share_before, result):
    """Compute ``total * share - before * share_before``."""
    for y in range(total.shape[0]):
        now, then, found = total[y], before[y], result[y]
        for x in range(now.size):
            found[x] = now[x] * share - then[x] * share_before
