"""Superpixels by k-means (SLIC), with compiled loops."""

import numpy as np
from skimage import color, filters, util
from skimage.segmentation._slic import _enforce_label_connectivity_cython

from cluster_worker.kernels import Image, lazily

loops = lazily("cluster_worker.kernels.loops.clusters")

# Of the size that superpixels would have if all had the same: smaller ones are joined to another,
# larger ones are cut; scikit-image's defaults.
LEAST_SHARE = 0.5
MOST_SHARE = 3


def colours_of(image: Image, sigma: float, compactness: float) -> Image:
    """Give what is compared of an image: colours in Lab, or levels, by their weight.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3), of finite floats.

    Returns
    -------
    ndarray
        (rows, columns, channels).
    """
    low, high = image.min(), image.max()
    scaled = image - low
    if high != low:
        scaled /= high - low
    # A depth of one, which scikit-image blurs along too.
    given = scaled[np.newaxis] if image.ndim == 3 else scaled[np.newaxis, ..., np.newaxis]
    given = color.rgb2lab(given) if image.ndim == 3 else given
    if sigma > 0:
        given = filters.gaussian(given, [*np.full(3, sigma, image.dtype), 0], mode="reflect")
    weighed: Image = np.ascontiguousarray(given * (1.0 / compactness), image.dtype)[0]
    return weighed


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
    """Part an image into superpixels, numbered from 1.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, 3), of finite floats.
    n_segments, compactness, max_num_iter, sigma, enforce_connectivity, slic_zero
        As of ``skimage.segmentation.slic``.

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
    # How far apart they are is found anew from how many there are, as scikit-image does.
    grid = util.regular_grid((1, *image.shape[:2]), len(centres))
    steps = np.array([1 if cut.step is None else int(cut.step) for cut in grid[1:]])
    nearest = np.zeros(image.shape[:2], np.int32)
    loops.cluster(planes, centres, steps, weight, max_num_iter, slic_zero, nearest)
    labels: Image = nearest.astype(np.intp) + 1
    if not enforce_connectivity:
        return labels
    size = nearest.size / len(centres)
    limits = int(LEAST_SHARE * size), int(MOST_SHARE * size)
    labels = _enforce_label_connectivity_cython(labels[np.newaxis], *limits, start_label=1)[0]
    return np.asarray(labels)
