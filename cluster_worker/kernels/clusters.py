"""Superpixels by k-means (SLIC), with compiled loops."""

import numpy as np

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

color = lazily("skimage.color")
filters = lazily("skimage.filters")
util = lazily("skimage.util")
_slic = lazily("skimage.segmentation._slic")
loops = lazily("cluster_worker.kernels.loops.clusters")

# scikit-image's defaults, as shares of the mean size of a superpixel: smaller ones are merged into
# a neighbour, larger ones are cut.
LEAST_SHARE = 0.5
MOST_SHARE = 3


def colours_of(image: Image, sigma: float, compactness: float) -> Image:
    """Compute the values that are compared: colours in Lab or gray levels, smoothed and weighted.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3), of finite floats.
    sigma : float
        Standard deviation of the Gaussian, in pixels; 0 does not smooth.
    compactness : float
        The values are divided by it.

    Returns
    -------
    ndarray
        (rows, columns, channels), of the image's type.
    """
    low, high = image.min(), image.max()
    scaled = image - low
    if high != low:
        scaled /= high - low
    # scikit-image adds an axis of length one, and smooths along it as well.
    given = scaled[np.newaxis] if image.ndim == 3 else scaled[np.newaxis, ..., np.newaxis]
    given = color.rgb2lab(given) if image.ndim == 3 else given
    if sigma > 0:
        given = filters.gaussian(given, [*np.full(3, sigma, image.dtype), 0], mode="reflect")
    weighted: Image = np.ascontiguousarray(given * (1.0 / compactness), image.dtype)[0]
    return weighted


def slic(
    image: Image,
    n_segments: int,
    compactness: float,
    max_num_iter: int,
    sigma: float,
    *,
    enforce_connectivity: bool,
    slic_zero: bool,
) -> Image:
    """Divide an image into superpixels, numbered from 1.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3), of finite floats.
    n_segments, compactness, max_num_iter, sigma, enforce_connectivity, slic_zero
        As in ``skimage.segmentation.slic``.

    Returns
    -------
    ndarray of int64
        (rows, columns).
    """
    colours = colours_of(image, sigma, compactness)
    planes = np.moveaxis(colours, 2, 0).copy()
    grid = util.regular_grid((1, *image.shape[:2]), n_segments)
    rows, columns = (np.arange(n)[cut] for n, cut in zip(image.shape, grid[1:], strict=False))
    centres = np.zeros((rows.size * columns.size, 2 + len(planes)), image.dtype)
    centres[:, 0], centres[:, 1] = np.repeat(rows, columns.size), np.tile(columns, rows.size)
    step = np.float32(max(1.0 if cut.step is None else float(cut.step) for cut in grid))
    weight = image.dtype.type(1.0 / float(step * step))
    # scikit-image computes the spacing again, from the number of centres.
    grid = util.regular_grid((1, *image.shape[:2]), len(centres))
    steps = np.array([1 if cut.step is None else int(cut.step) for cut in grid[1:]])
    nearest = np.zeros(image.shape[:2], np.int32)
    loops.cluster(planes, centres, steps, weight, max_num_iter, slic_zero, nearest)
    labels: Image = nearest.astype(np.intp) + 1
    if not enforce_connectivity:
        return labels
    size = nearest.size / len(centres)
    limits = int(LEAST_SHARE * size), int(MOST_SHARE * size)
    labels = _slic._enforce_label_connectivity_cython(labels[np.newaxis], *limits, start_label=1)[0]
    return np.asarray(labels)
