"""Skeletons: thin a mask to lines, layer by layer or to its medial axis."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import axes
from cluster_worker.kernels import thinning as layers
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Input,
    Iterative,
    Kernel,
    Number,
    Rounds,
    Stage,
    Whole,
    operation,
)

morphology = lazily("skimage.morphology")

# Cost relative to a Gaussian of one pixel.
COST_AXIS = 4.0

# Iterations of thinning in one round: halos are exchanged only between rounds. An iteration has two
# halves, each of which reads the eight neighbours.
ITERATIONS = 16

# The neighbours of a pixel make a code of 8 bits: the three above, the three below, left and right.
# These are the bits in clockwise order, from the upper left neighbour.
RING = (0, 1, 2, 7, 5, 4, 3, 6)

# For each set of neighbours (the lowest bit is the first of the ring): 1 if the pixel is removed in
# the first half of an iteration, 2 if in the second, 3 if in both. This is scikit-image's table for
# the method of Zhang and Suen (1984). It keeps some corners that the conditions in their paper
# would remove, and removes some that they would keep.
ZHANG_SUEN = (
    "0001001300311013000000002020303300000000300000000000000020003022"
    "0000000000000000000000000000000020000000200020003000000030003020"
    "0031001300000001000000000000000131000000000000002000000000000000"
    "2313001300000001000000000000000023010001000000003301000022002000"
)


def ring_of_codes() -> list[NDArray[np.bool_]]:
    """Return, for each neighbour in clockwise order, which of the 256 codes have it."""
    return [np.arange(256) >> bit & 1 == 1 for bit in RING]


def zhang_suen() -> tuple[bytes, bytes]:
    """Make the tables of both halves of an iteration of Zhang and Suen: 1 where a pixel is kept."""
    entries = sum(present.astype(int) << i for i, present in enumerate(ring_of_codes()))
    digits = np.array(list(ZHANG_SUEN))[entries]
    return (~np.isin(digits, ["1", "3"])).tobytes(), (~np.isin(digits, ["2", "3"])).tobytes()


def guo_hall() -> tuple[bytes, bytes]:
    """Make the tables of both halves of an iteration of Guo and Hall (1989)."""
    return guo_hall_half(0), guo_hall_half(4)


def guo_hall_half(turn: int) -> bytes:
    """Make the table of one half of an iteration of Guo and Hall: 1 where a pixel is kept.

    A pixel is removed if exactly one region touches it, if it has two or three neighbours by their
    count, and if it lies on the side that this half removes.

    Parameters
    ----------
    turn : {0, 4}
        0 for the north and east sides, 4 (a half turn of the ring) for south and west.
    """
    nw, n, ne, e, se, s, sw, w = ring = ring_of_codes()
    touched = sum(~a & (b | c) for a, b, c in ((e, ne, n), (n, nw, w), (w, sw, s), (s, se, e)))
    one_way = sum((a | b).astype(int) for a, b in ((ne, e), (nw, n), (sw, w), (se, s)))
    other_way = sum((a | b).astype(int) for a, b in ((ne, n), (nw, w), (sw, s), (se, e)))
    count = np.minimum(one_way, other_way)
    north, northeast, east, southeast = (ring[(i + turn) % 8] for i in range(1, 5))
    inner = (northeast | north | ~southeast) & east
    return np.logical_not((touched == 1) & (count >= 2) & (count <= 3) & ~inner).tobytes()


def thinned(
    state: Image,
    image: Image,  # noqa: ARG001 - every update is given the image; thinning needs only its state
    *,
    history: Sequence[bool],
    tables: tuple[bytes, bytes],
    max_num_iter: int | None,
) -> Image:
    """Thin a mask by one round of iterations, up to `max_num_iter` in all rounds together."""
    left = ITERATIONS if max_num_iter is None else max_num_iter - ITERATIONS * len(history)
    return layers.thinned(state, tables, min(ITERATIONS, left))


def is_thinned(history: Sequence[bool], max_num_iter: int | None) -> bool:
    """Return whether the last round changed nothing, or `max_num_iter` iterations are done."""
    done = ITERATIONS * len(history)
    return not history[-1] or (max_num_iter is not None and done >= max_num_iter)


def thinning(tables: tuple[bytes, bytes], max_num_iter: int | None = None) -> Rounds:
    """Declare the rounds of thinning, with the tables of both halves of an iteration."""
    return Rounds(
        update=partial(thinned, tables=tables, max_num_iter=max_num_iter),
        halo=2 * ITERATIONS,
        stop=partial(is_thinned, max_num_iter=max_num_iter),
    )


def as_mask(image: Image) -> Image:
    """Convert an image to a mask of the pixels that are not 0."""
    return image.astype(bool)


def lee(image: Image) -> Image:
    """Thin a mask with the method of Lee (1994)."""
    result: Image = morphology.skeletonize(image, method="lee")
    return result


@operation(
    "Skeleton",
    "Morphology",
    Composed("iterative"),
    channels="gray",
    takes="mask",
    cost=lambda method: 40.0 if method == "lee" else 2.0,
    arrays=3,
)
def skeletonize(method: Literal["zhang", "lee"] = "zhang") -> tuple[Stage, ...]:
    """Thin a mask to its skeleton: lines of one pixel in the middle of its regions.

    Parameters
    ----------
    method : str
        Zhang's method removes one layer after another. Lee's method visits pixels one by one, and
        each depends on the pixels removed before it, so that one rank must process the whole
        image.

    References
    ----------
    skimage.morphology.skeletonize
    """
    if method == "lee":
        return (Stage(lee, whole=True),)
    return (Stage(as_mask, rounds=thinning(zhang_suen())),)


@operation(
    "Thinning",
    "Morphology",
    Iterative(lambda max_num_iter: thinning(guo_hall(), max_num_iter)),
    channels="gray",
    takes="mask",
    cost=lambda max_num_iter: 2.0 if max_num_iter is None else min(0.3 + 0.1 * max_num_iter, 2.0),
    arrays=3,
)
def thin(
    image: Image,
    max_num_iter: Annotated[int | None, Number(1, 10_000, slider=(1, 100), step=1)] = None,
) -> Image:
    """Thin a mask to lines of one pixel, or by a given number of layers.

    Parameters
    ----------
    max_num_iter : int, optional
        Number of layers to remove; automatic removes all.

    References
    ----------
    skimage.morphology.thin
    """
    del max_num_iter  # used by the rounds alone
    return as_mask(image)


Within = Annotated[
    Image | None, Input("mask"), "What is thinned; pixels outside of it stay as they are."
]


def medial_axis_of_mask(image: Image, rng: int, *, mask: Within = None) -> Image:
    """Thin a mask to its medial axis with a kernel."""
    thinned = image if mask is None else image & mask
    if thinned.all():
        # Without background scikit-image measures distances to a point outside the image.
        result: Image = morphology.medial_axis(image, mask, rng=rng)
        return result
    ties = np.random.default_rng(rng).permutation(np.arange(np.count_nonzero(thinned)))
    axis = axes.medial_axis(thinned, ties)
    return axis if mask is None else np.where(mask, axis, image)


@operation(
    "Medial axis",
    "Morphology",
    Whole("Pixels are taken off in an order that is drawn at random over the whole image."),
    channels="gray",
    takes="mask",
    cost=15.0,
    arrays=20,
    kernels=(
        Kernel(
            medial_axis_of_mask, takes=("bool",), gray=True, exact=True, arrays=12, cost=COST_AXIS
        ),
    ),
)
def medial_axis(
    image: Image,
    rng: Annotated[int, Number(0, 2**31 - 1, slider=(0, 100), step=1)] = 0,
    *,
    mask: Within = None,
) -> Image:
    """Thin a mask to its medial axis: the pixels with more than one nearest edge point.

    Parameters
    ----------
    rng : int
        Seed of the random order among pixels equally far from an edge; the same seed gives the
        same result.

    References
    ----------
    skimage.morphology.medial_axis
    """
    result: Image = morphology.medial_axis(image, mask, rng=rng)
    return result
