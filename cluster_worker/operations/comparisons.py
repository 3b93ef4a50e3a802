"""How far an image is from a reference: tables of one row.

Sums of floats are exact, so that every tiling gives the same number.
"""

from dataclasses import dataclass
from math import log10, sqrt
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.arithmetic import beside
from cluster_worker.operations.declare import Image, Input, Number, Place, Table, operation
from cluster_worker.operations.support.column_units import VALUE, units
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.propagation import refuse_not_finite
from cluster_worker.operations.support.statistics import exact_sum, rounded_sum

ndimage = lazily("scipy.ndimage")
dtypes = lazily("skimage.util.dtype")

GROUP = "Measurements"
Reference = Annotated[Image, Input("picture")]
Columns = dict[str, NDArray[Any]]
Range = Annotated[float | None, Number(1e-30, 1e30, slider=(0, 65_535))]


@dataclass(frozen=True)
class Difference:
    """What two images differ by, and what the reference has.

    Attributes
    ----------
    count : int
        Pixels, times channels.
    errors, squares, total : int
        Exact sums of the squares of the differences, of the squares of the reference, and of the
        reference itself.
    least, greatest : float
        Of the reference.
    dtype : str
        Of the reference.
    """

    count: int
    errors: int
    squares: int
    total: int
    least: float
    greatest: float
    dtype: str

    @property
    def mean_squared_error(self) -> float:
        """Mean of the squares of the differences."""
        return rounded_sum(self.errors) / self.count


def compared(image: Image, reference: Image, place: Place) -> Difference:
    """Compare the core of a block with a reference."""
    core, known = image[place.inner], beside(image, reference)[place.inner]
    known = np.broadcast_to(known, core.shape)
    floats = np.result_type(core, known, np.float32 if core.dtype == "float32" else np.float64)
    one, two = core.astype(floats), known.astype(floats)
    refuse_not_finite(one)
    refuse_not_finite(two)
    return Difference(
        core.size,
        exact_sum((two - one) ** 2),
        exact_sum(two * two),
        exact_sum(two),
        float(two.min()),
        float(two.max()),
        str(known.dtype),
    )


def join(a: Difference, b: Difference) -> Difference:
    """Join the differences of two sets of tiles."""
    return Difference(
        a.count + b.count,
        a.errors + b.errors,
        a.squares + b.squares,
        a.total + b.total,
        min(a.least, b.least),
        max(a.greatest, b.greatest),
        a.dtype,
    )


def column(name: str, value: float) -> Columns:
    """Return a table of one number."""
    return {name: np.array([value])}


def finish_error(found: Difference, _: tuple[int, int]) -> Columns:
    """Return the mean of the squared differences."""
    return column("mean_squared_error", found.mean_squared_error)


@operation(
    "Mean squared error",
    GROUP,
    Table(join, finish_error, unit=units(mean_squared_error=f"{VALUE}²")),
    channels="any",
    arrays=6,
    cost=4.0,
)
def mean_squared_error(image: Image, *, reference: Reference, place: Place) -> Difference:
    """Measure the mean squared difference from a reference: a table of one number.

    Parameters
    ----------
    reference : ndarray
        The image to compare with.

    References
    ----------
    skimage.metrics.mean_squared_error
    """
    return compared(image, reference, place)


def finish_share(found: Difference, _: tuple[int, int], normalization: str) -> Columns:
    """Return the root of the mean squared difference, divided by what the reference has."""
    size = {
        "euclidean": lambda: sqrt(rounded_sum(found.squares) / found.count),
        "min-max": lambda: found.greatest - found.least,
        "mean": lambda: rounded_sum(found.total) / found.count,
    }[normalization]()
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.sqrt(np.float64(found.mean_squared_error)) / size
    return column("normalized_root_mse", float(share))


@operation("Normalised error", GROUP, Table(join, finish_share), channels="any", arrays=6, cost=4.0)
def normalized_root_mse(
    image: Image,
    normalization: Literal["euclidean", "min-max", "mean"] = "euclidean",
    *,
    reference: Reference,
    place: Place,
) -> Difference:
    """Measure the difference from a reference as a share of that: a table of one number.

    It is the root of the mean squared difference, divided by what is chosen.

    Parameters
    ----------
    normalization : str
        What the root is divided by: the root of the mean square of the reference ("euclidean"), its
        range ("min-max"), or its mean ("mean").
    reference : ndarray
        The true image.

    References
    ----------
    skimage.metrics.normalized_root_mse
    """
    del normalization  # For the finished table.
    return compared(image, reference, place)


def finish_ratio(found: Difference, _: tuple[int, int], data_range: float | None) -> Columns:
    """Return the ratio of the peak to the noise, in decibels.

    Raises
    ------
    ValueError
        If the reference has numbers beyond the range of its type, and no range is given.
    """
    if data_range is None:
        low, high = dtypes.dtype_range[np.dtype(found.dtype).type]
        if found.least < low or found.greatest > high:
            raise ValueError("the reference holds numbers beyond those of its type; set data_range")
        data_range = float(high) - (0.0 if found.least >= 0 else float(low))
    error = found.mean_squared_error
    ratio = 10 * log10(data_range**2 / error) if error else np.inf
    return column("peak_signal_noise_ratio", ratio)


@operation(
    "Signal to noise",
    GROUP,
    Table(join, finish_ratio, unit=units(peak_signal_noise_ratio="dB")),
    channels="any",
    arrays=6,
    cost=4.0,
    exponential=True,
)
def peak_signal_noise_ratio(
    image: Image, data_range: Range = None, *, reference: Reference, place: Place
) -> Difference:
    """Measure the peak signal to noise ratio, in decibels, against a reference.

    The result is a table of one number, which is infinite if both images are equal.

    Parameters
    ----------
    data_range : float, optional
        From black to white, in the numbers of the image; automatic is that of its type.
    reference : ndarray
        The true image.

    References
    ----------
    skimage.metrics.peak_signal_noise_ratio
    """
    del data_range  # For the finished table.
    return compared(image, reference, place)


# Structural similarity, with the constants of Wang et al. 2004.
K1, K2 = 0.01, 0.03
SIGMA, TRUNCATE = 1.5, 3.5
WINDOW_MAX = 63


def half_window(win_size: int, gaussian_weights: bool) -> int:
    """Return how far a window reaches from its centre."""
    return reach(SIGMA, TRUNCATE) if gaussian_weights else win_size // 2


def mean_around(plane: Image, win_size: int, gaussian_weights: bool) -> Image:
    """Return the weighted mean of the window around each pixel.

    Each is a sum of its own. scipy's uniform filter carries its sums along a row, which rounds them
    otherwise in each tile.
    """
    if gaussian_weights:
        found: Image = ndimage.gaussian_filter(plane, SIGMA, truncate=TRUNCATE, mode="reflect")
        return found
    weights = np.full(win_size, 1 / win_size)
    for axis in (0, 1):
        plane = ndimage.correlate1d(plane, weights, axis, mode="reflect")
    return plane


def similarity(
    one: Image, other: Image, data_range: float, win_size: int, gaussian_weights: bool
) -> Image:
    """Return the structural similarity around each pixel of two planes of floats."""
    pixels = (2 * half_window(win_size, gaussian_weights) + 1) ** 2
    sample = pixels / (pixels - 1)

    def mean(plane: Image) -> Image:
        return mean_around(plane, win_size, gaussian_weights)

    ux, uy = mean(one), mean(other)
    vx = sample * (mean(one * one) - ux * ux)
    vy = sample * (mean(other * other) - uy * uy)
    vxy = sample * (mean(one * other) - ux * uy)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    above = (2 * ux * uy + c1) * (2 * vxy + c2)
    result: Image = above / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    return result


# The sum of the similarity, exactly, and how many pixels it has.
Similarity = tuple[int, int]


def join_similarity(a: Similarity, b: Similarity) -> Similarity:
    """Join the similarity of two sets of tiles."""
    return a[0] + b[0], a[1] + b[1]


def finish_similarity(
    found: Similarity, shape: tuple[int, int], win_size: int, gaussian_weights: bool, **_: Any
) -> Columns:
    """Return the mean similarity.

    Raises
    ------
    ValueError
        If the image is smaller than the window.
    """
    side = 2 * half_window(win_size, gaussian_weights) + 1
    if min(shape) < side:
        raise ValueError(
            f"the image must have {side} rows and columns or more, got {shape[0]} × {shape[1]}"
        )
    return column("structural_similarity", rounded_sum(found[0]) / found[1])


@operation(
    "Structural similarity",
    GROUP,
    Table(
        join_similarity,
        finish_similarity,
        halo=lambda win_size, gaussian_weights, **_: half_window(win_size, gaussian_weights),
    ),
    channels="any",
    arrays=16,
    cost=12.0,
    differs="it computes in double precision; scikit-image computes float32 in single precision",
    exponential=True,
)
def structural_similarity(
    image: Image,
    win_size: Annotated[int, Number(3, WINDOW_MAX, unit="px", slider=(3, 21), step=2)] = 7,
    gaussian_weights: bool = False,
    data_range: Range = None,
    *,
    reference: Reference,
    place: Place,
) -> Similarity:
    """Measure how similar the structures of an image and a reference are: a table of one number.

    It is 1 for equal images. Of colours it is the mean over the channels.

    Parameters
    ----------
    win_size : int
        Rows and columns of the window around each pixel; an odd number.
    gaussian_weights : bool
        Whether pixels count less the farther they are from the centre; the window then has 11 rows.
    data_range : float, optional
        From black to white, in the numbers of the image; automatic is that of its type, and 1 for
        floats.
    reference : ndarray
        The image to compare with.

    References
    ----------
    skimage.metrics.structural_similarity
    """
    if win_size % 2 == 0:
        raise ValueError(f"win_size: must be odd, got {win_size}")
    if data_range is None:
        low, high = dtypes.dtype_range[image.dtype.type]
        data_range = 1.0 if image.dtype.kind == "f" else float(high) - float(low)
    wide = half_window(win_size, gaussian_weights)
    rows, columns = place.shape
    inner = place.core
    inner = inner._replace(
        top=max(inner.top, wide),
        bottom=min(inner.bottom, rows - wide),
        left=max(inner.left, wide),
        right=min(inner.right, columns - wide),
    )
    if min(inner.shape) <= 0:
        return 0, 0
    known = np.broadcast_to(beside(image, reference), image.shape)
    total, count = 0, 0
    for one, other in zip(planes(image), planes(known), strict=True):
        found = similarity(one, other, data_range, win_size, gaussian_weights)
        found = found[inner.relative_to(place.window).slices]
        refuse_not_finite(found)
        total, count = total + exact_sum(found), count + found.size
    return total, count


def planes(image: Image) -> list[Image]:
    """Return the channels of an image in double precision."""
    floats = image.astype(np.float64)
    return [floats] if floats.ndim == 2 else list(np.moveaxis(floats, 2, 0))
