"""Decorators that compile the loops, for one target processor.

All loops import numba's decorator from here, because the target processor must be set before
anything is compiled.
"""

from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import config, types
from numba import njit as njit
from numba.extending import intrinsic

# Use vectors of 512 bits where the processor has them. LLVM prefers 256 bits by default, with which
# sums of neighbours are slower.
config.CPU_NAME = get_host_cpu_name()
config.CPU_FEATURES = get_host_cpu_features().flatten() + ",-prefer-256-bit"

# Products may be added without rounding in between (fused multiply-add), where that is faster. All
# pixels of a loop are treated alike, so that no bit depends on where a tile was cut.
compiled = njit(cache=True, fastmath={"contract"}, error_model="numpy")

# Each product is rounded before it is added, as in numpy.
exactly = njit(cache=True, error_model="numpy")

# For short loops that are called for each row: a call that is not inlined counts references to each
# of its arrays.
inlined = njit(cache=True, fastmath={"contract"}, error_model="numpy", forceinline=True)
exactly_inlined = njit(cache=True, error_model="numpy", forceinline=True)


def named(*what):
    """Return a decorator that adds the parameters of a generated loop to its qualified name.

    Two loops of the same name that are compiled in different processes may get the same symbol. A
    process that loads both from the cache would then run one in place of the other.
    """

    def rename(function):
        function.__qualname__ += "".join(f"_{each}" for each in what)
        return function

    return rename


@intrinsic
def multiply_add(_, factor, other, total):  # noqa: ARG001 - numba reads the names
    """Return factor × other + total, rounded once: the same bits in every loop that calls it."""

    def generate(_context, builder, _signature, values):
        return builder.fma(*values)

    return types.float32(types.float32, types.float32, types.float32), generate
