"""Compiled loops that sum floats without rounding."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import exactly

# Of a double: bits of its fraction, and of its exponent.
FRACTION = 52
EXPONENT_MASK = (1 << 11) - 1
FRACTION_MASK = (1 << FRACTION) - 1
# Fractions are summed in two halves, so that no sum overflows.
HALF = 27
HALF_MASK = (1 << HALF) - 1


@intrinsic
def bits_of(_, value):  # noqa: ARG001 - numba reads the name
    """Give the bits of a double as a whole number."""

    def generate(_context, builder, _signature, values):
        return builder.bitcast(values[0], ir.IntType(64))

    return types.int64(types.float64), generate


@exactly
def by_exponents(values, upper, lower):
    """Add up the fractions of floats that have the same exponent as doubles, in halves.

    `values` are (rows, columns), side by side or not; `upper` and `lower` have one for each
    exponent.
    """
    for y in range(values.shape[0]):
        row = values[y]
        for x in range(row.size):
            bits = bits_of(np.float64(row[x]))
            exponent = (bits >> FRACTION) & EXPONENT_MASK
            # The smallest have an exponent of 0, which counts as 1, and no leading bit.
            fraction = (bits & FRACTION_MASK) + (min(exponent, 1) << FRACTION)
            whole = -fraction if bits < 0 else fraction
            place = np.uint64(max(exponent, 1))
            upper[place] += whole >> HALF
            lower[place] += whole & HALF_MASK
