"""Peaks of an image as a mask, from which a label image of markers is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

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


@dataclass(frozen=True)
class Peaks:
    """The peaks of an image.

    Attributes
    ----------
    found : mapping
        What may be a peak, as `peak_tables.measure` finds it.
    shape : tuple of int
        (rows, columns) of the image.
    finish : callable
        ``finish(found, shape)`` returns ``row`` and ``column`` of the peaks.
    """

    found: Mapping[str, NDArray[Any]]
    shape: tuple[int, int]
    finish: Callable[..., Mapping[str, NDArray[Any]]]

    @cached_property
    def in_reading_order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the peaks."""
        table = self.finish(self.found, self.shape)
        order = np.lexsort((table["column"], table["row"]))
        return table["row"][order], table["column"][order]

    def draw(self, place: Place) -> Image:
        """Return the mask of the peaks in the core of a block."""
        rows, columns = self.in_reading_order
        core = place.core
        within = slice(*np.searchsorted(rows, [core.top, core.bottom]))
        rows, columns = rows[within], columns[within]
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
    finish: Callable[..., Any],
    labels: Image | None = None,
) -> Peaks:
    """Find what may be a peak in the core of a block."""
    found = measure(
        image,
        place,
        min_distance=min_distance,
        threshold_abs=threshold_abs,
        exclude_border=True if exclude_border is None else exclude_border,
        labels=labels,
    )
    return Peaks(found, place.shape, finish)


def join(a: Peaks, b: Peaks) -> Peaks:
    """Join what was found in two sets of tiles."""
    return replace(a, found=combine(a.found, b.found))


def measures(min_distance: int, **others: Any) -> tuple[Measure, ...]:
    """Return the measure that finds the peaks of the whole image."""
    finish = partial(finish_peaks, min_distance=min_distance, **others)
    local = {name: others[name] for name in ("threshold_abs", "exclude_border")}
    find = partial(peaks_in, min_distance=min_distance, finish=finish, **local)
    return (Measure(find, join, halo(min_distance)),)


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
