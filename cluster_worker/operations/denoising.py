"""Denoising by averages over what looks alike, and by wavelets."""

import warnings
from functools import lru_cache, partial
from typing import Annotated, Any, Literal

import numpy as np
from skimage import restoration, util
from skimage.restoration._denoise import (
    _compute_color_lut,
    _compute_spatial_lut,
    _denoise_bilateral,
)

from cluster_worker.kernels import bilateral as fast
from cluster_worker.kernels import patches, wavelets
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    Place,
    Statistical,
    Whole,
    channel_axis,
    each_channel,
    operation,
)
from cluster_worker.operations.support.by_levels import TALLY, TYPES
from cluster_worker.operations.support.cells import CELL, in_cells
from cluster_worker.operations.support.restoration import refuse_not_finite
from cluster_worker.operations.support.statistics import (
    EXTENT,
    Extent,
    exact_sum,
    exact_sum_of,
    rounded_sum,
)
from cluster_worker.pixels.depths import to_depth

Sums = tuple[int, int]


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
