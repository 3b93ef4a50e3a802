"""Restoration: noise, blur and uneven background taken away."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from scipy import ndimage
from skimage import morphology, restoration, util
from skimage.restoration._denoise import (
    _compute_color_lut,
    _compute_spatial_lut,
    _denoise_bilateral,
)
from skimage.restoration._rolling_ball_cy import apply_kernel

from cluster_worker.depths import to_depth
from cluster_worker.kernels import bilateral as fast
from cluster_worker.kernels import (
    bregman,
    channels_of,
    deconvolution,
    exact,
    patches,
    rolling,
    variation,
    wavelets,
)
from cluster_worker.operations.by_levels import TALLY, TYPES
from cluster_worker.operations.cells import CELL, in_cells
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    Part,
    Place,
    Rounds,
    Statistical,
    Whole,
    channel_axis,
    each_channel,
    operation,
)
from cluster_worker.operations.statistics import (
    EXTENT,
    Extent,
    exact_sum,
    exact_sum_of,
    rounded_sum,
)

Sums = tuple[int, int]

# Of a narrower image what lies beyond its rows would take more memory than these.
BREGMAN_SIDE_MIN = 64


def single_or_double(image: Image) -> Any:
    """Give the type that scikit-image computes with: single precision only for single."""
    return np.float32 if image.dtype == np.float32 else np.float64


# Total variation.


def chambolle_by_loop(**given: Any) -> tuple[Part, ...]:
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
) -> tuple[Part, ...]:
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
    return Part(chambolle_start, rounds=rounds), Part(chambolle_result)


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


def refuse_not_finite(values: Any) -> None:
    """Refuse what holds NaN or infinity."""
    if not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinity, which would spoil all of it")


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


# Averages over what looks alike.


def window_of(win_size: int | None, sigma_spatial: float) -> int:
    """Side of the bilateral window: as given, or three standard deviations to each side."""
    return win_size or max(5, 2 * int(np.ceil(3 * sigma_spatial)) + 1)


def sums(image: Image, between: Extent) -> Sums:
    """Sum and count the values of an image, exactly."""
    refuse_not_finite(between)
    return exact_sum(util.img_as_float(image)), image.size


def sums_of_squares(image: Image, _: Extent, whole: Sums) -> Sums:
    """Sum and count the squares of how far values lie from the mean of the whole, exactly."""
    away = util.img_as_float64(image) - rounded_sum(whole[0]) / whole[1]
    return exact_sum(away * away), image.size


def join_sums(a: Sums, b: Sums) -> Sums:
    """Add the sums of two parts."""
    return a[0] + b[0], a[1] + b[1]


DEVIATION = (*EXTENT, Measure(sums, join_sums), Measure(sums_of_squares, join_sums))


def deviation(whole: Sums, squares: Sums) -> float:
    """Give the standard deviation of the whole image."""
    return float(np.sqrt(rounded_sum(squares[0]) / whole[1]))


def bilateral_by_rows(
    image: Image,
    win_size: int | None,
    sigma_color: float | None,
    sigma_spatial: float,
    bins: int,
    mode: str,
    cval: float,
    *,
    statistics: tuple[Any, ...],
    dtype: str,
    place: Place,
    out: Image | None,
) -> Image:
    """Do what `denoise_bilateral` does by a loop over rows.

    Of whole numbers, which become floats as it goes, a histogram is measured.
    """
    if image.dtype.kind == "u":
        statistics = measured_of(statistics[0].tobytes(), str(image.dtype))
    extent = statistics[0]
    refuse_not_finite(extent)
    if extent[0] == extent[1]:
        found = to_depth(util.img_as_float32(image[place.inner]), dtype)
        if out is not None:
            out[...] = found
        return found
    side = window_of(win_size, sigma_spatial)
    spread = sigma_color or np.float32(deviation(*statistics[1:]))
    colours = _compute_color_lut(bins, spread, extent[1], dtype=np.float32)
    places = _compute_spatial_lut(side, sigma_spatial, dtype=np.float32)
    return fast.bilateral(
        image,
        extent,
        colours,
        places,
        side,
        mode,
        cval,
        dtype=dtype,
        place=place,
        out=out,
    )


@lru_cache(maxsize=4)
def measured_of(histogram: bytes, dtype: str) -> tuple[Extent, Sums, Sums]:
    """Give what `DEVIATION` measures, from a histogram."""
    counted = np.frombuffer(histogram, np.intp)
    levels = np.flatnonzero(counted)
    counted, values = counted[levels], util.img_as_float32(levels.astype(dtype))
    size = int(counted.sum())
    whole = exact_sum_of(values, counted), size
    away = values.astype(np.float64) - rounded_sum(whole[0]) / size
    return (values[0], values[-1]), whole, (exact_sum_of(away * away, counted), size)


# A loop for the bilateral filter.
BILATERAL = partial(
    Kernel,
    bilateral_by_rows,
    arrays=0,
    cost=lambda win_size, sigma_spatial, **_: window_of(win_size, sigma_spatial) ** 2 / 15,
)


@operation(
    "Smoothing (bilateral)",
    "Restoration",
    Statistical(
        lambda sigma_color, **_: EXTENT if sigma_color else DEVIATION,
        halo=lambda win_size, sigma_spatial, **_: (window_of(win_size, sigma_spatial) - 1) // 2,
    ),
    channels="any",
    floats=True,
    arrays=14,
    cost=lambda win_size, sigma_spatial, **_: window_of(win_size, sigma_spatial) ** 2 / 5,
    tolerance=1e-6,
    kernels=(
        BILATERAL(takes=TYPES, measures=TALLY, tolerance=1e-6),
        BILATERAL(takes=("float32",), exact=True),
    ),
)
def denoise_bilateral(
    image: Image,
    win_size: Annotated[int | None, Number(3, 99, unit="px", slider=(3, 31), step=2)] = None,
    sigma_color: Annotated[float | None, Number(0.001, 10, slider=(0.01, 0.5), step=0.01)] = None,
    sigma_spatial: Annotated[float, Number(0.1, 16, unit="px", slider=(0.5, 10), step=0.5)] = 1.0,
    bins: Annotated[int, Number(100, 100_000, slider=(1000, 20_000), step=1000)] = 10_000,
    mode: Literal["constant", "edge", "symmetric", "reflect", "wrap"] = "constant",
    cval: Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)] = 0.0,
    *,
    statistics: tuple[Any, ...],
) -> Image:
    """Smooth surfaces and keep edges: average with the neighbours that are of similar colour.

    Parameters
    ----------
    win_size : int, optional
        Side of the window that is averaged; automatic is six times the sigma of places.
    sigma_color : float, optional
        How far a similar colour may lie, as a share of white; automatic is the standard deviation
        of the whole image.
    sigma_spatial : float
        How far a neighbour may lie.
    bins : int
        How finely weights of colours are tabulated.
    mode : str
        What lies beyond the image's border: one value, its last pixel (edge), its mirror image
        with or without the last pixel twice (symmetric, reflect), or the opposite edge.
    cval : float
        The value beyond the border, with mode "constant".

    Notes
    -----
    The table of colours reaches to the greatest value of the whole image, and the automatic sigma
    is that of the whole; hence the statistics. scikit-image returns an image of one value as it
    is, of whatever type; here it becomes floats as any other. scikit-image 0.26 reads its table
    of places with rows one shorter than it has, so that the window is sheared; so does this. In a
    window much wider than the sigma of places no pixel then weighs anything, and scikit-image
    gives NaN; here such a pixel stays as it is.

    References
    ----------
    skimage.restoration.denoise_bilateral
    """
    least, greatest = statistics[0]
    refuse_not_finite(statistics[0])
    pixels = util.img_as_float(image)
    if least == greatest:
        return np.array(pixels)
    spread = sigma_color or pixels.dtype.type(deviation(*statistics[1:]))
    side = window_of(win_size, sigma_spatial)
    table = _compute_color_lut(bins, spread, greatest, dtype=pixels.dtype)
    places = _compute_spatial_lut(side, sigma_spatial, dtype=pixels.dtype)
    lift = least if least < 0 else 0
    planes = np.ascontiguousarray(np.atleast_3d(pixels - lift if lift else pixels))
    result = np.empty_like(planes)
    _denoise_bilateral(
        planes,
        greatest - lift,
        side,
        spread,
        sigma_spatial,
        bins,
        mode,
        cval,
        table,
        places,
        np.empty(planes.shape[2], planes.dtype),
        result,
    )
    # Where nothing weighs anything, not even the pixel itself.
    np.copyto(result, planes, where=np.isnan(result))
    if lift:
        result += lift
    return result.reshape(image.shape)


def nl_means_reach(patch_size: int, patch_distance: int) -> int:
    """Pixels that a pixel's patches reach."""
    return patch_size // 2 + patch_distance


@operation(
    "Remove noise (non-local means)",
    "Restoration",
    Local(
        lambda patch_size, patch_distance, **_: nl_means_reach(patch_size, patch_distance),
        grid=lambda fast_mode, **_: CELL if fast_mode else 1,
    ),
    channels="any",
    floats=True,
    arrays=8,
    cost=lambda patch_size, patch_distance, fast_mode, **_: (
        (2 * patch_distance + 1) ** 2 * (0.3 if fast_mode else 0.035 * patch_size**2)
    ),
    tolerance=1e-6,
    kernels=(
        Kernel(
            patches.non_local_means,
            when=lambda fast_mode, **_: fast_mode,
            arrays=0,
            cost=lambda patch_size, patch_distance, **_: (
                (2 * patch_distance + 1) ** 2 * (0.03 + 0.002 * patch_size)
            ),
            tolerance=1e-6,
        ),
    ),
)
def denoise_nl_means(
    image: Image,
    patch_size: Annotated[int, Number(2, 31, unit="px", slider=(3, 15), step=2)] = 5,
    patch_distance: Annotated[int, Number(1, 31, unit="px", slider=(3, 21), step=1)] = 6,
    h: Annotated[float, Number(0.001, 10, slider=(0.01, 0.5), step=0.01)] = 0.1,
    fast_mode: bool = True,
    sigma: Annotated[float, Number(0, 1, slider=(0, 0.5), step=0.01)] = 0.0,
    *,
    place: Place,
) -> Image:
    """Take noise away and keep texture: average with places nearby whose surroundings look alike.

    Parameters
    ----------
    patch_size : int
        Side of the surroundings that are compared.
    patch_distance : int
        How far such places are sought.
    h : float
        How unlike they may be, as a share of white; more is smoother.
    fast_mode : bool
        Compare by sums, with equal weight for all of the surroundings, which is quicker.
    sigma : float
        Standard deviation of the noise if it is known, as a share of white; 0 if it is not.

    Notes
    -----
    The fast mode takes sums from an integral image, whose rounding depends on where it begins;
    hence it is run in cells of a fixed grid. NaN spoils the rest of a cell.

    References
    ----------
    skimage.restoration.denoise_nl_means
    """

    def denoise(block: Image) -> Image:
        # It drops axes of one, and given another axis than -1 then fails to move it back.
        axis = None if block.ndim == 2 else -1
        found: Image = restoration.denoise_nl_means(
            block, patch_size, patch_distance, h, fast_mode, sigma, channel_axis=axis
        )
        return found.reshape(block.shape)

    if fast_mode:
        return in_cells(denoise, image, place, nl_means_reach(patch_size, patch_distance))
    return denoise(image)


def wavelet_by_loop(
    image: Image,
    sigma: float | None,
    wavelet: str,  # noqa: ARG001 - what it holds for
    mode: str,
    wavelet_levels: int | None,
    method: str,
) -> Image:
    """Do what `denoise_wavelet` does with its shortest wavelet by loops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = each_channel(
            lambda plane: wavelets.denoised(plane, sigma, mode, wavelet_levels, method), image
        )
    return unless_unknown(result, image)


def unless_unknown(result: Image, image: Image) -> Image:
    """Leave the colours as they are of which nothing is known: their result is NaN."""
    if not np.isfinite(image).all():
        return result
    unknown = np.isnan(result).any(axis=(0, 1))
    return np.where(unknown, util.img_as_float(image), result) if unknown.any() else result


@operation(
    "Remove noise (wavelets)",
    "Restoration",
    Whole("Its wavelets reach over the whole image, and their thresholds come from all of it."),
    channels="any",
    floats=True,
    arrays=8,
    cost=3,
    fine=(),
    kernels=(
        Kernel(
            wavelet_by_loop,
            takes=("float32", "float64"),
            when=lambda wavelet, **_: wavelet == "db1",
            exact=True,
            cost=1,
        ),
    ),
)
def denoise_wavelet(
    image: Image,
    sigma: Annotated[float | None, Number(0, 1, slider=(0, 0.5), step=0.01)] = None,
    wavelet: Literal["db1", "db2", "db3", "db4", "sym4", "sym9", "coif1"] = "db1",
    mode: Literal["soft", "hard"] = "soft",
    wavelet_levels: Annotated[int | None, Number(1, 12, slider=(1, 8), step=1)] = None,
    method: Literal["BayesShrink", "VisuShrink"] = "BayesShrink",
) -> Image:
    """Take noise away by dropping what is faint in a wavelet transform.

    Parameters
    ----------
    sigma : float, optional
        Standard deviation of the noise; automatic is estimated from the finest detail.
    wavelet : str
        Shape of the waves: db1 is a step; the longer ones are smoother.
    mode : str
        Whether what is not dropped is lessened as well (soft) or kept (hard).
    wavelet_levels : int, optional
        How many scales are looked at; automatic leaves out the three coarsest.
    method : str
        A threshold for every scale and direction (BayesShrink), or one for all that drops nearly
        all noise and smooths more (VisuShrink).

    Notes
    -----
    Where the finest detail of a colour is nothing but 0 there is no noise to estimate, and
    scikit-image gives NaN; here that colour stays as it is.

    References
    ----------
    skimage.restoration.denoise_wavelet
    """
    if image.dtype == bool:
        # scikit-image cannot subtract masks.
        image = util.img_as_float(image)
    with warnings.catch_warnings():
        # Of too many levels for a small image, and of estimates from no detail.
        warnings.simplefilter("ignore")
        result: Image = restoration.denoise_wavelet(
            image,
            sigma,
            wavelet,
            mode,
            wavelet_levels,
            method=method,
            channel_axis=channel_axis(image),
        )
    return unless_unknown(result, image)


# Blur taken away.

Psf = Literal["gaussian", "box", "disk"]
PsfRadius = Annotated[int, Number(1, 25, unit="px", slider=(1, 10), step=1)]
# A Fourier transform needs an image as large as the point spread function, and the planner tries
# each operation on one of 16 × 16.
FourierRadius = Annotated[int, Number(1, 7, unit="px", slider=(1, 7), step=1)]


def psf_of(psf: Psf, radius: int) -> Image:
    """Give a point spread function: what has become of one bright pixel; its sum is 1."""
    along = np.arange(-radius, radius + 1)
    if psf == "gaussian":
        mask = np.exp(-(along**2 + along[:, np.newaxis] ** 2) / (2 * (radius / 2) ** 2))
    else:
        mask = morphology.disk(radius) if psf == "disk" else np.ones((along.size, along.size))
    found: Image = mask / mask.sum()
    return found


def spread_by(plane: Image, psf: Psf, radius: int) -> Image:
    """Blur a plane with a point spread function; beyond its border it is black."""
    spread = psf_of(psf, radius)
    if psf == "disk":
        found: Image = ndimage.correlate(plane, spread, mode="constant")
        return found
    # The others are products of a column and a row.
    row = spread.sum(axis=0)
    found = ndimage.correlate1d(plane, row, axis=0, mode="constant")
    return np.asarray(ndimage.correlate1d(found, row, axis=1, mode="constant"))


@operation(
    "Undo blur (Richardson and Lucy)",
    "Restoration",
    Composed("iterative"),
    channels="any",
    floats=True,
    arrays=10,
    cost=lambda psf, radius, **_: 1 + (radius**2 / 25 if psf == "disk" else radius / 5),
    tolerance=1e-6,
)
def richardson_lucy(
    psf: Psf = "gaussian",
    radius: PsfRadius = 2,
    num_iter: Annotated[int, Number(1, 500, slider=(1, 100), step=1)] = 50,
    clip: bool = True,
    filter_epsilon: Annotated[float | None, Number(1e-9, 0.1, slider=(1e-6, 0.01))] = None,
) -> tuple[Part, ...]:
    """Sharpen what was blurred in a known way, by guessing again and again what would blur to it.

    Parameters
    ----------
    psf : str
        How it was blurred: a Gaussian, a square, or a disk as of a lens out of focus.
    radius : int
        How far the blur reaches; for a Gaussian, two standard deviations.
    num_iter : int
        Rounds; more is sharper, and noisier.
    clip : bool
        Cut the result to -1…1.
    filter_epsilon : float, optional
        Where a guess blurs to less than this it is not corrected, which avoids division by nearly
        0.

    Notes
    -----
    scikit-image convolves by Fourier transforms of the whole image. Here sums are taken directly,
    and in double precision whatever the image; in single precision scikit-image's rounding
    reaches 4e-6 after 50 rounds. There is no light less than none: negative values are taken for
    0, as with them scikit-image's result hangs on its rounding.

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
    return Part(lucy_start, rounds=rounds), Part(partial(lucy_result, clip=clip))


def lucy_start(image: Image) -> Image:
    """Make the first guess, even gray.

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
    """Correct a guess by how far it blurs to the image."""
    blur = partial(spread_by, psf=psf, radius=radius)
    # As scikit-image has it, against division by 0.
    blurred = each_channel(blur, state.astype(np.float64)) + 1e-12
    ratio = np.maximum(image, 0) / blurred
    if filter_epsilon:
        ratio[blurred < filter_epsilon] = 0
    result: Image = (state * each_channel(blur, ratio)).astype(state.dtype)
    return result


def nothing(_: Image, __: Image) -> bool:
    """Measure nothing."""
    return False


def has_run(history: Sequence[bool], rounds: int) -> bool:
    """Whether so many rounds are over."""
    return len(history) >= rounds


def lucy_result(state: Image, clip: bool) -> Image:
    """Cut a result to the range that scikit-image has."""
    return np.clip(state, -1, 1) if clip else state


def refuse_smaller(image: Image, side: int) -> None:
    """Refuse an image that is smaller than what its Fourier transform is multiplied with."""
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
    """Run a kernel on the Fourier transform of every colour."""
    refuse_smaller(image, 2 * radius + 1)
    spread = psf_of(psf, radius)
    rows, columns = image.shape[:2]
    if spread.shape == (rows, columns // 2 + 1):
        # scikit-image takes what is so large for a transform itself.
        return model(image)
    return each_channel(lambda plane: function(plane, spread, **given), image)


def on_transform(function: Callable[..., Image], arrays: int, cost: float) -> Kernel:
    """Declare a kernel on transforms of colours, which gives scikit-image's last bit."""
    kernel = partial(by_transform, function=function)
    return Kernel(kernel, ("float32", "float64"), exact=True, arrays=arrays, cost=cost)


@operation(
    "Undo blur (Wiener)",
    "Restoration",
    Whole("It works on the Fourier transform of the whole image."),
    floats=True,
    arrays=10,
    cost=1,
    kernels=(on_transform(deconvolution.wiener, arrays=10, cost=0.7),),
)
def wiener(
    image: Image,
    psf: Psf = "gaussian",
    radius: FourierRadius = 2,
    balance: Annotated[float, Number(1e-6, 1000, slider=(0.001, 1), step=0.001)] = 0.1,
    clip: bool = True,
) -> Image:
    """Sharpen what was blurred in a known way, in one step that keeps noise down.

    Parameters
    ----------
    psf : str
        How it was blurred: a Gaussian, a square, or a disk as of a lens out of focus.
    radius : int
        How far the blur reaches; for a Gaussian, two standard deviations.
    balance : float
        How smooth the result must be; less is sharper, and noisier.
    clip : bool
        Cut the result to -1…1.

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
    arrays=16,
    cost=15,
    kernels=(on_transform(deconvolution.unsupervised_wiener, arrays=16, cost=10),),
)
def unsupervised_wiener(
    image: Image,
    psf: Psf = "gaussian",
    radius: FourierRadius = 2,
    clip: bool = True,
    rng: Annotated[int, Number(0, 1_000_000, slider=(0, 100), step=1)] = 0,
) -> Image:
    """Sharpen what was blurred in a known way, and find out how noisy it is.

    Parameters
    ----------
    psf : str
        How it was blurred: a Gaussian, a square, or a disk as of a lens out of focus.
    radius : int
        How far the blur reaches; for a Gaussian, two standard deviations.
    clip : bool
        Cut the result to -1…1.
    rng : int
        Seed of the random numbers by which it searches; the same seed gives the same result.

    References
    ----------
    skimage.restoration.unsupervised_wiener
    """
    refuse_smaller(image, 2 * radius + 1)
    spread = psf_of(psf, radius)
    return each_channel(
        lambda plane: restoration.unsupervised_wiener(plane, spread, clip=clip, rng=rng)[0], image
    )


# Background.


@operation(
    "Background (rolling ball)",
    "Restoration",
    Local(lambda radius: radius),
    channels="each",
    arrays=4,
    cost=lambda radius: (2 * radius + 1) ** 2 / 28,
    kernels=(
        Kernel(
            rolling.rolled,
            takes=("uint8", "uint16", "float32", "float64"),
            exact=True,
            arrays=3,
            cost=lambda radius: (2 * radius + 1) ** 2 / 500,
        ),
    ),
)
def rolling_ball(
    image: Image,
    radius: Annotated[int, Number(1, 200, unit="px", slider=(5, 100), step=1)] = 25,
    *,
    place: Place,
) -> Image:
    """Show the uneven background on which bright things lie, as a ball rolled under them feels it.

    Parameters
    ----------
    radius : int
        Of the ball, in pixels and in levels of brightness; larger than the things that are to
        vanish. Its square is what the work grows with.

    Notes
    -----
    scikit-image rolls under a block and all of its halo. Here only the core is rolled under.

    References
    ----------
    skimage.restoration.rolling_ball
    """
    return each_channel(partial(roll_under_core, radius=radius, place=place), image)


def roll_under_core(plane: Image, radius: int, place: Place) -> Image:
    """Give the background of a block's core; the rest is 0."""
    kind = single_or_double(plane)
    ball = restoration.ball_kernel(radius, 2).astype(kind)
    depth = ball[radius, radius] - ball
    depth[np.isinf(ball)] = np.inf
    core, window = place.core, place.window
    beyond = core.grown(radius)
    padding = (
        (window.top - beyond.top, beyond.bottom - window.bottom),
        (window.left - beyond.left, beyond.right - window.right),
    )
    padded = np.pad(plane.astype(kind), padding, constant_values=np.inf)
    found = apply_kernel(
        padded.reshape(-1),
        depth.reshape(-1),
        np.zeros(core.pixels, kind),
        np.array(core.shape, np.intp),
        np.array(padded.shape, np.intp),
        np.array(ball.shape, np.intp),
        1,
    )
    result = np.zeros_like(plane)
    result[place.inner] = found.reshape(core.shape).astype(plane.dtype)
    return result
