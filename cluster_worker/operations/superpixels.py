"""Superpixels: split an image into small regions of similar colour."""

from functools import partial
from typing import Annotated, Any

import numpy as np

from cluster_worker.kernels import clusters, graphs, modes
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Input,
    Kernel,
    Measure,
    Number,
    Place,
    Stage,
    Stages,
    Whole,
    channel_axis,
    operation,
)
from cluster_worker.operations.support.gaussians import reach
from cluster_worker.operations.support.propagation import refuse_not_finite

color = lazily("skimage.color")
filters = lazily("skimage.filters")
segmentation = lazily("skimage.segmentation")
util = lazily("skimage.util")


def slic_of_floats(image: Image, **parameters: Any) -> Image:
    """Compute SLIC superpixels of a float image with a kernel.

    Raises
    ------
    ValueError
        If the image holds NaN or infinity.
    """
    refuse_not_finite(image)
    return clusters.slic(image, **parameters)


def slic_cost(times: float, max_num_iter: int, sigma: float, **_: Any) -> float:
    """Return the cost of the blur and of all rounds."""
    return times * (3.3 + 1.2 * max_num_iter) + 0.3 * reach(sigma)


@operation(
    "Superpixels (SLIC)",
    "Regions",
    Whole("Each round moves all centres by sums over their pixels, in the order of the pixels."),
    channels="any",
    floats=True,
    arrays=12,
    cost=partial(slic_cost, 2.0),
    cost_once=lambda n_segments, max_num_iter, **_: 12.0 * n_segments * max_num_iter,
    kernels=(
        Kernel(slic_of_floats, ("float32", "float64"), exact=True, cost=partial(slic_cost, 1.0)),
    ),
)
def slic(
    image: Image,
    n_segments: Annotated[int, Number(1, 100_000, slider=(2, 2000), step=1)] = 100,
    compactness: Annotated[float, Number(0.001, 1000, slider=(0.1, 50))] = 10.0,
    max_num_iter: Annotated[int, Number(1, 100, slider=(1, 20), step=1)] = 10,
    sigma: Annotated[float, Number(0, 20, unit="px", slider=(0, 5), step=0.1)] = 0.0,
    enforce_connectivity: bool = True,
    slic_zero: bool = False,
    *,
    mask: Annotated[Image | None, Input("mask")] = None,
) -> Image:
    """Split an image into small regions of similar colour and size with SLIC.

    The result is a label image.

    Parameters
    ----------
    n_segments : int
        Approximate number of regions.
    compactness : float
        A higher value makes regions squarer, a lower one lets them follow colours.
    max_num_iter : int
        Most rounds of k-means.
    sigma : float
        Standard deviation of the blur that is applied first; 0 for none.
    enforce_connectivity : bool
        Whether each region must be connected.
    slic_zero : bool
        Whether the compactness is adapted to each region (SLICO).
    mask : ndarray, optional
        Where regions may lie; other pixels are 0.

    References
    ----------
    skimage.segmentation.slic
    """
    if mask is not None and not mask.any():
        raise ValueError("mask: has no pixels that are set, so that no region can lie there")
    result: Image = segmentation.slic(
        image,
        n_segments,
        compactness,
        max_num_iter,
        sigma,
        enforce_connectivity=enforce_connectivity,
        slic_zero=slic_zero,
        channel_axis=channel_axis(image),
        mask=mask,
    )
    return result


@operation(
    "Superpixels (Felzenszwalb)",
    "Regions",
    Whole("Regions are joined in the order of all differences of the image, least first."),
    channels="any",
    floats=True,
    arrays=38,
    cost=30,
    kernels=(
        Kernel(graphs.felzenszwalb, takes=("float32", "float64"), exact=True, arrays=34, cost=10),
    ),
)
def felzenszwalb(
    image: Image,
    scale: Annotated[float, Number(0.001, 100_000, slider=(1, 1000))] = 1.0,
    sigma: Annotated[float, Number(0, 20, unit="px", slider=(0, 5), step=0.1)] = 0.8,
    min_size: Annotated[int, Number(1, 1_000_000, unit="px", slider=(1, 1000), step=1)] = 20,
) -> Image:
    """Split an image into regions of any size with Felzenszwalb's graph-based method.

    The result is a label image.

    Parameters
    ----------
    scale : float
        A higher value makes regions larger.
    sigma : float
        Standard deviation of the blur that is applied first.
    min_size : int
        Smallest size of a region; smaller ones are merged with a neighbour.

    References
    ----------
    skimage.segmentation.felzenszwalb
    """
    result: Image = segmentation.felzenszwalb(
        image, scale, sigma, min_size, channel_axis=channel_axis(image)
    )
    return result


@operation(
    "Superpixels (quickshift)",
    "Regions",
    Composed("propagating"),
    channels="rgb",
    floats=True,
    arrays=12,
    cost=lambda kernel_size, **_: 15 + 0.1 * (6 * kernel_size + 1) ** 2,
)
def quickshift(
    ratio: Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)] = 1.0,
    kernel_size: Annotated[float, Number(1, 20, unit="px", slider=(1, 10), step=0.5)] = 5,
    max_dist: Annotated[float, Number(0, 1000, slider=(1, 100))] = 10,
    sigma: Annotated[float, Number(0, 20, unit="px", slider=(0, 5), step=0.1)] = 0.0,
    convert2lab: bool = True,
    rng: Annotated[int, Number(0, 1_000_000, step=1)] = 42,
) -> Stages:
    """Split an image into regions around its most frequent colours with quick shift.

    The result is a label image.

    Parameters
    ----------
    ratio : float
        Weight of colour against distance; a higher value follows colours.
    kernel_size : float
        Width of the Gaussian that smooths the density; a higher value makes fewer regions.
    max_dist : float
        Largest distance, in colour and position, between linked pixels of a region; a higher value
        makes fewer regions.
    sigma : float
        Standard deviation of the blur that is applied first; 0 for none.
    convert2lab : bool
        Whether colours are compared in CIELAB, where distances match what the eye sees.
    rng : int
        Seed of the random numbers that break ties.

    References
    ----------
    skimage.segmentation.quickshift
    """
    given: dict[str, Any] = {"ratio": ratio, "sigma": sigma}
    given |= {"convert2lab": convert2lab, "rng": rng}
    # A stage with a measure begins a new pass. Without one, the two stages would be fused, and
    # tiles would compute the densities of their halos twice.
    separate = Measure(measure_nothing, combine_nothing)
    halo = modes.reach(kernel_size)
    return (
        Stage(partial(with_noise, **given), whole=True),
        Stage(partial(modes.with_densities, kernel_size=kernel_size), halo, like=np.array),
        Stage(
            partial(parents_of, kernel_size=kernel_size, max_dist=max_dist),
            halo,
            (separate,),
            like=like_trees,
        ),
        Stage(modes.trees, whole=True, like=np.array),
    )


def measure_nothing(_: Image) -> None:
    """Measure nothing."""


def combine_nothing(_: None, __: None) -> None:
    """Combine two measures of nothing."""


def with_noise(image: Image, ratio: float, sigma: float, convert2lab: bool, rng: int) -> Image:
    """Return the colours that quick shift compares, and the noise that breaks ties.

    Both equal those of scikit-image to the last bit, which takes the whole image: the matrix
    product of the conversion to Lab rounds by the position of a pixel, and random numbers are drawn
    for all pixels in order.

    Returns
    -------
    ndarray of float
        (rows, columns, 4): three colours and the noise.
    """
    colours = util.img_as_float(image)
    colours = color.rgb2lab(colours) if convert2lab else colours
    blurred = filters.gaussian(colours, [sigma, sigma], mode="reflect", channel_axis=2) * ratio
    noise = np.random.default_rng(rng).normal(scale=0.00001, size=image.shape[:2])
    return np.dstack([blurred, noise.astype(blurred.dtype, copy=False)])


def parents_of(
    block: Image,
    *,
    place: Place,
    statistics: tuple[None],
    out: Image | None,
    kernel_size: float,
    max_dist: float,
) -> Image:
    """Return, for each pixel, the number of its nearest denser pixel."""
    del statistics  # `measure_nothing` finds none
    return modes.with_parents(
        block, place=place, out=out, kernel_size=kernel_size, max_dist=max_dist
    )


def like_trees(block: Image) -> Image:
    """Return an example of the result of `parents_of` for planning."""
    return np.zeros(block.shape[:2], np.int64)
