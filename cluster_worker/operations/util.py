"""Intensities: inversion, and the mask of the brighter half."""

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Pointwise, operation
from cluster_worker.operations.support.by_levels import by_table

util = lazily("skimage.util")


@operation("Inversion", "Intensity", Pointwise(), arrays=1, kernels=(by_table(),))
def invert(image: Image) -> Image:
    """Invert an image: black becomes white and white becomes black.

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
    """Convert an image to a mask of the pixels brighter than half of white.

    References
    ----------
    skimage.util.img_as_bool
    """
    result: Image = util.img_as_bool(image)
    return result
