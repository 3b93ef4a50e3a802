"""Decorators that compile the loops, for one target processor.

All loops import numba's decorator from here, because the target processor must be set before
anything is compiled.
"""

import os

from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import config, types
from numba import njit as njit
from numba.extending import intrinsic

# numba's own variable names a family of processors where an image is built for all of them, and on
# the nodes that use what was compiled there. Else loops are compiled for this processor.
FAMILY = os.environ.get("NUMBA_CPU_NAME", "")
# What loops ask for, of each family.
FEATURES_OF = {"x86-64-v3": ("avx2",), "x86-64-v4": ("avx2", "avx512bw")}
FEATURES = dict.fromkeys(FEATURES_OF[FAMILY], True) if FAMILY else get_host_cpu_features()
# Use vectors of 512 bits where the processor has them. LLVM prefers 256 bits by default, with which
# sums of neighbours are slower.
WIDE = "-prefer-256-bit"
config.CPU_NAME = FAMILY or get_host_cpu_name()
config.CPU_FEATURES = WIDE if FAMILY else f"{get_host_cpu_features().flatten()},{WIDE}"

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
