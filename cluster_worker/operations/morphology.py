"""Morphology: grow and shrink what is bright."""

from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from skimage import morphology

from cluster_worker.operations.declare import Image, Local, Number, each_channel, operation

Footprint = Literal["disk", "square", "diamond"]
Radius = Annotated[int, Number(1, 50, unit="px", slider=(1, 15), step=1)]


def footprint_of(shape: Footprint, radius: int) -> NDArray[Any]:
    """Make a neighbourhood, as a mask of 2 · radius + 1 rows and columns."""
    if shape == "square":
        mask: NDArray[Any] = morphology.footprint_rectangle((2 * radius + 1, 2 * radius + 1))
    else:
        mask = {"disk": morphology.disk, "diamond": morphology.diamond}[shape](radius)
    return mask


@operation("Dilation", "Morphology", Local(lambda footprint, radius: radius), arrays=3)
def dilation(image: Image, footprint: Footprint = "diamond", radius: Radius = 1) -> Image:
    """Grow bright regions: each pixel takes the brightest value of its neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre.

    References
    ----------
    skimage.morphology.dilation
    """
    neighbourhood = footprint_of(footprint, radius)
    return each_channel(lambda plane: morphology.dilation(plane, neighbourhood), image)


@operation("Erosion", "Morphology", Local(lambda footprint, radius: radius), arrays=3)
def erosion(image: Image, footprint: Footprint = "diamond", radius: Radius = 1) -> Image:
    """Shrink bright regions: each pixel takes the darkest value of its neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre.

    References
    ----------
    skimage.morphology.erosion
    """
    neighbourhood = footprint_of(footprint, radius)
    return each_channel(lambda plane: morphology.erosion(plane, neighbourhood), image)
