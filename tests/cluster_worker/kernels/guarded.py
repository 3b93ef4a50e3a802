"""Memory in which every array of numpy touches protected pages.

A loop that reads or writes one value too far then ends the process with a signal, instead of
computing with what happens to lie there.

An array lies in a mapping of its own: a page that holds the array's size, a guard page, the pages
of the array, and a guard page. The array touches the guard page at its end, or the one at its
front.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from mmap import PAGESIZE

import numpy as np
from numba import carray, cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy._core import _multiarray_umath as numpy_c

# Before anything is compiled here: it sets the target processor of all that this process compiles.
# Otherwise kernels would be compiled once more, for another target than that of jobs.
from cluster_worker.kernels.loops import compiling  # noqa: F401

# Index in the table of numpy's C interface (`__multiarray_api.h`).
SET_HANDLER = 304
PROT_NONE, PROT_READ_WRITE = 0, 3
MAP_PRIVATE_ANONYMOUS = 0x22

size_t = types.intp
mmap = types.ExternalFunction(
    "mmap", size_t(size_t, size_t, types.int32, types.int32, types.int32, size_t)
)
munmap = types.ExternalFunction("munmap", types.int32(size_t, size_t))
mprotect = types.ExternalFunction("mprotect", types.int32(size_t, size_t, types.int32))
memcpy = types.ExternalFunction("memcpy", size_t(size_t, size_t, size_t))


@intrinsic
def at(_, address):
    """Return an address as a pointer."""

    def generate(_context, builder, _signature, values):
        return builder.inttoptr(values[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@cache
def functions_of(front):
    """Compile the four functions of an allocator; `front` chooses the guard page it touches."""

    @cfunc(size_t(size_t, size_t))
    def malloc(_, size):
        pages = max((size + PAGESIZE - 1) // PAGESIZE, 1)
        length = (pages + 3) * PAGESIZE
        base = mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
        if base == -1:
            return 0
        carray(at(base), (1,), np.intp)[0] = size
        start, end = base + 2 * PAGESIZE, base + length - PAGESIZE
        mprotect(base + PAGESIZE, PAGESIZE, PROT_NONE)
        mprotect(end, PAGESIZE, PROT_NONE)
        return start if front else end - size

    @cfunc(size_t(size_t, size_t, size_t))
    def calloc(context, count, size):
        # New pages hold zeros.
        return malloc(context, count * size)

    @cfunc(types.void(size_t, size_t, size_t))
    def free(_, address, _size):
        if address:
            base = address // PAGESIZE * PAGESIZE - 2 * PAGESIZE
            size = carray(at(base), (1,), np.intp)[0]
            munmap(base, (max((size + PAGESIZE - 1) // PAGESIZE, 1) + 3) * PAGESIZE)

    @cfunc(size_t(size_t, size_t, size_t))
    def realloc(context, address, size):
        moved = malloc(context, size)
        if address and moved:
            base = address // PAGESIZE * PAGESIZE - 2 * PAGESIZE
            memcpy(moved, address, min(size, carray(at(base), (1,), np.intp)[0]))
            free(context, address, size)
        return moved

    return malloc, calloc, realloc, free


class Handler(ctypes.Structure):
    """PyDataMem_Handler of numpy's `ndarraytypes.h`."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


def set_handler(handler: object) -> object:
    """Have numpy allocate the data of new arrays by a handler, and return the former one."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    table = ctypes.cast(pointer(numpy_c._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    call = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[SET_HANDLER])
    return call(handler)


@contextmanager
def guarded(front: bool) -> Iterator[None]:
    """Return a context in which new arrays touch a guard page, at their front or at their end."""
    functions = functions_of(front)
    made = Handler(b"guarded", 1, None, *(each.address for each in functions))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = (
        ctypes.py_object,
        (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p),
    )
    former = set_handler(new(ctypes.addressof(made), b"mem_handler", None))
    KEPT.append((functions, made))
    try:
        yield
    finally:
        set_handler(former)


# Arrays may outlive their context, and are freed by its functions.
KEPT: list[object] = []
