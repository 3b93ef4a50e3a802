"""Contrast limited adaptive histogram equalization (CLAHE), as in scikit-image."""

from dataclasses import replace
from functools import lru_cache, partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels import core_of, rows_of, tables
from cluster_worker.lazy import lazily
from cluster_worker.operations.color import channels_refusal, to_hsv
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Measure,
    Number,
    Place,
    Span,
    Stage,
    operation,
)
from cluster_worker.operations.support.by_levels import TALLY
from cluster_worker.operations.support.statistics import EXTENT, Extent, join_extents
from cluster_worker.pixels.depths import to_depth

color = lazily("skimage.color")
exposure = lazily("skimage.exposure")
util = lazily("skimage.util")
_adapthist = lazily("skimage.exposure._adapthist")

# Number of levels that it works with: NR_OF_GRAY of skimage.exposure._adapthist.
LEVELS = 1 << 14
Regions = tuple[range, range]


def value_levels(image: Image) -> Image:
    """Return the brightness of pixels as uint16; the brightness of a colour is its V of HSV."""
    levels: Image = util.img_as_uint(image if image.ndim == 2 else image.max(axis=2))
    return levels


def value_extent(image: Image) -> Extent:
    """Return the least and the greatest brightness, as uint16.

    Raises
    ------
    Rejected
        If the image holds NaN or infinity.
    """
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise Rejected("the image holds NaN or infinity, which have no histogram")
    levels = value_levels(image)
    return levels.min(), levels.max()


def to_levels(image: Image, *, statistics: tuple[Extent]) -> Image:
    """Convert brightness to levels; of colours, keep the hue and saturation of HSV.

    Returns
    -------
    ndarray
        Rows × columns of levels, or rows × columns × 3 floats: hue, saturation, level.

    Raises
    ------
    Rejected
        If the image is neither gray nor RGB.
    """
    if image.ndim == 3 and image.shape[2] != 3:
        raise Rejected(channels_refusal(image.shape[2]))
    low, high = map(float, statistics[0])
    stretched = exposure.rescale_intensity(value_levels(image), (low, high), (0, LEVELS - 1))
    levels: Image = np.round(stretched).astype(np.uint16)
    if image.ndim == 2:
        # The type that scikit-image returns.
        return levels.astype(image.dtype if image.dtype.kind == "f" else np.float64)
    hsv = to_hsv(image)
    hsv[..., 2] = levels
    return hsv


def brightness(image: Image) -> Image:
    """Return a view of what is equalized: a gray image, or the last channel of a colour image."""
    return image if image.ndim == 2 else image[..., 2]


def kernel_of(kernel_size: int | None, shape: tuple[int, int]) -> tuple[int, int]:
    """Return (rows, columns) of a region; by default, an eighth of the image's."""
    if kernel_size is None:
        return max(shape[0] // 8, 1), max(shape[1] // 8, 1)
    return kernel_size, kernel_size


def reflected_rows(length: int, kernel: int) -> NDArray[np.intp]:
    """Return the image row that each row of the regions reads.

    The last region may extend beyond the image; its rows there read reflected image rows.
    """
    rows: NDArray[np.intp] = np.pad(np.arange(length), (0, -length % kernel), mode="reflect")
    return rows


def region_counts(
    levels: Image,
    window: Span,
    shape: tuple[int, int],
    kernel: tuple[int, int],
    bins: tuple[int, int],
    regions: Regions,
) -> NDArray[np.intp]:
    """Count the pixels that a block adds to the histograms of some regions.

    Parameters
    ----------
    levels : ndarray
        (rows, columns) of the block.
    window : Span
        Where the block lies in the image.
    shape, kernel : tuple of int
        (rows, columns) of the image and of a region.
    bins : tuple of int
        Number of bins, and number of levels in each bin.
    regions : tuple of range
        The regions: their rows and their columns in the grid of all regions.

    Returns
    -------
    ndarray of int
        (rows of regions, columns of regions, bins).
    """
    count, size = bins
    rows, down = covered(window[:2], shape[0], kernel[0], regions[0])
    columns, across = covered(window[2:], shape[1], kernel[1], regions[1])
    index = (down[:, None] * len(regions[1]) + across) * count
    index = index + levels[np.ix_(rows, columns)].astype(np.intp) // size
    found = np.bincount(index.ravel(), minlength=len(regions[0]) * len(regions[1]) * count)
    return found.reshape(len(regions[0]), len(regions[1]), count)


def covered(
    window: tuple[int, int], length: int, kernel: int, regions: range
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of a block that regions read, and for each the region that reads it.

    Parameters
    ----------
    window : tuple of int
        First row of the block, and the row after its last.
    length, kernel : int
        Rows of the image and of a region.
    regions : range
        The regions.

    Returns
    -------
    rows, numbers : ndarray of int
        Rows counted in the block, and regions counted from the first of `regions`. A row occurs
        twice where a region reads it by reflection as well.
    """
    rows = reflected_rows(length, kernel)
    read = np.arange(regions.start * kernel, regions.stop * kernel)
    here = (rows[read] >= window[0]) & (rows[read] < window[1])
    return rows[read[here]] - window[0], read[here] // kernel - regions.start


def regions_around(span: tuple[int, int], length: int, kernel: int) -> range:
    """Return the range of the regions whose histograms map the rows of a span."""
    last = -(-length // kernel) - 1
    first_row, last_row = span[0] + kernel // 2, span[1] - 1 + kernel // 2
    return range(
        min(max(first_row // kernel - 1, 0), last), min(max(last_row // kernel, 0), last) + 1
    )


def all_region_counts(
    image: Image, *, place: Place, kernel_size: int | None, bins: tuple[int, int]
) -> NDArray[np.intp]:
    """Count the pixels that a tile adds to the histograms of all regions of the image."""
    kernel = kernel_of(kernel_size, place.shape)
    down, across = (range(-(-n // k)) for n, k in zip(place.shape, kernel, strict=True))
    levels = brightness(image)
    return region_counts(levels, place.window, place.shape, kernel, bins, (down, across))


@lru_cache(maxsize=4)
def mappings(
    counted: bytes, shape: tuple[int, ...], kernel: tuple[int, int], clip_limit: float
) -> NDArray[np.intp]:
    """Compute from the histograms of regions the level that each bin is mapped to.

    The results are cached, because the tiles of an image often have the same histograms.
    """
    pixels = kernel[0] * kernel[1]
    limit = int(np.clip(clip_limit * pixels, 1, None)) if clip_limit > 0 else pixels
    histograms = np.frombuffer(counted, np.intp).reshape(shape).copy()
    clipped = np.apply_along_axis(_adapthist.clip_histogram, -1, histograms, clip_limit=limit)
    found: NDArray[np.intp] = _adapthist.map_histogram(clipped, 0, LEVELS - 1, pixels)
    return found


def equalized(
    image: Image,
    *,
    place: Place,
    statistics: tuple[NDArray[np.intp], ...] = (),
    kernel_size: int | None,
    clip_limit: float,
    bins: tuple[int, int],
) -> Image:
    """Map each pixel by the histograms of the four regions around it, weighted by distance.

    Without statistics, the histograms are counted in the block itself.
    """
    kernel = kernel_of(kernel_size, place.shape)
    core = place.core
    if statistics:
        (histograms,) = statistics
        regions = (range(histograms.shape[0]), range(histograms.shape[1]))
    else:
        regions = (
            regions_around(core[:2], place.shape[0], kernel[0]),
            regions_around(core[2:], place.shape[1], kernel[1]),
        )
        levels = brightness(image)
        histograms = region_counts(levels, place.window, place.shape, kernel, bins, regions)
    maps = mappings(histograms.tobytes(), histograms.shape, kernel, clip_limit)
    bin_of = brightness(image)[place.inner].astype(np.intp) // bins[1]
    result = image.copy()
    brightness(result)[place.inner] = interpolated(bin_of, maps, core, place.shape, kernel, regions)
    return result


def interpolated(
    bin_of: NDArray[np.intp],
    maps: NDArray[np.intp],
    core: Span,
    shape: tuple[int, int],
    kernel: tuple[int, int],
    regions: Regions,
) -> NDArray[np.uint16]:
    """Map the bins of a core by the mappings of the four regions around each pixel."""
    down = neighbours(core[:2], shape[0], kernel[0], regions[0])
    across = neighbours(core[2:], shape[1], kernel[1], regions[1])
    # The sum has scikit-image's order and types, so that the last bits are the same.
    result = np.zeros(bin_of.shape, np.float32)
    for row, row_weight in down:
        for column, column_weight in across:
            mapped = maps[row[:, None], column, bin_of]
            result += (mapped * (column_weight * row_weight[:, None])).astype(np.float32)
    return result.astype(np.uint16)


def neighbours(
    span: tuple[int, int], length: int, kernel: int, regions: range
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Return the regions above, and those below, each row of a span, with their weights."""
    rows = np.arange(*span) + kernel // 2
    last = -(-length // kernel) - 1
    weight = rows % kernel / kernel
    return [
        (np.clip(rows // kernel + side - 1, 0, last) - regions.start, share)
        for side, share in ((0, 1 - weight), (1, weight))
    ]


def level_extent(image: Image) -> Extent:
    """Return the least and the greatest level."""
    levels = brightness(image)
    return levels.min(), levels.max()


def from_levels(image: Image, *, statistics: tuple[Extent]) -> Image:
    """Stretch levels to the range of floats, and convert colours back to RGB."""
    low, high = map(float, statistics[0])
    stretched: Image = exposure.rescale_intensity(brightness(image), (low, high))
    if image.ndim == 2:
        return stretched
    hsv = image.copy()
    hsv[..., 2] = stretched
    # The saturation of negative colours may be infinite.
    with np.errstate(invalid="ignore"):
        result: Image = color.hsv2rgb(hsv)
    return result


# The same for gray images of integers, without floats: a table holds the bin of each level.

loops = lazily("cluster_worker.kernels.loops.regions")


def bins_of(histogram: NDArray[np.intp], size: int) -> NDArray[np.uint16]:
    """Return the bin of each level of an image with this histogram."""
    between = tables.extent(histogram)
    levels = np.clip(np.arange(histogram.size), *between).astype(between[0].dtype)
    extent = value_levels(np.array([between]))
    found = to_levels(levels[np.newaxis], statistics=((extent.min(), extent.max()),))
    bins: NDArray[np.uint16] = (found[0].astype(np.intp) // size).astype(np.uint16)
    return bins


def counted_regions(
    image: Image,
    histogram: NDArray[np.intp],
    *,
    place: Place,
    kernel_size: int | None,
    size: int,
    count: int,
    regions: Regions | None = None,
) -> NDArray[np.intp]:
    """Count the pixels that a block adds to the histograms of some regions, or of all."""
    kernel = kernel_of(kernel_size, place.shape)
    if regions is None:
        down, across = (range(-(-n // k)) for n, k in zip(place.shape, kernel, strict=True))
        regions = (down, across)
    rows = covered(place.window[:2], place.shape[0], kernel[0], regions[0])
    columns = covered(place.window[2:], place.shape[1], kernel[1], regions[1])
    counts = np.zeros((len(regions[0]), len(regions[1]), count), np.intp)
    loops.count(rows_of(image), bins_of(histogram, size), *rows, *columns, counts)
    return counts


def equalized_levels(
    image: Image,
    *,
    place: Place,
    statistics: tuple[NDArray[np.intp], ...],
    out: Image | None,
    kernel_size: int | None,
    clip_limit: float,
    size: int,
    count: int,
) -> Image:
    """Map each pixel by the histograms of the four regions around it.

    If these are not among the statistics, they are counted in the block itself.
    """
    kernel = kernel_of(kernel_size, place.shape)
    core, histogram = place.core, statistics[0]
    if len(statistics) > 1:
        histograms = statistics[1]
        regions = (range(histograms.shape[0]), range(histograms.shape[1]))
    else:
        regions = (
            regions_around(core[:2], place.shape[0], kernel[0]),
            regions_around(core[2:], place.shape[1], kernel[1]),
        )
        chosen: dict[str, Any] = {"kernel_size": kernel_size, "size": size, "count": count}
        histograms = counted_regions(image, histogram, place=place, regions=regions, **chosen)
    maps = mappings(histograms.tobytes(), histograms.shape, kernel, clip_limit)
    (above, share), (below, rest) = neighbours(core[:2], place.shape[0], kernel[0], regions[0])
    (before, near), (after, far) = neighbours(core[2:], place.shape[1], kernel[1], regions[1])
    inner = core.relative_to(place.window)
    with core_of(image, inner, "uint16", out) as result:
        loops.interpolate(
            rows_of(image[inner.slices]),
            bins_of(histogram, size),
            maps.astype(np.int32),
            *(above, below, before, after),
            np.stack([share, rest]),
            np.stack([near, far]),
            rows_of(result),
        )
    return result if out is None else out


def from_whole_levels(
    image: Image, *, statistics: tuple[Extent], dtype: str, out: Image | None
) -> Image:
    """Stretch levels to the range of floats, or of a picture's type, with a table."""
    levels = np.minimum(np.arange(1 << 16, dtype=np.float32), LEVELS - 1)[np.newaxis]
    table = to_depth(from_levels(levels, statistics=statistics), dtype)[0]
    result = np.empty(image.shape, dtype) if out is None else out
    tables.look_up(image, table, result)
    return result


def fast_adapthist(kernel_size: int | None, clip_limit: float, nbins: int) -> tuple[Stage, ...]:
    """Return the stages for a gray image of integers."""
    chosen: dict[str, Any] = {
        "kernel_size": kernel_size,
        "size": 1 + LEVELS // nbins,
        "count": nbins,
    }
    mapped = Stage(
        partial(equalized_levels, clip_limit=clip_limit, **chosen),
        measures=TALLY,
        like=partial(np.asarray, dtype=np.uint16),
    )
    if kernel_size is None:
        regions = Measure(partial(counted_regions, **chosen), np.add)
        mapped = replace(mapped, measures=(*TALLY, regions))
    else:
        mapped = replace(mapped, halo=kernel_size + (kernel_size + 1) // 2)
    like = partial(np.asarray, dtype=np.float32)
    return mapped, Stage(from_whole_levels, measures=EXTENT, like=like)


@operation(
    "Equalise histogram locally (CLAHE)",
    "Intensity",
    Composed("contextual"),
    channels="any",
    floats=True,
    arrays=10,
    cost=10.0,
    kernels=(Kernel(fast_adapthist, takes=("uint8", "uint16"), gray=True, arrays=2, cost=0.6),),
)
def equalize_adapthist(
    kernel_size: Annotated[int | None, Number(8, 1024, unit="px", slider=(16, 512), step=1)] = None,
    clip_limit: Annotated[float, Number(0, 1, slider=(0, 0.1), step=0.002)] = 0.01,
    nbins: Annotated[int, Number(2, 4096, slider=(16, 1024), step=1)] = 256,
) -> tuple[Stage, ...]:
    """Bring out detail in shadows and in highlights by equalising the histogram locally.

    Contrast limited adaptive histogram equalization: each pixel is mapped by the histograms of
    the regions around it. Colours keep their hue and saturation.

    Parameters
    ----------
    kernel_size : int, optional
        Rows and columns of a region; automatic is an eighth of the image's.
    clip_limit : float
        Limit of the contrast: the greatest share of a region's pixels that one bin of its
        histogram may hold; 0 sets no limit.
    nbins : int
        Bins of a histogram.

    References
    ----------
    skimage.exposure.equalize_adapthist
    """
    chosen: dict[str, Any] = {"kernel_size": kernel_size, "bins": (nbins, 1 + LEVELS // nbins)}
    middle = partial(equalized, clip_limit=clip_limit, **chosen)
    if kernel_size is None:
        # There are about 8 × 8 regions, and their histograms are small beside the image.
        mapped = Stage(middle, measures=(Measure(partial(all_region_counts, **chosen), np.add),))
    else:
        mapped = Stage(middle, kernel_size + (kernel_size + 1) // 2)
    return (
        Stage(to_levels, measures=(Measure(value_extent, join_extents),)),
        mapped,
        Stage(from_levels, measures=(Measure(level_extent, join_extents),)),
    )
