"""Compiled loops of area and diameter openings, with the tree of an image's regions (max-tree)."""

import numpy as np

from cluster_worker.kernels.loops.compiling import njit

compiled = njit(cache=True, error_model="numpy")


@compiled
def counted_order(image, levels):
    """Return the indices of an image's pixels, sorted by value, and in row order if equal.

    Parameters
    ----------
    image : ndarray of uint8 or uint16
        (pixels,).
    levels : int
        Number of levels of the type.

    Returns
    -------
    ndarray of int32
        (pixels,).
    """
    ends = np.zeros(levels + 1, np.int32)
    for value in image:
        ends[np.int64(value) + 1] += 1
    for level in range(levels):
        ends[level + 1] += ends[level]
    order = np.empty(image.size, np.int32)
    for pixel in range(image.size):
        value = np.int64(image[pixel])
        order[ends[value]] = pixel
        ends[value] += 1
    return order


@compiled
def root_of(parents, pixel):
    """Return the root of a pixel's region so far, and shorten the path to it."""
    while parents[pixel] != pixel:
        parents[pixel] = parents[parents[pixel]]
        pixel = parents[pixel]
    return pixel


@compiled
def steps_to_neighbours(width, by_corners):
    """Return the index steps from a pixel to its neighbours, for rows of `width` pixels."""
    if by_corners:
        return np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    return np.array([-width, -1, 1, width])


@compiled
def open_regions(framed, order, by_corners, least, boxes, parents, sizes):
    """Lower each pixel to the highest level at which its region reaches a minimum size.

    Regions grow from the brightest pixels downwards, and are merged as long as they are too small.

    Parameters
    ----------
    framed : ndarray
        (rows + 2, columns + 2): the image with a frame whose values are not used. It is changed.
    order : ndarray of int32
        (rows × columns,): indices of the pixels of the image without its frame, the darkest first.
        It is overwritten.
    by_corners : bool
        Whether pixels also touch by corners.
    least : int
        The minimum size: pixels, or rows or columns if there are boxes.
    boxes : ndarray of int32
        Scratch memory: (framed pixels, 4) if the size of a region is its number of rows or of
        columns, whichever is larger; (0, 4) if it is its number of pixels.
    parents, sizes : ndarray of int32
        (framed pixels,): scratch memory; the parents must be -1.

    References
    ----------
    The union-find of Meijster & Wilkinson (2002), IEEE Transactions on Pattern Analysis and Machine
    Intelligence 24(4).
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
            # Even the whole image is too small.
            flat[p] = 0
