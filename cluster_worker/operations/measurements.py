"""Tables: numbers of regions, images, peaks and blobs, each a step of a recipe.

The functions that measure, join and finish are in `region_tables`, `image_tables`,
`label_overlaps`, `peak_tables` and `blob_tables`.
"""

from functools import partial
from typing import Annotated, Any, Literal

from cluster_worker.kernels import region_sums
from cluster_worker.operations import (
    blob_tables,
    image_tables,
    label_overlaps,
    peak_tables,
    region_tables,
)
from cluster_worker.operations.declare import (
    Image,
    Input,
    Kernel,
    Number,
    Options,
    Place,
    Table,
    operation,
)
from cluster_worker.operations.peak_tables import (
    Border,
    Chessboard,
    Labels,
    Level,
    PeakBorder,
    PeakDistance,
    PeakLevel,
    PeakNumber,
    PeakShare,
    PerLabel,
    Share,
    finish_peaks,
)
from cluster_worker.operations.support import plain_region_sums
from cluster_worker.operations.support.column_units import (
    PIXELS,
    VALUE,
    in_micrometres,
    unit_of_region,
    units,
)
from cluster_worker.operations.support.overlapping import PAIRS_MAX, crowd_cost
from cluster_worker.operations.support.region_partials import Pile

# In a metre.
MICROMETRES = 1e6
# Labels that compiled loops take.
LABELS = ("bool", "uint8", "uint16", "uint32", "int32", "int64")


def measure(
    image: Image,
    properties: tuple[str, ...],
    spacing: tuple[float, ...],  # noqa: ARG001 - only the finished table needs it
    unit: str,  # noqa: ARG001 - as well
    *,
    by: Any,
    intensity: Image | None = None,
    skips_nan: bool = False,
    place: Place,
) -> Pile:
    """Measure the regions of a block by one of two modules; see `region_tables.measure`."""
    images = [] if intensity is None else [intensity]
    return region_tables.measure(
        image, images, place, properties=properties, skips_nan=skips_nan, by=by
    )


def finish(
    found: Pile,
    shape: tuple[int, int],
    properties: tuple[str, ...],
    spacing: tuple[float, ...],
    unit: str,
    *,
    pixel_size: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Any]:
    """Return the columns; one number for the spacing holds for both sides of a pixel.

    In micrometres, names of lengths and areas end in ``_um`` and ``_um2``.
    """
    if len(spacing) > 2:
        raise ValueError(f"spacing: must hold the height and width of a pixel, got {len(spacing)}")
    if unit == "spacing":
        sides = (spacing[0], spacing[-1])
        return region_tables.finish(found, shape, properties=properties, spacing=sides)
    height, width = pixel_size
    sides = (height * MICROMETRES, width * MICROMETRES)
    table = region_tables.finish(found, shape, properties=properties, spacing=sides)
    return {in_micrometres(name): column for name, column in table.items()}


@operation(
    "Measure regions",
    "Measurements",
    Table(
        region_tables.combine,
        finish,
        halo=lambda properties, **_: region_tables.halo(properties),
        unit=unit_of_region,
        needs_pixel_size=lambda unit, **_: unit == "micrometre",
    ),
    channels="any",
    takes="labels",
    arrays=4,
    cost=3.0,
    exponential=True,
    differs=region_tables.DIFFERS,
    kernels=(Kernel(partial(measure, by=region_sums), takes=LABELS, gray=True, exact=True),),
)
def regionprops_table(
    image: Image,
    properties: Annotated[tuple[str, ...], Options(region_tables.PROPERTIES)] = ("label", "bbox"),
    spacing: Annotated[tuple[float, ...], Number(1e-9, 1e9)] = (1.0,),
    unit: Literal["spacing", "micrometre"] = "spacing",
    *,
    intensity: Annotated[Image | None, Input("values")] = None,
    skips_nan: bool = False,
    place: Place,
) -> Pile:
    """Measure the regions of a label image: a table with a row for each region.

    Parameters
    ----------
    properties : tuple of str
        What is measured: the columns of the table, or groups of columns.
    spacing : tuple of float
        Height and width of a pixel, or one number for both, in the unit of the results.
    unit : str
        Whether lengths are in the unit of the spacing, or in micrometres, from the size of a pixel
        that the file states ("micrometre"): names of columns then end in _um and _um2.
    intensity : ndarray, optional
        The image whose values in each region are measured.

    References
    ----------
    skimage.measure.regionprops_table
    """
    return measure(
        image,
        properties,
        spacing,
        unit,
        by=plain_region_sums,
        intensity=intensity,
        skips_nan=skips_nan,
        place=place,
    )


def measure_image(
    image: Image, *, by: Any, mask: Image | None = None, place: Place
) -> image_tables.Table:
    """Measure a block by one of two modules; see `image_tables.measure_statistics`."""
    return image_tables.measure_statistics(image, place, mask=mask, by=by)


@operation(
    "Statistics of the image",
    "Measurements",
    Table(
        image_tables.combine_statistics,
        image_tables.finish_statistics,
        unit=units(pixels=PIXELS, min=VALUE, max=VALUE, mean=VALUE, std=VALUE),
    ),
    channels="any",
    arrays=4,
    cost=1.0,
    kernels=(
        Kernel(
            partial(measure_image, by=region_sums),
            takes=("bool", "uint8", "uint16", "float32", "float64"),
            exact=True,
        ),
    ),
)
def image_statistics(
    image: Image, *, mask: Annotated[Image | None, Input("mask")] = None, place: Place
) -> image_tables.Table:
    """Measure the image: a table with number, least, greatest, mean and deviation of its pixels.

    There is a row for each channel. The numbers are those of the image, not shares of white.

    Parameters
    ----------
    mask : ndarray, optional
        The pixels that are measured.

    References
    ----------
    numpy.mean
    """
    return measure_image(image, by=plain_region_sums, mask=mask, place=place)


def finish_overlaps(found: Any, _: tuple[int, int]) -> dict[str, Any]:
    """Return the pairs of labels."""
    return label_overlaps.finish(found)


@operation(
    "Overlaps of regions",
    "Measurements",
    Table(label_overlaps.combine, finish_overlaps, unit=units(pixels=PIXELS)),
    channels="any",
    takes="labels",
    arrays=6,
    cost=2.0,
)
def label_overlap(
    image: Image, *, other: Annotated[Image, Input("labels")], place: Place
) -> label_overlaps.Table:
    """Count the pixels that regions of two label images share: a table with a row for each pair.

    Parameters
    ----------
    other : ndarray
        The other label image, such as nuclei beside cells.

    References
    ----------
    skimage.metrics.contingency_table
    """
    return label_overlaps.measure(image, other, place)


Sigma = Annotated[float, Number(0.1, 200, unit="px", slider=(0.5, 50), step=0.5)]


@operation(
    "Peaks",
    "Measurements",
    Table(
        peak_tables.combine,
        finish_peaks,
        halo=lambda min_distance, **_: peak_tables.halo(min_distance),
        unit=units(row=PIXELS, column=PIXELS, value=VALUE),
    ),
    channels="gray",
    arrays=4,
    cost=5.0,
    differs="the table has scikit-image's rows and columns by name, and the values of the peaks",
)
def peak_local_max(
    image: Image,
    min_distance: PeakDistance = 1,
    threshold_abs: PeakLevel = None,
    threshold_rel: PeakShare = None,
    exclude_border: PeakBorder = None,
    num_peaks: PeakNumber = None,
    chessboard: Chessboard = True,
    num_peaks_per_label: PerLabel = None,
    *,
    labels: Labels = None,
    place: Place,
) -> peak_tables.Table:
    """Find peaks, the brightest pixels of their surroundings: a table with a row for each.

    References
    ----------
    skimage.feature.peak_local_max
    """
    # For the finished table.
    del threshold_rel, num_peaks, chessboard, num_peaks_per_label
    return peak_tables.measure(
        image,
        place,
        min_distance=min_distance,
        threshold_abs=threshold_abs,
        exclude_border=True if exclude_border is None else exclude_border,
        labels=labels,
    )


def finish_blobs(
    found: Any,
    shape: tuple[int, int],
    *,
    overlap: float,
    threshold: float | None,
    threshold_rel: float | None,
    exclude_border: int | None = None,
    **_: Any,
) -> dict[str, Any]:
    """Return the blobs."""
    return blob_tables.finish(
        found,
        shape,
        overlap=overlap,
        threshold=threshold,
        threshold_rel=threshold_rel,
        exclude_border=False if exclude_border is None else exclude_border,
    )


Overlap = Annotated[
    float,
    Number(0, 1, slider=(0, 1), step=0.05),
    "Of two blobs that overlap by more than this share, the smaller one is left out.",
]
LeastSigma = Annotated[Sigma, "Size of the smallest blobs, as a standard deviation."]
GreatestSigma = Annotated[Sigma, "Size of the largest blobs, as a standard deviation."]
BlobLevel = Annotated[Level, "How much brighter than its surroundings a blob is; 1 is white."]
BlobShare = Annotated[Share, "Blobs are brighter than this share of the brightest one."]
BLOB_UNITS = units(row=PIXELS, column=PIXELS, sigma=PIXELS)
BLOBS_DIFFER = (
    "the table has the columns of scikit-image's result by name; an image with more than "
    f"{PAIRS_MAX:_} pairs of blobs that are near enough to overlap is refused"
).replace("_", " ")
BlobBorder = Annotated[Border, "Blobs nearer to the border are left out."]


@operation(
    "Blobs (Laplacian of Gaussian)",
    "Measurements",
    Table(
        blob_tables.combine,
        finish_blobs,
        halo=lambda max_sigma, **_: blob_tables.log_halo(max_sigma),
        unit=BLOB_UNITS,
    ),
    channels="gray",
    arrays=30,
    cost=lambda num_sigma, min_sigma, max_sigma, **_: (
        num_sigma * (12 + 1.1 * (min_sigma + max_sigma))
    ),
    cost_once=crowd_cost,
    differs=BLOBS_DIFFER,
    exponential=True,
)
def blob_log(
    image: Image,
    min_sigma: LeastSigma = 1.0,
    max_sigma: GreatestSigma = 50.0,
    num_sigma: Annotated[int, Number(1, 50, slider=(1, 20), step=1)] = 10,
    threshold: BlobLevel = 0.2,
    overlap: Overlap = 0.5,
    log_scale: bool = False,
    threshold_rel: BlobShare = None,
    exclude_border: BlobBorder = None,
    *,
    place: Place,
) -> blob_tables.Table:
    """Find bright blobs with the Laplacian of Gaussian: a table with place and size of each.

    Parameters
    ----------
    num_sigma : int
        How many sizes are tried.
    log_scale : bool
        Whether the sizes grow by a factor, not by equal steps.

    References
    ----------
    skimage.feature.blob_log
    """
    del overlap, threshold_rel, exclude_border  # For the finished table.
    return blob_tables.measure_log(
        image,
        place,
        min_sigma=min_sigma,
        max_sigma=max_sigma,
        num_sigma=num_sigma,
        log_scale=log_scale,
        threshold=threshold,
    )


@operation(
    "Blobs (difference of Gaussians)",
    "Measurements",
    Table(
        blob_tables.combine,
        finish_blobs,
        halo=lambda min_sigma, max_sigma, sigma_ratio, **_: blob_tables.dog_halo(
            min_sigma, max_sigma, sigma_ratio
        ),
        unit=BLOB_UNITS,
    ),
    channels="gray",
    arrays=30,
    cost=blob_tables.dog_cost,
    cost_once=crowd_cost,
    differs=BLOBS_DIFFER,
    exponential=True,
)
def blob_dog(
    image: Image,
    min_sigma: LeastSigma = 1.0,
    max_sigma: GreatestSigma = 50.0,
    sigma_ratio: Annotated[float, Number(1.05, 10, slider=(1.1, 3), step=0.1)] = 1.6,
    threshold: BlobLevel = 0.5,
    overlap: Overlap = 0.5,
    threshold_rel: BlobShare = None,
    exclude_border: BlobBorder = None,
    *,
    place: Place,
) -> blob_tables.Table:
    """Find bright blobs by differences of Gaussians: a table with place and size of each.

    Parameters
    ----------
    sigma_ratio : float
        Factor from one size that is tried to the next.

    References
    ----------
    skimage.feature.blob_dog
    """
    del overlap, threshold_rel, exclude_border  # For the finished table.
    return blob_tables.measure_dog(
        image,
        place,
        min_sigma=min_sigma,
        max_sigma=max_sigma,
        sigma_ratio=sigma_ratio,
        threshold=threshold,
    )
