"""Felzenszwalb's graph-based segmentation, with compiled loops."""

import numpy as np

from cluster_worker.kernels import WHITE, Image
from cluster_worker.lazy import lazily

filters = lazily("skimage.filters")
segmentation = lazily("skimage.segmentation")
loops = lazily("cluster_worker.kernels.loops.graphs")

# Most pixels of an image: they are numbered in 31 bits.
PIXELS_MAX = 1 << 31


def felzenszwalb(image: Image, scale: float, sigma: float, min_size: int) -> Image:
    """Divide an image into regions of similar pixels, numbered from 0.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels).
    scale, sigma, min_size
        As in ``skimage.segmentation.felzenszwalb``.

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
    # scikit-image calls the same sort, so that equal costs come in the same order.
    order = np.argsort(costs)
    parents, labels = np.empty(rows * columns, np.int32), np.empty((rows, columns), np.int64)
    # scikit-image divides its scale by 255.
    loops.join(costs, ends, order, scale / WHITE["uint8"], min_size, parents)
    loops.number(parents, labels.reshape(-1))
    return labels
