"""Decorators that compile the loops, for one target processor.

All loops import numba's decorator from here, because the target processor must be set before
anything is compiled.
"""

import os

from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import config, types
from numba import njit as njit
from numba.extending import intrinsic

# numba's own variables name a processor, and features beyond it. A family is set where an image is
# built for all of its processors, and on the nodes that use what was compiled there. Without them
# loops are compiled for this processor.
TARGET = os.environ.get("NUMBA_CPU_NAME", "")
GIVEN = os.environ.get("NUMBA_CPU_FEATURES", "") if TARGET else get_host_cpu_features().flatten()
# What loops may ask for, of each family. Of any other processor that is named it is what is given.
FEATURES_OF = {"x86-64-v3": ("avx2",), "x86-64-v4": ("avx2", "avx512bw")}
FEATURES = {each[1:]: each[0] == "+" for each in GIVEN.split(",") if each}
FEATURES |= dict.fromkeys(FEATURES_OF.get(TARGET, ()), True)
# Use vectors of 512 bits where the processor has them. LLVM prefers 256 bits by default, with which
# sums of neighbours are slower.
WIDE = "-prefer-256-bit"
config.CPU_NAME = TARGET or get_host_cpu_name()
config.CPU_FEATURES = f"{GIVEN},{WIDE}" if GIVEN else WIDE

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
