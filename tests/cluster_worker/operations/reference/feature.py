"""References of features: corners, spots and texture."""

import warnings

import numpy as np
from skimage import feature

from tests.cluster_worker.operations.reference.shared import axis, per_colour


def foerstner(image, response, sigma):
    with np.errstate(all="ignore"):
        return feature.corner_foerstner(image, sigma)[0 if response == "w" else 1]


def binary_pattern(image, P, R, method):  # noqa: N803
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about every float image
        pattern = per_colour(lambda x: feature.local_binary_pattern(x, P, R, method), image)
    # NaN where all points are equal, which no picture can show.
    return np.nan_to_num(pattern) if method == "var" else pattern


def oriented_gradients(image, orientations, pixels_per_cell):
    if min(image.shape[:2]) < pixels_per_cell:  # scikit-image refuses it
        return np.zeros(image.shape[:2], np.float32 if image.dtype == np.float32 else np.float64)
    cell = (pixels_per_cell, pixels_per_cell)
    return feature.hog(image, orientations, cell, (1, 1), visualize=True, channel_axis=axis(image))[
        1
    ]


REFERENCE = {
    "corner_foerstner": foerstner,
    # NaN where the image is flat, which no picture can show.
    "shape_index": lambda image, sigma, mode, cval: np.nan_to_num(
        feature.shape_index(image, sigma, mode, cval)
    ),
    "local_binary_pattern": binary_pattern,
    "hog": oriented_gradients,
}
