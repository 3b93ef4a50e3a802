"""Intensities: inversion, and masks."""

from skimage import util

from cluster_worker.operations.declare import Image, Pointwise, operation
from cluster_worker.operations.support.by_levels import by_table


@operation("Inversion", "Intensity", Pointwise(), arrays=1, kernels=(by_table(),))
def invert(image: Image) -> Image:
    """Turn an image into its negative: black to white and white to black.

    References
    ----------
    skimage.util.invert
    """
    result: Image = util.invert(image)
    return result


@operation(
    "Mask of the brighter half",
    "Thresholds",
    Pointwise(),
    channels="gray",
    arrays=1,
    kernels=(by_table(),),
)
def img_as_bool(image: Image) -> Image:
    """Turn an image into a mask: what is brighter than half of white.

    References
    ----------
    skimage.util.img_as_bool
    """
    result: Image = util.img_as_bool(image)
    return result
