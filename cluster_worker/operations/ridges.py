"""Ridge filters: lines and vessels, found by second derivatives."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    Place,
    Stage,
    Stages,
    Statistical,
    operation,
)
from cluster_worker.operations.support.borders import Border, FloatFill
from cluster_worker.operations.support.curvatures import (
    Curvatures,
    curvatures,
    curvatures_by_loop,
    kernels,
)

Sigmas = Annotated[
    tuple[float, ...],
    Number(0.3, 50, unit="px", slider=(0.5, 15), step=0.5),
    "Sizes to look for: about half the width of the lines.",
]
SIGMAS = (1.0, 3.0, 5.0, 7.0, 9.0)
Beta = Annotated[
    float,
    Number(0.05, 10, slider=(0.1, 2), step=0.05),
    "How round a shape may be and still count as a line; a higher value lets blobs in.",
]
Gamma = Annotated[
    float | None,
    Number(0.001, 10000, slider=(0.01, 1), step=0.01),
    "How strong a line must be; a higher value hides faint lines. Automatic is half the strongest "
    "curvature in the image at the first size.",
]
BlackRidges = Annotated[bool, "Whether dark lines are looked for; otherwise bright ones."]


def ridge_halo(sigmas: Sequence[float], **_: Any) -> int:
    """Return the halo, in pixels, of a Hessian at the largest scale: two kernels in a row."""
    return max(2 * (len(kernels(sigma)[0]) // 2) for sigma in sigmas)


def ridge_cost(sigmas: Sequence[float], **_: Any) -> float:
    """Return the cost for a pixel: ten convolutions for each scale."""
    return sum(3 + 0.2 * len(kernels(sigma)[0]) for sigma in sigmas)


def ridge_cost_by_loop(sigmas: Sequence[float], **_: Any) -> float:
    """Return the cost for a pixel with the compiled loop."""
    return ridge_cost(sigmas) / 3


def prepared(image: Image, black_ridges: bool) -> Image:
    """Convert an image to floats without changing its range; negate it to look for bright ridges.

    Raises
    ------
    ValueError
        If the image holds NaN or infinity.
    """
    if image.dtype.kind != "f":
        image = image.astype(np.float64)
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinity, which have no second derivative")
    return image if black_ridges else -image


def in_block(core: Image, place: Place) -> Image:
    """Place the result of a core in an array as large as its block; the halo is 0 and not used."""
    if place.window == place.core:
        return core
    block = np.zeros(place.window.shape + core.shape[2:], core.dtype)
    block[place.inner] = core
    return block


def tubes(
    image: Image,
    sigmas: Sequence[float],
    black_ridges: bool,
    mode: str,
    cval: float,
    *,
    find: Curvatures,
    place: Place,
) -> Image:
    """Compute the greatest curvature over all scales, each times the square of its scale."""
    image = prepared(image, black_ridges)
    result = np.zeros(place.core.shape, image.dtype)
    for sigma in sigmas:
        greater, _ = find(image, sigma, mode, cval, place)
        np.maximum(result, sigma**2 * np.maximum(greater, 0), out=result)
    return in_block(result, place)


# The loop equals the function to the last bit. It takes images that are floats already.
BY_LOOP = partial(Kernel, takes=("float32", "float64"), exact=True, cost=ridge_cost_by_loop)


@operation(
    "Tubes (Sato)",
    "Ridges",
    Local(ridge_halo),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=10,
    cost=ridge_cost,
    kernels=(BY_LOOP(partial(tubes, find=curvatures_by_loop)),),
)
def sato(
    image: Image,
    sigmas: Sigmas = SIGMAS,
    black_ridges: BlackRidges = True,
    mode: Border = "reflect",
    cval: FloatFill = 0.0,
    *,
    place: Place,
) -> Image:
    """Show lines and tubes with Sato's filter, bright on black; more contrast is brighter.

    References
    ----------
    skimage.filters.sato
    """
    return tubes(image, sigmas, black_ridges, mode, cval, find=curvatures, place=place)


def meijering_by_loop(**given: Any) -> Stages:
    """Make the stages of `meijering`, with responses by the compiled loop."""
    first, last = meijering(**given)
    responses = partial(first.function, find=curvatures_by_loop)
    return replace(first, function=responses, model=first), last


@operation(
    "Nerve fibres (Meijering)",
    "Ridges",
    Composed("statistical"),
    channels="gray",
    floats=True,
    arrays=12,
    cost=ridge_cost,
    tolerance=1e-6,
    kernels=(BY_LOOP(meijering_by_loop),),
    differs="the largest value of a gray image is measured after another rounding",
)
def meijering(
    sigmas: Sigmas = SIGMAS,
    alpha: Annotated[float | None, Number(-1, 1, step=0.01)] = None,
    black_ridges: BlackRidges = True,
    mode: Border = "reflect",
    cval: FloatFill = 0.0,
) -> Stages:
    """Show thin lines such as nerve fibres with Meijering's filter, bright on black.

    The strongest line of each size is white.

    Parameters
    ----------
    alpha : float, optional
        Weight of the curvature along a line, relative to that across it. Automatic is a third.

    Notes
    -----
    scikit-image divides the response of each scale by its greatest value in the image, which is
    measured here as a statistic. It also multiplies matrices, so that the last bit depends on the
    column of a pixel. Here plain sums are used, which do not depend on the tiling.

    References
    ----------
    skimage.filters.meijering
    """
    responses = partial(
        neurite_responses,
        sigmas=tuple(sigmas),
        alpha=1 / 3 if alpha is None else alpha,
        black_ridges=black_ridges,
        mode=mode,
        cval=cval,
    )
    return (
        Stage(responses, ridge_halo(sigmas), wraps=mode == "wrap"),
        Stage(strongest_scale, measures=(Measure(greatest_of_scales, np.maximum),)),
    )


def neurite_responses(
    image: Image,
    sigmas: Sequence[float],
    alpha: float,
    black_ridges: bool,
    mode: str,
    cval: float,
    *,
    find: Curvatures = curvatures,
    place: Place,
) -> Image:
    """Compute the response of each scale, as one channel each."""
    image = prepared(image, black_ridges)
    found = np.empty((*place.core.shape, len(sigmas)), image.dtype)
    for i, sigma in enumerate(sigmas):
        greater, lesser = find(image, sigma, mode, cval, place)
        first, second = greater + lesser * alpha, greater * alpha + lesser
        stronger = np.where(abs(first) >= abs(second), first, second)
        found[..., i] = np.maximum(stronger, 0)
    return in_block(found, place)


def greatest_of_scales(responses: Image) -> Image:
    """Return the greatest response of each scale in a core."""
    greatest: Image = responses.max(axis=(0, 1))
    return greatest


def strongest_scale(responses: Image, *, statistics: tuple[Image]) -> Image:
    """Return the greatest response over all scales, each divided by its maximum in the image."""
    (greatest,) = statistics
    shares = responses / np.where(greatest > 0, greatest, greatest.dtype.type(1))
    if shares.ndim == 2:
        return shares
    result = shares[..., 0].copy()
    for i in range(1, shares.shape[2]):
        np.maximum(result, shares[..., i], out=result)
    return result


def norm(greater: Image, lesser: Image) -> Image:
    """Compute the Frobenius norm of the Hessian from its eigenvalues."""
    size: Image = np.sqrt(greater**2 + lesser**2)
    return size


def greatest_norm(
    image: Image,
    *,
    place: Place,
    sigma: float,
    black_ridges: bool,
    mode: str,
    cval: float,
    find: Curvatures,
) -> Any:
    """Return the greatest norm of the Hessian in a core."""
    return norm(*find(prepared(image, black_ridges), sigma, mode, cval, place)).max()


def vessel_measures(
    sigmas: Sequence[float],
    gamma: float | None,
    black_ridges: bool,
    mode: str,
    cval: float,
    find: Curvatures = curvatures,
    **_: Any,
) -> tuple[Measure, ...]:
    """Return the measure for an automatic gamma, at the first scale alone as in scikit-image."""
    if gamma is not None:
        return ()
    greatest = partial(
        greatest_norm, sigma=sigmas[0], black_ridges=black_ridges, mode=mode, cval=cval, find=find
    )
    return (Measure(greatest, np.maximum, ridge_halo(sigmas[:1])),)


def vessels(
    image: Image,
    sigmas: Sequence[float],
    beta: float,
    gamma: float | None,
    black_ridges: bool,
    mode: str,
    cval: float,
    *,
    find: Curvatures,
    place: Place,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Compute the greatest vesselness over all scales."""
    image = prepared(image, black_ridges)
    if gamma is None:
        # In an image without curvature gamma has no effect, but it must not be 0.
        gamma = statistics[0] / 2 or 1
    result = np.zeros(place.core.shape, image.dtype)
    for sigma in sigmas:
        found = vesselness(*find(image, sigma, mode, cval, place), beta, gamma)
        np.maximum(result, found, out=result)
    return in_block(result, place)


def wrinkles(
    *given: Any,
    find: Curvatures,
    place: Place,
    statistics: tuple[Any, ...] = (),
    **parameters: Any,
) -> Image:
    """Return the same as `vessels`, but 1 wherever that is 0."""
    found = vessels(*given, **parameters, find=find, place=place, statistics=statistics)
    found[found <= 0] = 1
    return found


MEASURES_BY_LOOP = partial(vessel_measures, find=curvatures_by_loop)


@operation(
    "Vessels (Frangi)",
    "Ridges",
    Statistical(vessel_measures, halo=ridge_halo),
    channels="gray",
    floats=True,
    arrays=12,
    cost=ridge_cost,
    kernels=(BY_LOOP(partial(vessels, find=curvatures_by_loop), measures=MEASURES_BY_LOOP),),
)
def frangi(
    image: Image,
    sigmas: Sigmas = SIGMAS,
    beta: Beta = 0.5,
    gamma: Gamma = None,
    black_ridges: BlackRidges = True,
    mode: Border = "reflect",
    cval: FloatFill = 0.0,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Show vessels and other lines with Frangi's filter, bright on black; blobs stay black.

    Notes
    -----
    The parameter alpha of scikit-image separates plates from lines in volumes. It has no effect on
    images.

    References
    ----------
    skimage.filters.frangi
    """
    given = (image, sigmas, beta, gamma, black_ridges, mode, cval)
    return vessels(*given, find=curvatures, place=place, statistics=statistics)


def vesselness(greater: Image, lesser: Image, beta: float, gamma: float) -> Image:
    """Compute Frangi's vesselness, equations (13) and (15), from the eigenvalues of the Hessian.

    Where the eigenvalue of greater magnitude is negative, there is no dark ridge. It is then
    replaced by 1e-10, which makes the ratio so large that the result becomes 0.
    """
    swapped = abs(greater) > abs(lesser)
    along = np.where(swapped, lesser, greater)
    across = np.maximum(np.where(swapped, greater, lesser), 1e-10)
    result: Image = np.exp(-((abs(along) / across) ** 2) / (2 * beta**2), dtype=greater.dtype)
    result *= 1.0 - np.exp(-(norm(greater, lesser) ** 2) / (2 * gamma**2), dtype=greater.dtype)
    return result


@operation(
    "Wrinkles (hybrid Hessian)",
    "Ridges",
    Statistical(vessel_measures, halo=ridge_halo),
    channels="gray",
    floats=True,
    arrays=12,
    cost=ridge_cost,
    kernels=(BY_LOOP(partial(wrinkles, find=curvatures_by_loop), measures=MEASURES_BY_LOOP),),
)
def hessian(
    image: Image,
    sigmas: Sigmas = SIGMAS,
    beta: Beta = 0.5,
    gamma: Gamma = None,
    black_ridges: BlackRidges = True,
    mode: Border = "reflect",
    cval: FloatFill = 0.0,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Show wrinkles and other lines with the hybrid Hessian filter, dark on white.

    Notes
    -----
    As Frangi's filter, but 1 wherever that is 0. The default of gamma is 15 in scikit-image, which
    suits only images of 0 to 255.

    References
    ----------
    skimage.filters.hessian
    """
    given = (image, sigmas, beta, gamma, black_ridges, mode, cval)
    return wrinkles(*given, find=curvatures, place=place, statistics=statistics)
