"""Compiled loops that sum floats without rounding."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import exactly

# Bits of a double's fraction, and the masks of its exponent and its fraction.
FRACTION = 52
EXPONENT_MASK = (1 << 11) - 1
FRACTION_MASK = (1 << FRACTION) - 1
# Fractions are summed in two halves, so that no sum overflows.
HALF = 27
HALF_MASK = (1 << HALF) - 1


@intrinsic
def bits_of(_, value):  # noqa: ARG001 - numba reads the name
    """Return the bits of a double as an integer."""

    def generate(_context, builder, _signature, values):
        return builder.bitcast(values[0], ir.IntType(64))

    return types.int64(types.float64), generate


@exactly
def by_exponents(values, upper, lower):
    """Sum the fractions of floats by their exponent as doubles, in two halves.

    Parameters
    ----------
    values : ndarray of float32 or float64
        (rows, columns), finite; it may be a view.
    upper, lower : ndarray of int64
        (exponents,): sums of the upper and the lower half of the signed fractions. They are added
        to.
    """
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(row.size):
            bits = bits_of(np.float64(row[x]))
            exponent = (bits >> FRACTION) & EXPONENT_MASK
            # Subnormal numbers have an exponent of 0, which counts as 1, and no leading bit.
            fraction = (bits & FRACTION_MASK) + (min(exponent, 1) << FRACTION)
            whole = -fraction if bits < 0 else fraction
            index = np.uint64(max(exponent, 1))
            upper[index] += whole >> HALF
            lower[index] += whole & HALF_MASK
