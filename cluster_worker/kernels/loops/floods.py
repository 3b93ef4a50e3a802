"""Compiled loops of reconstruction and floods within a block."""

from cluster_worker.kernels.loops.compiling import njit

# Only reconstruction by dilation is needed: an erosion is the dilation of the negative image.
RECONSTRUCTED = [
    "void(float32[:, ::1], float32[:, ::1], int32[::1], uint8[::1])",
    "void(float64[:, ::1], float64[:, ::1], int32[::1], uint8[::1])",
]


@njit(cache=True, error_model="numpy")
def raise_to_row(line, other):
    """Raise each pixel of a row to the greatest of the three pixels that it touches in another row.

    Both rows begin and end with a pixel of the frame, which is not changed.
    """
    line, before, middle, after = line[1:-1], other[:-2], other[1:-1], other[2:]
    for x in range(line.size):
        line[x] = max(line[x], max(before[x], max(middle[x], after[x])))


@njit(cache=True, error_model="numpy")
def cannot_grow(line, limit, next_line, next_limit):
    """Return whether no pixel of a row can raise its right neighbour or a pixel of the next row."""
    could = 0
    here = line[1:-1]
    for k in range(3):
        other, most = next_line[k : k + here.size], next_limit[k : k + here.size]
        for x in range(here.size):
            could += (other[x] < here[x]) & (other[x] < most[x])
    other, most = line[2:], limit[2:]
    for x in range(here.size):
        could += (other[x] < here[x]) & (other[x] < most[x])
    return could == 0


@njit(RECONSTRUCTED, cache=True, error_model="numpy")
def reconstruct(state, mask, queue, waits):
    """Reconstruct by dilation: let a state grow below a mask as far as it can, also by corners.

    Parameters
    ----------
    state, mask : ndarray
        (rows + 2, columns + 2), with a frame of minus infinity. The state is nowhere above the
        mask. It is changed.
    queue : ndarray of int32
        (pixels,): scratch memory for the framed image.
    waits : ndarray of uint8
        (pixels,): zeros; 1 while a pixel is in the queue.

    References
    ----------
    The two scans and the queue of Vincent (1993), IEEE Transactions on Image Processing 2(2).
    """
    rows, width = state.shape
    for y in range(1, rows - 1):
        line, limit = state[y], mask[y]
        raise_to_row(line, state[y - 1])
        last = line[0]
        for x in range(1, width - 1):
            last = min(max(last, line[x]), limit[x])
            line[x] = last
    flat, most = state.reshape(-1), mask.reshape(-1)
    head, count = 0, 0
    for y in range(rows - 2, 0, -1):
        line, limit = state[y], mask[y]
        raise_to_row(line, state[y + 1])
        last = line[width - 1]
        for x in range(width - 2, 0, -1):
            last = min(max(last, line[x]), limit[x])
            line[x] = last
        if cannot_grow(line, limit, state[y + 1], mask[y + 1]):
            continue
        for x in range(width - 2, 0, -1):
            p = y * width + x
            for q in (p + 1, p + width - 1, p + width, p + width + 1):
                if flat[q] < flat[p] and flat[q] < most[q]:
                    queue[count] = p
                    waits[p] = 1
                    count += 1
                    break
    tail = count % queue.size
    while count > 0:
        p = queue[head]
        head = head + 1 if head + 1 < queue.size else 0
        count -= 1
        waits[p] = 0
        level = flat[p]
        for across in (-width, 0, width):
            for q in (p + across - 1, p + across, p + across + 1):
                if flat[q] < level and flat[q] < most[q]:
                    flat[q] = min(level, most[q])
                    if waits[q] == 0:
                        waits[q] = 1
                        queue[tail] = q
                        tail = tail + 1 if tail + 1 < queue.size else 0
                        count += 1


# Columns that are compared at a time, before their pixels are looked at one by one.
STRETCH = 512

# Values are only tested for equality, so that floats may be given as unsigned integers.
DROPPED = [
    f"void(uint8[:, ::1], uint{bits}[:, ::1], boolean, int32[::1])" for bits in (8, 16, 32, 64)
]


@njit(cache=True, error_model="numpy")
def spreads_between(state, values, other, their_values):
    """Return whether two adjacent lines have equal values of which only one is in the state."""
    found = 0
    for x in range(state.size):
        found += (values[x] == their_values[x]) & ((state[x] == 0) != (other[x] == 0))
    return found > 0


@njit(cache=True, error_model="numpy")
def drop_around(state, values, by_corners, stack, count):
    """Remove from the state all pixels that are connected by equal values to those on a stack."""
    height, width = state.shape
    while count > 0:
        count -= 1
        y, x = stack[count] // width, stack[count] % width
        value = values[y, x]
        for row in range(max(y - 1, 0), min(y + 2, height)):
            for column in range(max(x - 1, 0), min(x + 2, width)):
                if state[row, column] == 0 or values[row, column] != value:
                    continue
                if by_corners or row == y or column == x:
                    state[row, column] = 0
                    stack[count] = row * width + column
                    count += 1


@njit(DROPPED, cache=True, error_model="numpy")
def drop(state, values, by_corners, stack):
    """Remove from a state all pixels that are connected by equal values to a pixel outside it.

    Parameters
    ----------
    state : ndarray of uint8
        (rows, columns): not 0 for pixels in the state. It is changed.
    values : ndarray
        (rows, columns).
    by_corners : bool
        Whether pixels also touch by corners.
    stack : ndarray of int32
        (pixels,): scratch memory.
    """
    height, width = state.shape
    for y in range(height):
        for left in range(0, width, STRETCH):
            right = min(left + STRETCH + 1, width)
            for way in range(4 if by_corners else 2):
                above = y if way == 0 else max(y - 1, 0)
                one, skip = way == 3, way in (0, 2)
                here, there = slice(left + one, right - skip), slice(left + skip, right - one)
                line, other = state[y, here], state[above, there]
                level, their_level = values[y, here], values[above, there]
                if not spreads_between(line, level, other, their_level):
                    continue
                count = 0
                for x in range(line.size):
                    if level[x] == their_level[x] and (line[x] == 0) != (other[x] == 0):
                        gone = line[x] == 0
                        row, column = (above, left + skip + x) if gone else (y, left + one + x)
                        stack[count] = row * width + column
                        line[x], other[x] = 0, 0
                        count += 1
                drop_around(state, values, by_corners, stack, count)


FILLED = [
    f"boolean({each}[:, ::1], {each}, {each}, boolean, int64[::1], int64[::1], uint8[:, ::1],"
    " int32[::1])"
    for each in ("uint8", "uint16", "uint32", "float32", "float64")
]


@njit(FILLED, cache=True, error_model="numpy")
def fill(image, least, greatest, by_corners, within, bounds, mask, stack):
    """Flood a block from a point, until the flood ends or would leave the block.

    Parameters
    ----------
    image : ndarray
        (rows, columns): the block.
    least, greatest : scalar
        Pixels between these values, both included, are flooded; the point always is.
    by_corners : bool
        Whether pixels also touch by corners.
    within : ndarray of int64
        Top, bottom, left and right of the pixels around the block in the whole image, in the
        block's coordinates.
    bounds : ndarray of int64
        Top, bottom, left and right of the point. It is overwritten with those of the flooded
        pixels.
    mask : ndarray of uint8
        (rows, columns): zeros; it becomes 1 in flooded pixels.
    stack : ndarray of int32
        (pixels,): scratch memory.

    Returns
    -------
    bool
        Whether the flood has ended. If not, it would continue beyond the block.
    """
    height, width = image.shape
    top, bottom, left, right = bounds[0], bounds[1], bounds[2], bounds[3]
    mask[top, left] = 1
    stack[0] = top * width + left
    count = 1
    while count > 0:
        count -= 1
        y, x = stack[count] // width, stack[count] % width
        top, bottom, left, right = min(top, y), max(bottom, y + 1), min(left, x), max(right, x + 1)
        for row in range(max(y - 1, within[0]), min(y + 2, within[1])):
            for column in range(max(x - 1, within[2]), min(x + 2, within[3])):
                if not by_corners and row != y and column != x:
                    continue
                if row < 0 or row >= height or column < 0 or column >= width:
                    return False
                if mask[row, column] == 0 and least <= image[row, column] <= greatest:
                    mask[row, column] = 1
                    stack[count] = row * width + column
                    count += 1
    bounds[0], bounds[1], bounds[2], bounds[3] = top, bottom, left, right
    return True
