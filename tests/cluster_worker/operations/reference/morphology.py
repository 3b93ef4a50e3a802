"""References of morphology, computed on the whole image."""

import warnings

import numpy as np
from skimage import morphology

from tests.cluster_worker.operations.reference.shared import (
    FOOTPRINTS,
    per_colour,
    reflected,
    white,
)


def gray(name):
    def run(image, footprint, radius, half_width, mode, cval):
        mask, level = FOOTPRINTS[footprint](radius, half_width), cval * white(image)

        def apply(plane):
            return getattr(morphology, name)(plane, mask, mode=mode, cval=level)

        return per_colour(lambda x: reflected(apply, x, max(mask.shape) // 2, mode), image)

    return run


def eroded(image, radius):
    if np.all(image):  # without background scikit-image measures to a point outside the image
        return np.ones(image.shape, bool)
    return morphology.isotropic_erosion(image, radius)


def dilated(image, radius):
    if not np.any(image):  # likewise, without foreground
        return np.zeros(image.shape, bool)
    return morphology.isotropic_dilation(image, radius)


def hull(image, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no hull
        # It casts to uint8, not to bool as documented, so that 0.5 and 256 would be background.
        return morphology.convex_hull_image(image != 0, **parameters)


REFERENCE = {
    "dilation": gray("dilation"),
    "erosion": gray("erosion"),
    "opening": gray("opening"),
    "closing": gray("closing"),
    "white_tophat": gray("white_tophat"),
    "black_tophat": gray("black_tophat"),
    "isotropic_erosion": eroded,
    "isotropic_dilation": dilated,
    "isotropic_opening": lambda image, radius: dilated(eroded(image, radius), radius),
    "isotropic_closing": lambda image, radius: eroded(dilated(image, radius), radius),
    "convex_hull_image": hull,
}
