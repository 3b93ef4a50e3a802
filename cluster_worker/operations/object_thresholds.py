"""Thresholds of objects: a level for each region of a label image, found in its own pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations import region_tables
from cluster_worker.operations.declare import (
    Image,
    Input,
    Measure,
    Place,
    Statistical,
    operation,
)
from cluster_worker.operations.support import region_partials

filters = lazily("skimage.filters")

Array = NDArray[Any]
Method = Literal["otsu", "mean"]
# Bins of the histogram of a region of floats.
BINS = 256


@dataclass(frozen=True)
class Levels:
    """The level of each region.

    Attributes
    ----------
    labels : ndarray of int
        In rising order.
    levels : ndarray of float64
    """

    labels: Array
    levels: Array


def measures(method: Method) -> tuple[Measure, ...]:
    """Return the measure that finds the level of each region."""
    finish = {"otsu": otsu_levels, "mean": mean_levels}[method]
    return (Measure(Regions(method), region_tables.combine, finish=finish),)


@dataclass(frozen=True)
class Regions:
    """Measures what the levels are found from: different values and their counts, or sums."""

    method: Method

    def __call__(self, image: Image, *, labels: Image, place: Place) -> region_partials.Pile:
        """Return what was found in the core of a block."""
        if image.dtype.kind == "f" and np.isinf(image).any():
            raise ValueError("the image holds infinity, from which no level can be found")
        wanted = {"otsu": "intensity_median", "mean": "intensity_mean"}[self.method]
        return region_tables.measure(labels, [image], place, properties=(wanted,), skips_nan=True)


def otsu_levels(found: Mapping[str, Array]) -> Levels:
    """Return Otsu's level of each region."""
    finding = region_partials.merged(region_partials.findings_of(found))
    values, counts = finding["0.gray.values"], finding["0.gray.counts"]
    labels = finding["label"]
    ends = np.cumsum(np.bincount(finding["0.gray.values.owner"], minlength=labels.size))
    parts = [slice(*ends_of) for ends_of in pairwise((0, *ends.tolist()))]
    levels = [otsu_of(values[part], counts[part]) for part in parts]
    return Levels(labels, np.array(levels, np.float64))


def otsu_of(values: Array, counts: Array) -> Any:
    """Return Otsu's level of pixels with values in rising order, each with its count."""
    if values.size < 2:
        # All pixels of a region may be NaN.
        return values[0] if values.size else np.nan
    if values.dtype.kind == "f":
        return filters.threshold_otsu(np.repeat(values, counts), BINS)
    # A level that no pixel has changes no sum: the level is that of the histogram of all levels.
    return filters.threshold_otsu(hist=(counts, values.astype(np.int64)))


def mean_levels(found: Mapping[str, Array]) -> Levels:
    """Return the mean of each region."""
    table = region_tables.finish(found, (0, 0), properties=("label", "intensity_mean"))
    return Levels(table["label"], table["intensity_mean"])


@operation(
    "Thresholding of each object",
    "Thresholds",
    Statistical(measures, name="by region"),
    channels="gray",
    arrays=12,
    cost=40.0,
)
def threshold_objects(
    image: Image,
    method: Method = "otsu",
    *,
    labels: Annotated[Image, Input("labels")],
    statistics: tuple[Levels],
) -> Image:
    """Turn the pixels of each object above the object's own level white, and all others black.

    It finds what is bright inside of each cell, whether the cell is bright or dark.

    Parameters
    ----------
    method : str
        Otsu's level has the greatest variance between the pixels below and above it; "mean" is the
        mean of the object.
    labels : ndarray of int
        The objects: each is a region of one label. Pixels of no object become black.

    References
    ----------
    skimage.filters.threshold_otsu
    """
    del method  # For the measure.
    found = statistics[0]
    owners = region_tables.whole_numbers(labels)
    if not found.labels.size:
        return np.zeros(image.shape, np.bool_)
    at = np.minimum(np.searchsorted(found.labels, owners), found.labels.size - 1)
    inside = (owners > 0) & (found.labels[at] == owners)
    result: Image = inside & (image > found.levels[at])
    return result
