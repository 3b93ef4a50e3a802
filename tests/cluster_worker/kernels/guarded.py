"""Memory in which every array of numpy touches protected pages.

A loop that reads or writes one value too far then ends the process with a signal, instead of
computing with what happens to lie there.

An array lies in a mapping of its own: a page that holds the array's size, a guard page, the pages
of the array, and a guard page. The array touches the guard page at its end, or the one at its
front. The mapping of an array that was freed serves a later one of as many pages: to make and
protect a mapping takes longer than most kernels do.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from mmap import PAGESIZE

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy._core import _multiarray_umath as numpy_c

# Before anything is compiled here: it sets the target processor of all that this process compiles.
# Otherwise kernels would be compiled once more, for another target than that of jobs.
from cluster_worker.kernels.loops import compiling  # noqa: F401

# Index in the table of numpy's C interface (`__multiarray_api.h`).
SET_HANDLER = 304
# Largest mapping that is kept for later arrays, in pages.
KEPT_PAGES_MAX = 64
PROT_NONE, PROT_READ_WRITE = 0, 3
MAP_PRIVATE_ANONYMOUS = 0x22

size_t = types.intp
mmap = types.ExternalFunction(
    "mmap", size_t(size_t, size_t, types.int32, types.int32, types.int32, size_t)
)
munmap = types.ExternalFunction("munmap", types.int32(size_t, size_t))
mprotect = types.ExternalFunction("mprotect", types.int32(size_t, size_t, types.int32))
memset = types.ExternalFunction("memset", size_t(size_t, types.int32, size_t))
memcpy = types.ExternalFunction("memcpy", size_t(size_t, size_t, size_t))


@intrinsic
def at(_, address):
    """Return an address as a pointer."""

    def generate(_context, builder, _signature, values):
        return builder.inttoptr(values[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


# For each number of pages the address of a mapping that is free, or 0. The mapping holds the
# address of the next one, after its array's size. Allocators are called by one thread at a time.
# The first number is that of the pages up to which mappings are kept.
FREE = np.zeros(KEPT_PAGES_MAX + 1, np.intp)
FREE[0] = KEPT_PAGES_MAX
# Arrays may be freed at the very end of the process, when modules have lost what they hold.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(FREE))


@cache
def functions_of(front):
    """Compile the four functions of an allocator; `front` chooses the guard page it touches."""
    free_mappings = FREE.ctypes.data

    @njit
    def mapping(pages):
        """Return the address of a mapping of that many pages between guard pages, or -1."""
        firsts = carray(at(free_mappings), (KEPT_PAGES_MAX + 1,), np.intp)
        if pages <= firsts[0]:
            base = firsts[pages]
            if base:
                firsts[pages] = carray(at(base), (2,), np.intp)[1]
                return base
        length = (pages + 3) * PAGESIZE
        base = mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
        if base != -1:
            mprotect(base + PAGESIZE, PAGESIZE, PROT_NONE)
            mprotect(base + length - PAGESIZE, PAGESIZE, PROT_NONE)
        return base

    @cfunc(size_t(size_t, size_t))
    def malloc(_, size):
        pages = max((size + PAGESIZE - 1) // PAGESIZE, 1)
        base = mapping(pages)
        if base == -1:
            return 0
        carray(at(base), (1,), np.intp)[0] = size
        start, end = base + 2 * PAGESIZE, base + (pages + 2) * PAGESIZE
        return start if front else end - size

    @cfunc(size_t(size_t, size_t, size_t))
    def calloc(context, count, size):
        address = malloc(context, count * size)
        if address:
            memset(address, 0, count * size)
        return address

    @cfunc(types.void(size_t, size_t, size_t))
    def free(_, address, _size):
        if address:
            base = address // PAGESIZE * PAGESIZE - 2 * PAGESIZE
            head = carray(at(base), (2,), np.intp)
            pages = max((head[0] + PAGESIZE - 1) // PAGESIZE, 1)
            firsts = carray(at(free_mappings), (KEPT_PAGES_MAX + 1,), np.intp)
            if pages <= firsts[0]:
                head[1] = firsts[pages]
                firsts[pages] = base
            else:
                munmap(base, (pages + 3) * PAGESIZE)

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


def keep_no_mappings():
    """Unmap arrays when they are freed, in this process: a later access ends it with a signal."""
    FREE[0] = 0


# Arrays may outlive their context, and are freed by its functions.
KEPT: list[object] = []
