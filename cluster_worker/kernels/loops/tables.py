"""Compiled loops that count levels and look them up, over rows of values at addresses."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import FEATURES, njit
from cluster_worker.kernels.loops.vectors import (
    VECTOR_BYTES,
    Vectors,
    fence,
    put_at,
    value_at,
)

# Number of histograms that a loop counts in by turns, one for each byte of a word. Neighbouring
# pixels are often equal, and reading a count that has just been written is slow.
COUNTS = 8
WORD, BYTE = np.empty(0, np.uint64), np.empty(0, np.uint8)
WHITE, PAIR = np.uint64(255), np.uint64(65535)
# The instruction that looks up all bytes of a vector at once, if the processor has one. PERMUTE
# (x86's VBMI) reads a table of 128 bytes, in two vectors. SHUFFLE reads a table of 16 bytes, and
# gives zero where a byte is 128 or more.
PERMUTE = "llvm.x86.avx512.vpermi2var.qi.512" if FEATURES.get("avx512vbmi") else None
SHUFFLES = {64: "llvm.x86.avx512.pshuf.b.512", 32: "llvm.x86.avx2.pshuf.b"}
SHUFFLE = SHUFFLES[VECTOR_BYTES] if FEATURES.get("avx2") else None
PERMUTES = bool(PERMUTE or SHUFFLE)
# Bytes of a table that one shuffle holds.
CHUNK_BYTES = 16
AT = "UniTuple(int64, 2)"
KINDS = ("uint8", "uint16")
COUNTED = f"void({AT}, int64, int64, int64[:, ::1])"
PAIRED = f"void({AT}, int64, int64, uint32[::1], int64[::1])"
REPLACED = [
    f"void({kind}[::1], uint{bits}[::1], {AT}, {AT}, int64, int64)"
    for kind in KINDS
    for bits in (8, 16, 32, 64)
]
PERMUTED = f"void(uint8[::1], {AT}, {AT}, int64, int64, boolean)"
# Streamed levels are prefetched this far ahead; the processor's own prefetching is shorter.
AHEAD_BYTES = 1024


@njit(COUNTED, cache=True, error_model="numpy")
def count(source, height, values, counts):
    """Count the bytes of each level.

    Parameters
    ----------
    source : tuple of int
        Address of the first value, and bytes to the next row.
    height, values : int
        Rows, and values in each.
    counts : ndarray of int64
        (`COUNTS`, 256): counts, which are added to; their sum over the first axis is the histogram.
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


@njit(PAIRED, cache=True, error_model="numpy")
def count_pairs(source, height, values, pairs, rest):
    """Count pairs of adjacent bytes, which takes half as many additions as single bytes.

    Parameters
    ----------
    source, height, values
        As in `count`.
    pairs : ndarray of uint32
        (65536,): counts of the pairs, which are added to. The index is the first byte plus 256
        times the second.
    rest : ndarray of int64
        (256,): counts of the bytes at the end of a row that are in no pair; they are added to.
    """
    start, down = source
    whole = values - values % 8
    for y in range(height):
        row = start + y * down
        for x in range(0, whole, 8):
            word = value_at(WORD, row + x)
            for i in range(4):
                pairs[word >> np.uint64(16 * i) & PAIR] += np.uint32(1)
        for x in range(whole, values):
            rest[value_at(BYTE, row + x)] += 1


@njit(REPLACED, cache=True, error_model="numpy")
def replace(kind, table, source, target, height, values):
    """Replace each level by its value in a table.

    Parameters
    ----------
    kind : ndarray
        Any array of the levels' type, uint8 or uint16.
    table : ndarray
        (levels,): the values of all levels, as unsigned integers of the same number of bytes.
    source, target : tuple of int
        Of the levels and of the result: address of the first value, and bytes to the next row.
    height, values : int
        Rows, and values in each.
    """
    (start, down), (to, below) = source, target
    for y in range(height):
        row, result = start + y * down, to + y * below
        for x in range(values):
            found = table[value_at(kind, row + x * kind.itemsize)]
            put_at(result + x * table.itemsize, found)


def by_permutes(builder, vectors, table):
    """Generate the code that looks bytes up by permutations of 128 bytes each.

    Parameters
    ----------
    builder, vectors
        The code builder, and the `Vectors` of bytes.
    table : value
        Address of a table of 256 bytes.

    Returns
    -------
    callable
        From a vector of levels to the vector of their values.
    """
    kind = ir.FunctionType(vectors.vector, [vectors.vector] * 3)
    look_up = cgutils.get_or_insert_function(builder.module, kind, PERMUTE)
    quarters = [vectors.load(table, table.type(i * VECTOR_BYTES)) for i in range(4)]

    def found(levels):
        low, high = (
            builder.call(look_up, [first, levels, second])
            for first, second in (quarters[:2], quarters[2:])
        )
        is_high = builder.icmp_signed("<", levels, ir.Constant(vectors.vector, None))
        return builder.select(is_high, high, low)

    return found


def by_shuffles(builder, vectors, table):
    """Generate the code that looks bytes up by shuffles of 16 bytes each.

    A shuffle gives zero for levels that are not among its own 16. Counted from its first level, the
    other levels are 16 or more, and thus 128 or more after a saturating addition of 112.

    Parameters and result are those of `by_permutes`.
    """
    kind = ir.FunctionType(vectors.vector, [vectors.vector] * 2)
    look_up = cgutils.get_or_insert_function(builder.module, kind, SHUFFLE)
    add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.uadd.sat.v{VECTOR_BYTES}i8")
    lanes = ir.VectorType(ir.IntType(32), VECTOR_BYTES)
    repeated = ir.Constant(lanes, [i % CHUNK_BYTES for i in range(VECTOR_BYTES)])
    chunk = ir.VectorType(ir.IntType(8), CHUNK_BYTES)

    def constant(level):
        return ir.Constant(vectors.vector, [level] * VECTOR_BYTES)

    pieces = []
    for first in range(0, 256, CHUNK_BYTES):
        address = builder.inttoptr(builder.add(table, table.type(first)), chunk.as_pointer())
        piece = builder.load(address, align=1)
        pieces.append(builder.shuffle_vector(piece, piece, repeated))

    def found(levels):
        total = constant(0)
        for i, piece in enumerate(pieces):
            own = builder.call(add, [builder.sub(levels, constant(i * CHUNK_BYTES)), constant(112)])
            total = builder.or_(total, builder.call(look_up, [piece, own]))
        return total

    return found


@intrinsic
def permute(_, table, source, target, values, streams):
    """Look up the bytes of a row, which has at least as many as a vector holds."""

    def generate(context, builder, _signature, arguments):
        table, source, target, values, streams = arguments
        vectors = Vectors(context, builder, types.uint8)
        zero, lanes, ahead = map(values.type, (0, VECTOR_BYTES, AHEAD_BYTES))
        found = (by_permutes if PERMUTE else by_shuffles)(builder, vectors, table)

        def put(x):
            vectors.store(found(vectors.load(source, x)), target, x)

        # The last vector overlaps the one before. It is read before anything is written, because
        # the result may replace the levels.
        last = builder.sub(values, lanes)
        rest = vectors.load(source, last)
        with builder.if_else(streams) as (past, kept):
            with past:
                put(zero)
                line = builder.and_(builder.neg(target), values.type(VECTOR_BYTES - 1))
                with cgutils.for_range_slice(builder, line, last, lanes) as (x, _):
                    vectors.fetch(source, builder.add(x, ahead))
                    vectors.stream(found(vectors.load(source, x)), target, x)
            with kept, cgutils.for_range_slice(builder, zero, last, lanes) as (x, _):
                put(x)
        vectors.store(found(rest), target, last)
        return context.get_dummy_value()

    return types.void(table, source, target, values, streams), generate


def replace_bytes(table, source, target, height, values, streams):
    """Look up bytes by whole vectors, if the processor has an instruction for it (`PERMUTES`).

    Parameters
    ----------
    table : ndarray of uint8
        (256,): the values of all levels.
    source, target, height
        As in `replace`.
    values : int
        Values in each row, at least `VECTOR_BYTES`.
    streams : bool
        Whether the result is written past the caches; it must not replace the levels then.
    """
    (start, down), (to, below) = source, target
    for y in range(height):
        permute(table.ctypes.data, start + y * down, to + y * below, values, streams)
    fence()


if PERMUTES:
    replace_bytes = njit(PERMUTED, cache=True, error_model="numpy")(replace_bytes)
