"""Peaks of an image as a mask, from which a label image of markers is made."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import (
    Image,
    Measure,
    Place,
    Statistical,
    operation,
)
from cluster_worker.operations.peak_tables import (
    Chessboard,
    Labels,
    PeakBorder,
    PeakDistance,
    PeakLevel,
    PeakNumber,
    PeakShare,
    PerLabel,
    combine,
    finish_peaks,
    halo,
    measure,
)


class Found(NamedTuple):
    """What may be a peak of an image.

    Attributes
    ----------
    table : mapping
        As `peak_tables.measure` finds it.
    shape : tuple of int
        (rows, columns) of the image.
    """

    table: Mapping[str, NDArray[Any]]
    shape: tuple[int, int]


class Peaks(NamedTuple):
    """The rows and columns of the peaks of an image, in reading order."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def draw(self, place: Place) -> Image:
        """Return the mask of the peaks in the core of a block."""
        core = place.core
        within = slice(*np.searchsorted(self.rows, [core.top, core.bottom]))
        rows, columns = self.rows[within], self.columns[within]
        inside = (columns >= core.left) & (columns < core.right)
        mask = np.zeros(place.window.shape, np.bool_)
        mask[rows[inside] - place.window.top, columns[inside] - place.window.left] = True
        return mask


def peaks_in(
    image: Image,
    *,
    place: Place,
    min_distance: int,
    threshold_abs: float | None,
    exclude_border: int | None,
    labels: Image | None = None,
) -> Found:
    """Find what may be a peak in the core of a block."""
    table = measure(
        image,
        place,
        min_distance=min_distance,
        threshold_abs=threshold_abs,
        exclude_border=True if exclude_border is None else exclude_border,
        labels=labels,
    )
    return Found(table, place.shape)


def join(a: Found, b: Found) -> Found:
    """Join what was found in two sets of tiles."""
    return a._replace(table=combine(a.table, b.table))


def peaks_of(found: Found, **parameters: Any) -> Peaks:
    """Choose the peaks of the whole image."""
    table = finish_peaks(found.table, found.shape, **parameters)
    order = np.lexsort((table["column"], table["row"]))
    return Peaks(table["row"][order], table["column"][order])


def measures(min_distance: int, **others: Any) -> tuple[Measure, ...]:
    """Return the measure that finds the peaks of the whole image."""
    finish = partial(peaks_of, min_distance=min_distance, **others)
    local = {name: others[name] for name in ("threshold_abs", "exclude_border")}
    find = partial(peaks_in, min_distance=min_distance, **local)
    return (Measure(find, join, halo(min_distance), finish),)


@operation(
    "Mark peaks",
    "Morphology",
    Statistical(measures),
    channels="gray",
    arrays=4,
    cost=5.0,
)
def peak_mask(
    image: Image,  # noqa: ARG001 - its peaks are known from the measure
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
    statistics: tuple[Peaks],
) -> Image:
    """Mark peaks, the brightest pixels of their surroundings, as single pixels of a mask.

    These are the peaks that the table of `peak_local_max` lists. Put label after it for an image of
    markers, from which the watershed separates objects that touch.

    References
    ----------
    skimage.feature.peak_local_max
    """
    del min_distance, threshold_abs, threshold_rel, exclude_border, num_peaks, chessboard
    del num_peaks_per_label, labels
    return statistics[0].draw(place)
