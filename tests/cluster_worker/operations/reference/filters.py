"""References of filters: blur, sharpen, smooth, and detail of one size or direction."""

import numpy as np
from skimage import filters, util

from tests.cluster_worker.operations.reference.shared import FOOTPRINTS, axis, per_colour, reflected


def gabor(image, response, **parameters):
    # The magnitude is computed from floats, as in scikit-image's gallery.
    given = util.img_as_float(image) if response == "magnitude" else image
    mode = parameters["mode"]
    kernel = {name: each for name, each in parameters.items() if name not in ("mode", "cval")}
    reach = max(filters.gabor_kernel(**kernel).shape) // 2
    real, imaginary = (
        reflected(lambda plane, i=i: filters.gabor(plane, **parameters)[i], given, reach, mode)
        for i in (0, 1)
    )
    if response == "magnitude":
        return np.sqrt(real**2 + imaginary**2)
    return real if response == "real" else imaginary


def median(image, footprint, radius, half_width, mode):
    mask = FOOTPRINTS[footprint](radius, half_width)
    return per_colour(
        lambda x: reflected(
            lambda plane: filters.median(plane, mask, mode=mode), x, max(mask.shape) // 2, mode
        ),
        image,
    )


def noisy(image, mode, mean, var, amount, salt_vs_pepper, clip, rng):
    given = {
        "gaussian": {"mean": mean, "var": var},
        "speckle": {"mean": mean, "var": var},
        "s&p": {"amount": amount, "salt_vs_pepper": salt_vs_pepper},
        "salt": {"amount": amount},
        "pepper": {"amount": amount},
    }[mode]
    found = util.random_noise(image, mode, rng=rng, clip=clip, **given)
    return found if mode in ("gaussian", "speckle") else np.where(np.isnan(image), image, found)


def gaussian(image, sigma, sigma_columns, **parameters):
    given = sigma if sigma_columns is None else (sigma, sigma_columns)
    return filters.gaussian(image, given, channel_axis=axis(image), **parameters)


REFERENCE = {
    "gaussian": gaussian,
    "median": median,
    "random_noise": noisy,
    "gabor": gabor,
    "butterworth": lambda image, **parameters: per_colour(
        lambda x: filters.butterworth(x, **parameters), image
    ),
}
