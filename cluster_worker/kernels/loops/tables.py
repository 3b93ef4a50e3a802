"""Compiled loops that count levels and look them up, over rows of values at addresses."""

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import njit
from cluster_worker.kernels.loops.vectors import (
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
WHITE, PAIR = np.uint64(255), np.uint64(65535)
# What the processor looks up at once for all bytes of a vector, if anything: two of four tables of
# 64 bytes (x86's VBMI), or one of 16 bytes, and zero where a byte is 128 or more.
FEATURES = get_host_cpu_features()
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


@njit(PAIRED, cache=True, error_model="numpy")
def count_pairs(source, height, values, pairs, rest):
    """Count pairs of bytes side by side, which takes half as many additions.

    Parameters
    ----------
    source, height, values
        As above.
    pairs : ndarray of uint32
        (65536,), added to; the second byte of a pair counts 256.
    rest : ndarray of int64
        (256,), added to: of the bytes that are in no pair.
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


def by_permutes(builder, vectors, table):
    """Generate what looks bytes up by permutations of 128 bytes each, from a table's address."""
    kind = ir.FunctionType(vectors.vector, [vectors.vector] * 3)
    look_up = cgutils.get_or_insert_function(builder.module, kind, PERMUTE)
    parts = [vectors.load(table, table.type(i * VECTOR_BYTES)) for i in range(4)]

    def found(levels):
        low, high = (
            builder.call(look_up, [first, levels, second])
            for first, second in (parts[:2], parts[2:])
        )
        is_high = builder.icmp_signed("<", levels, ir.Constant(vectors.vector, None))
        return builder.select(is_high, high, low)

    return found


def by_shuffles(builder, vectors, table):
    """Generate what looks bytes up by shuffles of 16 bytes each, from a table's address.

    Each gives zero but to the bytes that are its own: counted from its first level, the others are
    16 or more, and 128 or more once 112 is added.
    """
    kind = ir.FunctionType(vectors.vector, [vectors.vector] * 2)
    look_up = cgutils.get_or_insert_function(builder.module, kind, SHUFFLE)
    add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.uadd.sat.v{VECTOR_BYTES}i8")
    lanes = ir.VectorType(ir.IntType(32), VECTOR_BYTES)
    repeated = ir.Constant(lanes, [i % CHUNK_BYTES for i in range(VECTOR_BYTES)])
    chunk = ir.VectorType(ir.IntType(8), CHUNK_BYTES)

    def constant(level):
        return ir.Constant(vectors.vector, [level] * VECTOR_BYTES)

    parts = []
    for first in range(0, 256, CHUNK_BYTES):
        address = builder.inttoptr(builder.add(table, table.type(first)), chunk.as_pointer())
        part = builder.load(address, align=1)
        parts.append(builder.shuffle_vector(part, part, repeated))

    def found(levels):
        total = constant(0)
        for i, part in enumerate(parts):
            own = builder.call(add, [builder.sub(levels, constant(i * CHUNK_BYTES)), constant(112)])
            total = builder.or_(total, builder.call(look_up, [part, own]))
        return total

    return found


@intrinsic
def permute(_, table, source, target, values, streams):
    """Look the bytes of a row up; there are as many as a vector holds, or more."""

    def generate(context, builder, _signature, arguments):
        table, source, target, values, streams = arguments
        vectors = Vectors(context, builder, types.uint8)
        zero, lanes, ahead = map(values.type, (0, VECTOR_BYTES, AHEAD_BYTES))
        found = (by_permutes if PERMUTE else by_shuffles)(builder, vectors, table)

        def put(x):
            vectors.store(found(vectors.load(source, x)), target, x)

        # The last vector overlaps the one before: it is read first, as the result may lie there.
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
    """Look bytes up, a vector of them at once, where the processor can (`PERMUTES`).

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
