"""Intensities: inversion."""

from skimage import util

from cluster_worker.operations.declare import Image, Pointwise, operation


@operation("Inversion", "Intensity", Pointwise(), arrays=1)
def invert(image: Image) -> Image:
    """Turn an image into its negative: black to white and white to black.

    References
    ----------
    skimage.util.invert
    """
    result: Image = util.invert(image)
    return result
