"""References of thresholds."""

import numpy as np
from skimage import filters, util

from tests.cluster_worker.operations.reference.shared import white


def in_bins(image):
    """Convert 16 bits to floats, which scikit-image counts in bins.

    For 65 536 levels it would need 8.6 GB to find three classes, and minutes to smooth them.
    """
    return image.astype(np.float64) if image.dtype == np.uint16 else image


def above(function):
    """Return a function that gives the mask above the level that `function` finds."""

    def mask(image, **parameters):
        # scikit-image has no histogram of masks.
        image = image.astype(np.uint8) if image.dtype.kind == "b" else image
        # It returns the value of a constant integer image, but divides by 0 on constant floats.
        constant = (image == image.flat[0]).all()
        with np.errstate(all="ignore"):
            return image > (image.flat[0] if constant else function(image, **parameters))

    return mask


def regions(image, classes, nbins):
    image = image.astype(np.uint8) if image.dtype.kind == "b" else in_bins(image)
    return np.digitize(image, filters.threshold_multiotsu(image, classes, nbins))


def valley(image, nbins, max_num_iter):
    image = image.astype(np.uint8) if image.dtype.kind == "b" else in_bins(image)
    return image > filters.threshold_minimum(image, nbins, max_num_iter)


def mask_local(image, block_size, method, offset, mode, cval):
    offset, cval = offset * white(image), cval * white(image)
    level = filters.threshold_local(image, block_size, method, offset, mode, cval=cval)
    if method == "mean":  # its running sums carry rounding errors, which decide ties
        return image - level > 1e-9 * white(image)
    return image > level


def hysteresis(image, low, high):
    return filters.apply_hysteresis_threshold(image, low * white(image), high * white(image))


REFERENCE = {
    "threshold": lambda image, level: image > level * white(image),
    "threshold_otsu": above(filters.threshold_otsu),
    "threshold_isodata": above(filters.threshold_isodata),
    "threshold_yen": above(filters.threshold_yen),
    "threshold_triangle": above(filters.threshold_triangle),
    "threshold_minimum": valley,
    "threshold_li": above(filters.threshold_li),
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
