"""Compiled loops of water that rises from markers."""

import numpy as np

from cluster_worker.kernels.loops.compiling import exactly_inlined, njit

# The lower half of an entry of the heap: where a marker lies, or with the bit below, how many
# pixels were put there before.
ONE, HALF = np.uint64(1), np.uint64(32)
LATER = np.uint64(1 << 31)
LOW = np.uint64((1 << 32) - 1)
HIGH = LOW << HALF


@exactly_inlined
def rank(entry):
    """Give what entries are compared by: markers of the same level are equal, and come first."""
    later = (entry >> np.uint64(31)) & ONE
    return entry & (HIGH | (np.uint64(0) - later))


@exactly_inlined
def sift_up(heap, hole, entry):
    """Put an entry into a hole, or where what is above does not come later."""
    key = rank(entry)
    while hole > np.uint64(0):
        above = (hole - ONE) >> ONE
        if rank(heap[above]) <= key:
            break
        heap[hole] = heap[above]
        hole = above
    heap[hole] = entry


@exactly_inlined
def sink(heap, count):
    """Take the first entry off a heap that then has so many.

    The hole sinks to the end before the last entry climbs up from there, over equal ones too: both
    end where they would if that had sunk from the top.
    """
    top, last = heap[np.uint64(0)], heap[count]
    hole, below = np.uint64(0), ONE
    while below < count:
        other = below + np.uint64(below + ONE < count)
        below += np.uint64(rank(heap[other]) < rank(heap[below]))
        heap[hole] = heap[below]
        hole = below
        below = below + below + ONE
    key = rank(last)
    while hole > np.uint64(0):
        above = (hole - ONE) >> ONE
        if rank(heap[above]) < key:
            break
        heap[hole] = heap[above]
        hole = above
    heap[hole] = last
    return top


@njit("void(uint32[::1], int32[::1], int64[::1], int64[::1], uint64[::1], uint32[::1])", cache=True)
def flood(levels, labels, markers, steps, heap, pushed):
    """Give each pixel the label of the marker that water comes from.

    scikit-image puts markers of the same level in no order: which comes first hangs on how its
    heap has moved them. This is the same heap, of 8 bytes for an entry.

    Parameters
    ----------
    levels : ndarray of uint32
        (pixels,), framed, and ordered as the image is.
    labels : ndarray of int32
        Those of the markers; 0 where water may rise, something else where it may not, as on the
        frame. It is changed.
    markers : ndarray of int64
        Where the markers lie.
    steps : ndarray of int64
        What leads from a pixel to its neighbours, in scikit-image's order.
    heap, pushed : ndarray of uint64, ndarray of uint32
        Scratch, one for each pixel, fewer than 2³¹.
    """
    count, age = np.uint64(0), np.uint64(0)
    for marker in markers:
        place = np.uint64(marker)
        sift_up(heap, count, (np.uint64(levels[place]) << HALF) | place)
        count += ONE
    while count > np.uint64(0):
        count -= ONE
        entry = sink(heap, count)
        level, low = entry >> HALF, entry & LOW
        place = np.uint64(pushed[low ^ LATER]) if low & LATER else low
        label = labels[place]
        for step in steps:
            near = np.uint64(np.int64(place) + step)
            if labels[near] != 0:
                continue
            # No other pixel can reach it at less.
            labels[near] = label
            pushed[age] = near
            reached = max(level, np.uint64(levels[near]))
            sift_up(heap, count, (reached << HALF) | LATER | age)
            age += ONE
            count += ONE
