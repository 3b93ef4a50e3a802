"""Peaks within the regions of a label image, each searched by itself.

scikit-image cuts each region out, and compares its pixels with each other alone. Of a region whose
pixels are all as bright as the brightest around them, it takes those that no cross of pixels of the
region covers. Tiles find both sorts; which one counts is known when all tiles are joined.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.support.ragged import ranges
from cluster_worker.operations.support.runs_of_values import runs_of
from cluster_worker.operations.support.spacing import brightest_of

ndimage = lazily("scipy.ndimage")

Array = NDArray[Any]
Table = dict[str, Array]
# Pixels around one that decide whether a cross covers it.
HALO = 2


def measure(
    image: Image,
    labels: Image,
    place: Place,
    min_distance: int,
    threshold_abs: float | None,
    border: int,
) -> Table:
    """Find the pixels of a tile that may be peaks of a region.

    Parameters
    ----------
    image, labels : ndarray
        (rows, columns), with a halo of at least `min_distance` and `HALO` pixels.
    place : Place
        Where the block lies in the image; only its core is searched.
    min_distance : int
        Pixels of a region up to this distance are compared.
    threshold_abs : float, optional
        Only brighter pixels are peaks.
    border : int
        Pixels at the image border that belong to no region.

    Returns
    -------
    dict
        ``runs``, ``values`` and ``labels`` of pixels as bright as the brightest around them;
        ``alone``, ``alone_values`` and ``alone_labels`` of runs that no cross covers; and
        ``varied``, the labels of regions with other pixels.
    """
    inner = within(labels, place, border)
    numbers, compact = np.unique(inner, return_inverse=True)
    # Number 0 is the background, also where a block has none.
    compact = compact.reshape(inner.shape) + (0 if numbers.size and numbers[0] == 0 else 1)
    peaks, alone = np.zeros((2, *image.shape), np.bool_)
    least = darkest(image.dtype)
    for number, span in enumerate(ndimage.find_objects(compact), 1):
        region = compact[span] == number
        pixels = np.where(region, image[span], least)
        brightest = ndimage.maximum_filter(pixels, 2 * min_distance + 1, mode="nearest")
        peaks[span] |= region & (pixels == brightest)
        alone[span] |= region & ~ndimage.binary_opening(region)
    core, owners = image[place.inner], inner[place.inner].astype(np.int64)
    peaks, alone = peaks[place.inner], alone[place.inner]
    varied = np.unique(owners[(owners != 0) & ~peaks])
    if threshold_abs is not None:
        peaks &= core > threshold_abs
        alone &= core > threshold_abs
    corner = np.array([place.core.top, place.core.left, place.core.left])
    result: Table = {"varied": varied}
    for name, found in (("", peaks), ("alone_", alone)):
        runs, values, of = runs_of(found, core, owners)
        result |= {f"{name}runs": runs + corner, f"{name}values": values, f"{name}labels": of}
    return result


def within(labels: Image, place: Place, border: int) -> Image:
    """Return the labels of a block, without those in the border of the image."""
    rows, columns = place.shape
    window = place.window
    result = labels.copy()
    result[: max(border - window.top, 0)] = 0
    result[max(rows - border - window.top, 0) :] = 0
    result[:, : max(border - window.left, 0)] = 0
    result[:, max(columns - border - window.left, 0) :] = 0
    return result


def darkest(dtype: np.dtype[Any]) -> Any:
    """Return the least number of a type, which stands for the pixels of other regions."""
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return dtype.type(limits.min)


def combine(one: Mapping[str, Array], other: Mapping[str, Array]) -> Table:
    """Join what was found in two sets of tiles, besides their runs and values."""
    names = ("labels", "alone_runs", "alone_values", "alone_labels")
    joined = {name: np.concatenate([one[name], other[name]]) for name in names}
    return joined | {"varied": np.union1d(one["varied"], other["varied"])}


def candidates(
    found: Mapping[str, Array], shape: tuple[int, int], threshold: float
) -> tuple[Array, Array, Array]:
    """Return the pixels that may be peaks, in reading order, their values and their labels."""
    parts = []
    for name, counts in (("", True), ("alone_", False)):
        values, labels = found[f"{name}values"], found[f"{name}labels"]
        kept = (values > threshold) & (np.isin(labels, found["varied"]) == counts)
        parts.append((found[f"{name}runs"][kept], values[kept], labels[kept]))
    runs, values, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    owners, inside = ranges(runs[:, 2] - runs[:, 1])
    points = np.column_stack([runs[owners, 0], runs[owners, 1] + inside])
    order = np.argsort(points[:, 0] * shape[1] + points[:, 1])
    return points[order], values[owners][order], labels[owners][order]


def chosen(
    points: Array, values: Array, labels: Array, min_distance: int, most: int | None, p_norm: float
) -> tuple[Array, Array]:
    """Return the peaks of each region, from the brightest on, one region after the other."""
    order = np.argsort(labels, kind="stable")
    points, values, labels = points[order], values[order], labels[order]
    ends = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    found = [
        tuple(part[:most] for part in brightest_of(some, held, min_distance, p_norm))
        for some, held in zip(np.split(points, ends), np.split(values, ends), strict=True)
    ]
    return np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found])
