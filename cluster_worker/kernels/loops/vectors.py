"""Values and vectors of them at addresses, for compiled loops that no array's layout stops.

An address is an integer, as an array's ``ctypes.data`` gives it. Nothing has to be aligned.
"""

from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Bytes of the widest vectors that the processor has: cut by the compiler, wider ones would take
# more registers than there are.
VECTOR_BYTES = 64 if get_host_cpu_features().get("avx512bw") else 32
# Of memory that is fetched at once.
LINE_BYTES = 64
# Marks of LLVM's prefetch: a line is kept in all caches, and it is one of data.
KEPT, DATA = 3, 1

INT32, BYTES = ir.IntType(32), ir.IntType(8).as_pointer()


class Vectors:
    """Vectors in memory, in code that is being generated."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.builder = builder
        self.dtype = dtype
        self.bytes = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(context.get_value_type(dtype), self.lanes)

    def address(self, start: Any, x: Any, *steps: tuple[Any, int]) -> Any:
        """Give the address of the vector from value x on, so many steps away."""
        found = self.builder.add(start, self.builder.mul(x, ir.Constant(x.type, self.bytes)))
        for step, count in steps:
            far = self.builder.mul(step, ir.Constant(step.type, count))
            found = self.builder.add(found, far)
        return self.builder.inttoptr(found, self.vector.as_pointer())

    def load(self, *place: Any) -> Any:
        """Load a vector."""
        return self.builder.load(self.address(*place), align=self.bytes)

    def store(self, value: Any, *place: Any) -> None:
        """Store a vector."""
        self.builder.store(value, self.address(*place), align=self.bytes)

    def stream(self, value: Any, *place: Any) -> None:
        """Store a vector past the caches, at a multiple of its bytes; see `fence`.

        A line that is to be kept in a cache is read before it is written.
        """
        stored = self.builder.store(value, self.address(*place), align=VECTOR_BYTES)
        stored.set_metadata("nontemporal", self.builder.module.add_metadata([INT32(1)]))

    def filled(self, value: Any) -> Any:
        """Give a vector of one value."""
        places = ir.Constant(ir.VectorType(INT32, self.lanes), None)
        first = self.builder.insert_element(ir.Constant(self.vector, None), value, INT32(0))
        return self.builder.shuffle_vector(first, first, places)

    def shifted(self, first: Any, second: Any, count: int) -> Any:
        """Give the vector from one value of a vector on, which another one follows."""
        lanes = ir.VectorType(INT32, self.lanes)
        places = ir.Constant(lanes, [INT32(count + i) for i in range(self.lanes)])
        return self.builder.shuffle_vector(first, second, places) if count else first

    def fetch(self, *place: Any, writes: bool = False) -> None:
        """Have a line of memory brought near that is soon read, or written; it may be no one's."""
        builder = self.builder
        address = builder.bitcast(self.address(*place), BYTES)
        kind = ir.FunctionType(ir.VoidType(), [BYTES, INT32, INT32, INT32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [address, *map(INT32, (int(writes), KEPT, DATA))])


@intrinsic
def fence(_):
    """Let nothing that is stored later be seen before what was streamed."""

    def generate(context, builder, _signature, _arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def value_at(_, like, address):
    """Load a value of an array's type from an address."""

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
