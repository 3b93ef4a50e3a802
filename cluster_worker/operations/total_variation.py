"""Denoising by total variation, in rounds over the image: Chambolle's and Bregman's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from skimage import restoration, util

from cluster_worker.kernels import bregman, channels_of, exact, variation
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Number,
    Rounds,
    Stage,
    Whole,
    channel_axis,
    operation,
)
from cluster_worker.operations.support.restoration import refuse_not_finite, single_or_double
from cluster_worker.operations.support.statistics import exact_sum, rounded_sum

# Of a narrower image what lies beyond its rows would take more memory than these.
BREGMAN_SIDE_MIN = 64


def chambolle_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the parts, with rounds by a kernel."""
    start, last = denoise_tv_chambolle(**given)
    update = partial(chambolle_round_by_loop, **start.rounds.update.keywords)
    rounds = replace(start.rounds, update=update, measure=partial(energies, add_up=exact.exact_sum))
    return replace(start, rounds=rounds), last


@operation(
    "Remove noise (total variation, Chambolle)",
    "Restoration",
    Composed("iterative"),
    channels="any",
    floats=True,
    arrays=16,
    cost=4,
    kernels=(Kernel(chambolle_by_loop, ("float32", "float64"), exact=True, arrays=8, cost=2),),
)
def denoise_tv_chambolle(
    weight: Annotated[float, Number(0.001, 10, slider=(0.01, 1), step=0.01)] = 0.1,
    eps: Annotated[float, Number(1e-7, 0.1, slider=(1e-5, 1e-2))] = 2e-4,
    max_num_iter: Annotated[int, Number(1, 1000, slider=(10, 400), step=10)] = 200,
) -> tuple[Stage, ...]:
    """Smooth noise away and keep edges sharp, so that the image looks painted in flat patches.

    Parameters
    ----------
    weight : float
        How much is smoothed; more is flatter.
    eps : float
        When to stop: when a round changes the energy by less than this share of the first.
    max_num_iter : int
        Most rounds that are run.

    Notes
    -----
    Each colour stops by a rule of its own. The energy of the whole image is summed exactly, so
    that any tiling stops after the same round.

    References
    ----------
    skimage.restoration.denoise_tv_chambolle
    """
    over = partial(chambolle_is_over, eps=eps, max_num_iter=max_num_iter)
    rounds = Rounds(
        update=partial(chambolle_round, weight=weight, over=over),
        measure=energies,
        combine=join_energies,
        stop=partial(all_are_over, over=over),
        expected=min(max_num_iter, 30),
    )
    return Stage(chambolle_start, rounds=rounds), Stage(chambolle_result)


# Of each colour: the image so far, the two parts of the dual variable, the energy of each pixel.
CHAMBOLLE = 4


def chambolle_start(image: Image) -> Image:
    """Make the first state, all zero.

    Raises
    ------
    ValueError
        If the image holds NaN or infinity.
    """
    refuse_not_finite(image)
    colours = channels_of(image)
    return np.zeros((*image.shape[:2], CHAMBOLLE * colours), single_or_double(image))


def chambolle_round(
    state: Image,
    image: Image,
    *,
    history: Sequence[Sequence[int]],
    weight: float,
    over: Callable[[Sequence[Sequence[int]], int], bool],
) -> Image:
    """Do one round of every colour that is not over."""
    planes = np.atleast_3d(util.img_as_float(image))
    result = np.empty_like(state)
    for i in range(planes.shape[2]):
        own = slice(CHAMBOLLE * i, CHAMBOLLE * (i + 1))
        if over(history, i):
            result[..., own] = state[..., own]
        else:
            _, down, across, _ = np.ascontiguousarray(np.moveaxis(state[..., own], 2, 0))
            found = chambolle_step(planes[..., i], down, across, weight)
            for j, plane in enumerate(found):
                result[..., own.start + j] = plane
    return result


def chambolle_round_by_loop(
    state: Image,
    image: Image,
    *,
    history: Sequence[Sequence[int]],
    weight: float,
    over: Callable[[Sequence[Sequence[int]], int], bool],
) -> Image:
    """Do one round of every colour that is not over, by a kernel."""
    planes = np.atleast_3d(image)
    runs = [not over(history, colour) for colour in range(planes.shape[2])]
    return variation.chambolle(state, planes, runs, weight)


def chambolle_step(plane: Image, down: Image, across: Image, weight: float) -> tuple[Image, ...]:
    """Give one colour's image, its next dual variable, and the energy of each pixel."""
    correction = -(down + across)
    correction[1:] += down[:-1]
    correction[:, 1:] += across[:, :-1]
    smooth = plane + correction
    steep_down, steep_across = np.zeros_like(smooth), np.zeros_like(smooth)
    steep_down[:-1] = np.diff(smooth, axis=0)
    steep_across[:, :-1] = np.diff(smooth, axis=1)
    norm = np.sqrt(steep_down**2 + steep_across**2)
    energy = correction**2 + weight * norm
    # A quarter of the gradient is the longest step that converges in two dimensions.
    norm *= 0.25 / weight
    norm += 1.0
    return smooth, (down - 0.25 * steep_down) / norm, (across - 0.25 * steep_across) / norm, energy


def energies(_: Image, new: Image, add_up: Callable[[Image], int] = exact_sum) -> tuple[int, ...]:
    """Sum the energy of each colour, exactly."""
    return tuple(add_up(new[..., i]) for i in range(CHAMBOLLE - 1, new.shape[2], CHAMBOLLE))


def join_energies(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """Add the energies of two parts."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def chambolle_is_over(
    history: Sequence[Sequence[int]], colour: int, eps: float, max_num_iter: int
) -> bool:
    """Whether a colour changes no more; one without energy never does."""
    energy = [rounded_sum(each[colour]) for each in history]
    if len(energy) >= max_num_iter or (energy and energy[0] == 0):
        return True
    changes = (abs(a - b) for a, b in pairwise(energy))
    return any(change < eps * energy[0] for change in changes)


def all_are_over(
    history: Sequence[Sequence[int]], over: Callable[[Sequence[Sequence[int]], int], bool]
) -> bool:
    """Whether every colour is over."""
    return all(over(history, colour) for colour in range(len(history[-1])))


def chambolle_result(state: Image) -> Image:
    """Take the image out of the state."""
    result: Image = state[..., ::CHAMBOLLE]
    return result if result.shape[2] > 1 else result[..., 0]


def bregman_of_floats(
    image: Image, weight: float, max_num_iter: int, eps: float, isotropic: bool
) -> Image:
    """Run Bregman's method on several rows at a time, if there are some."""
    if min(image.shape[:2]) < BREGMAN_SIDE_MIN:
        found: Image = denoise_tv_bregman(image, weight, max_num_iter, eps, isotropic)
        return found
    return bregman.denoised(image, weight, max_num_iter, eps, isotropic=isotropic)


@operation(
    "Remove noise (total variation, Bregman)",
    "Restoration",
    Whole("Each pixel is computed from its neighbours' new values, row by row (Gauss-Seidel)."),
    channels="any",
    floats=True,
    arrays=8,
    cost=10,
    kernels=(
        Kernel(bregman_of_floats, takes=("float32", "float64"), exact=True, arrays=13, cost=2.5),
    ),
)
def denoise_tv_bregman(
    image: Image,
    weight: Annotated[float, Number(0.01, 1000, slider=(0.5, 50), step=0.5)] = 5.0,
    max_num_iter: Annotated[int, Number(1, 1000, slider=(10, 400), step=10)] = 100,
    eps: Annotated[float, Number(1e-7, 0.1, slider=(1e-5, 1e-2))] = 1e-3,
    isotropic: bool = True,
) -> Image:
    """Smooth noise away and keep edges sharp, by a method that usually takes fewer rounds.

    Parameters
    ----------
    weight : float
        How true to the image the result is; less is smoother.
    max_num_iter : int
        Most rounds that are run.
    eps : float
        When to stop: when a round changes pixels by less than this in the mean.
    isotropic : bool
        Treat slanted edges as upright and level ones, else prefer the latter.

    Notes
    -----
    scikit-image begins the second colour from what the first has left, and the third from the
    second; so does this. Of an image of one row or column it reads memory beyond the image; that
    is refused.

    References
    ----------
    skimage.restoration.denoise_tv_bregman
    """
    if 1 in image.shape[:2]:
        raise ValueError("the image must have two rows and two columns or more, it has only one")
    result: Image = restoration.denoise_tv_bregman(
        image, weight, max_num_iter, eps, isotropic, channel_axis=channel_axis(image)
    )
    return result
