"""Filters of frequencies: Gabor and Butterworth."""

import math
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import correlation, waves
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Kernel,
    Local,
    Number,
    Place,
    Whole,
    each_channel,
    operation,
)
from cluster_worker.operations.support.borders import Border, FloatFill
from cluster_worker.operations.support.footprints import square_table
from cluster_worker.operations.support.reflections import DIFFERS, reflected

ndimage = lazily("scipy.ndimage")
filters = lazily("skimage.filters")
util = lazily("skimage.util")


def gabor_reaches(
    frequency: float,
    theta: float,
    bandwidth: float,
    sigma_x: float | None,
    sigma_y: float | None,
    n_stds: float,
    **_: Any,
) -> tuple[int, int]:
    """Return half the rows and columns of a Gabor kernel, as scikit-image cuts it off."""
    octaves = 2.0**bandwidth
    automatic = math.sqrt(math.log(2) / 2) / math.pi * (octaves + 1) / (octaves - 1) / frequency
    along = n_stds * (sigma_x or automatic)
    across = n_stds * (sigma_y or automatic)
    cosine, sine = abs(math.cos(theta)), abs(math.sin(theta))
    rows, columns = max(across * cosine, along * sine, 1), max(along * cosine, across * sine, 1)
    return math.ceil(rows), math.ceil(columns)


def gabor_reach(**given: Any) -> int:
    """Return half the longer side of a Gabor kernel in pixels."""
    return max(gabor_reaches(**given))


def gabor_weights(**given: Any) -> int:
    """Return the number of weights of a Gabor kernel."""
    rows, columns = gabor_reaches(**given)
    return (2 * rows + 1) * (2 * columns + 1)


Response = Literal["magnitude", "real", "imaginary"]


def gabor_by_loops(
    image: Image,
    mode: Border,
    cval: float,
    response: Response,
    *,
    place: Place,
    out: Image | None,
    **shape: Any,
) -> Image:
    """Compute the Gabor filter of a block in single precision."""
    kernel = filters.gabor_kernel(**shape, dtype=np.complex64)
    weights = {"real": (kernel.real,), "imaginary": (kernel.imag,)}
    found = [
        correlation.convolved(image, each, mode, cval, place)
        for each in weights.get(response, (kernel.real, kernel.imag))
    ]
    if response == "magnitude":
        real, imaginary = found
        found = [np.sqrt(real**2 + imaginary**2)]
    if out is None:
        return found[0]
    out[...] = found[0]
    return out


@operation(
    "Stripes of one direction (Gabor)",
    "Filters",
    Local(gabor_reach),
    channels="gray",
    floats=True,
    shows="extent",
    arrays=5,
    cost=lambda **given: 0.1 * gabor_weights(**given),
    table=lambda **given: square_table(2 * gabor_reach(**given) + 1),
    differs=DIFFERS,
    kernels=(
        Kernel(
            gabor_by_loops,
            # Not for integers: the function's own result may be integers for them.
            exact=True,
            takes=("float32",),
            gray=True,
            arrays=4,
            cost=lambda **given: 0.01 * gabor_weights(**given),
        ),
    ),
)
def gabor(
    image: Image,
    frequency: Annotated[float, Number(0.05, 1, unit="1/px", slider=(0.05, 0.5), step=0.01)] = 0.2,
    theta: Annotated[float, Number(0, 6.2832, unit="rad", slider=(0, 3.1416), step=0.01)] = 0.0,
    bandwidth: Annotated[float, Number(0.5, 4, unit="octaves", step=0.1)] = 1.0,
    sigma_x: Annotated[float | None, Number(0.5, 20, unit="px", step=0.1)] = None,
    sigma_y: Annotated[float | None, Number(0.5, 20, unit="px", step=0.1)] = None,
    n_stds: Annotated[float, Number(1, 5, step=0.5)] = 3.0,
    offset: Annotated[float, Number(0, 6.2832, unit="rad", step=0.01)] = 0.0,
    mode: Border = "reflect",
    cval: FloatFill = 0.0,
    response: Response = "magnitude",
) -> Image:
    """Find stripes and textures of one direction and spacing with a Gabor filter.

    Parameters
    ----------
    frequency : float
        Stripes per pixel: 1 divided by their spacing.
    theta : float
        Direction across the stripes; 0 finds vertical stripes.
    bandwidth : float
        How much the spacing may vary; a lower value needs more stripes side by side.
    sigma_x : float, optional
        Standard deviation of the kernel across the stripes; automatic follows from frequency and
        bandwidth.
    sigma_y : float, optional
        Standard deviation of the kernel along the stripes; automatic follows from frequency and
        bandwidth.
    n_stds : float
        Where the kernel is cut off, in standard deviations.
    offset : float
        Phase of the stripe at the kernel's centre; the magnitude hardly depends on it.
    response : str
        What is shown: the strength of the stripes (magnitude), or the filtered image itself, with
        bright and dark stripes, by the kernel's even part (real) or its odd part (imaginary).

    Notes
    -----
    For an image of integers, scikit-image returns integers: with depth "native" the real and
    imaginary responses of an 8-bit image are cut to 8 bits, and negative ones wrap around. The
    magnitude is always computed in floating point.

    References
    ----------
    skimage.filters.gabor
    """
    if response == "magnitude":
        image = util.img_as_float(image)
    double = image.dtype.kind != "f" or image.dtype.itemsize == 8
    kernel = filters.gabor_kernel(
        frequency,
        theta,
        bandwidth,
        sigma_x,
        sigma_y,
        n_stds,
        offset,
        dtype=np.complex128 if double else np.complex64,
    )
    if response == "real":
        return convolved(image, kernel.real, mode, cval)
    imaginary = convolved(image, kernel.imag, mode, cval)
    if response == "imaginary":
        return imaginary
    real = convolved(image, kernel.real, mode, cval)
    result: Image = np.sqrt(real**2 + imaginary**2)
    return result


def convolved(image: Image, kernel: NDArray[Any], mode: str, cval: float) -> Image:
    """Convolve as scikit-image does; the result has the image's type."""

    def apply(plane: Image) -> Image:
        result: Image = ndimage.convolve(plane, kernel, mode=mode, cval=cval)
        return result

    return reflected(apply, image, max(kernel.shape) // 2, mode)


def by_waves(image: Image, **given: Any) -> Image:
    """Apply a Butterworth filter to every colour."""
    return each_channel(lambda plane: waves.butterworth(plane, **given), image)


@operation(
    "Coarse or fine detail (Butterworth)",
    "Filters",
    Whole("It weighs the waves that the whole image is made of, and each wave crosses all of it."),
    floats=True,
    shows="extent",
    arrays=8,
    cost=2,
    extends=lambda npad, **_: npad,
    kernels=(Kernel(by_waves, ("float32", "float64"), exact=True, cost=1.4),),
)
def butterworth(
    image: Image,
    cutoff_frequency_ratio: Annotated[
        float, Number(0.001, 0.5, unit="1/px", slider=(0.001, 0.2), step=0.001)
    ] = 0.005,
    high_pass: bool = True,
    order: Annotated[float, Number(0.5, 6, step=0.5)] = 2.0,
    squared_butterworth: bool = True,
    npad: Annotated[int, Number(0, 1000, unit="px", slider=(0, 100), step=1)] = 0,
) -> Image:
    """Keep fine detail and remove slow changes of brightness, or the reverse (Butterworth filter).

    Parameters
    ----------
    cutoff_frequency_ratio : float
        Lowest frequency of fine detail, in waves per pixel: 0.01 is a wave of 100 pixels.
    high_pass : bool
        Whether fine detail is kept; otherwise coarse detail is.
    order : float
        How sharply fine detail is separated from coarse; a high value makes ripples.
    squared_butterworth : bool
        Whether the gain at the cutoff is 0.5, rather than 0.7.
    npad : int
        Pixels by which the image is first extended beyond its borders, so that opposite edges do
        not affect each other.

    References
    ----------
    skimage.filters.butterworth
    """
    return each_channel(
        lambda plane: filters.butterworth(
            plane,
            cutoff_frequency_ratio,
            high_pass,
            order,
            squared_butterworth=squared_butterworth,
            npad=npad,
        ),
        image,
    )
