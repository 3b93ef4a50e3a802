"""Compiled loops that merge regions along the edges of a graph of pixels."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

# The two ends of an edge in each direction, as offsets of (row, column), in scikit-image's order.
EDGES = (((0, 1), (0, 0)), ((1, 0), (0, 0)), ((1, 1), (0, 0)), ((0, 1), (1, 0)))
HALF = 32


@njit("void(float64[:, :, ::1], float64[::1], int32[:, ::1])", cache=True, error_model="numpy")
def weigh(image, costs, ends):
    """Compute the cost of each edge, the distance of the colours at its ends, and both ends.

    Parameters
    ----------
    image : ndarray of float64
        (rows, columns, channels).
    costs : ndarray of float64
        (edges,): array for the costs.
    ends : ndarray of int32
        (edges, 2): array for the indices of both pixels.
    """
    rows, columns, channels = image.shape
    edge = np.uint64(0)
    for (down, right), (other_down, other_right) in EDGES:
        for y in range(rows - max(down, other_down)):
            here, there = image[y + down], image[y + other_down]
            first, second = (y + down) * columns + right, (y + other_down) * columns + other_right
            for x in range(columns - max(right, other_right)):
                total = 0.0
                for c in range(channels):
                    off = here[x + right, c] - there[x + other_right, c]
                    total += off * off
                costs[edge] = np.sqrt(total)
                ends[edge, 0], ends[edge, 1] = first + x, second + x
                edge += np.uint64(1)


@njit(cache=True, error_model="numpy")
def root_of(parents, pixel):
    """Return the first pixel of a pixel's region so far, and shorten the path to it."""
    while parents[pixel] != pixel:
        above = parents[parents[pixel]]
        parents[pixel] = above
        pixel = np.uint64(above)
    return pixel


@njit(
    "void(float64[::1], int32[:, ::1], int64[::1], float64, int64, int32[::1])",
    cache=True,
    error_model="numpy",
)
def join(costs, ends, order, scale, min_size, parents):
    """Merge regions that differ less from each other than within themselves, then small regions.

    Parameters
    ----------
    costs, ends : ndarray
        (edges,) and (edges, 2), as `weigh` makes them.
    order : ndarray of int64
        (edges,): the edges in the order in which they are processed. It is overwritten.
    scale : float
        The largest cost at which regions of one pixel are merged.
    min_size : int
        Smaller regions are merged, in pixels.
    parents : ndarray of int32
        (pixels,): array for the result, with the first pixel of each pixel's region, or a pixel
        that leads to it.

    References
    ----------
    Felzenszwalb & Huttenlocher (2004), International Journal of Computer Vision 59(2), with
    scikit-image's types.
    """
    for pixel in range(parents.size):
        parents[pixel] = pixel
    sizes = np.ones(parents.size, np.int32)
    limits = np.full(parents.size, np.float32(scale))
    apart = np.uint64(0)
    for edge in order:
        one = root_of(parents, np.uint64(ends[edge, 0]))
        other = root_of(parents, np.uint64(ends[edge, 1]))
        if one == other:
            continue
        cost = costs[edge]
        if cost < min(limits[one], limits[other]):
            first = min(one, other)
            size = sizes[one] + sizes[other]
            parents[max(one, other)] = first
            sizes[first] = size
            limits[first] = np.float32(cost + scale / size)
        else:
            # At least this many entries have been read, so that they can be overwritten.
            order[apart] = (np.int64(one) << HALF) | np.int64(other)
            apart += np.uint64(1)
    for pair in order[:apart]:
        one = root_of(parents, np.uint64(pair >> HALF))
        other = root_of(parents, np.uint64(np.uint32(pair)))
        if one != other and (sizes[one] < min_size or sizes[other] < min_size):
            first = min(one, other)
            sizes[first] = sizes[one] + sizes[other]
            parents[max(one, other)] = first


@njit("void(int32[::1], int64[::1])", cache=True, error_model="numpy")
def number(parents, labels):
    """Number regions from 0 in the order of their first pixels."""
    count = 0
    for pixel in range(parents.size):
        if parents[pixel] == pixel:
            labels[pixel] = count
            count += 1
        else:
            # The parent is an earlier pixel, which has its number already.
            labels[pixel] = labels[parents[pixel]]
