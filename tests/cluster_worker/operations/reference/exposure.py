"""References of operations on intensities."""

import warnings

import numpy as np
from skimage import exposure

from tests.cluster_worker.operations.reference.shared import white


def to_white(function):
    """Return a function that clips to white, where scikit-image wraps around."""

    def adjusted(image, **parameters):
        with np.errstate(invalid="ignore"):
            result = function(image, **parameters)
        if image.dtype.kind != "u" or result.dtype.kind != "u":
            return result
        beyond = function(image / white(image), **parameters) >= 1
        return np.where(beyond, white(image), result).astype(image.dtype)

    return adjusted


def stretched(
    image,
    in_range,
    lower_percentile,
    upper_percentile,
    in_low,
    in_high,
    out_range,
    out_low,
    out_high,
):
    if in_range == "percentiles":
        # numpy has no percentiles of masks.
        levels = image.astype(np.uint8) if image.dtype.kind == "b" else image
        in_range = tuple(np.percentile(levels, (lower_percentile, upper_percentile)))
    if in_range == "values":
        in_range = in_low * white(image), in_high * white(image)
    out_range = (out_low, out_high) if out_range == "values" else out_range
    return exposure.rescale_intensity(image, in_range, out_range)


def equalized(image, nbins, mask=None):
    # It warns that all colours share one histogram.
    with warnings.catch_warnings(action="ignore"):
        return exposure.equalize_hist(image, nbins, mask)


REFERENCE = {
    "adjust_gamma": to_white(exposure.adjust_gamma),
    "adjust_log": to_white(exposure.adjust_log),
    "adjust_sigmoid": to_white(exposure.adjust_sigmoid),
    "rescale_intensity": stretched,
    "equalize_hist": equalized,
}
