"""Morphology with a footprint: dilation, erosion, and their combinations."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import morphology as fast
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Kernel, Local, each_channel, operation
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.footprints import (
    Footprint,
    HalfWidth,
    Radius,
    footprint_of,
    footprint_reach,
    footprint_table,
)
from cluster_worker.operations.support.reflections import DIFFERS, reflected
from cluster_worker.operations.support.valid_pixels import Extremum, Valid, extrema_of_valid

morphology = lazily("skimage.morphology")

# Erosions and dilations in a row, by the extrema that they take.
OPENING: tuple[Extremum, ...] = ("least", "greatest")
CLOSING: tuple[Extremum, ...] = ("greatest", "least")

# Costs relative to a Gaussian of one pixel.
COST_SEPARATE = 1.5
COST_PIXEL = 0.09
COST_FAST = 0.01
COST_FAST_PIXEL = 0.001

# scikit-image's "min" and "max" are left out: for integers they equal "constant" with a level of 0
# or 1, and for floats they would surround the image with infinity.
Border = Annotated[
    Literal["reflect", "ignore", "nearest", "mirror", "wrap", "constant"],
    "What lies beyond the image's border: its mirror image with the last pixel twice (reflect) or "
    "once (mirror), nothing (ignore), its last pixel (nearest), its opposite edge (wrap), or one "
    "level (constant).",
]


def reach_once(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Return the halo of one erosion or dilation, in pixels."""
    return footprint_reach(footprint, radius, half_width)


def reach_twice(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> int:
    """Return the halo of an erosion and a dilation in a row, in pixels."""
    return 2 * footprint_reach(footprint, radius, half_width)


def work(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> float:
    """Return the cost of one erosion or dilation; rectangles are separable and cost less."""
    if footprint in ("square", "rectangle"):
        return COST_SEPARATE
    return 1.0 + COST_PIXEL * int(footprint_of(footprint, radius, half_width).sum())


def work_twice(**parameters: Any) -> float:
    """Return the cost of an erosion and a dilation."""
    return 2 * work(**parameters)


def fast_work(footprint: Footprint, radius: int, half_width: int | None, **_: Any) -> float:
    """Return the cost of one erosion or dilation with its kernel."""
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

    Parameters
    ----------
    function : callable
        From skimage.morphology.
    image : ndarray
        A block.
    neighbourhood : ndarray
        The footprint.
    mode, cval : str, float
        What lies beyond the border. `cval` is a share of white.

    Raises
    ------
    ValueError
        If the image holds NaN and the neighbourhood is a full rectangle. scipy then filters along
        rows and columns and keeps the least value so far, so that the result after a NaN would
        depend on where a block begins.
    """
    if image.dtype.kind == "f" and neighbourhood.all() and np.isnan(image).any():
        raise ValueError("takes no image with NaN for a neighbourhood that is a rectangle")
    level = cval * np.iinfo(image.dtype).max if image.dtype.kind in "iu" else cval

    def apply(plane: Image) -> Image:
        result: Image = function(plane, neighbourhood, mode=mode, cval=level)
        return result

    # Filters of two steps reflect the result of the first.
    reach = 2 * max(neighbourhood.shape)
    return each_channel(lambda plane: reflected(apply, plane, reach, mode), image)


def extrema(
    order: Sequence[Extremum],
    image: Image,
    valid: Image,
    neighbourhood: NDArray[Any],
    mode: Border,
    cval: float,
) -> Image:
    """Run an erosion and a dilation in a row on the pixels with data of every colour.

    `order` names the extrema that they take; the others are as for `filtered` and
    `extrema_of_valid`.
    """
    by = {"least": morphology.erosion, "greatest": morphology.dilation}
    first, second = order
    around = partial(filtered, mode=mode, cval=cval)
    filters = [
        (first, partial(around, by[first], neighbourhood=neighbourhood)),
        (second, partial(around, by[second], neighbourhood=neighbourhood[::-1, ::-1])),
    ]
    return extrema_of_valid(image, valid, filters)


def slanted_table(
    footprint: Footprint, radius: int, half_width: int | None = None, **_: Any
) -> int:
    """Return the bytes of the table that scipy makes for a footprint; rectangles need none."""
    if footprint in ("square", "rectangle"):
        return 0
    return footprint_table(footprint, radius, half_width)


def by_strips(by: fast.Filter, name: str, steps: int) -> Kernel:
    """Declare the kernel of a filter that takes `steps` erosions or dilations.

    Parameters
    ----------
    by : callable
        The filter, from kernels.morphology.
    name : str
        Of the same filter in skimage.morphology.
    steps : int
        Erosions and dilations in it.
    """

    def model(image: Image, neighbourhood: NDArray[Any], mode: Border, cval: float) -> Image:
        return filtered(getattr(morphology, name), image, neighbourhood, mode, cval)

    return Kernel(
        partial(fast.filtered, by=by, steps=steps, model=model),
        takes=fast.TYPES,
        exact=True,
        arrays=0,
        cost=lambda **parameters: steps * fast_work(**parameters),
    )


def by_networks(brightest: bool) -> Kernel:
    """Declare the kernel of one erosion or dilation with a small neighbourhood."""
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
    Local(reach_once, like=np.asarray),
    without_data=-np.inf,
    cost=work,
    arrays=3,
    table=slanted_table,
    differs=DIFFERS,
    kernels=(
        by_networks(brightest=True),
        by_strips(fast.greatest, "dilation", 1),
    ),
    keeps_units=True,
)
def dilation(
    image: Image,
    footprint: Footprint = "diamond",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
) -> Image:
    """Dilate an image: each pixel takes the brightest value of its neighbourhood.

    Bright regions grow.

    References
    ----------
    skimage.morphology.dilation
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.dilation, image, neighbourhood, mode, cval)


@operation(
    "Erosion",
    "Morphology",
    Local(reach_once, like=np.asarray),
    without_data=np.inf,
    cost=work,
    arrays=3,
    table=slanted_table,
    differs=DIFFERS,
    kernels=(
        by_networks(brightest=False),
        by_strips(fast.least, "erosion", 1),
    ),
    keeps_units=True,
)
def erosion(
    image: Image,
    footprint: Footprint = "diamond",
    radius: Radius = 1,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
) -> Image:
    """Erode an image: each pixel takes the darkest value of its neighbourhood.

    Bright regions shrink.

    References
    ----------
    skimage.morphology.erosion
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    return filtered(morphology.erosion, image, neighbourhood, mode, cval)


@operation(
    "Opening",
    "Morphology",
    Local(reach_twice, like=np.asarray),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    differs=DIFFERS,
    kernels=(by_strips(fast.opened, "opening", 2),),
    keeps_units=True,
)
def opening(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    *,
    valid: Valid = None,
) -> Image:
    """Open an image: remove bright details that are smaller than the neighbourhood.

    An erosion, then a dilation with the same neighbourhood. Larger regions keep their shape.

    References
    ----------
    skimage.morphology.opening
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    if valid is not None:
        return extrema(OPENING, image, valid, neighbourhood, mode, cval)
    return filtered(morphology.opening, image, neighbourhood, mode, cval)


@operation(
    "Closing",
    "Morphology",
    Local(reach_twice, like=np.asarray),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    differs=DIFFERS,
    kernels=(by_strips(fast.closed, "closing", 2),),
    keeps_units=True,
)
def closing(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 3,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    *,
    valid: Valid = None,
) -> Image:
    """Close an image: fill dark details that are smaller than the neighbourhood.

    A dilation, then an erosion with the same neighbourhood. Larger regions keep their shape.

    References
    ----------
    skimage.morphology.closing
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    if valid is not None:
        return extrema(CLOSING, image, valid, neighbourhood, mode, cval)
    return filtered(morphology.closing, image, neighbourhood, mode, cval)


@operation(
    "Top hat (bright)",
    "Morphology",
    Local(reach_twice, like=np.asarray),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    differs=DIFFERS,
    kernels=(by_strips(fast.above_opened, "white_tophat", 2),),
)
def white_tophat(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 5,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    *,
    valid: Valid = None,
) -> Image:
    """Show only the bright details that are smaller than the neighbourhood, on black.

    The white top hat: the image minus its opening.

    References
    ----------
    skimage.morphology.white_tophat
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    if valid is not None:
        return image - extrema(OPENING, image, valid, neighbourhood, mode, cval)
    return filtered(morphology.white_tophat, image, neighbourhood, mode, cval)


@operation(
    "Top hat (dark)",
    "Morphology",
    Local(reach_twice, like=np.asarray),
    cost=work_twice,
    arrays=3,
    table=slanted_table,
    differs=DIFFERS,
    kernels=(by_strips(fast.below_closed, "black_tophat", 2),),
)
def black_tophat(
    image: Image,
    footprint: Footprint = "disk",
    radius: Radius = 5,
    half_width: HalfWidth = None,
    mode: Border = "reflect",
    cval: Fill = 0.0,
    *,
    valid: Valid = None,
) -> Image:
    """Show only the dark details that are smaller than the neighbourhood, bright on black.

    The black top hat: the closing minus the image.

    References
    ----------
    skimage.morphology.black_tophat
    """
    neighbourhood = footprint_of(footprint, radius, half_width)
    if valid is not None:
        return extrema(CLOSING, image, valid, neighbourhood, mode, cval) - image
    return filtered(morphology.black_tophat, image, neighbourhood, mode, cval)
