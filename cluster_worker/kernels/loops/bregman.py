"""Compiled loops of split Bregman iteration: sweeps that compute new values from new neighbours.

The new value of a pixel needs the new values above and to the left of it. Several rows are
therefore processed at a time, one in each lane of a vector, each row one column behind the row
above. This is loop skewing. The rows of a band are stored in the same way: row k, column c of a
band is value k of line c + k. A band also stores the row above it and the row below, which are
copies of rows of other bands.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import exactly, njit

# Rows of a band that are computed, and rows that it stores.
LANES = 16
PITCH = LANES + 2
# The planes of the state: the image so far, the two components of its gradient, the two components
# of the Bregman variable, and the given image times its weight.
PLANES = IMAGE, ACROSS, DOWN, MORE_ACROSS, MORE_DOWN, GIVEN = range(6)
# Planes in which a pixel reads the new value above it.
READ_BELOW = (IMAGE, DOWN, MORE_DOWN)

FLOATS = "float32", "float64"
SKEWED = [f"void({each}[:, ::1], {each}, {each}[:, :, ::1])" for each in FLOATS]
UNSKEWED = [f"void({each}[:, :, ::1], {each}[:, ::1])" for each in FLOATS]
SWEPT = [
    f"float64({each}[:, :, :, ::1], int64, int64, UniTuple({each}, 2), boolean, {each}[:, ::1])"
    for each in FLOATS
]


class Lanes:
    """A vector in generated code, with arithmetic operators. No operations are fused."""

    def __init__(self, builder, value):
        self.builder = builder
        self.value = value

    def __add__(self, other):
        return Lanes(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other):
        return Lanes(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other):
        return Lanes(self.builder, self.builder.fmul(self.value, other.value))

    def __truediv__(self, other):
        return Lanes(self.builder, self.builder.fdiv(self.value, other.value))

    def sqrt(self):
        """Return the square roots."""
        kind = self.value.type
        bits = 32 if kind.element == ir.FloatType() else 64
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind]), f"llvm.sqrt.v{LANES}f{bits}"
        )
        return Lanes(self.builder, self.builder.call(function, [self.value]))

    def where(self, condition, other):
        """Return these values where a condition is true, and those of `other` elsewhere."""
        return Lanes(self.builder, self.builder.select(condition, self.value, other.value))

    def exceeds(self, other):
        """Return the mask of the lanes in which these values are greater."""
        return self.builder.fcmp_ordered(">", self.value, other.value)

    def doubles(self):
        """Convert to doubles."""
        if self.value.type == DOUBLES:
            return self
        return Lanes(self.builder, self.builder.fpext(self.value, DOUBLES))

    def rounded_to(self, kind):
        """Round doubles to another vector type."""
        if kind == DOUBLES:
            return self
        return Lanes(self.builder, self.builder.fptrunc(self.value, kind))


DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


def broadcast(builder, number):
    """Return a vector whose lanes all hold one number."""
    kind, base = ir.VectorType(number.type, LANES), ir.IntType(32)
    none = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(none, number, ir.Constant(base, 0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(base, LANES), [0] * LANES))


def shrunk(steep, weight):
    """Shrink both components of a gradient by its length. scikit-image adds 1 as a double."""
    x, y = steep
    kind = x.value.type
    length = (x * x + y * y).sqrt() * weight
    one = Lanes(x.builder, ir.Constant(DOUBLES, [1.0] * LANES))
    below = length.doubles() + one
    return [((length * each).doubles() / below).rounded_to(kind) for each in steep]


def shrunk_apart(steep, weight):
    """Shrink each component of a gradient separately, in doubles, as scikit-image does."""
    builder, kind = weight.builder, weight.value.type
    one = Lanes(builder, ir.Constant(DOUBLES, [1.0] * LANES))
    none = Lanes(builder, ir.Constant(DOUBLES, [0.0] * LANES))
    most = one / weight.doubles()
    least = none - most
    found = []
    for each in steep:
        value = each.doubles()
        raised = (value + most).where(least.exceeds(value), none)
        found.append((value - most).where(value.exceeds(most), raised).rounded_to(kind))
    return found


def stepping(shrink):
    """Make the function that updates one line of a band: one pixel of each of its rows.

    Parameters
    ----------
    shrink : callable
        `shrunk` or `shrunk_apart`.

    Returns
    -------
    callable
        ``step(dtype, base, plane, squares, between, numbers)``, to be called by compiled loops.
        `base` is the address of the first computed value of the line, and `plane` the number of
        bytes from one plane of the state to the next. The squares of the changes are written to
        the address `squares`. Only the lanes `between` two numbers, both included, are changed.
        `numbers` are scikit-image's lambda and norm.
    """

    @intrinsic
    def step(_, dtype, base, plane, squares, between, numbers):
        def generate(context, builder, _signature, arguments):
            _, base, plane, squares, between, numbers = arguments
            kind = ir.VectorType(context.get_value_type(dtype.dtype), LANES)
            size = dtype.dtype.bitwidth // 8

            def address(which, far=0):
                start = builder.mul(plane, ir.Constant(plane.type, which))
                start = builder.add(start, ir.Constant(plane.type, far * size))
                return builder.inttoptr(builder.add(base, start), kind.as_pointer())

            def load(*where):
                return Lanes(builder, builder.load(address(*where), align=size))

            # A neighbour in the same row is one line away, one in the same column one value more.
            left, right, above, below = -PITCH, PITCH, -PITCH - 1, PITCH + 1
            weight, norm = (
                Lanes(builder, broadcast(builder, each))
                for each in cgutils.unpack_tuple(builder, numbers)
            )
            old = [load(each) for each in PLANES]
            image, across, down, more_across, more_down, given = old
            after, under = load(IMAGE, right), load(IMAGE, below)
            # In scikit-image's order.
            total = under + load(IMAGE, above) + after + load(IMAGE, left)
            total = total + load(ACROSS, left) - across + load(DOWN, above) - down
            total = total - load(MORE_ACROSS, left) + more_across
            total = total - load(MORE_DOWN, above) + more_down
            changed = (weight * total + given) / norm
            steps = after - image, under - image
            steep = shrink((steps[0] + more_across, steps[1] + more_down), weight)
            new = [
                changed,
                *steep,
                more_across + (steps[0] - steep[0]),
                more_down + (steps[1] - steep[1]),
            ]
            first, last = (
                broadcast(builder, each) for each in cgutils.unpack_tuple(builder, between)
            )
            lanes = ir.Constant(first.type, list(range(LANES)))
            inside = builder.and_(
                builder.icmp_signed(">=", lanes, first), builder.icmp_signed("<=", lanes, last)
            )
            for which, value in enumerate(new):
                kept = value.where(inside, old[which])
                builder.store(kept.value, address(which), align=size)
            off = changed - image
            target = builder.inttoptr(squares, kind.as_pointer())
            builder.store((off * off).value, target, align=size)
            return context.get_dummy_value()

        return types.void(dtype, base, plane, squares, between, numbers), generate

    return step


step_by_length, step_apart = stepping(shrunk), stepping(shrunk_apart)


@njit(SKEWED, cache=True, error_model="numpy")
def skew(framed, factor, plane):
    """Copy the rows of a framed image, times a factor, into the bands of a plane."""
    rows, columns = framed.shape
    for band in range(len(plane)):
        for t in range(plane.shape[1]):
            line = plane[band, t]
            for k in range(PITCH):
                y, x = band * LANES + k, t - k
                if y < rows and 0 <= x < columns:
                    line[k] = factor * framed[y, x]


@njit(UNSKEWED, cache=True, error_model="numpy")
def unskew(plane, framed):
    """Copy the computed pixels of the bands of a plane back into the rows of a framed image."""
    rows, columns = framed.shape
    for band in range(len(plane)):
        for t in range(plane.shape[1]):
            line = plane[band, t]
            for k in range(1, LANES + 1):
                y, x = band * LANES + k, t - k
                if y < rows - 1 and 0 < x < columns - 1:
                    framed[y, x] = line[k]


@exactly
def copy_edge_rows(state, band, columns):
    """Copy a band's last rows to the band below, and its first row to the band above."""
    if band + 1 < state.shape[1]:
        for which in READ_BELOW:
            source, target = state[which, band], state[which, band + 1]
            for x in range(1, columns + 1):
                target[x, 0] = source[x + LANES, LANES]
    if band > 0:
        source, target = state[IMAGE, band], state[IMAGE, band - 1]
        for x in range(1, columns + 1):
            target[x + LANES + 1, LANES + 1] = source[x + 1, 1]


@njit(SWEPT, cache=True, error_model="numpy")
def sweep(state, rows, columns, numbers, by_length, squares):
    """Update all pixels once, and return the sum of the squared changes, added in row order.

    Parameters
    ----------
    state : ndarray
        (planes, bands, columns + LANES + 3, PITCH). It is changed.
    rows, columns : int
        Of the image.
    numbers : tuple of float
        scikit-image's lambda and norm.
    by_length : bool
        Whether gradients are shrunk by their length, or each component separately.
    squares : ndarray
        (columns + LANES + 3, LANES): scratch memory.

    Returns
    -------
    float
        The sum, in double precision.
    """
    total = 0.0
    kind, size, plane = state[0, 0, 0].dtype, state.itemsize, state.strides[0]
    for band in range(state.shape[1]):
        height = min(LANES, rows - band * LANES)
        for t in range(2, columns + height + 1):
            base = state[IMAGE, band, t].ctypes.data + size
            target = squares[t].ctypes.data
            between = np.int32(max(0, t - 1 - columns)), np.int32(min(height, t - 1) - 1)
            if by_length:
                step_by_length(kind, base, plane, target, between, numbers)
            else:
                step_apart(kind, base, plane, target, between, numbers)
        for k in range(height):
            for t in range(k + 2, k + 2 + columns):
                total += np.float64(squares[t, k])
        copy_edge_rows(state, band, columns)
    return total
