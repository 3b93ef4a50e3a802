"""Loops that numba compiles. Each module is loaded when a kernel is first called.

A loop that lists its signatures is compiled when its module is loaded. Any other loop is compiled
when it is first called with a set of argument types. Compiled code is kept in numba's cache. Most
arrays are contiguous and writable, so that there are few sets of types.
"""
