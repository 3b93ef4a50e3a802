"""How loops are compiled. They take numba's decorator from here: the first one fixes for what."""

from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import config, types
from numba import njit as njit
from numba.extending import intrinsic

# Vectors of 512 bits where the processor has them: LLVM would rather spare it them, which sums of
# neighbours pay for.
config.CPU_NAME = get_host_cpu_name()
config.CPU_FEATURES = get_host_cpu_features().flatten() + ",-prefer-256-bit"

# Products may be added without rounding in between, wherever that is faster: it is so for every
# pixel of a loop alike, so that no bit depends on where a tile was cut.
compiled = njit(cache=True, fastmath={"contract"}, error_model="numpy")

# Where each product is to be rounded, as numpy does.
exactly = njit(cache=True, error_model="numpy")

# For short loops called for each row: a call would count references to every array that it takes.
inlined = njit(cache=True, fastmath={"contract"}, error_model="numpy", forceinline=True)
exactly_inlined = njit(cache=True, error_model="numpy", forceinline=True)


def named(*what):
    """Name a loop that a function makes after what it is made of, before it is compiled.

    Two of one name that are compiled in different processes may get the same symbol. Who loads both
    from the cache would run one in place of the other.
    """

    def give(function):
        function.__qualname__ += "".join(f"_{each}" for each in what)
        return function

    return give


@intrinsic
def multiply_add(_, factor, other, total):  # noqa: ARG001 - numba reads the names
    """Give factor × other + total, rounded once: the same bits in whatever loop it stands."""

    def generate(_context, builder, _signature, values):
        return builder.fma(*values)

    return types.float32(types.float32, types.float32, types.float32), generate
