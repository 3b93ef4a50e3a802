"""Deconvolution: undo the blur of a known point spread function."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import deconvolution
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Number,
    Rounds,
    Stage,
    Whole,
    each_channel,
    operation,
)
from cluster_worker.operations.support.restoration import refuse_not_finite, single_or_double

ndimage = lazily("scipy.ndimage")
morphology = lazily("skimage.morphology")
restoration = lazily("skimage.restoration")

Psf = Annotated[
    Literal["gaussian", "box", "disk"],
    "How it was blurred: a Gaussian, a square, or a disk as of a lens out of focus.",
]
REACH = "How far the blur reaches; for a Gaussian, two standard deviations."
PsfRadius = Annotated[int, Number(1, 25, unit="px", slider=(1, 10), step=1), REACH]
# A Fourier transform needs an image at least as large as the point spread function, and the planner
# tries each operation on an image of 16 × 16 pixels.
FourierRadius = Annotated[int, Number(1, 7, unit="px", slider=(1, 7), step=1), REACH]
Clip = Annotated[bool, "Cut the result to -1…1."]


def psf_of(psf: Psf, radius: int) -> Image:
    """Return a point spread function: the image of one bright pixel, with a sum of 1.

    Returns
    -------
    ndarray of float64
        (2 radius + 1, 2 radius + 1). The standard deviation of a Gaussian is half the radius.
    """
    along = np.arange(-radius, radius + 1)
    if psf == "gaussian":
        mask = np.exp(-(along**2 + along[:, np.newaxis] ** 2) / (2 * (radius / 2) ** 2))
    else:
        mask = morphology.disk(radius) if psf == "disk" else np.ones((along.size, along.size))
    found: Image = mask / mask.sum()
    return found


def spread_by(plane: Image, psf: Psf, radius: int) -> Image:
    """Blur a plane with a point spread function; pixels beyond the plane's border are black."""
    spread = psf_of(psf, radius)
    if psf == "disk":
        found: Image = ndimage.correlate(plane, spread, mode="constant")
        return found
    # The other functions are separable into a column and a row.
    row = spread.sum(axis=0)
    found = ndimage.correlate1d(plane, row, axis=0, mode="constant")
    return np.asarray(ndimage.correlate1d(found, row, axis=1, mode="constant"))


@operation(
    "Undo blur (Richardson and Lucy)",
    "Restoration",
    Composed("iterative"),
    channels="any",
    floats=True,
    unclipped_by={"clip": False},
    arrays=10,
    # Of the usual 50 rounds.
    cost=lambda psf, radius, num_iter, **_: (
        (0.02 + num_iter / 50) * (1 + (radius**2 / 25 if psf == "disk" else radius / 5))
    ),
    tolerance=1e-6,
    differs=(
        "its Fourier transforms of tiles round otherwise, and negative pixels, which make "
        "scikit-image's result depend on rounding, count as 0"
    ),
)
def richardson_lucy(
    psf: Psf = "gaussian",
    radius: PsfRadius = 2,
    num_iter: Annotated[int, Number(1, 500, slider=(1, 100), step=1)] = 50,
    clip: Clip = True,
    filter_epsilon: Annotated[float | None, Number(1e-9, 0.1, slider=(1e-6, 0.01))] = None,
) -> tuple[Stage, ...]:
    """Undo a known blur with the Richardson–Lucy method, which refines an estimate in rounds.

    Parameters
    ----------
    num_iter : int
        Number of rounds; more rounds give a sharper but noisier result.
    filter_epsilon : float, optional
        Where the blurred estimate is below this, the correction is 0, which avoids division by
        small numbers.

    Notes
    -----
    scikit-image convolves by Fourier transforms of the whole image. Here the sums are computed
    directly, and always in double precision: in single precision, scikit-image's rounding error
    reaches 4e-6 after 50 rounds. Negative values are treated as 0, because with them
    scikit-image's result depends on its rounding errors.

    References
    ----------
    skimage.restoration.richardson_lucy
    """
    rounds = Rounds(
        update=partial(lucy_round, psf=psf, radius=radius, filter_epsilon=filter_epsilon),
        halo=2 * radius,
        measure=nothing,
        stop=partial(has_run, rounds=num_iter),
        expected=num_iter,
    )
    return Stage(lucy_start, rounds=rounds), Stage(partial(lucy_result, clip=clip))


def lucy_start(image: Image) -> Image:
    """Return the first estimate: 0.5 everywhere.

    Raises
    ------
    ValueError
        If the image holds NaN or infinity.
    """
    refuse_not_finite(image)
    return np.full(image.shape, 0.5, single_or_double(image))


def lucy_round(
    state: Image, image: Image, *, psf: Psf, radius: int, filter_epsilon: float | None
) -> Image:
    """Correct an estimate by the ratio of the image to the blurred estimate."""
    blur = partial(spread_by, psf=psf, radius=radius)
    # scikit-image adds the same number to avoid division by 0.
    blurred = each_channel(blur, state.astype(np.float64)) + 1e-12
    ratio = np.maximum(image, 0) / blurred
    if filter_epsilon:
        ratio[blurred < filter_epsilon] = 0
    result: Image = (state * each_channel(blur, ratio)).astype(state.dtype)
    return result


def nothing(_: Image, __: Image) -> bool:
    """Return False: the stop rule only counts rounds."""
    return False


def has_run(history: Sequence[bool], rounds: int) -> bool:
    """Return whether `rounds` rounds are done."""
    return len(history) >= rounds


def lucy_result(state: Image, clip: bool) -> Image:
    """Clip a result to scikit-image's range, -1…1, if `clip` is set."""
    return np.clip(state, -1, 1) if clip else state


def refuse_smaller(image: Image, side: int) -> None:
    """Raise ValueError if an image has fewer than `side` rows or columns."""
    rows, columns = image.shape[:2]
    if min(rows, columns) < side:
        raise ValueError(
            f"the image must have {side} rows and columns or more, got {rows} × {columns}"
        )


def by_transform(
    image: Image,
    psf: Psf,
    radius: int,
    *,
    function: Callable[..., Image],
    model: Callable[..., Image],
    **given: Any,
) -> Image:
    """Run a kernel that works on Fourier transforms on every colour plane."""
    refuse_smaller(image, 2 * radius + 1)
    spread = psf_of(psf, radius)
    rows, columns = image.shape[:2]
    if spread.shape == (rows, columns // 2 + 1):
        # scikit-image takes an array of this shape for a Fourier transform.
        return model(image)
    return each_channel(lambda plane: function(plane, spread, **given), image)


def on_transform(function: Callable[..., Image], arrays: int, cost: float) -> Kernel:
    """Declare a kernel on Fourier transforms that equals scikit-image to the last bit."""
    kernel = partial(by_transform, function=function)
    return Kernel(kernel, ("float32", "float64"), exact=True, arrays=arrays, cost=cost)


@operation(
    "Undo blur (Wiener)",
    "Restoration",
    Whole("It works on the Fourier transform of the whole image."),
    floats=True,
    unclipped_by={"clip": False},
    arrays=10,
    cost=1,
    kernels=(on_transform(deconvolution.wiener, arrays=10, cost=0.7),),
)
def wiener(
    image: Image,
    psf: Psf = "gaussian",
    radius: FourierRadius = 2,
    balance: Annotated[float, Number(1e-6, 1000, slider=(0.001, 1), step=0.001)] = 0.1,
    clip: Clip = True,
) -> Image:
    """Undo a known blur with a Wiener filter, which limits the noise it amplifies.

    Parameters
    ----------
    balance : float
        Weight of smoothness; a lower value gives a sharper but noisier result.

    References
    ----------
    skimage.restoration.wiener
    """
    refuse_smaller(image, 2 * radius + 1)
    spread = psf_of(psf, radius)
    return each_channel(lambda plane: restoration.wiener(plane, spread, balance, clip=clip), image)


@operation(
    "Undo blur (Wiener, automatic)",
    "Restoration",
    Whole("It works on the Fourier transform of the whole image."),
    floats=True,
    unclipped_by={"clip": False},
    arrays=16,
    cost=15,
    kernels=(on_transform(deconvolution.unsupervised_wiener, arrays=16, cost=10),),
)
def unsupervised_wiener(
    image: Image,
    psf: Psf = "gaussian",
    radius: FourierRadius = 2,
    clip: Clip = True,
    rng: Annotated[int, Number(0, 1_000_000, slider=(0, 100), step=1)] = 0,
) -> Image:
    """Undo a known blur with a Wiener filter that estimates the noise itself.

    Parameters
    ----------
    rng : int
        Seed of the random numbers that the search uses; the same seed gives the same result.

    References
    ----------
    skimage.restoration.unsupervised_wiener
    """
    refuse_smaller(image, 2 * radius + 1)
    spread = psf_of(psf, radius)
    return each_channel(
        lambda plane: restoration.unsupervised_wiener(plane, spread, clip=clip, rng=rng)[0], image
    )
