"""Compiled loops that find the runs of a mask, 64 pixels at a time, and join those that touch."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

WORD = 64


@intrinsic
def bits_at(_, address):  # noqa: ARG001 - numba reads the name
    """Return a bit for each of 64 bytes at an address, the first one lowest: 1 if it is not 0."""

    def generate(_context, builder, _signature, arguments):
        kind = ir.VectorType(ir.IntType(8), WORD)
        place = builder.inttoptr(arguments[0], kind.as_pointer())
        found = builder.load(place, align=1)
        set_ones = builder.icmp_unsigned("!=", found, ir.Constant(kind, None))
        return builder.bitcast(set_ones, ir.IntType(WORD))

    return types.uint64(types.int64), generate


@intrinsic
def lowest_bit(_, word):  # noqa: ARG001 - numba reads the name
    """Return the index of the lowest set bit of a word that is not 0."""

    def generate(_context, builder, _signature, values):
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def count_bits(_, word):  # noqa: ARG001 - numba reads the name
    """Return the number of set bits of a word."""

    def generate(_context, builder, _signature, values):
        kind = ir.FunctionType(ir.IntType(WORD), [ir.IntType(WORD)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.ctpop.i64")
        return builder.call(function, values)

    return types.uint64(types.uint64), generate


@exactly_inlined
def bits_of(line, x):
    """Return the bits of up to 64 pixels of a row from column x on; those beyond the row are 0."""
    if x + WORD <= line.size:
        # The caller keeps the row alive while its address is used.
        return bits_at(line.ctypes.data + x)
    bits = np.uint64(0)
    for i in range(x, line.size):
        bits |= np.uint64(line[i] != 0) << np.uint64(i - x)
    return bits


@njit("int64(uint8[:, ::1])", cache=True, error_model="numpy")
def count_runs(mask):
    """Count the runs of pixels that are set, in all rows."""
    total = 0
    for y in range(len(mask)):
        line, before = mask[y], np.uint64(0)
        for x in range(0, line.size, WORD):
            bits = bits_of(line, x)
            total += count_bits(bits & ~(bits << np.uint64(1) | before))
            before = bits >> np.uint64(WORD - 1)
    return np.int64(total)


@njit("int64(uint8[::1], int32[::1], int32[::1], int64)", cache=True, error_model="numpy")
def runs_of_row(line, starts, stops, count):
    """Append the runs of a row to `starts` and `stops`, after `count` others; return their number.

    A row changes where a run starts, and next where it stops.
    """
    before, stopped = np.uint64(0), count
    for x in range(0, line.size, WORD):
        bits = bits_of(line, x)
        changes = bits ^ (bits << np.uint64(1) | before)
        before = bits >> np.uint64(WORD - 1)
        while changes:
            column = x + np.int64(lowest_bit(changes))
            changes &= changes - np.uint64(1)
            if stopped == count:
                starts[count] = column
                count += 1
            else:
                stops[stopped] = column
                stopped += 1
    if stopped < count:
        stops[stopped] = line.size
    return count


@exactly_inlined
def root_of(parents, run):
    """Return the first known run of a run's region, and shorten the path to it."""
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@njit(
    "void(uint8[:, ::1], int64, int32[::1], int32[::1], int32[::1], int32[::1])",
    cache=True,
    error_model="numpy",
)
def find_runs(mask, reach, starts, stops, parents, rows):
    """Find the runs of pixels that are set, and join touching runs.

    The arguments are those of `components.find_runs`, for a mask.
    """
    count, other = 0, 0
    for y in range(len(mask)):
        rows[y] = first = count
        count = runs_of_row(mask[y], starts, stops, count)
        for run in range(first, count):
            begin, end = starts[run] - reach, stops[run] + reach
            while other < first and stops[other] <= begin:
                other += 1
            if other == first or starts[other] >= end:
                parents[run] = run
                continue
            parent = root_of(parents, other)
            # The last run above that touches this one may touch the next one, too; those before it
            # do not.
            while other + 1 < first and starts[other + 1] < end:
                other += 1
                another = root_of(parents, other)
                parents[max(parent, another)] = min(parent, another)
                parent = min(parent, another)
            parents[run] = parent
        other = first
    rows[len(mask)] = count
    for run in range(count):
        parents[run] = parents[parents[run]]


@njit("int64(int32[::1], uint32[::1])", cache=True, error_model="numpy")
def number(parents, numbers):
    """Number regions from 1 in the order of their first runs; return how many there are.

    Parameters
    ----------
    parents : ndarray of int32
        (runs,): the first run of each run's region.
    numbers : ndarray of uint32
        (runs,): array for the results.
    """
    count = np.uint32(0)
    for run in range(parents.size):
        parent = parents[run]
        if parent == run:
            count += np.uint32(1)
            numbers[run] = count
        else:
            numbers[run] = numbers[parent]
    return np.int64(count)


@njit(
    "void(int32[::1], int32[::1], int32[::1], uint32[::1], uint32, uint32[:, ::1])",
    cache=True,
    error_model="numpy",
)
def fill(starts, stops, rows, values, none, result):
    """Fill an array with the values of runs, and with `none` elsewhere.

    Parameters
    ----------
    starts, stops, rows : ndarray of int32
        As `find_runs` makes them.
    values : ndarray
        (runs,).
    none : scalar
        Of the type of the values.
    result : ndarray
        (rows, columns).
    """
    for y in range(len(result)):
        line, x = result[y], 0
        for run in range(rows[y], rows[y + 1]):
            line[x : starts[run]] = none
            line[starts[run] : stops[run]] = values[run]
            x = stops[run]
        line[x:] = none


@exactly_inlined
def largest(line):
    """Return the largest number of a line, or 0."""
    found = line[0]
    for x in range(line.size):
        found = max(found, line[x])
    return found


@njit("int64[::1](uint32[:, ::1], int64, int64)", cache=True, error_model="numpy")
def first_pixels(numbers, count, columns):
    """Return where each number is first found, counting from the first pixel of the array.

    Parameters
    ----------
    numbers : ndarray of uint32
        (rows, columns): the first occurrences of 1, 2, 3, … follow each other in row order. The
        first pixel is as `look_up` describes it.
    count : int
        The largest number.
    columns : int
        Columns of the whole image.
    """
    found = np.empty(count, np.int64)
    known = np.int64(numbers[0, 0] & np.uint32(1))
    found[:known] = 0
    for y in range(len(numbers)):
        line = numbers[y]
        x = 1 if y == 0 else 0
        most = np.int64(largest(line[x:])) if x < line.size else known
        while known < most:
            if line[x] > known:
                found[known] = y * columns + x
                known += 1
            x += 1
    return found


@njit("void(uint32[:, :], int64, int32[::1], int32[:, :])", cache=True, error_model="numpy")
def look_up(numbers, coded, table, result):
    """Replace each number by its entry in a table.

    Parameters
    ----------
    numbers : ndarray of uint32
        (rows, columns).
    coded : int
        1 if the lowest bit of the first pixel is its number, 0 if all of it is.
    table : ndarray of int32
        (numbers,).
    result : ndarray of int32
        (rows, columns).
    """
    for y in range(len(numbers)):
        line, found, first = numbers[y], result[y], 0
        if y == 0 and coded == 1:
            found[0] = table[line[0] & np.uint32(1)]
            first = 1
        for x in range(first, line.size):
            found[x] = table[line[x]]


@njit("int32[::1](int64[:, ::1], int64[::1])", cache=True, error_model="numpy")
def join(pairs, begins):
    """Return for each region the one of those joined with it that begins first.

    Parameters
    ----------
    pairs : ndarray of int64
        (pairs, 2): regions that touch each other.
    begins : ndarray of int64
        (regions,): where each region begins; all differ.
    """
    parents = np.arange(begins.size).astype(np.int32)
    for k in range(len(pairs)):
        a, b = root_of(parents, pairs[k, 0]), root_of(parents, pairs[k, 1])
        if begins[a] <= begins[b]:
            parents[b] = a
        else:
            parents[a] = b
    for region in range(parents.size):
        parents[region] = root_of(parents, region)
    return parents
