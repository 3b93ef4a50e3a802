"""References of rank filters, computed on the whole image."""

import warnings

from skimage import util
from skimage.filters import rank

from tests.cluster_worker.operations.reference.shared import FOOTPRINTS, per_colour


def ranked(name):
    def run(image, footprint, radius, half_width, **parameters):
        # scikit-image would convert floats in the same way, but with a warning.
        levels = util.img_as_ubyte(image) if image.dtype.kind == "f" else image
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that many bins are slow
            return per_colour(
                lambda x: getattr(rank, name)(
                    x, FOOTPRINTS[footprint](radius, half_width), **parameters
                ),
                levels,
            )

    return run


NAMES = (
    "mean",
    "geometric_mean",
    "minimum",
    "maximum",
    "percentile",
    "modal",
    "majority",
    "gradient",
    "entropy",
    "autolevel",
    "autolevel_percentile",
    "enhance_contrast",
    "equalize",
    "subtract_mean",
    "otsu",
    "noise_filter",
    "mean_bilateral",
    "median",
    "mean_percentile",
)
REFERENCE = {f"rank_{name}": ranked(name) for name in NAMES}
# The result of an operation that is named after a threshold is a mask.
REFERENCE["rank_threshold"] = lambda *given, **named: ranked("threshold")(*given, **named) != 0
