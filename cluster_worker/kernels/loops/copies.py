"""Compiled loops that write bytes past the caches, over rows at addresses."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import njit
from cluster_worker.kernels.loops.vectors import LINE_BYTES, Vectors, fence, put_at, value_at

BYTE = np.empty(0, np.uint8)
AT = "UniTuple(int64, 2)"
MOVED = f"void({AT}, {AT}, int64, int64, UniTuple(uint8, 4))"
CLEARED = f"void({AT}, int64, int64)"


@intrinsic
def stream_lines(_, source, target, count, change):
    """Move whole lines of memory past the caches.

    `target` is the address of the start of a line, and `count` the number of bytes.
    """

    def generate(context, builder, _signature, arguments):
        source, target, count, change = arguments
        vectors = Vectors(context, builder, types.uint8)
        black = ir.Constant(vectors.vector, None)
        kept, flipped, level, white = map(vectors.filled, cgutils.unpack_tuple(builder, change))
        zero, step = map(count.type, (0, vectors.lanes))
        with cgutils.for_range_slice(builder, zero, count, step) as (x, _):
            value = vectors.load(source, x)
            above = builder.select(builder.icmp_unsigned(">", value, level), white, black)
            changed = builder.xor(builder.and_(value, kept), flipped)
            vectors.stream(builder.or_(changed, above), target, x)
        return context.get_dummy_value()

    return types.void(source, target, count, change), generate


@njit(cache=True, error_model="numpy")
def move_bytes(source, target, count, change):
    """Move `count` bytes through the caches, and change each as `move` does."""
    kept, flipped, level, white = change
    for x in range(count):
        value = value_at(BYTE, source + x)
        above = white if value > level else np.uint8(0)
        # Without the conversion, 8 bytes would be stored.
        put_at(target + x, np.uint8(value & kept ^ flipped | above))


@njit(MOVED, cache=True, error_model="numpy")
def move(source, target, height, count, change):
    """Move bytes past the caches, and change each on the way.

    Only whole lines of memory are streamed. If a line is streamed in part, or written again soon
    after, the processor reads and writes it several times. The bytes at the start and the end of a
    row that do not fill a line are therefore moved through the caches.

    Parameters
    ----------
    source, target : tuple of int
        Address of the first byte, and bytes from one row to the next. The two do not overlap.
    height, count : int
        Rows, and bytes in each.
    change : tuple of int
        Four bytes: the bits that are kept, the bits that are flipped, a level, and the bits that
        are set where a byte exceeds the level.
    """
    (start, down), (to, below) = source, target
    for y in range(height):
        row, result = start + y * down, to + y * below
        first = min(-result % LINE_BYTES, count)
        last = count - (count - first) % LINE_BYTES
        move_bytes(row, result, first, change)
        stream_lines(row + first, result + first, last - first, change)
        move_bytes(row + last, result + last, count - last, change)
    fence()


@intrinsic
def stream_zeros(_, target, count):
    """Set whole lines of memory to zero, past the caches.

    `target` is the address of the start of a line, and `count` the number of bytes.
    """

    def generate(context, builder, _signature, arguments):
        target, count = arguments
        vectors = Vectors(context, builder, types.uint8)
        none = ir.Constant(vectors.vector, None)
        zero, step = map(count.type, (0, vectors.lanes))
        with cgutils.for_range_slice(builder, zero, count, step) as (x, _):
            vectors.stream(none, target, x)
        return context.get_dummy_value()

    return types.void(target, count), generate


@njit(CLEARED, cache=True, error_model="numpy")
def clear(target, height, count):
    """Set bytes to zero past the caches; `target`, `height` and `count` are as in `move`."""
    to, below = target
    for y in range(height):
        row = to + y * below
        first = min(-row % LINE_BYTES, count)
        last = count - (count - first) % LINE_BYTES
        for x in range(first):
            put_at(row + x, np.uint8(0))
        stream_zeros(row + first, last - first)
        for x in range(last, count):
            put_at(row + x, np.uint8(0))
    fence()
