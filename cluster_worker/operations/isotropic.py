"""Isotropic morphology: masks grow and shrink by an exact distance on all sides."""

from typing import Annotated

import numpy as np
from skimage import morphology

from cluster_worker.operations.declare import Image, Local, Number, operation

# Cost, measured against a Gaussian of one pixel.
COST_DISTANCE = 7.0

Reach = Annotated[float, Number(0.5, 200, unit="px", slider=(1, 30), step=0.5)]


def shrunk(mask: Image, radius: float) -> Image:
    """Keep what lies farther than `radius` from every pixel that is not set.

    Notes
    -----
    Where no pixel is off, scipy measures the distance to a place outside the image; here
    nothing shrinks then, so that a tile without background does what the whole image does.
    """
    if mask.all():
        return np.ones(mask.shape, bool)
    result: Image = morphology.isotropic_erosion(mask, radius)
    return result


def grown(mask: Image, radius: float) -> Image:
    """Set what lies within `radius` of a pixel that is set, and nothing where none is."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    result: Image = morphology.isotropic_dilation(mask, radius)
    return result


@operation(
    "Erosion (round)",
    "Morphology",
    Local(lambda radius: int(radius)),
    channels="gray",
    takes="mask",
    cost=COST_DISTANCE,
    arrays=14,
)
def isotropic_erosion(image: Image, radius: Reach = 3.0) -> Image:
    """Shrink a mask by an exact distance on all sides.

    Parameters
    ----------
    radius : float
        How much is taken away from every edge.

    Notes
    -----
    In a mask without background scikit-image measures distances to a place outside the image;
    here nothing shrinks then.

    References
    ----------
    skimage.morphology.isotropic_erosion
    """
    return shrunk(image, radius)


@operation(
    "Dilation (round)",
    "Morphology",
    Local(lambda radius: int(radius)),
    channels="gray",
    takes="mask",
    cost=COST_DISTANCE,
    arrays=14,
)
def isotropic_dilation(image: Image, radius: Reach = 3.0) -> Image:
    """Grow a mask by an exact distance on all sides.

    Parameters
    ----------
    radius : float
        How much is added at every edge.

    Notes
    -----
    In an empty mask scikit-image measures distances to a place outside the image; here nothing
    grows then.

    References
    ----------
    skimage.morphology.isotropic_dilation
    """
    return grown(image, radius)


@operation(
    "Opening (round)",
    "Morphology",
    Local(lambda radius: 2 * int(radius)),
    channels="gray",
    takes="mask",
    cost=2 * COST_DISTANCE,
    arrays=14,
)
def isotropic_opening(image: Image, radius: Reach = 3.0) -> Image:
    """Remove from a mask what a disk does not fit into; corners become round.

    Parameters
    ----------
    radius : float
        Of the disk.

    Notes
    -----
    In a mask without background scikit-image measures distances to a place outside the image;
    here nothing shrinks then.

    References
    ----------
    skimage.morphology.isotropic_opening
    """
    return grown(shrunk(image, radius), radius)


@operation(
    "Closing (round)",
    "Morphology",
    Local(lambda radius: 2 * int(radius)),
    channels="gray",
    takes="mask",
    cost=2 * COST_DISTANCE,
    arrays=14,
)
def isotropic_closing(image: Image, radius: Reach = 3.0) -> Image:
    """Fill the gaps of a mask that a disk does not fit into.

    Parameters
    ----------
    radius : float
        Of the disk.

    Notes
    -----
    In an empty mask scikit-image measures distances to a place outside the image; here nothing
    grows then.

    References
    ----------
    skimage.morphology.isotropic_closing
    """
    return shrunk(grown(image, radius), radius)
