"""Peaks of an image: a table with a row for each local maximum.

Every tile finds its pixels that are as bright as the brightest around them. Those of the whole
image are then put in scikit-image's order, and thinned out in that order, so that the same one of
several equal peaks is kept whatever the tiles. A flat area is kept as runs of pixels until then.

With a label image each region is searched by itself; `labelled_peaks` finds its pixels.
"""

from collections.abc import Mapping
from math import inf
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations import labelled_peaks
from cluster_worker.operations.declare import Image, Input, Number, Place
from cluster_worker.operations.support.propagation import refuse_nan
from cluster_worker.operations.support.ragged import ranges
from cluster_worker.operations.support.runs_of_values import runs_of
from cluster_worker.operations.support.spacing import brightest_of, in_reading_order, spaced

ndimage = lazily("scipy.ndimage")

Array = NDArray[Any]
Table = dict[str, Array]

# Parameters of peaks, which their tables and their mask share. Blobs have words of their own.
Distance = Annotated[int, Number(1, 1000, unit="px", slider=(1, 50), step=1)]
Border = Annotated[int | None, Number(0, 100_000, unit="px", slider=(0, 100), step=1)]
Level = Annotated[float | None, Number(-1e30, 1e30, slider=(0, 1))]
Share = Annotated[float | None, Number(0, 1, slider=(0, 1), step=0.05)]
PeakDistance = Annotated[Distance, "Peaks are at least this far apart."]
PeakBorder = Annotated[
    Border, "Peaks nearer to the border are left out; automatic is the least distance of peaks."
]
PeakLevel = Annotated[
    Level,
    "Peaks are brighter than this, in the numbers of the image; automatic is its darkest pixel.",
]
PeakShare = Annotated[Share, "Peaks are brighter than this share of the brightest pixel."]
PeakNumber = Annotated[int | None, Number(1, 1_000_000_000), "Most peaks; the brightest are kept."]
Chessboard = Annotated[
    bool,
    "Whether a diagonal step counts as one pixel; else distances are as the crow flies. The "
    "parameter p_norm of scikit-image, infinite or 2.",
]
PerLabel = Annotated[
    int | None,
    Number(1, 1_000_000, slider=(1, 20), step=1),
    "Most peaks of each region of the label image; the brightest are kept.",
]
Labels = Annotated[
    Image | None,
    Input("labels"),
    "Regions, each of which is searched by itself; 0 is not searched.",
]


def halo(min_distance: int = 1) -> int:
    """Return the pixels around a tile that are compared with its own."""
    return max(min_distance, labelled_peaks.HALO)


def measure(
    image: Image,
    place: Place,
    *,
    min_distance: int = 1,
    threshold_abs: float | None = None,
    exclude_border: int | bool = True,
    labels: Image | None = None,
) -> Table:
    """Find the pixels of a tile that may be peaks.

    Parameters
    ----------
    image : ndarray
        (rows, columns), with a halo of `halo` pixels, clipped at the image border.
    place : Place
        Where the block lies in the image; only its core is searched.
    min_distance : int
        Pixels up to this distance are compared.
    threshold_abs : float, optional
        Only brighter pixels are peaks.
    exclude_border : int or bool
        As of `finish`; only counts with labels, which end there.
    labels : ndarray of int, optional
        (rows, columns): the regions that are searched.

    Returns
    -------
    dict
        ``runs`` (row, first column, column after the last) and ``values`` of equal neighbours in a
        row; ``extent``, the least and the greatest value; and ``flat``, whether every pixel is as
        bright as the brightest around it. With labels also what `labelled_peaks.measure` returns.
    """
    refuse_nan(image)
    image = image.view(np.uint8) if image.dtype.kind == "b" else image
    core = image[place.inner]
    extent = np.array([core.min(), core.max()])
    if labels is not None:
        width = min_distance if exclude_border is True else int(exclude_border)
        peaks = labelled_peaks.measure(image, labels, place, min_distance, threshold_abs, width)
        return peaks | {"extent": extent, "flat": np.array([False])}
    if min_distance < 1 or place.shape == (1, 1):
        found, flat = np.ones(core.shape, np.bool_), False
    else:
        brightest = ndimage.maximum_filter(image, 2 * min_distance + 1, mode="nearest")
        found = core == brightest[place.inner]
        flat = bool(found.all())
    if threshold_abs is not None:
        found &= core > threshold_abs
    runs, values, _ = runs_of(found, core)
    return {
        "runs": runs + np.array([place.core.top, place.core.left, place.core.left]),
        "values": values,
        "extent": extent,
        "flat": np.array([flat]),
    }


def combine(one: Mapping[str, Array], other: Mapping[str, Array]) -> Table:
    """Join what was found in two sets of tiles."""
    extent = np.concatenate([one["extent"], other["extent"]])
    return {
        "runs": np.concatenate([one["runs"], other["runs"]]),
        "values": np.concatenate([one["values"], other["values"]]),
        "extent": np.array([extent.min(), extent.max()]),
        "flat": one["flat"] & other["flat"],
        **(labelled_peaks.combine(one, other) if "labels" in one else {}),
    }


def finish(
    found: Mapping[str, Array],
    shape: tuple[int, int],
    *,
    min_distance: int = 1,
    threshold_abs: float | None = None,
    threshold_rel: float | None = None,
    exclude_border: int | bool = True,
    num_peaks: int | None = None,
    num_peaks_per_label: int | None = None,
    p_norm: float = inf,
) -> Table:
    """Return the peaks in the order of `skimage.feature.peak_local_max`: the brightest first.

    Of equally bright ones the first in reading order comes first. With labels, the peaks of each
    label are in this order, one label after the other.

    Parameters
    ----------
    found : mapping
        What was found in all tiles.
    shape : tuple of int
        (rows, columns) of the image.
    min_distance : int
        Peaks are at least so far apart, in pixels.
    threshold_abs, threshold_rel : float, optional
        Peaks are brighter than the larger of `threshold_abs` (by default the darkest pixel) and
        `threshold_rel` times the brightest pixel.
    exclude_border : int or bool
        Peaks nearer to the border than this are left out; True stands for `min_distance`.
    num_peaks : int, optional
        Most peaks; the brightest are kept.
    num_peaks_per_label : int, optional
        Most peaks of each label.
    p_norm : float
        As of `support.spacing.spaced`.

    Returns
    -------
    dict
        ``row``, ``column`` and ``value`` of each peak.
    """
    if "labels" in found:
        threshold = threshold_of(found, threshold_abs, threshold_rel)
        points, values, labels = labelled_peaks.candidates(found, shape, threshold)
        points, values = labelled_peaks.chosen(
            points, values, labels, min_distance, num_peaks_per_label, p_norm
        )
        if num_peaks is None or len(points) <= num_peaks:
            return columns_of(points, values)
        points, values = brightest_of(*in_reading_order(points, values), min_distance, p_norm)
        return columns_of(points[:num_peaks], values[:num_peaks])
    points, values = candidates(found, shape, threshold_abs, threshold_rel)
    width = min_distance if exclude_border is True else int(exclude_border)
    inner = (points >= width).all(axis=1) & (points < np.array(shape) - width).all(axis=1)
    points, values = points[inner], values[inner]
    points, values = brightest_of(points, values, min_distance, p_norm)
    return columns_of(points[:num_peaks], values[:num_peaks])


def finish_peaks(
    found: Any,
    shape: tuple[int, int],
    *,
    exclude_border: int | None,
    chessboard: bool,
    **parameters: Any,
) -> Table:
    """Return the peaks for the parameters of an operation."""
    return finish(found, shape, **parameters, **as_given(exclude_border, chessboard))


def as_given(exclude_border: int | None, chessboard: bool) -> dict[str, Any]:
    """Return two parameters of an operation as `finish` takes them."""
    border: int | bool = True if exclude_border is None else exclude_border
    return {"exclude_border": border, "p_norm": inf if chessboard else 2.0}


def finish_corners(
    found: Mapping[str, Array],
    shape: tuple[int, int],
    *,
    min_distance: int = 1,
    num_peaks: int | None = None,
    p_norm: float = inf,
    **parameters: Any,
) -> Table:
    """Return the peaks of `skimage.feature.corner_peaks`: no two within `min_distance`.

    The parameters are those of `finish`; `num_peaks` and `p_norm` hold for the last choice alone.
    """
    peaks = finish(found, shape, min_distance=min_distance, **parameters)
    points = np.column_stack([peaks["row"], peaks["column"]])
    kept = spaced(points, min_distance, p_norm, touching=True)
    return columns_of(points[kept][:num_peaks], peaks["value"][kept][:num_peaks])


def candidates(
    found: Mapping[str, Array],
    shape: tuple[int, int],
    threshold_abs: float | None,
    threshold_rel: float | None,
) -> tuple[Array, Array]:
    """Return the pixels that may be peaks, in reading order, and their values."""
    threshold = threshold_of(found, threshold_abs, threshold_rel)
    bright = found["values"] > threshold
    if found["flat"][0]:
        bright[:] = False
    runs, values = found["runs"][bright], found["values"][bright]
    owners, within = ranges(runs[:, 2] - runs[:, 1])
    points = np.column_stack([runs[owners, 0], runs[owners, 1] + within])
    order = np.argsort(points[:, 0] * shape[1] + points[:, 1])
    return points[order], values[owners][order]


def threshold_of(
    found: Mapping[str, Array], threshold_abs: float | None, threshold_rel: float | None
) -> float:
    """Return what peaks are brighter than."""
    least, greatest = found["extent"]
    threshold: float = least if threshold_abs is None else threshold_abs
    return threshold if threshold_rel is None else max(threshold, threshold_rel * greatest)


def columns_of(points: Array, values: Array) -> Table:
    """Return the columns of a table of points."""
    return {"row": points[:, 0], "column": points[:, 1], "value": values}
