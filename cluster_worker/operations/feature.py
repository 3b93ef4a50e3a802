"""Features: edges."""

from typing import Annotated

from skimage import feature

from cluster_worker.operations.declare import Image, Number, Whole, operation

Threshold = Annotated[float | None, Number(0, 1, slider=(0, 1), step=0.01)]


@operation(
    "Edge detection",
    "Features",
    Whole("An edge is followed any distance from where it is strong."),
    channels="gray",
    floats=True,
    arrays=16,
)
def canny(
    image: Image,
    sigma: Annotated[float, Number(0.1, 100, unit="px", slider=(0.3, 10), step=0.1)] = 1.0,
    low_threshold: Threshold = None,
    high_threshold: Threshold = None,
) -> Image:
    """Find edges as thin lines with Canny's method.

    Parameters
    ----------
    sigma : float
        Standard deviation of the blur that goes before; more finds fewer, coarser edges.
    low_threshold : float, optional
        Slope at which an edge is still followed; automatic is 0.1.
    high_threshold : float, optional
        Slope at which an edge begins; automatic is 0.2.

    References
    ----------
    skimage.feature.canny
    """
    result: Image = feature.canny(image, sigma, low_threshold, high_threshold)
    return result
