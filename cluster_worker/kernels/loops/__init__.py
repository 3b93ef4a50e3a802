"""Loops that numba compiles; each module is loaded when a kernel is first called.

Types are numba's business: a loop is compiled for each set of types that it meets, or, where it
names them, when its module is loaded, and kept in numba's cache. Arrays are contiguous and
writable, so that there are few sets.
"""
