"""Compiled loops that find one pixel of each neighbourhood by its place in their order.

Each bit of the wanted level is found by counting, the highest first: it is set if few enough pixels
of the neighbourhood lie below the level with this bit. The count does not depend on the levels, and
is made for many pixels of a row at a time.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import njit
from cluster_worker.kernels.loops.vectors import VECTOR_BYTES, Vectors

# Vectors that are counted together: their counts and levels stay in registers.
TOGETHER = 4
BLOCK_BYTES = TOGETHER * VECTOR_BYTES
# Pixels that are counted in eight bits.
COUNTED_MAX = 255
LEVELS = ("uint8", "uint16", "uint32")
FOUND = [
    f"void({each}[:, ::1], int64[::1], int32[:, ::1], int64, {each}[:, ::1])" for each in LEVELS
]


@intrinsic
def count_below(_, kind, pixels, near, first, last, levels, counts):
    """Count the neighbours that lie below a level, for each pixel of a block.

    Parameters
    ----------
    kind : ndarray
        Any array of the levels' type. It is unsigned, but levels are compared as signed numbers,
        for which more processors have an instruction.
    pixels, levels, counts : int
        Addresses of a block of pixels, of the level of each, and of the results. All have one type.
    near : int
        Address of int64: bytes from a pixel to each of its neighbours.
    first, last : int
        The neighbours that are counted; at most as many as the type can count.
    """

    def generate(context, builder, _signature, arguments):
        _, pixels, near, first, last, levels, counts = arguments
        vectors = Vectors(context, builder, kind.dtype)
        each = [ir.Constant(near.type, i * vectors.lanes) for i in range(TOGETHER)]
        limits = [vectors.load(levels, x) for x in each]
        totals = [cgutils.alloca_once(builder, vectors.vector) for _ in each]
        for total in totals:
            builder.store(ir.Constant(vectors.vector, None), total)
        with cgutils.for_range_slice(builder, first, last, first.type(1)) as (k, _):
            at = builder.add(near, builder.mul(k, k.type(8)))
            far = builder.load(builder.inttoptr(at, near.type.as_pointer()))
            start = builder.add(pixels, far)
            for x, limit, total in zip(each, limits, totals, strict=True):
                below = builder.icmp_signed("<", vectors.load(start, x), limit)
                # A comparison that holds is -1 as a signed number.
                builder.store(
                    builder.sub(builder.load(total), builder.sext(below, vectors.vector)), total
                )
        for x, total in zip(each, totals, strict=True):
            vectors.store(builder.load(total), counts, x)
        return context.get_dummy_value()

    return types.void(kind, pixels, near, first, last, levels, counts), generate


@njit(FOUND, cache=True, error_model="numpy")
def find(plane, near, ranks, bits, result):
    """Find the pixel of each neighbourhood that has `ranks` others before it in rising order.

    Parameters
    ----------
    plane : ndarray of uint8, uint16 or uint32
        The levels, below 2 ** `bits`, with the highest bit of the type inverted: so they have the
        same order as signed numbers. The neighbourhood of the result's first pixel begins at the
        first value; a row holds the neighbourhoods of a whole number of blocks.
    near : ndarray of int64
        For each pixel of a neighbourhood, the bytes from the first pixel of the square around it.
    ranks : ndarray of int32
        (rows, values) of the result, or a single row if all rows are alike, or a single value.
    bits : int
        Bits of a level.
    result : ndarray
        (rows, values) of the plane's type, for the levels, whose highest bit is not inverted. The
        values of a row are a whole number of blocks.
    """
    block = BLOCK_BYTES // plane.itemsize
    most = COUNTED_MAX if plane.itemsize == 1 else 1 << 15
    tried, counts = np.empty(block, plane.dtype), np.empty(block, plane.dtype)
    totals, wanted = np.empty(block, np.int32), np.empty(block, np.int32)
    one, top = plane.dtype.type(1), plane.dtype.type(1 << (8 * plane.itemsize - 1))
    for y in range(result.shape[0]):
        line = ranks[y % ranks.shape[0]]
        for left in range(0, result.shape[1], block):
            found = result[y, left : left + block]
            found[:] = 0
            if line.size == 1:
                wanted[:] = line[0]
            else:
                wanted[:] = line[left : left + block]
            pixels = plane.ctypes.data + y * plane.strides[0] + left * plane.itemsize
            for bit in range(bits - 1, -1, -1):
                for i in range(block):
                    tried[i] = (found[i] | (one << bit)) ^ top
                totals[:] = 0
                for first in range(0, near.size, most):
                    last = min(first + most, near.size)
                    count_below(
                        plane,
                        pixels,
                        near.ctypes.data,
                        first,
                        last,
                        tried.ctypes.data,
                        counts.ctypes.data,
                    )
                    for i in range(block):
                        totals[i] += np.int32(counts[i])
                for i in range(block):
                    if totals[i] <= wanted[i]:
                        found[i] = tried[i] ^ top


STRETCHED = [
    f"void({each}[:, ::1], {each}[:, :], {each}[:, :], int64, {each}[:, ::1])"
    for each in LEVELS[:2]
]


@njit(STRETCHED, cache=True, error_model="numpy")
def stretch(own, least, most, white, result):
    """Stretch each pixel between the least and the greatest level that it may have.

    All arrays are (rows, columns). As in scikit-image, a difference below 0 wraps around.
    """
    for y in range(result.shape[0]):
        for x in range(result.shape[1]):
            low, high = np.int64(least[y, x]), np.int64(most[y, x])
            level = min(max(low, np.int64(own[y, x])), high)
            if high > low:
                result[y, x] = white * (level - low) // (high - low)
            else:
                result[y, x] = high - low
