"""Compiled loop of numpy's normal random numbers, from its PCG64 generator, with the same bits.

It has O'Neill's generator and Marsaglia's ziggurat as numpy has them, but no call for each number.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Private: copies of numpy's tables, which numpy does not export. A test compares with numpy.
from numba.np.random._constants import (
    fi_double,
    ki_double,
    wi_double,
    ziggurat_nor_inv_r,
    ziggurat_nor_r,
)

from cluster_worker.kernels.loops.compiling import exactly, exactly_inlined

# Multiplier of PCG's congruential generator of 128 bits.
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
PAIR = types.UniTuple(types.uint64, 2)

BYTE, ONE = np.uint64(0xFF), np.uint64(1)
MANTISSA = np.uint64(0x000FFFFFFFFFFFFF)


@intrinsic
def advance(_, high, low, high_step, low_step):  # noqa: ARG001 - numba reads the names
    """Return the high and the low half of the generator's next state."""

    def generate(context, builder, signature, values):
        wide = ir.IntType(128)

        def joined(high, low):
            upper = builder.shl(builder.zext(high, wide), ir.Constant(wide, 64))
            return builder.or_(upper, builder.zext(low, wide))

        product = builder.mul(joined(*values[:2]), ir.Constant(wide, MULTIPLIER))
        state = builder.add(product, joined(*values[2:]))
        half = ir.IntType(64)
        upper = builder.trunc(builder.lshr(state, ir.Constant(wide, 64)), half)
        halves = [upper, builder.trunc(state, half)]
        return context.make_tuple(builder, signature.return_type, halves)

    return PAIR(*[types.uint64] * 4), generate


@exactly_inlined
def output(high, low):
    """Return the 64 random bits of a state."""
    mixed = high ^ low
    turn = high >> np.uint64(58)
    return (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))


@exactly_inlined
def uniform(bits):
    """Convert 64 random bits to a double of at least 0 and less than 1."""
    return (bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@exactly
def fill(state, result):
    """Fill an array with normal random numbers.

    Parameters
    ----------
    state : ndarray of uint64
        (4,): high and low half of the generator's state, which is advanced, and of its increment.
    result : ndarray of float64
        (numbers,): array for the result.
    """
    high, low, high_step, low_step = state[0], state[1], state[2], state[3]
    for i in range(result.size):
        while True:
            high, low = advance(high, low, high_step, low_step)
            bits = output(high, low)
            k = bits & BYTE
            sign = (bits >> np.uint64(8)) & ONE
            whole = (bits >> np.uint64(9)) & MANTISSA
            x = whole * wi_double[k]
            x = -x if sign else x
            if whole < ki_double[k]:
                break
            if k == 0:
                # The tail.
                while True:
                    high, low = advance(high, low, high_step, low_step)
                    far = -ziggurat_nor_inv_r * math.log1p(-uniform(output(high, low)))
                    high, low = advance(high, low, high_step, low_step)
                    near = -math.log1p(-uniform(output(high, low)))
                    if near + near > far * far:
                        break
                far += ziggurat_nor_r
                x = -far if (whole >> np.uint64(8)) & ONE else far
                break
            high, low = advance(high, low, high_step, low_step)
            height = fi_double[k - ONE] - fi_double[k]
            if height * uniform(output(high, low)) + fi_double[k] < math.exp(-0.5 * x * x):
                break
        result[i] = x
    state[0], state[1] = high, low
