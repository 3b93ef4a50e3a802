"""Extrema: find or remove peaks and hollows, by reconstruction and by plateaus."""

from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import floods
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Input,
    Number,
    Place,
    Rounds,
    Stage,
    Stages,
    each_channel,
    operation,
)
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import (
    AS_MASK,
    each_colour,
    reconstruct,
    refuse_nan,
    refuse_not_finite,
    spread,
    within_border,
)
from cluster_worker.operations.support.statistics import EXTENT, Extent

morphology = lazily("skimage.morphology")
util = lazily("skimage.util")

# In the image's own units: with depth "input" that is a share of white.
UNWRAPPED = (
    "heights of numbers with sign are exact where scikit-image's differences of them wrap around"
)
Height = Annotated[float, Number(0.0001, 65_535, slider=(0.01, 1), step=0.01)]
Method = Literal["dilation", "erosion"]


@operation(
    "Reconstruction",
    "Morphology",
    Composed("propagating"),
    floats=True,
    arrays=8,
    cost=12,
)
def reconstruction(
    seed: Literal["shifted", "eroded"] = "eroded",
    h: Annotated[float, Number(0, 65_535, slider=(0, 1), step=0.01)] = 0.1,
    radius: Annotated[int, Number(1, 50, unit="px", slider=(1, 20), step=1)] = 5,
    method: Method = "dilation",
    mask: Annotated[bool, Input("picture")] = False,
) -> Stages:
    """Remove bright detail by morphological reconstruction, which keeps other outlines exactly.

    A seed that lies below the image grows as far as the image allows. With erosion, a seed that
    lies above the image shrinks, which removes dark detail. With a second image, the image itself
    is the seed, and grows as far as that one allows.

    Parameters
    ----------
    seed : str
        The image that grows: a darker copy of the image ("shifted") cuts peaks off; the eroded
        image ("eroded") lacks small objects. With erosion, it is a brighter copy or the dilated
        image.
    h : float
        How much darker or brighter a shifted seed is, as a share of white.
    radius : int
        Radius of the disk of an eroded seed.
    method : str
        Whether the seed grows below the image or shrinks above it.
    mask : ndarray, optional
        How far the image may grow or shrink; `seed`, `h` and `radius` count for nothing then.

    References
    ----------
    skimage.morphology.reconstruction
    """
    if mask:
        rounds = Rounds(partial(spread_within, method=method), far=True)
        return (Stage(partial(checked_seed, method=method), rounds=rounds),)
    rounds = Rounds(partial(each_colour, partial(spread, method=method)), far=True)
    if seed == "shifted":
        return (Stage(partial(shifted, h=h if method == "erosion" else -h), rounds=rounds),)
    first = partial(eroded, radius=radius, method=method)
    return (Stage(first, radius, rounds=rounds, like=as_floats),)


def checked_seed(image: Image, *, mask: Image, method: Method) -> Image:
    """Return a seed in the floats of the second image, after a check that it lies within that.

    Raises
    ------
    ValueError
        If it does not.
    """
    refuse_nan(image)
    refuse_nan(mask)
    mask = beside(image, as_floats(mask))
    beyond = image > mask if method == "dilation" else image < mask
    if beyond.any():
        side = "above" if method == "dilation" else "below"
        raise ValueError(f"mask: the image lies {side} it in places; put minimum or maximum before")
    return image.astype(mask.dtype)


def spread_within(state: Image, _: Image, *, mask: Image, method: str) -> Image:
    """Reconstruct a state within a second image, in a block."""
    mask = as_floats(mask).astype(state.dtype, copy=False)
    return each_colour(partial(spread, method=method), state, beside(state, mask))


def beside(image: Image, other: Image) -> Image:
    """Return a second image as one with the channels of the first."""
    return np.broadcast_to(other[..., None], image.shape) if other.ndim < image.ndim else other


def shifted(image: Image, h: float) -> Image:
    """Return the image plus `h`."""
    refuse_nan(image)
    result: Image = image + h
    return result


def as_floats(image: Image) -> Image:
    """Return an image as floats, if it is none already."""
    return image if image.dtype.kind == "f" else image.astype(np.float64)


def eroded(image: Image, radius: int, method: Method) -> Image:
    """Return a seed without small objects: the image eroded or dilated by a disk, as floats."""
    refuse_nan(image)
    shrink = floods.least_in_disk if method == "dilation" else floods.greatest_in_disk
    return each_channel(lambda plane: shrink(as_floats(plane), radius), image)


@operation(
    "Peaks of a height",
    "Morphology",
    Composed("propagating"),
    channels="gray",
    floats=True,
    native_dtype="uint8",
    arrays=8,
    cost=12,
    differs=UNWRAPPED,
)
def h_maxima(h: Height = 0.1) -> Stages:
    """Find the peaks that rise above their surroundings by a height; the result is a mask.

    Parameters
    ----------
    h : float
        How far brightness must fall from a peak before it rises to a higher one, as a share of
        white.

    References
    ----------
    skimage.morphology.h_maxima
    """
    return (
        Stage(partial(lowered, h=h), measures=EXTENT, rounds=reconstruct("dilation")),
        Stage(partial(stands_out, h=h, sign=1)),
    )


@operation(
    "Hollows of a depth",
    "Morphology",
    Composed("propagating"),
    channels="gray",
    floats=True,
    native_dtype="uint8",
    arrays=8,
    cost=12,
    differs=UNWRAPPED,
)
def h_minima(h: Height = 0.1) -> Stages:
    """Find the hollows that lie below their surroundings by a depth; the result is a mask.

    Parameters
    ----------
    h : float
        How far brightness must rise from a hollow before it falls to a deeper one, as a share of
        white.

    References
    ----------
    skimage.morphology.h_minima
    """
    return (
        Stage(partial(raised, h=h), measures=EXTENT, rounds=reconstruct("erosion")),
        Stage(partial(stands_out, h=h, sign=-1)),
    )


def as_compared(image: Image, between: Extent) -> Image:
    """Convert an image to floats, in which heights are compared.

    Raises
    ------
    ValueError
        If the image is a mask, or holds NaN or infinity.
    """
    if image.dtype.kind == "b":
        raise ValueError("takes a picture, got a mask, which has no heights")
    refuse_not_finite(np.asarray(between))
    return as_floats(image)


def rounding(image: Image, values: Image, h: float) -> Any:
    """Return what scikit-image adds to a height so that rounding errors do not hide a peak."""
    if image.dtype.kind != "f" and h % 1 == 0:
        return 0
    return 2 * np.finfo(values.dtype).resolution * np.abs(values)


def span(low: Any, high: Any) -> Any:
    """Return the difference of two numbers, also where it does not fit their type."""
    return int(high) - int(low) if np.asarray(low).dtype.kind in "iu" else high - low


def lowered(image: Image, *, h: float, statistics: tuple[Extent]) -> Image:
    """Return the image lowered by `h`, and the image itself, as two channels."""
    ((low, high),) = statistics
    values = as_compared(image, (low, high))
    seed = values - h - rounding(image, values, h)
    if image.dtype.kind != "f" and h % 1 == 0:
        seed = np.maximum(seed, np.iinfo(image.dtype).min)
    return np.stack([values if h > span(low, high) else seed, values], axis=2)


def raised(image: Image, *, h: float, statistics: tuple[Extent]) -> Image:
    """Return the image raised by `h`, and the image itself, as two channels."""
    ((low, high),) = statistics
    values = as_compared(image, (low, high))
    seed = values + h + rounding(image, values, h)
    if image.dtype.kind != "f" and h % 1 == 0:
        seed = np.minimum(seed, np.iinfo(image.dtype).max)
    return np.stack([values if h > span(low, high) else seed, values], axis=2)


def stands_out(state: Image, *, h: float, sign: int) -> Image:
    """Return the mask of the pixels that a reconstruction has changed by `h` or more.

    Parameters
    ----------
    state : ndarray
        (rows, columns, 2): the reconstruction, and the image.
    h : float
        Height, in units of the image.
    sign : int
        1 for peaks, -1 for hollows.
    """
    result: Image = sign * (state[..., 1] - state[..., 0]) >= h
    return result


@operation("Local maxima", "Morphology", Composed("propagating"), channels="gray", cost=3)
def local_maxima(connectivity: Connectivity = 2, allow_borders: bool = True) -> Stages:
    """Find local maxima: pixels and plateaus of equal pixels that are brighter than all around.

    Parameters
    ----------
    allow_borders : bool
        Whether a plateau that touches the image's border may be a maximum.

    References
    ----------
    skimage.morphology.local_maxima
    """
    first = partial(peaks, connectivity=connectivity, allow_borders=allow_borders)
    rounds = Rounds(partial(without_open_plateaus, connectivity=connectivity), far=True)
    return (Stage(first, 1, EXTENT, rounds=rounds, like=AS_MASK),)


@operation("Local minima", "Morphology", Composed("propagating"), channels="gray", cost=3)
def local_minima(connectivity: Connectivity = 2, allow_borders: bool = True) -> Stages:
    """Find local minima: pixels and plateaus of equal pixels that are darker than all around.

    Parameters
    ----------
    allow_borders : bool
        Whether a plateau that touches the image's border may be a minimum.

    References
    ----------
    skimage.morphology.local_minima
    """
    return (
        Stage(partial(util.invert, signed_float=True)),
        *local_maxima(connectivity, allow_borders),
    )


def peaks(
    image: Image,
    *,
    place: Place,
    statistics: tuple[Extent],
    connectivity: int,
    allow_borders: bool,
) -> Image:
    """Return the mask of the plateaus that have no higher neighbour in the block."""
    refuse_nan(image)
    ((low, high),) = statistics
    # scikit-image finds no maxima in a constant image, but a constant block may be a maximum.
    if low == high:
        return np.zeros(image.shape, np.bool_)
    found = floods.highest(image, connectivity)
    if not allow_borders:
        found &= within_border(image, place, 1)
    return floods.dropped(found, image, connectivity)


def without_open_plateaus(state: Image, image: Image, connectivity: int) -> Image:
    """Drop the plateaus of a block that contain a pixel known not to belong to a maximum."""
    return floods.dropped(state, image, connectivity)
