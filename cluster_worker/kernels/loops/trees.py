"""Compiled loops of the tree that an image's regions make: from the brightest to all of it."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

compiled = njit(cache=True, error_model="numpy")


@compiled
def counted_order(image, levels):
    """Give the places of an image's whole numbers in rising order, equal ones in row order.

    Parameters
    ----------
    image : ndarray of uint8 or uint16
        (pixels,).
    levels : int
        How many values there are.
    """
    ends = np.zeros(levels + 1, np.int32)
    for value in image:
        ends[np.int64(value) + 1] += 1
    for level in range(levels):
        ends[level + 1] += ends[level]
    order = np.empty(image.size, np.int32)
    for place in range(image.size):
        value = np.int64(image[place])
        order[ends[value]] = place
        ends[value] += 1
    return order


@compiled
def root_of(parents, place):
    """Give the last pixel of a region so far, and shorten the way to it."""
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


@compiled
def steps_to_neighbours(width, by_corners):
    """Give what leads from a pixel to its neighbours in an image of rows so wide."""
    if by_corners:
        return np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    return np.array([-width, -1, 1, width])


@compiled
def leave_large(framed, order, by_corners, least, boxes, parents, sizes):
    """Lower each pixel until its region is as large as a limit.

    Regions grow from the brightest pixels down, and are joined as long as they are too small: the
    union-find of Meijster & Wilkinson (2002), IEEE Transactions on Pattern Analysis and Machine
    Intelligence 24(4).

    Parameters
    ----------
    framed : ndarray
        (rows + 2, columns + 2), of which the frame is not looked at. It is changed.
    order : ndarray of int32
        (rows × columns,): places within the image without its frame, the darkest first.
    by_corners : bool
        Whether pixels touch by corners as well.
    least : int
        The limit: pixels, or rows or columns if there are boxes.
    boxes : ndarray of int32
        Scratch, (framed pixels, 4) if regions are measured by their rows and columns, whichever
        are more; (0, 4) if by their pixels.
    parents, sizes : ndarray of int32
        Scratch, one for each framed pixel; the parents are -1.
    """
    flat, width = framed.reshape(-1), framed.shape[1]
    steps = steps_to_neighbours(width, by_corners)
    columns = width - 2
    by_extent = len(boxes) > 0
    for k in range(order.size - 1, -1, -1):
        y, x = order[k] // columns, order[k] % columns
        p = (y + 1) * width + x + 1
        order[k] = p
        parents[p] = p
        level, size = flat[p], 1
        top, bottom, left, right = y, y, x, x
        for step in steps:
            if parents[p + step] < 0:
                continue
            r = root_of(parents, np.int64(p + step))
            if r == p:
                continue
            if flat[r] != level and sizes[r] >= least:
                size = least
                continue
            parents[r] = p
            if by_extent:
                top, bottom = min(top, boxes[r, 0]), max(bottom, boxes[r, 1])
                left, right = min(left, boxes[r, 2]), max(right, boxes[r, 3])
                size = max(size, max(sizes[r], max(bottom - top, right - left) + 1))
            else:
                size = min(size + sizes[r], least)
        sizes[p] = size
        if by_extent:
            boxes[p, 0], boxes[p, 1], boxes[p, 2], boxes[p, 3] = top, bottom, left, right
    for p in order:
        if parents[p] != p:
            flat[p] = flat[parents[p]]
        elif sizes[p] < least:
            # Not even all of the image is large.
            flat[p] = 0
