"""Compiled loops that count levels and look them up, over rows of values at addresses."""

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import njit
from cluster_worker.kernels.loops.vectors import (
    LINE_BYTES,
    VECTOR_BYTES,
    Vectors,
    fence,
    put_at,
    value_at,
)

# Tables that a loop counts in by turns, one for each byte of a word: neighbours are often alike,
# and a count that has just been written cannot be read again at once.
COUNTS = 8
WORD, BYTE = np.empty(0, np.uint64), np.empty(0, np.uint8)
WHITE = np.uint64(255)
# Whether the processor looks up all bytes of a vector at once (x86's VBMI).
PERMUTES = bool(get_host_cpu_features().get("avx512vbmi"))
PERMUTE = "llvm.x86.avx512.vpermi2var.qi.512"
AT = "UniTuple(int64, 2)"
KINDS = ("uint8", "uint16")
COUNTED = f"void({AT}, int64, int64, int64[:, ::1])"
REPLACED = [
    f"void({kind}[::1], uint{bits}[::1], {AT}, {AT}, int64, int64)"
    for kind in KINDS
    for bits in (8, 16, 32, 64)
]
PERMUTED = f"void(uint8[::1], {AT}, {AT}, int64, int64, boolean)"
# So far ahead levels are asked for that are streamed: the processor alone looks less far.
AHEAD_BYTES = 1024


@njit(COUNTED, cache=True, error_model="numpy")
def count(source, height, values, counts):
    """Count the pixels of each level of bytes.

    Parameters
    ----------
    source : tuple of int
        Address of the first value, and bytes to the next row.
    height, values : int
        Rows, and values in each.
    counts : ndarray of int64
        (`COUNTS`, 256), added to; the sum over the first axis is what is wanted.
    """
    start, down = source
    whole = values - values % COUNTS
    for y in range(height):
        row = start + y * down
        for x in range(0, whole, COUNTS):
            word = value_at(WORD, row + x)
            for i in range(COUNTS):
                counts[i, word >> np.uint64(8 * i) & WHITE] += 1
        for x in range(whole, values):
            counts[0, value_at(BYTE, row + x)] += 1


@njit(REPLACED, cache=True, error_model="numpy")
def replace(kind, table, source, target, height, values):
    """Look levels up.

    Parameters
    ----------
    kind : ndarray
        Any of uint8 or uint16.
    table : ndarray
        Of all levels: whole numbers without sign, of as many bytes as what they stand for.
    source, target : tuple of int
        Of levels and result: address of the first value, and bytes to the next row.
    height, values : int
        Rows, and values in each.
    """
    (start, down), (to, below) = source, target
    for y in range(height):
        row, result = start + y * down, to + y * below
        for x in range(values):
            found = table[value_at(kind, row + x * kind.itemsize)]
            put_at(result + x * table.itemsize, found)


@intrinsic
def permute(_, table, source, target, values, streams):
    """Look the bytes of a row up; there are as many as a vector holds, or more."""

    def generate(context, builder, _signature, arguments):
        table, source, target, values, streams = arguments
        vectors = Vectors(context, builder, types.uint8)
        kind = ir.FunctionType(vectors.vector, [vectors.vector] * 3)
        look_up = cgutils.get_or_insert_function(builder.module, kind, PERMUTE)
        zero, lanes, ahead = map(values.type, (0, VECTOR_BYTES, AHEAD_BYTES))
        parts = [vectors.load(table, values.type(i * VECTOR_BYTES)) for i in range(4)]

        def found(levels):
            low, high = (
                builder.call(look_up, [first, levels, second])
                for first, second in (parts[:2], parts[2:])
            )
            is_high = builder.icmp_signed("<", levels, ir.Constant(vectors.vector, None))
            return builder.select(is_high, high, low)

        def put(x):
            vectors.store(found(vectors.load(source, x)), target, x)

        # The last vector overlaps the one before: it is read first, as the result may lie there.
        last = builder.sub(values, lanes)
        rest = vectors.load(source, last)
        with builder.if_else(streams) as (past, kept):
            with past:
                put(zero)
                line = builder.and_(builder.neg(target), values.type(LINE_BYTES - 1))
                with cgutils.for_range_slice(builder, line, last, lanes) as (x, _):
                    vectors.fetch(source, builder.add(x, ahead))
                    vectors.stream(found(vectors.load(source, x)), target, x)
            with kept, cgutils.for_range_slice(builder, zero, last, lanes) as (x, _):
                put(x)
        vectors.store(found(rest), target, last)
        return context.get_dummy_value()

    return types.void(table, source, target, values, streams), generate


def replace_bytes(table, source, target, height, values, streams):
    """Look bytes up, a vector of them at once, where the processor `PERMUTES`.

    Parameters
    ----------
    table : ndarray of uint8
        Of all levels.
    source, target, height
        As above.
    values : int
        In each row, `VECTOR_BYTES` at least.
    streams : bool
        Whether the result, which then lies elsewhere than the levels, goes past the caches.
    """
    (start, down), (to, below) = source, target
    for y in range(height):
        permute(table.ctypes.data, start + y * down, to + y * below, values, streams)
    fence()


if PERMUTES:
    replace_bytes = njit(PERMUTED, cache=True, error_model="numpy")(replace_bytes)
