"""Superpixels by the differences of neighbours (Felzenszwalb), with compiled loops."""

import numpy as np
from skimage import filters, segmentation

from cluster_worker.kernels import WHITE, Image, lazily

loops = lazily("cluster_worker.kernels.loops.graphs")

# Pixels are numbered in 31 bits.
PIXELS_MAX = 1 << 31


def felzenszwalb(image: Image, scale: float, sigma: float, min_size: int) -> Image:
    """Part an image into regions that hold together, numbered from 0.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels).
    scale, sigma, min_size
        As of ``skimage.segmentation.felzenszwalb``.

    Returns
    -------
    ndarray of int64
        (rows, columns).
    """
    rows, columns = image.shape[:2]
    if rows * columns >= PIXELS_MAX:
        found: Image = segmentation.felzenszwalb(image, scale, sigma, min_size)
        return found
    given = np.atleast_3d(image).astype(np.float64)
    smooth = filters.gaussian(given, [sigma, sigma, 0], mode="reflect", channel_axis=-1)
    count = rows * (columns - 1) + (rows - 1) * columns + 2 * (rows - 1) * (columns - 1)
    costs, ends = np.empty(count), np.empty((count, 2), np.int32)
    loops.weigh(np.ascontiguousarray(smooth), costs, ends)
    # Equal ones come in the order that this sort leaves them in, as scikit-image calls it too.
    order = np.argsort(costs)
    parents, labels = np.empty(rows * columns, np.int32), np.empty((rows, columns), np.int64)
    # scikit-image's scale is of bytes.
    loops.join(costs, ends, order, scale / WHITE["uint8"], min_size, parents)
    loops.number(parents, labels.reshape(-1))
    return labels
