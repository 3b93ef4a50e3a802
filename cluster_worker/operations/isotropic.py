"""Isotropic morphology: grow and shrink masks by an exact distance on all sides."""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from cluster_worker.kernels import nearness
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Kernel, Local, Number, operation

morphology = lazily("skimage.morphology")

# Cost relative to a Gaussian of one pixel.
COST_DISTANCE = 7.0

Reach = Annotated[float, Number(0.5, 200, unit="px", slider=(1, 30), step=0.5)]


def by_loop(function: Callable[..., Image], times: int = 1) -> tuple[Kernel, ...]:
    """Declare the kernel of a filter that dilates or erodes `times` times."""
    kernel = Kernel(
        function,
        takes=("bool",),
        exact=True,
        arrays=2,
        cost=lambda radius: times * (0.15 + 0.006 * radius),
    )
    return (kernel,)


def shrunk(mask: Image, radius: float) -> Image:
    """Keep the pixels that lie farther than `radius` pixels from every pixel that is not set.

    Notes
    -----
    If all pixels are set, scipy measures distances to a point outside the image. Here nothing
    shrinks then, so that a tile without background gives the same result as the whole image.
    """
    if mask.all():
        return np.ones(mask.shape, bool)
    result: Image = morphology.isotropic_erosion(mask, radius)
    return result


def grown(mask: Image, radius: float) -> Image:
    """Set all pixels within `radius` pixels of a set one; an empty mask stays empty."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    result: Image = morphology.isotropic_dilation(mask, radius)
    return result


DIFFERS = (
    "a mask without background, or without foreground, is unchanged; scikit-image measures to a "
    "point outside the image"
)


@operation(
    "Erosion (round)",
    "Morphology",
    Local(lambda radius: int(radius)),
    channels="gray",
    takes="mask",
    cost=COST_DISTANCE,
    arrays=14,
    kernels=by_loop(nearness.eroded),
    differs=DIFFERS,
)
def isotropic_erosion(image: Image, radius: Reach = 3.0) -> Image:
    """Erode a mask by a disk: shrink it by an exact distance on all sides.

    Parameters
    ----------
    radius : float
        How much is taken away from every edge.

    Notes
    -----
    In a mask without background, scikit-image measures distances to a point outside the image;
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
    kernels=by_loop(nearness.dilated),
    differs=DIFFERS,
)
def isotropic_dilation(image: Image, radius: Reach = 3.0) -> Image:
    """Dilate a mask by a disk: grow it by an exact distance on all sides.

    Parameters
    ----------
    radius : float
        How much is added at every edge.

    Notes
    -----
    In an empty mask, scikit-image measures distances to a point outside the image; here nothing
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
    kernels=by_loop(nearness.opened, 2),
    differs=DIFFERS,
)
def isotropic_opening(image: Image, radius: Reach = 3.0) -> Image:
    """Open a mask by a disk: remove what the disk does not fit into, and round corners.

    Parameters
    ----------
    radius : float
        Radius of the disk.

    Notes
    -----
    In a mask without background, scikit-image measures distances to a point outside the image;
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
    kernels=by_loop(nearness.closed, 2),
    differs=DIFFERS,
)
def isotropic_closing(image: Image, radius: Reach = 3.0) -> Image:
    """Close a mask by a disk: fill gaps that the disk does not fit into.

    Parameters
    ----------
    radius : float
        Radius of the disk.

    Notes
    -----
    In an empty mask, scikit-image measures distances to a point outside the image; here nothing
    grows then.

    References
    ----------
    skimage.morphology.isotropic_closing
    """
    return shrunk(grown(image, radius), radius)
