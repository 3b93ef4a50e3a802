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
    "gradient_percentile",
    "subtract_mean_percentile",
    "enhance_contrast_percentile",
    "pop",
    "pop_percentile",
    "pop_bilateral",
    "sum",
    "sum_percentile",
    "sum_bilateral",
)
REFERENCE = {f"rank_{name}": ranked(name) for name in NAMES}


def threshold(name):
    """Return a reference whose result is a mask, as that of all operations of this name."""
    return lambda *given, **named: ranked(name)(*given, **named) != 0


REFERENCE |= {f"rank_{name}": threshold(name) for name in ("threshold", "threshold_percentile")}
