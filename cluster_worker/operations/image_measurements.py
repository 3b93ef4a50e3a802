"""Tables of an image: its histogram, its contours and its corners, each a step of a recipe."""

from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.operations import contour_tables, image_tables, peak_tables
from cluster_worker.operations.declare import Image, Input, Number, Place, Table, operation
from cluster_worker.operations.peak_tables import (
    Chessboard,
    Distance,
    PeakBorder,
    PeakLevel,
    PeakNumber,
    PeakShare,
)
from cluster_worker.operations.support.column_units import PIXELS, VALUE, units
from cluster_worker.operations.support.statistics import EXTENT, Extent

Mask = Annotated[Image | None, Input("mask")]


def finish_histogram(found: Any, _: tuple[int, int], nbins: int) -> dict[str, Any]:
    """Return the histogram; the bins are there already."""
    del nbins
    return image_tables.finish_histogram(found)


def unit_of_histogram(column: str, **_: Any) -> str:
    """Return the unit of a column: the others than the value count pixels."""
    return VALUE if column == "value" else PIXELS


@operation(
    "Histogram",
    "Measurements",
    Table(image_tables.combine_histograms, finish_histogram, before=EXTENT, unit=unit_of_histogram),
    channels="any",
    arrays=4,
    cost=2.0,
)
def histogram(
    image: Image,
    nbins: Annotated[int, Number(1, 100_000, slider=(2, 1024), step=1)] = 256,
    *,
    mask: Mask = None,
    place: Place,
    statistics: tuple[Extent],
) -> image_tables.Table:
    """Count the pixels of each value: a table with a row for each whole number, or for each bin.

    Parameters
    ----------
    nbins : int
        Number of bins between the least and the greatest value of an image of floats.
    mask : ndarray, optional
        The pixels that are counted.

    References
    ----------
    skimage.exposure.histogram
    """
    # A mask counts as 0 and 1.
    image = image.view(np.uint8) if image.dtype.kind == "b" else image
    return image_tables.measure_histogram(
        image, place, between=statistics[0], nbins=nbins, mask=mask
    )


def finish_contours(
    found: Any, _: tuple[int, int], positive_orientation: str, **__: Any
) -> dict[str, Any]:
    """Return the contours."""
    return contour_tables.finish(found, positive_orientation=positive_orientation)


@operation(
    "Contours",
    "Measurements",
    Table(
        contour_tables.combine,
        finish_contours,
        halo=lambda **_: contour_tables.HALO,
        unit=units(row=PIXELS, column=PIXELS),
    ),
    channels="gray",
    arrays=12,
    cost=4.0,
    differs="the table has the points of scikit-image's lines, with the number of each line",
)
def find_contours(
    image: Image,
    level: Annotated[float, Number(-1e30, 1e30, slider=(0, 1))] = 0.5,
    fully_connected: Literal["low", "high"] = "low",
    positive_orientation: Literal["low", "high"] = "low",
    *,
    mask: Mask = None,
    place: Place,
) -> contour_tables.Table:
    """Find the lines along which an image has a level: a table with a row for each point.

    Parameters
    ----------
    level : float
        The level, in the numbers of the image.
    fully_connected : str
        Whether pixels below the level ("low") or above it ("high") are connected over corners.
    positive_orientation : str
        Whether lines run counter-clockwise around pixels below ("low") or above the level ("high").
    mask : ndarray, optional
        Where lines may run.

    References
    ----------
    skimage.measure.find_contours
    """
    del positive_orientation  # For the finished table.
    return contour_tables.measure(
        image, place, level=level, fully_connected=fully_connected, mask=mask
    )


def finish_corners(
    found: Any,
    shape: tuple[int, int],
    *,
    exclude_border: int | None,
    chessboard: bool,
    **parameters: Any,
) -> dict[str, Any]:
    """Return the corners."""
    return peak_tables.finish_corners(
        found, shape, **peak_tables.as_given(exclude_border, chessboard), **parameters
    )


@operation(
    "Corner peaks",
    "Measurements",
    Table(
        peak_tables.combine,
        finish_corners,
        halo=lambda min_distance, **_: peak_tables.halo(min_distance),
        unit=units(row=PIXELS, column=PIXELS, value=VALUE),
    ),
    channels="gray",
    arrays=4,
    # Each corner is decided on by itself. The farther apart they must lie, the fewer there are.
    cost=lambda min_distance, **_: 5 + 120 / (1 + min_distance) ** 2,
    differs="the table has scikit-image's rows and columns by name, and the values of the peaks",
    exponential=True,
)
def corner_peaks(
    image: Image,
    min_distance: Distance = 1,
    threshold_abs: PeakLevel = None,
    threshold_rel: PeakShare = None,
    exclude_border: PeakBorder = None,
    num_peaks: PeakNumber = None,
    chessboard: Chessboard = True,
    *,
    place: Place,
) -> peak_tables.Table:
    """Find the peaks of a corner measure, such as corner_harris: a table with a row for each.

    No two of them lie within the least distance, also if they are equally bright.

    Parameters
    ----------
    min_distance : int
        Corners are farther apart than this.

    References
    ----------
    skimage.feature.corner_peaks
    """
    del threshold_rel, exclude_border, num_peaks, chessboard  # For the finished table.
    return peak_tables.measure(image, place, min_distance=min_distance, threshold_abs=threshold_abs)
