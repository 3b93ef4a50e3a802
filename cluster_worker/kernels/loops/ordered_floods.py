"""Compiled loop of a flood in which markers of the same level rise in their order in the image."""

from cluster_worker.kernels.loops.compiling import njit


@njit(
    "void(uint32[::1], int32[::1], int64[::1], int64[::1], int32[::1], int32[::1], int32[::1])",
    cache=True,
    error_model="numpy",
)
def flood(levels, owners, markers, steps, first, last, following):
    """Write for each pixel the number of the marker that floods it.

    Pixels are taken by level, and those of one level in the order in which they were reached:
    markers first. A pixel is never reached at a level below the present one, so that each level is
    a list to whose end pixels are added.

    Parameters
    ----------
    levels : ndarray of uint32
        (pixels,): the image with its frame, as the numbers of its levels from 0.
    owners : ndarray of int32
        (pixels,): the numbers of the markers at their pixels; 0 where the flood may rise; -1 where
        it may not, as on the frame. It is changed.
    markers : ndarray of int64
        Indices of the markers' pixels, in the order in which they rise.
    steps : ndarray of int64
        Differences of index between a pixel and its neighbours, in scikit-image's order.
    first, last : ndarray of int32
        (levels,): -1. Scratch memory for the first and last pixel of each level's list.
    following : ndarray of int32
        (pixels,): -1. Scratch memory for the next pixel of a list. There are fewer than 2³¹ pixels.
    """
    for marker in markers:
        level = levels[marker]
        if first[level] < 0:
            first[level] = marker
        else:
            following[last[level]] = marker
        last[level] = marker
    for level in range(first.size):
        pixel = first[level]
        while pixel >= 0:
            owner = owners[pixel]
            for step in steps:
                near = pixel + step
                if owners[near] != 0:
                    continue
                owners[near] = owner
                reached = max(level, levels[near])
                if first[reached] < 0:
                    first[reached] = near
                else:
                    following[last[reached]] = near
                last[reached] = near
            # Only now: a neighbour may have been added behind it.
            pixel = following[pixel]
