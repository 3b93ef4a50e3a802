"""Local thresholds: each pixel is compared with a level computed from its neighbourhood."""

from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.kernels import local
from cluster_worker.lazy import lazily
from cluster_worker.operations.color import white_of
from cluster_worker.operations.declare import Image, Kernel, Local, Number, Place, operation
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.by_levels import TYPES
from cluster_worker.operations.support.footprints import square_table
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.reflections import DIFFERS, reflected
from cluster_worker.operations.support.valid_pixels import (
    Valid,
    mean_and_deviation_of_valid,
    mean_of_valid,
    median_of_valid,
)

ndimage = lazily("scipy.ndimage")
filters = lazily("skimage.filters")

KERNEL = partial(Kernel, takes=TYPES, gray=True, exact=True, arrays=0)

Method = Literal["gaussian", "mean", "median"]
Mode = Annotated[
    Literal["reflect", "nearest", "mirror", "constant", "wrap"],
    "What lies beyond the image's border: its mirror image with the last pixel twice (reflect) or "
    "once (mirror), its last pixel (nearest), one level (constant), or its opposite edge (wrap).",
]
BlockSize = Annotated[int, Number(3, 201, unit="px", slider=(3, 101), step=2)]


def check_odd(name: str, size: int) -> None:
    """Check that a neighbourhood has a centre pixel.

    Raises
    ------
    Rejected
        If the size is even.
    """
    if size % 2 == 0:
        raise Rejected(f"{name} must be odd, got {size}; use {size + 1}")


def local_reach(block_size: int, method: Method, param: float | None = None, **_: Any) -> int:
    """Return the halo of the local threshold: half a block, or four deviations of the Gaussian."""
    return reach(sigma_of(block_size, param)) if method == "gaussian" else block_size // 2


def local_cost(block_size: int, method: Method, param: float | None = None, **_: Any) -> float:
    """Return the cost per pixel of the local threshold; a median sorts its whole neighbourhood."""
    if method == "gaussian":
        return 0.5 + sigma_of(block_size, param) / 3
    return 0.6 * block_size**2 if method == "median" else 0.5 + block_size / 18


def sigma_of(block_size: int, param: float | None = None) -> float:
    """Return the standard deviation of the Gaussian; automatic is a sixth of the block."""
    return (block_size - 1) / 6.0 if param is None else param


def above_gaussian(
    image: Image,
    block_size: int,
    method: Method,  # noqa: ARG001 - the Gaussian
    offset: float,
    mode: Mode,
    cval: float,
    param: float | None = None,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of a block's pixels above the weighted mean of their neighbourhood."""
    check_odd("block_size", block_size)
    sigma = sigma_of(block_size, param)
    return local.above_gaussian(image, sigma, offset, mode, cval, place=place, out=out)


def gaussian_cost(block_size: int, param: float | None = None, **_: Any) -> float:
    """Return the cost per pixel of the Gaussian kernel."""
    return 0.1 + 0.06 * sigma_of(block_size, param)


def sums_exactly(method: Method, mode: Mode, cval: float, **_: Any) -> bool:
    """Return whether the mean is one of integers, including the value beyond the border."""
    return method == "mean" and (mode != "constant" or cval in (0, 1))


def above_mean(
    image: Image,
    block_size: int,
    method: Method,  # noqa: ARG001 - the mean
    offset: float,
    mode: Mode,
    cval: float,
    param: float | None = None,  # noqa: ARG001 - the Gaussian's
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of a block's pixels above the mean of their neighbourhood."""
    check_odd("block_size", block_size)
    return local.above_mean(image, block_size, offset, mode, cval, place=place, out=out)


@operation(
    "Thresholding (local)",
    "Thresholds",
    Local(local_reach),
    channels="gray",
    arrays=5,
    table=lambda block_size, method, **_: square_table(block_size) if method == "median" else 0,
    cost=local_cost,
    kernels=(
        KERNEL(above_gaussian, when=lambda method, **_: method == "gaussian", cost=gaussian_cost),
        KERNEL(above_mean, when=sums_exactly, cost=0.3),
    ),
    differs=(
        "for the method mean, every sum is computed by itself; the rounding of scikit-image's "
        f"running sums decides ties; for the median, {DIFFERS}"
    ),
    exponential=True,
)
def threshold_local(
    image: Image,
    block_size: BlockSize = 35,
    method: Method = "gaussian",
    offset: Annotated[float, Number(-1, 1, slider=(-0.2, 0.2), step=0.01)] = 0.0,
    mode: Mode = "reflect",
    cval: Fill = 0.0,
    param: Annotated[float | None, Number(0.1, 33, unit="px", slider=(0.5, 20), step=0.5)] = None,
    *,
    valid: Valid = None,
) -> Image:
    """Turn pixels white if they are brighter than their neighbourhood; this suits uneven light.

    Parameters
    ----------
    block_size : int
        Rows and columns of the neighbourhood; an odd number.
    method : str
        Whether a pixel is compared with a mean of its neighbourhood in which near pixels weigh
        more (gaussian), with its mean, or with its median.
    offset : float
        How much darker than its neighbourhood a pixel may be and still become white, as a share
        of white; with a negative value it must be brighter by that amount.
    param : float, optional
        Standard deviation of the method gaussian; automatic is a sixth of the block.

    Notes
    -----
    scikit-image computes the mean with a running sum along rows, which accumulates rounding
    errors: of pixels equal to their mean, some become white and others do not. Here every sum is
    computed separately.

    References
    ----------
    skimage.filters.threshold_local
    """
    check_odd("block_size", block_size)
    white = white_of(image)
    if valid is not None:
        level = level_of_valid(image, valid, block_size, method, mode, cval * white, param)
        level = level - offset * white
    elif method == "mean":
        level = window_mean(as_floats(image), block_size, mode, cval * white)
        level -= offset * white
    else:

        def level_of(plane: Image) -> Image:
            found: Image = filters.threshold_local(
                plane, block_size, method, offset * white, mode, param, cval * white
            )
            return found

        # The mean of a Gaussian is taken along lines, and the median of a square at once.
        far = block_size // 2 if method == "median" else 0
        level = reflected(level_of, image, far, mode)
    result: Image = image > level
    return result


def level_of_valid(
    image: Image,
    valid: Image,
    block_size: int,
    method: Method,
    mode: Mode,
    cval: float,
    param: float | None,
) -> Image:
    """Return the mean or the median of the pixels with data in each neighbourhood."""
    if method == "median":
        square = np.ones((block_size, block_size), bool)
        return median_of_valid(image, valid, square, mode, cval)
    if method == "gaussian":
        sigma = sigma_of(block_size, param)
        mean = partial(ndimage.gaussian_filter, sigma=sigma, mode=mode)
        return mean_of_valid(image, valid, mean, cval)
    return mean_of_valid(image, valid, partial(window_mean, size=block_size, mode=mode), cval)


def as_floats(image: Image) -> Image:
    """Convert integers to float64 of the same values, as scikit-image does; keep floats."""
    return image if image.dtype.kind == "f" else image.astype(np.float64)


def window_mean(image: Image, size: int, mode: str, cval: float = 0.0) -> Image:
    """Compute the mean of the square window around each pixel; the sum is always in one order.

    The sum is rounded to the image's type before it is divided, as in scikit-image.
    """
    ones = np.ones(size)
    columns = ndimage.correlate1d(image, ones, 0, np.float64, mode, cval)
    result: Image = ndimage.correlate1d(columns, ones, 1, np.float64, mode, cval * size)
    result = result.astype(image.dtype, copy=False)
    result /= size**2
    return result


WindowSize = Annotated[
    int,
    Number(3, 201, unit="px", slider=(3, 101), step=2),
    "Rows and columns of the neighbourhood; an odd number.",
]


def mean_and_deviation(image: Image, size: int, valid: Valid = None) -> tuple[Image, Image]:
    """Compute the mean and the standard deviation of the square window around each pixel.

    Of `valid`, if it is given, only the pixels that are true count.

    The formula is scikit-image's. Beyond the border lies the mirror image, which does not repeat
    the last pixel.

    Raises
    ------
    Rejected
        If the image holds NaN or infinity, which scikit-image spreads over all pixels that follow.
    """
    if valid is not None:
        mean_of = partial(window_mean, size=size, mode="mirror")
        return mean_and_deviation_of_valid(image, valid, mean_of)
    floats = as_floats(image)
    if not np.isfinite(floats).all():
        raise Rejected("the image holds NaN or infinity, which leave no deviation from a mean")
    mean = window_mean(floats, size, "mirror")
    squares = window_mean(floats * floats, size, "mirror")
    return mean, np.sqrt(np.clip(squares - mean * mean, 0, None))


def above_niblack(
    image: Image, window_size: int, k: float, *, place: Place, out: Image | None
) -> Image:
    """Return the mask of a block's pixels above Niblack's level."""
    check_odd("window_size", window_size)
    return local.above_niblack(image, window_size, k, place=place, out=out)


@operation(
    "Thresholding (Niblack)",
    "Thresholds",
    Local(lambda window_size, k: window_size // 2),
    channels="gray",
    arrays=6,
    cost=lambda window_size, k: 0.5 + window_size / 9,
    kernels=(KERNEL(above_niblack, cost=0.4),),
    differs=(
        "every sum is computed by itself; the rounding of scikit-image's running sums decides "
        "where a neighbourhood is flat"
    ),
)
def threshold_niblack(
    image: Image,
    window_size: WindowSize = 15,
    k: Annotated[float, Number(-5, 5, slider=(-1, 1), step=0.05)] = 0.2,
    *,
    valid: Valid = None,
) -> Image:
    """Turn pixels white if they are brighter than a local level, by Niblack's method for text.

    The level is the mean of the neighbourhood minus `k` times its standard deviation.

    Parameters
    ----------
    k : float
        How many standard deviations below the mean the level lies.

    Notes
    -----
    scikit-image takes sums from an integral image, whose rounding errors decide where a
    neighbourhood of floats is flat; here every sum is computed separately.

    References
    ----------
    skimage.filters.threshold_niblack
    """
    check_odd("window_size", window_size)
    mean, deviation = mean_and_deviation(image, window_size, valid)
    result: Image = image > mean - k * deviation
    return result


def above_sauvola(
    image: Image,
    window_size: int,
    k: float,
    r: float | None,
    *,
    place: Place,
    out: Image | None,
) -> Image:
    """Return the mask of a block's pixels above Sauvola's level."""
    check_odd("window_size", window_size)
    return local.above_sauvola(image, window_size, k, r, place=place, out=out)


@operation(
    "Thresholding (Sauvola)",
    "Thresholds",
    Local(lambda window_size, k, r: window_size // 2),
    channels="gray",
    arrays=6,
    cost=lambda window_size, k, r: 0.5 + window_size / 9,
    kernels=(KERNEL(above_sauvola, cost=0.4),),
    differs=(
        "every sum is computed by itself; the rounding of scikit-image's running sums decides "
        "where a neighbourhood is flat"
    ),
)
def threshold_sauvola(
    image: Image,
    window_size: WindowSize = 15,
    k: Annotated[float, Number(-5, 5, slider=(0, 1), step=0.05)] = 0.2,
    r: Annotated[float | None, Number(0.001, 1, slider=(0.1, 1), step=0.01)] = None,
    *,
    valid: Valid = None,
) -> Image:
    """Turn pixels white if they are brighter than a local level, by Sauvola's method.

    The method is made for text on stained paper: where a neighbourhood is nearly flat, the level
    lies further below its mean.

    Parameters
    ----------
    k : float
        How strongly flat surroundings lower the level.
    r : float, optional
        Greatest standard deviation that is expected, as a share of white; automatic is half the
        range of the image's type.

    Notes
    -----
    scikit-image takes sums from an integral image, whose rounding errors decide where a
    neighbourhood of floats is flat; here every sum is computed separately. For floats the
    automatic `r` is 1, because their range is taken as -1…1.

    References
    ----------
    skimage.filters.threshold_sauvola
    """
    check_odd("window_size", window_size)
    if r is None:
        black = float(np.iinfo(image.dtype).min) if image.dtype.kind == "i" else 0.0
        greatest = 1.0 if image.dtype.kind == "f" else 0.5 * (white_of(image) - black)
    else:
        greatest = r * white_of(image)
    mean, deviation = mean_and_deviation(image, window_size, valid)
    result: Image = image > mean * (1 + k * ((deviation / greatest) - 1))
    return result
