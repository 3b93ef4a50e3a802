"""Access to values and vectors at addresses, for compiled loops over rows of any memory layout.

An address is an integer, such as the ``ctypes.data`` of an array. Nothing has to be aligned, except
for `Vectors.stream`. No bounds are checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import FEATURES

# Bytes of the widest vectors that the processor has. The compiler would split wider ones, and need
# more registers than there are.
VECTOR_BYTES = 64 if FEATURES.get("avx512bw") else 32
# Bytes of a line of memory, the unit that the caches load and store.
LINE_BYTES = 64
# Arguments of LLVM's prefetch: keep the line in all caches; it is data.
KEPT, DATA = 3, 1

INT32, BYTES = ir.IntType(32), ir.IntType(8).as_pointer()


class Vectors:
    """Access to vectors in memory, in generated code.

    Parameters
    ----------
    context, builder
        numba's target context and the code builder of LLVM.
    dtype : type
        numba's type of the values.
    """

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.builder = builder
        self.dtype = dtype
        self.bytes = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(context.get_value_type(dtype), self.lanes)

    def address(self, start: Any, x: Any, *steps: tuple[Any, int]) -> Any:
        """Return the address of the vector that begins at value `x` after an address.

        Each of `steps` is (bytes, count): `count` times that number of bytes is added.
        """
        found = self.builder.add(start, self.builder.mul(x, ir.Constant(x.type, self.bytes)))
        for step, count in steps:
            far = self.builder.mul(step, ir.Constant(step.type, count))
            found = self.builder.add(found, far)
        return self.builder.inttoptr(found, self.vector.as_pointer())

    def load(self, *place: Any) -> Any:
        """Load a vector; the arguments are those of `address`."""
        return self.builder.load(self.address(*place), align=self.bytes)

    def store(self, value: Any, *place: Any) -> None:
        """Store a vector; the arguments after `value` are those of `address`."""
        self.builder.store(value, self.address(*place), align=self.bytes)

    def stream(self, value: Any, *place: Any) -> None:
        """Store a vector past the caches; its address must be a multiple of `VECTOR_BYTES`.

        This saves reading the line of memory before it is written. Call `fence` afterwards.
        """
        stored = self.builder.store(value, self.address(*place), align=VECTOR_BYTES)
        stored.set_metadata("nontemporal", self.builder.module.add_metadata([INT32(1)]))

    def filled(self, value: Any) -> Any:
        """Return a vector whose lanes all hold one value."""
        places = ir.Constant(ir.VectorType(INT32, self.lanes), None)
        first = self.builder.insert_element(ir.Constant(self.vector, None), value, INT32(0))
        return self.builder.shuffle_vector(first, first, places)

    def shifted(self, first: Any, second: Any, count: int) -> Any:
        """Return the vector that begins at lane `count` of `first` and continues in `second`."""
        lanes = ir.VectorType(INT32, self.lanes)
        places = ir.Constant(lanes, [INT32(count + i) for i in range(self.lanes)])
        return self.builder.shuffle_vector(first, second, places) if count else first

    def fetch(self, *place: Any, writes: bool = False) -> None:
        """Prefetch a line of memory that is soon read, or written if `writes`.

        The address need not be valid. The arguments are those of `address`.
        """
        builder = self.builder
        address = builder.bitcast(self.address(*place), BYTES)
        kind = ir.FunctionType(ir.VoidType(), [BYTES, INT32, INT32, INT32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, *map(INT32, (int(writes), KEPT, DATA))])


@intrinsic
def fence(_):
    """Order memory: streamed values become visible before anything that is stored later."""

    def generate(context, builder, _signature, _arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def value_at(_, like, address):
    """Load a value from an address, of the type of the array `like`."""

    def generate(context, builder, _signature, arguments):
        kind = context.get_data_type(like.dtype)
        found = builder.load(builder.inttoptr(arguments[1], kind.as_pointer()), align=1)
        return context.data_model_manager[like.dtype].from_data(builder, found)

    return like.dtype(like, address), generate


@intrinsic
def put_at(_, address, value):
    """Store a value at an address."""

    def generate(context, builder, _signature, arguments):
        address, given = arguments
        given = context.data_model_manager[value].as_data(builder, given)
        builder.store(given, builder.inttoptr(address, given.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(address, value), generate
