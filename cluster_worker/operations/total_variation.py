"""Total variation denoising in rounds over the image, with Chambolle's and Bregman's methods."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import numpy as np

from cluster_worker.kernels import bregman, channels_of, exact, variation
from cluster_worker.lazy import lazily
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

restoration = lazily("skimage.restoration")
util = lazily("skimage.util")

# The kernel pads every row. In a narrower image the padding would take more memory than the image.
BREGMAN_SIDE_MIN = 64


def chambolle_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the stages of `denoise_tv_chambolle`, with a kernel for the rounds."""
    start, last = denoise_tv_chambolle(**given)
    update = partial(chambolle_round_by_loop, **start.rounds.update.keywords)
    rounds = replace(start.rounds, update=update, measure=partial(energies, add_up=exact.exact_sum))
    return replace(start, rounds=rounds), last


def chambolle_at_once(**given: Any) -> tuple[Stage, ...]:
    """Make the stage of `denoise_tv_chambolle` that runs on the whole image."""
    return (Stage(partial(chambolle_of_whole, **given), whole=True),)


def chambolle_of_whole(image: Image, **given: Any) -> Image:
    """Run scikit-image's function: it stops when energies that it has rounded differ too little."""
    refuse_not_finite(image)
    result: Image = restoration.denoise_tv_chambolle(
        image, **given, channel_axis=channel_axis(image)
    )
    return result


def chambolle_rounds(weight: float, eps: float, max_num_iter: int) -> int:
    """Return about how many rounds a photograph takes: more for a great weight or a small `eps`."""
    strength = min(max(math.pow(weight / 0.1, 0.35), 0.3), 5)
    return min(max_num_iter, math.ceil(40 * strength * math.sqrt(2e-4 / eps)))


def chambolle_cost(usual: float, weight: float, eps: float, max_num_iter: int) -> float:
    """Return the cost of all rounds, from that with the default parameters."""
    return usual * (1 + chambolle_rounds(weight, eps, max_num_iter)) / 41


def bregman_cost(
    usual: float, weight: float, max_num_iter: int, eps: float, isotropic: bool
) -> float:
    """Return the cost of all rounds, from that with the default parameters: about 7 rounds."""
    del isotropic
    rounds = max(7 * math.pow(max(1, 5 / weight), 0.3) * math.pow(1e-3 / eps, 0.4), 1)
    return usual * min(rounds, max_num_iter) / 7


@operation(
    "Remove noise (total variation, Chambolle)",
    "Restoration",
    Composed("iterative"),
    channels="any",
    floats=True,
    arrays=16,
    cost=partial(chambolle_cost, 8),
    differs=(
        "the energy that ends the rounds is summed exactly, whatever the tiling; scikit-image's is "
        "rounded to 64 bits, so that it may end a round earlier or later"
    ),
    kernels=(
        Kernel(chambolle_by_loop, ("float32",), arrays=8, cost=partial(chambolle_cost, 4)),
        Kernel(
            chambolle_by_loop,
            ("float64",),
            exact=True,
            arrays=8,
            cost=partial(chambolle_cost, 4),
        ),
        # In float32 rounding decides the last round so often that only the whole image will do.
        Kernel(chambolle_at_once, ("float32",), exact=True, cost=partial(chambolle_cost, 200)),
    ),
)
def denoise_tv_chambolle(
    weight: Annotated[float, Number(0.001, 10, slider=(0.01, 1), step=0.01)] = 0.1,
    eps: Annotated[float, Number(1e-7, 0.1, slider=(1e-5, 1e-2))] = 2e-4,
    max_num_iter: Annotated[int, Number(1, 1000, slider=(10, 400), step=10)] = 200,
) -> tuple[Stage, ...]:
    """Remove noise and keep edges sharp by total variation denoising with Chambolle's method.

    Areas become flat patches.

    Parameters
    ----------
    weight : float
        Strength of the smoothing; a higher value makes areas flatter.
    eps : float
        Stop when a round changes the energy by less than this share of the first round's energy.
    max_num_iter : int
        Most rounds.

    Notes
    -----
    Each colour stops on its own. The energy of the whole image is summed exactly, so that every
    tiling stops after the same round. With depth "native" an image of 32-bit floats is processed on
    one rank, with scikit-image's own sum.

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
        expected=chambolle_rounds(weight, eps, max_num_iter),
    )
    return Stage(chambolle_start, rounds=rounds), Stage(chambolle_result)


# Planes for each colour: the image so far, the two components of the dual variable, and the energy
# of each pixel.
CHAMBOLLE = 4


def chambolle_start(image: Image) -> Image:
    """Return the first state, all zero: (rows, columns, CHAMBOLLE · colours).

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
    """Compute one round for every colour that has not stopped.

    Parameters
    ----------
    state : ndarray
        (rows, columns, CHAMBOLLE · colours), of the round before.
    image : ndarray
        The block.
    history : sequence
        For each round so far, the exact sums of the energy of each colour.
    weight : float
        As in `denoise_tv_chambolle`.
    over : callable
        ``over(history, colour)``: whether a colour has stopped.
    """
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
    """Compute the same as `chambolle_round`, with a kernel."""
    planes = np.atleast_3d(image)
    runs = [not over(history, colour) for colour in range(planes.shape[2])]
    return variation.chambolle(state, planes, runs, weight)


def chambolle_step(plane: Image, down: Image, across: Image, weight: float) -> tuple[Image, ...]:
    """Compute one colour's image, its next dual variable (two planes), and the energy per pixel."""
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
    """Compute the exact sum of the energy of each colour."""
    return tuple(add_up(new[..., i]) for i in range(CHAMBOLLE - 1, new.shape[2], CHAMBOLLE))


def join_energies(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """Add the energies of two tiles."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def chambolle_is_over(
    history: Sequence[Sequence[int]], colour: int, eps: float, max_num_iter: int
) -> bool:
    """Return whether a colour has converged or reached its last round.

    A colour without energy stops after the first round.
    """
    energy = [rounded_sum(each[colour]) for each in history]
    if len(energy) >= max_num_iter or (energy and energy[0] == 0):
        return True
    changes = (abs(a - b) for a, b in pairwise(energy))
    return any(change < eps * energy[0] for change in changes)


def all_are_over(
    history: Sequence[Sequence[int]], over: Callable[[Sequence[Sequence[int]], int], bool]
) -> bool:
    """Return whether every colour has stopped."""
    return all(over(history, colour) for colour in range(len(history[-1])))


def chambolle_result(state: Image) -> Image:
    """Return the image from the last state."""
    result: Image = state[..., ::CHAMBOLLE]
    return result if result.shape[2] > 1 else result[..., 0]


def bregman_of_floats(
    image: Image, weight: float, max_num_iter: int, eps: float, isotropic: bool
) -> Image:
    """Run Bregman's method with a kernel, which works on several rows at a time, or without one.

    Images with a side below `BREGMAN_SIDE_MIN` pixels take scikit-image's function.
    """
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
    cost=partial(bregman_cost, 10),
    kernels=(
        Kernel(
            bregman_of_floats,
            takes=("float32", "float64"),
            exact=True,
            arrays=13,
            cost=partial(bregman_cost, 2.5),
        ),
    ),
    differs="an image of one row or column is refused; scikit-image reads memory beyond it",
)
def denoise_tv_bregman(
    image: Image,
    weight: Annotated[float, Number(0.01, 1000, slider=(0.5, 50), step=0.5)] = 5.0,
    max_num_iter: Annotated[int, Number(1, 1000, slider=(10, 400), step=10)] = 100,
    eps: Annotated[float, Number(1e-7, 0.1, slider=(1e-5, 1e-2))] = 1e-3,
    isotropic: bool = True,
) -> Image:
    """Remove noise and keep edges sharp by total variation denoising with split Bregman.

    It usually takes fewer rounds than Chambolle's method.

    Parameters
    ----------
    weight : float
        How close the result stays to the image; a lower value is smoother.
    max_num_iter : int
        Most rounds.
    eps : float
        Stop when a round changes pixels by less than this on average.
    isotropic : bool
        Whether edges of all directions are treated alike; otherwise horizontal and vertical edges
        are preferred.

    Notes
    -----
    As in scikit-image, the second colour starts from the state that the first has left, and the
    third from that of the second. For an image of one row or column scikit-image reads memory
    beyond the image; such images are refused.

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
