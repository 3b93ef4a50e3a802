"""Morphology with a footprint: dilation, erosion, and what is made of the two."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from skimage import morphology

from cluster_worker.kernels import morphology as fast
from cluster_worker.operations.declare import Image, Kernel, Local, Number, each_channel, operation
from cluster_worker.operations.support.footprints import (
    Footprint,
    HalfWidth,
    Radius,
    footprint_of,
    footprint_reach,
    footprint_table,
)

# Costs, measured against a Gaussian of one pixel.
COST_SEPARATE = 1.5
COST_PIXEL = 0.09
COST_FAST = 0.01
COST_FAST_PIXEL = 0.001

# scikit-image's "min" and "max" are left out: for whole numbers they are "constant" with a level of
# 0 or 1, and for floats they would lay infinity round the image.
Border = Literal["reflect", "ignore", "nearest", "mirror", "wrap", "constant"]
Cval = Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)]


def once(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Halo of one erosion or dilation."""
    return footprint_reach(footprint, radius, half_width)


def twice(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Halo of an erosion and a dilation, one after the other."""
    return 2 * footprint_reach(footprint, radius, half_width)


def work(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> float:
    """Cost of one erosion or dilation: a square goes by rows and columns, others by pixel."""
    if footprint in ("square", "rectangle"):
        return COST_SEPARATE
    return 1.0 + COST_PIXEL * int(footprint_of(footprint, radius, half_width).sum())


def work_twice(**parameters: Any) -> float:
    """Cost of an erosion and a dilation."""
    return 2 * work(**parameters)


def fast_work(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> float:
    """Cost of an erosion or dilation by its kernel."""
    mask = footprint_of(footprint, radius, half_width)
    pixels = sum(mask.shape) if footprint in ("square", "rectangle") else int(mask.sum())
    return COST_FAST + COST_FAST_PIXEL * pixels


def filtered(
    function: Callable[..., Image],
    image: Image,
    neighbourhood: NDArray[Any],
    mode: Border,
    cval: float,
) -> Image:
    """Run one of scikit-image's gray filters on every colour.

    `cval` is a share of white, since the image's type may be any.

    Raises
    ------
    ValueError
        If the image holds NaN and the neighbourhood is a full rectangle. scipy then goes along
        rows and columns and keeps the least value so far, so that what follows a NaN depends on
        where the image begins.
    """
    if image.dtype.kind == "f" and neighbourhood.all() and np.isnan(image).any():
        raise ValueError("takes no image with NaN for a neighbourhood that is a rectangle")
    level = cval * np.iinfo(image.dtype).max if image.dtype.kind == "u" else cval
    return each_channel(lambda plane: function(plane, neighbourhood, mode=mode, cval=level), image)


def slanted_table(
    footprint: Footprint, radius: int, half_width: int | None = None, **_: Any
) -> int:
    """Give the bytes by which scipy filters with a footprint; a rectangle goes by its sides."""
    if footprint in ("square", "rectangle"):
        return 0
    return footprint_table(footprint, radius, half_width)


def by_strips(by: fast.Filter, function: Callable[..., Image], steps: int) -> Kernel:
    """Declare the kernel of a filter that goes over the image so many times."""

    def model(image: Image, neighbourhood: NDArray[Any], mode: Border, cval: float) -> Image:
        return filtered(function, image, neighbourhood, mode, cval)

    return Kernel(
        partial(fast.filtered, by=by, steps=steps, model=model),
        takes=fast.TYPES,
        exact=True,
        arrays=0,
        cost=lambda **parameters: steps * fast_work(**parameters),
    )


def by_networks(brightest: bool) -> Kernel:
    """Declare the kernel of one erosion or dilation by a small neighbourhood."""
    return Kernel(
        partial(fast.spread, brightest=brightest),
        takes=("bool", "uint8", "uint16"),
        when=fast.is_small,
        exact=True,
        arrays=0,
        cost=COST_FAST,
    )


@operation(
    "Dilation",
    "Morphology",
    Local(once),
    cost=work,
    arrays=3,
    table=slanted_table,
    kernels=(
        by_networks(brightest=True),
        by_strips(fast.greatest, morphology.dilation, 1),
    ),
)
def dilation(
    image: Image,
    footprint: Footprint = "diamond",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Grow bright regions: each pixel takes the brightest value of its neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.dilation
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.dilation, image, neighbourhood, mode, cval)


@operation(
    "Erosion",
    "Morphology",
    Local(once),
    cost=work,
    arrays=3,
    table=slanted_table,
    kernels=(
        by_networks(brightest=False),
        by_strips(fast.least, morphology.erosion, 1),
    ),
)
def erosion(
    image: Image,
    footprint: Footprint = "diamond",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Shrink bright regions: each pixel takes the darkest value of its neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.erosion
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.erosion, image, neighbourhood, mode, cval)


@operation(
    "Opening",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.opened, morphology.opening, 2),),
)
def opening(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Remove bright specks and thin bright lines; what is larger keeps its shape.

    An erosion, then a dilation with the same neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.opening
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.opening, image, neighbourhood, mode, cval)


@operation(
    "Closing",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.closed, morphology.closing, 2),),
)
def closing(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Fill dark specks and thin dark gaps; what is larger keeps its shape.

    A dilation, then an erosion with the same neighbourhood.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.closing
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.closing, image, neighbourhood, mode, cval)


@operation(
    "Top hat (bright)",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.above_opened, morphology.white_tophat, 2),),
)
def white_tophat(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 5,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Keep only the bright details that are smaller than the neighbourhood, on black.

    The image minus its opening.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.white_tophat
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.white_tophat, image, neighbourhood, mode, cval)


@operation(
    "Top hat (dark)",
    "Morphology",
    Local(twice),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    kernels=(by_strips(fast.below_closed, morphology.black_tophat, 2),),
)
def black_tophat(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 5,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Cval = 0.0,
) -> Image:
    """Show only the dark details that are smaller than the neighbourhood, bright on black.

    The closing minus the image.

    Parameters
    ----------
    footprint : str
        Shape of the neighbourhood.
    radius : int
        How far the neighbourhood reaches from its centre; the tips of a star half as far again.
    half_width : int, optional
        How far a rectangle or an ellipse reaches to the left and right, if not as far as up and
        down.
    mode : str
        What lies beyond the image's border: its mirror image (with or without the last pixel
        twice), nothing, its last pixel, the opposite edge, or one level.
    cval : float
        That level, as a share of white, if `mode` is constant.

    References
    ----------
    skimage.morphology.black_tophat
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.black_tophat, image, neighbourhood, mode, cval)
