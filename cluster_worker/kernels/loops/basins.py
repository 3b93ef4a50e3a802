"""Compiled loops of the watershed: a flood that rises from markers, with scikit-image's heap."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# An entry of the heap has the level in its upper half. Its lower half is the index of a marker's
# pixel, or, with the bit `LATER`, the number of pixels that were pushed before.
ONE, HALF = np.uint64(1), np.uint64(32)
LATER = np.uint64(1 << 31)
LOW = np.uint64((1 << 32) - 1)
HIGH = LOW << HALF


@exactly_inlined
def sort_key(entry):
    """Return the key by which entries are compared.

    Markers of the same level have equal keys, and come before other pixels of that level.
    """
    later = (entry >> np.uint64(31)) & ONE
    return entry & (HIGH | (np.uint64(0) - later))


@exactly_inlined
def sift_up(heap, hole, entry):
    """Move a hole up while its parent comes later than an entry, and put the entry there."""
    key = sort_key(entry)
    while hole > np.uint64(0):
        above = (hole - ONE) >> ONE
        if sort_key(heap[above]) <= key:
            break
        heap[hole] = heap[above]
        hole = above
    heap[hole] = entry


@exactly_inlined
def pop_first(heap, count):
    """Remove and return the first entry of a heap, which has `count` entries afterwards.

    The hole moves down to a leaf, and the last entry then moves up from there, past equal entries
    too. It ends where it would if it had moved down from the top.
    """
    top, last = heap[np.uint64(0)], heap[count]
    hole, below = np.uint64(0), ONE
    while below < count:
        other = below + np.uint64(below + ONE < count)
        below += np.uint64(sort_key(heap[other]) < sort_key(heap[below]))
        heap[hole] = heap[below]
        hole = below
        below = below + below + ONE
    key = sort_key(last)
    while hole > np.uint64(0):
        above = (hole - ONE) >> ONE
        if sort_key(heap[above]) < key:
            break
        heap[hole] = heap[above]
        hole = above
    heap[hole] = last
    return top


@njit("void(uint32[::1], int32[::1], int64[::1], int64[::1], uint64[::1], uint32[::1])", cache=True)
def flood(levels, labels, markers, steps, heap, pushed):
    """Label each pixel with the marker that floods it.

    scikit-image defines no order of markers of the same level: it depends on how its heap has moved
    them. This is the same heap, with 8 bytes for an entry.

    Parameters
    ----------
    levels : ndarray of uint32
        (pixels,): the image with its frame, as levels in the same order.
    labels : ndarray of int32
        (pixels,): the labels of the markers; 0 where the flood may rise; any other value where it
        may not, as on the frame. It is changed.
    markers : ndarray of int64
        Indices of the markers' pixels.
    steps : ndarray of int64
        Differences of index between a pixel and its neighbours, in scikit-image's order.
    heap, pushed : ndarray of uint64, ndarray of uint32
        (pixels,): scratch memory. There are fewer than 2³¹ pixels.
    """
    count, age = np.uint64(0), np.uint64(0)
    for marker in markers:
        pixel = np.uint64(marker)
        sift_up(heap, count, (np.uint64(levels[pixel]) << HALF) | pixel)
        count += ONE
    while count > np.uint64(0):
        count -= ONE
        entry = pop_first(heap, count)
        level, low = entry >> HALF, entry & LOW
        pixel = np.uint64(pushed[low ^ LATER]) if low & LATER else low
        label = labels[pixel]
        for step in steps:
            near = np.uint64(np.int64(pixel) + step)
            if labels[near] != 0:
                continue
            # No other pixel can reach it at a lower level.
            labels[near] = label
            pushed[age] = near
            reached = max(level, np.uint64(levels[near]))
            sift_up(heap, count, (reached << HALF) | LATER | age)
            age += ONE
            count += ONE
