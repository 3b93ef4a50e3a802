"""Compiled loops of the total variation by Bregman's method: a sweep of new values from new ones.

A pixel waits for those above and to the left of it. Rows are therefore taken several at a time, one
for each lane of a vector, each a column behind the row above. In memory they lie likewise: row k of
a band, column c is value k of line c + k. A band has the row above it and the one below as well,
copies of other bands' rows.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cluster_worker.kernels.loops.compiling import exactly, njit

# Rows of a band that are computed, and those that it has.
LANES = 16
PITCH = LANES + 2
# What the state is of: the image so far, two parts of its gradient and of what Bregman's method
# adds to them, and the given image by its weight.
PLANES = IMAGE, ACROSS, DOWN, MORE_ACROSS, MORE_DOWN, GIVEN = range(6)
# Planes of which a pixel reads the new value above.
READ_BELOW = (IMAGE, DOWN, MORE_DOWN)

FLOATS = "float32", "float64"
LEANED = [f"void({each}[:, ::1], {each}, {each}[:, :, ::1])" for each in FLOATS]
STRAIGHTENED = [f"void({each}[:, :, ::1], {each}[:, ::1])" for each in FLOATS]
SWEPT = [
    f"float64({each}[:, :, :, ::1], int64, int64, UniTuple({each}, 2), boolean, {each}[:, ::1])"
    for each in FLOATS
]


class Lanes:
    """A vector in code that is being generated, with the arithmetic of numbers, nothing fused."""

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

    def root(self):
        """Give the square roots."""
        kind = self.value.type
        bits = 32 if kind.element == ir.FloatType() else 64
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind]), f"llvm.sqrt.v{LANES}f{bits}"
        )
        return Lanes(self.builder, self.builder.call(function, [self.value]))

    def where(self, condition, other):
        """Give these values where something holds, and others elsewhere."""
        return Lanes(self.builder, self.builder.select(condition, self.value, other.value))

    def exceeds(self, other):
        """Give where these values are greater."""
        return self.builder.fcmp_ordered(">", self.value, other.value)

    def doubles(self):
        """Give doubles of the same values."""
        if self.value.type == DOUBLES:
            return self
        return Lanes(self.builder, self.builder.fpext(self.value, DOUBLES))

    def rounded_to(self, kind):
        """Round doubles to the type of other vectors."""
        if kind == DOUBLES:
            return self
        return Lanes(self.builder, self.builder.fptrunc(self.value, kind))


DOUBLES = ir.VectorType(ir.DoubleType(), LANES)


def alike(builder, number):
    """Give a vector of one number."""
    kind, place = ir.VectorType(number.type, LANES), ir.IntType(32)
    none = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(none, number, ir.Constant(place, 0))
    return builder.shuffle_vector(
        first, none, ir.Constant(ir.VectorType(place, LANES), [0] * LANES)
    )


def shrunk(steep, weight):
    """Shorten both parts of a gradient by its length. scikit-image adds 1 as a double."""
    x, y = steep
    kind = x.value.type
    length = (x * x + y * y).root() * weight
    one = Lanes(x.builder, ir.Constant(DOUBLES, [1.0] * LANES))
    below = length.doubles() + one
    return [((length * each).doubles() / below).rounded_to(kind) for each in steep]


def shrunk_apart(steep, weight):
    """Shorten each part of a gradient by itself: in doubles, as scikit-image does."""
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
    """Make the step of all rows of a band by a column.

    Returns
    -------
    callable
        ``step(dtype, place, plane, squares, between, numbers)``, for compiled loops to call:
        `place` is the address of the line's first value that is computed, and `plane` bytes from
        the state's planes to the next ones; `squares` the address where squares of the changes are
        put. Of lanes that do not lie `between` two nothing changes. `numbers` are scikit-image's
        lambda and norm.
    """

    @intrinsic
    def step(_, dtype, place, plane, squares, between, numbers):
        def generate(context, builder, _signature, arguments):
            _, place, plane, squares, between, numbers = arguments
            kind = ir.VectorType(context.get_value_type(dtype.dtype), LANES)
            size = dtype.dtype.bitwidth // 8

            def address(which, far=0):
                start = builder.mul(plane, ir.Constant(plane.type, which))
                start = builder.add(start, ir.Constant(plane.type, far * size))
                return builder.inttoptr(builder.add(place, start), kind.as_pointer())

            def load(*where):
                return Lanes(builder, builder.load(address(*where), align=size))

            # Neighbours of a row are a line away, those of a column a value more.
            left, right, above, below = -PITCH, PITCH, -PITCH - 1, PITCH + 1
            weight, norm = (
                Lanes(builder, alike(builder, each))
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
            first, last = (alike(builder, each) for each in cgutils.unpack_tuple(builder, between))
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

        return types.void(dtype, place, plane, squares, between, numbers), generate

    return step


step_by_length, step_apart = stepping(shrunk), stepping(shrunk_apart)


@njit(LEANED, cache=True, error_model="numpy")
def lean(framed, factor, plane):
    """Lay the rows of a framed image, by a factor, into the bands of a plane."""
    rows, columns = framed.shape
    for band in range(len(plane)):
        for t in range(plane.shape[1]):
            line = plane[band, t]
            for k in range(PITCH):
                y, x = band * LANES + k, t - k
                if y < rows and 0 <= x < columns:
                    line[k] = factor * framed[y, x]


@njit(STRAIGHTENED, cache=True, error_model="numpy")
def straighten(plane, framed):
    """Lay what is computed of the bands of a plane back into the rows of a framed image."""
    rows, columns = framed.shape
    for band in range(len(plane)):
        for t in range(plane.shape[1]):
            line = plane[band, t]
            for k in range(1, LANES + 1):
                y, x = band * LANES + k, t - k
                if y < rows - 1 and 0 < x < columns - 1:
                    framed[y, x] = line[k]


@exactly
def hand_on(state, band, columns):
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
    """Change all pixels once, and sum the squares of the changes in row order.

    Parameters
    ----------
    state : ndarray
        (planes, bands, columns + LANES + 3, PITCH).
    rows, columns : int
        Of the image.
    numbers : tuple of float
        scikit-image's lambda and norm.
    by_length : bool
        Whether gradients are shortened by their length, or each part by itself.
    squares : ndarray
        Scratch, (columns + LANES + 3, LANES).
    """
    total = 0.0
    kind, size, plane = state[0, 0, 0].dtype, state.itemsize, state.strides[0]
    for band in range(state.shape[1]):
        height = min(LANES, rows - band * LANES)
        for t in range(2, columns + height + 1):
            place = state[IMAGE, band, t].ctypes.data + size
            target = squares[t].ctypes.data
            between = np.int32(max(0, t - 1 - columns)), np.int32(min(height, t - 1) - 1)
            if by_length:
                step_by_length(kind, place, plane, target, between, numbers)
            else:
                step_apart(kind, place, plane, target, between, numbers)
        for k in range(height):
            for t in range(k + 2, k + 2 + columns):
                total += np.float64(squares[t, k])
        hand_on(state, band, columns)
    return total
