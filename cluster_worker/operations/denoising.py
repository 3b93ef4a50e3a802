"""Denoising by averages over similar pixels or patches, and by wavelets."""

import warnings
from functools import lru_cache, partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import bilateral as fast
from cluster_worker.kernels import patches, wavelets
from cluster_worker.lazy import lazily
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
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.by_levels import TALLY, TYPES
from cluster_worker.operations.support.cells import CELL, in_cells
from cluster_worker.operations.support.folding import Border
from cluster_worker.operations.support.restoration import refuse_not_finite
from cluster_worker.operations.support.statistics import (
    EXTENT,
    Extent,
    exact_sum,
    exact_sum_of,
    rounded_sum,
)
from cluster_worker.pixels.depths import to_depth

restoration = lazily("skimage.restoration")
util = lazily("skimage.util")
_denoise = lazily("skimage.restoration._denoise")

Sums = tuple[int, int]


def window_of(win_size: int | None, sigma_spatial: float) -> int:
    """Return the side of the bilateral window in pixels; by default, 3 sigma to each side."""
    return win_size or max(5, 2 * int(np.ceil(3 * sigma_spatial)) + 1)


def sums(image: Image, between: Extent) -> Sums:
    """Return the exact sum of an image's values, and their number."""
    refuse_not_finite(between)
    return exact_sum(util.img_as_float(image)), image.size


def sums_of_squares(image: Image, _: Extent, whole: Sums) -> Sums:
    """Return the exact sum of squared differences from the whole image's mean, and their number."""
    away = util.img_as_float64(image) - rounded_sum(whole[0]) / whole[1]
    return exact_sum(away * away), image.size


def join_sums(a: Sums, b: Sums) -> Sums:
    """Add the sums and numbers of two sets of tiles."""
    return a[0] + b[0], a[1] + b[1]


DEVIATION = (*EXTENT, Measure(sums, join_sums), Measure(sums_of_squares, join_sums))


def deviation(whole: Sums, squares: Sums) -> float:
    """Return the standard deviation of the whole image."""
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
    """Compute `denoise_bilateral` with a compiled loop over rows.

    The loop converts integers to floats itself; their only statistic is a histogram.
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
    colours = _denoise._compute_color_lut(bins, spread, extent[1], dtype=np.float32)
    spatial = _denoise._compute_spatial_lut(side, sigma_spatial, dtype=np.float32)
    return fast.bilateral(
        image,
        extent,
        colours,
        spatial,
        side,
        mode,
        cval,
        dtype=dtype,
        place=place,
        out=out,
    )


@lru_cache(maxsize=4)
def measured_of(histogram: bytes, dtype: str) -> tuple[Extent, Sums, Sums]:
    """Return what `DEVIATION` measures, computed from a histogram."""
    counted = np.frombuffer(histogram, np.intp)
    levels = np.flatnonzero(counted)
    counted, values = counted[levels], util.img_as_float32(levels.astype(dtype))
    size = int(counted.sum())
    whole = exact_sum_of(values, counted), size
    away = values.astype(np.float64) - rounded_sum(whole[0]) / size
    return (values[0], values[-1]), whole, (exact_sum_of(away * away, counted), size)


def bilateral_cost(
    pixels: float, win_size: int | None, sigma_color: float | None, sigma_spatial: float, **_: Any
) -> float:
    """Return the cost of the bilateral filter, a unit of which pays for some pixels of a window.

    Processors are slow at weights below the least normal float32, whose exponents lie between these
    bounds. A narrow `sigma_color` gives such weights by the difference in colour.
    """
    side = window_of(win_size, sigma_spatial)
    away = (np.arange(side) - (side - 1) // 2) ** 2
    exponents = (away[:, np.newaxis] + away) / (2 * sigma_spatial**2)
    tiny = float(((exponents > 85) & (exponents < 104)).mean())
    by_colour = 0.008 / (sigma_color + 0.001) if sigma_color else 0.0
    return side**2 / pixels * (1 + max(20 * tiny, by_colour))


# Kernel of the bilateral filter, for types that are stated below.
BILATERAL = partial(
    Kernel,
    bilateral_by_rows,
    arrays=0,
    cost=partial(bilateral_cost, 15),
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
    cost=partial(bilateral_cost, 5),
    tolerance=1e-6,
    kernels=(
        BILATERAL(takes=TYPES, measures=TALLY, tolerance=1e-6),
        BILATERAL(takes=("float32",), exact=True),
    ),
    differs=(
        "the deviation of the whole image is summed exactly, whatever the tiling; "
        "scikit-image's sum is rounded by its order; numbers with sign are exact where "
        "scikit-image's difference of the greatest and the least wraps around; a constant image "
        "becomes floats like any other, and a pixel without weights is unchanged, where "
        "scikit-image leaves integers and gives NaN"
    ),
)
def denoise_bilateral(
    image: Image,
    win_size: Annotated[int | None, Number(3, 99, unit="px", slider=(3, 31), step=2)] = None,
    sigma_color: Annotated[float | None, Number(0.001, 10, slider=(0.01, 0.5), step=0.01)] = None,
    sigma_spatial: Annotated[float, Number(0.1, 16, unit="px", slider=(0.5, 10), step=0.5)] = 1.0,
    bins: Annotated[int, Number(100, 100_000, slider=(1000, 20_000), step=1000)] = 10_000,
    mode: Border = "constant",
    cval: Fill = 0.0,
    *,
    statistics: tuple[Any, ...],
) -> Image:
    """Smooth surfaces and keep edges with a bilateral filter, which averages similar neighbours.

    Parameters
    ----------
    win_size : int, optional
        Side of the window that is averaged; automatic is six times `sigma_spatial`, at least 5.
    sigma_color : float, optional
        Standard deviation of the weights by difference in colour, as a share of white; automatic
        is the standard deviation of the whole image.
    sigma_spatial : float
        Standard deviation of the weights by distance.
    bins : int
        Number of entries in the table of weights by difference in colour.

    Notes
    -----
    The statistics are needed because the table of weights by difference in colour ends at the
    greatest value of the whole image, and because the automatic `sigma_color` is that of the whole
    image. scikit-image returns a constant image unchanged, in its own type; here it becomes floats
    like any other. scikit-image 0.26 reads its table of weights by distance with a row length
    that is one too short, which shears the window; the result here is the same. In a window much
    wider than `sigma_spatial`, all weights can then be 0, and scikit-image returns NaN; here such
    a pixel is unchanged.

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
    table = _denoise._compute_color_lut(bins, spread, greatest, dtype=pixels.dtype)
    spatial = _denoise._compute_spatial_lut(side, sigma_spatial, dtype=pixels.dtype)
    # As floats: the difference of two numbers with sign may not fit their type.
    least, greatest = pixels.dtype.type(least), pixels.dtype.type(greatest)
    lift = least if least < 0 else 0
    planes = np.ascontiguousarray(np.atleast_3d(pixels - lift if lift else pixels))
    result = np.empty_like(planes)
    _denoise._denoise_bilateral(
        planes,
        greatest - lift,
        side,
        spread,
        sigma_spatial,
        bins,
        mode,
        cval,
        table,
        spatial,
        np.empty(planes.shape[2], planes.dtype),
        result,
    )
    # The result is NaN where all weights are 0, even that of the pixel itself.
    np.copyto(result, planes, where=np.isnan(result))
    if lift:
        result += lift
    return result.reshape(image.shape)


def nl_means_reach(patch_size: int, patch_distance: int) -> int:
    """Return how far the patches around a pixel reach, in pixels."""
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
    """Remove noise, keep texture by non-local means: average nearby pixels with similar patches.

    Parameters
    ----------
    patch_size : int
        Side of the patches that are compared.
    patch_distance : int
        How far from a pixel similar patches are searched for.
    h : float
        How different patches may be, as a share of white; a higher value smooths more.
    fast_mode : bool
        Whether all pixels of a patch have the same weight, which is faster; otherwise pixels near
        its centre weigh more.
    sigma : float
        Standard deviation of the noise if it is known, as a share of white; 0 if it is not.

    Notes
    -----
    The fast mode takes sums from an integral image, whose rounding depends on where it begins.
    Therefore it runs in cells of a fixed grid. A NaN spoils the rest of its cell.

    References
    ----------
    skimage.restoration.denoise_nl_means
    """

    def denoise(block: Image) -> Image:
        # The function drops axes of length 1. If the channel axis is not -1, it then fails to move
        # it back.
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
    wavelet: str,  # noqa: ARG001 - always db1
    mode: str,
    wavelet_levels: int | None,
    method: str,
) -> Image:
    """Compute `denoise_wavelet` for its shortest wavelet, db1, with compiled loops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = each_channel(
            lambda plane: wavelets.denoised(plane, sigma, mode, wavelet_levels, method), image
        )
    return replace_nan_planes(result, image)


def replace_nan_planes(result: Image, image: Image) -> Image:
    """Replace colour planes that became NaN by those of the image, if the image is finite."""
    if not np.isfinite(image).all():
        return result
    lost = np.isnan(result).any(axis=(0, 1))
    return np.where(lost, util.img_as_float(image), result) if lost.any() else result


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
    differs=(
        "without detail to estimate the noise from, the image is unchanged; scikit-image gives NaN"
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
    """Remove noise by thresholding the coefficients of a wavelet transform.

    Parameters
    ----------
    sigma : float, optional
        Standard deviation of the noise; automatic is estimated from the finest detail.
    wavelet : str
        The wavelet: db1 (Haar) is a step; the longer ones are smoother.
    mode : str
        Whether coefficients above the threshold are reduced as well (soft) or kept (hard).
    wavelet_levels : int, optional
        Number of scales; automatic leaves out the three coarsest.
    method : str
        One threshold for each scale and direction (BayesShrink), or a single threshold that
        removes nearly all noise and smooths more (VisuShrink).

    Notes
    -----
    If the finest coefficients of a colour are all 0, there is no noise to estimate, and
    scikit-image returns NaN; here that colour is unchanged.

    References
    ----------
    skimage.restoration.denoise_wavelet
    """
    if image.dtype == bool:
        # scikit-image cannot subtract masks.
        image = util.img_as_float(image)
    with warnings.catch_warnings():
        # It warns of too many levels for a small image, and of estimates without detail.
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
    return replace_nan_planes(result, image)
