"""A compiled loop that moves bytes past the caches, over rows of them at addresses."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import njit
from cluster_worker.kernels.loops.vectors import LINE_BYTES, Vectors, fence, put_at, value_at

BYTE = np.empty(0, np.uint8)
AT = "UniTuple(int64, 2)"
MOVED = f"void({AT}, {AT}, int64, int64, uint8)"


@intrinsic
def stream_lines(_, source, target, count, flipped):
    """Move whole lines of memory: `target` is where one begins, `count` is of bytes."""

    def generate(context, builder, _signature, arguments):
        source, target, count, flipped = arguments
        vectors = Vectors(context, builder, types.uint8)
        bits = builder.insert_element(ir.Constant(vectors.vector, None), flipped, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), vectors.lanes), None)
        bits = builder.shuffle_vector(bits, bits, lanes)
        zero, step = map(count.type, (0, vectors.lanes))
        with cgutils.for_range_slice(builder, zero, count, step) as (x, _):
            vectors.stream(builder.xor(vectors.load(source, x), bits), target, x)
        return context.get_dummy_value()

    return types.void(source, target, count, flipped), generate


@njit(MOVED, cache=True, error_model="numpy")
def move(source, target, height, count, flipped):
    """Move bytes, and flip bits of each on the way.

    A line of memory that is streamed in part, or written again at once, is read and written
    several times: where a row ends and the next begins, bytes go the usual way.

    Parameters
    ----------
    source, target : tuple of int
        Address of the first byte, and bytes to the next row. The two do not overlap.
    height, count : int
        Rows, and bytes in each.
    flipped : int
        The bits that are flipped in each byte.
    """
    (start, down), (to, below) = source, target
    for y in range(height):
        row, result = start + y * down, to + y * below
        first = min(-result % LINE_BYTES, count)
        last = count - (count - first) % LINE_BYTES
        for x in range(first):
            put_at(result + x, value_at(BYTE, row + x) ^ flipped)
        stream_lines(row + first, result + first, last - first, flipped)
        for x in range(last, count):
            put_at(result + x, value_at(BYTE, row + x) ^ flipped)
    fence()
