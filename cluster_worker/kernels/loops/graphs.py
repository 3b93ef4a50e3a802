"""Compiled loops of regions that are joined along the edges of a graph of pixels."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

# A pixel's neighbours in rows and columns, in the order of scikit-image's edges: each edge leads
# from the first to the second.
EDGES = (((0, 1), (0, 0)), ((1, 0), (0, 0)), ((1, 1), (0, 0)), ((0, 1), (1, 0)))
HALF = 32


@njit("void(float64[:, :, ::1], float64[::1], int32[:, ::1])", cache=True, error_model="numpy")
def weigh(image, costs, ends):
    """Give how far the colours of neighbours are from each other, and where both lie.

    Parameters
    ----------
    image : ndarray of float64
        (rows, columns, channels).
    costs : ndarray of float64
        (edges,), for the result.
    ends : ndarray of int32
        (edges, 2), for the result.
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
def root_of(parents, place):
    """Give the first pixel of a region so far, and shorten the way to it."""
    while parents[place] != place:
        above = parents[parents[place]]
        parents[place] = above
        place = np.uint64(above)
    return place


@njit(
    "void(float64[::1], int32[:, ::1], int64[::1], float64, int64, int32[::1])",
    cache=True,
    error_model="numpy",
)
def join(costs, ends, order, scale, min_size, parents):
    """Join regions whose difference is not more than what there is within them, then small ones.

    Felzenszwalb & Huttenlocher (2004), International Journal of Computer Vision 59(2), with
    scikit-image's types.

    Parameters
    ----------
    costs, ends : ndarray
        Of the edges.
    order : ndarray of int64
        The edges in the order in which they are looked at. It is changed.
    scale : float
        What a region of one pixel may differ by.
    min_size : int
        Pixels of the smallest region that stays.
    parents : ndarray of int32
        (pixels,), for the result: the first pixel of each one's region.
    """
    for place in range(parents.size):
        parents[place] = place
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
            # As many have been looked at, or more.
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
    for place in range(parents.size):
        if parents[place] == place:
            labels[place] = count
            count += 1
        else:
            # No later than this one, and so numbered already.
            labels[place] = labels[parents[place]]
