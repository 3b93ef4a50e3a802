"""References of thresholds."""

import warnings

import numpy as np
from skimage import filters, util

from tests.cluster_worker.operations.reference.shared import reflected, white


def in_bins(image):
    """Convert 16 bits to floats, which scikit-image counts in bins.

    For 65 536 levels it would need 8.6 GB to find three classes, and minutes to smooth them.
    """
    return image.astype(np.float64) if image.dtype in (np.uint16, np.int16) else image


def above(function):
    """Return a function that gives the mask above the level that `function` finds."""

    def mask(image, **parameters):
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            return image > function(image, **parameters)

    return mask


def isodata(image, nbins):
    # It finds no level, and fails, where all pixels lie in one bin.
    if image.dtype.kind != "u" and (image == image.flat[0]).all():
        return np.zeros(image.shape, bool)
    return above(filters.threshold_isodata)(image, nbins=nbins)


def li(image):
    # It subtracts, which numpy does not do for masks.
    return above(filters.threshold_li)(image.astype(np.uint8) if image.dtype == bool else image)


def regions(image, classes, nbins):
    with warnings.catch_warnings(action="ignore"):
        levels = filters.threshold_multiotsu(in_bins(image), classes, nbins)
    return np.digitize(image, levels)


def valley(image, nbins, max_num_iter):
    with warnings.catch_warnings(action="ignore"):
        return image > filters.threshold_minimum(in_bins(image), nbins, max_num_iter)


def mask_local(image, block_size, method, offset, mode, cval, param):
    offset, cval = offset * white(image), cval * white(image)
    level = reflected(
        lambda plane: filters.threshold_local(plane, block_size, method, offset, mode, param, cval),
        image,
        block_size // 2 if method == "median" else 0,
        mode,
    )
    if method == "mean":  # its running sums carry rounding errors, which decide ties
        return image - level > 1e-9 * white(image)
    return image > level


def hysteresis(image, low, high):
    return filters.apply_hysteresis_threshold(image, low * white(image), high * white(image))


def of_objects(image, method, labels):
    find = {"otsu": filters.threshold_otsu, "mean": np.mean}[method]
    mask = np.zeros(image.shape, bool)
    image = image.astype(np.uint8) if image.dtype == bool else image
    for label in np.unique(labels[labels > 0]):
        inside = labels == label
        values = image[inside & (image == image)]
        if not values.size:
            continue
        # The mean of equal values may be rounded to another one.
        level = find(values.astype(float) if method == "mean" else values)
        mask[inside] = image[inside] > (values[0] if (values == values[0]).all() else level)
    return mask


REFERENCE = {
    "threshold_objects": of_objects,
    "threshold": lambda image, level: image > level * white(image),
    "threshold_otsu": above(filters.threshold_otsu),
    "threshold_isodata": isodata,
    "threshold_yen": above(filters.threshold_yen),
    "threshold_triangle": above(filters.threshold_triangle),
    "threshold_minimum": valley,
    "threshold_li": li,
    "threshold_mean": lambda image: image > filters.threshold_mean(image),
    "threshold_multiotsu": regions,
    "threshold_local": mask_local,
    "threshold_niblack": lambda image, window_size, k: (
        image > filters.threshold_niblack(image, window_size, k)
    ),
    "threshold_sauvola": lambda image, window_size, k, r: (
        image > filters.threshold_sauvola(image, window_size, k, r and r * white(image))
    ),
    "apply_hysteresis_threshold": hysteresis,
    "img_as_bool": lambda image: util.img_as_bool(image),
}
