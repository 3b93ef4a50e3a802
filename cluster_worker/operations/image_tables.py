"""Tables of a whole image: statistics of its channels, and its histogram.

Both count a mask's pixels alone, if there is one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.operations import region_tables
from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.support import plain_region_sums
from cluster_worker.operations.support.statistics import Extent, refuse_not_finite

Array = NDArray[Any]
Table = dict[str, Array]

STATISTICS = ("num_pixels", "intensity_min", "intensity_max", "intensity_mean", "intensity_std")
COLUMNS = ("pixels", "min", "max", "mean", "std")
# Most rows of a histogram of whole numbers: one for each value from the least to the greatest.
ROWS_MAX = 1 << 24


def measure_statistics(
    image: Image, place: Place, *, mask: Image | None = None, by: Any = plain_region_sums
) -> Table:
    """Measure a tile of an image, or of the part of it that a mask has.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels).
    place : Place
        Where the block lies in the image; only its core is measured.
    mask : ndarray of bool, optional
        (rows, columns).
    by : module
        As of `region_tables.measure`.
    """
    labels = np.ones(image.shape[:2], np.uint8) if mask is None else (mask != 0).view(np.uint8)
    return region_tables.measure(labels, [image], place, properties=STATISTICS, by=by)


combine_statistics = region_tables.combine


def finish_statistics(found: Mapping[str, Array], shape: tuple[int, int]) -> Table:
    """Return a row for each channel.

    Returns
    -------
    dict
        ``channel``, ``pixels``, ``min``, ``max``, ``mean`` and ``std``; no row if the mask has no
        pixels. NaN is a number here as in numpy: it makes a mean NaN.
    """
    table = region_tables.finish(found, shape, properties=STATISTICS)
    rows = [
        [table[name] for name in table if name.partition("-")[0] == each] for each in STATISTICS
    ]
    channels = len(rows[1]) * bool(table["num_pixels"].size)
    columns = [np.concatenate(each) if len(each) == len(rows[1]) else each[0] for each in rows]
    result: Table = {"channel": np.arange(channels)}
    for name, each in zip(COLUMNS, columns, strict=True):
        result[name] = np.broadcast_to(each, channels).copy() if channels else each[:0]
    return result


def channels_of(image: Image, place: Place, mask: Image | None) -> list[Array]:
    """Return the pixels of each channel of a core."""
    core = image[place.inner]
    inside = np.ones(core.shape[:2], np.bool_) if mask is None else mask[place.inner] != 0
    found = core[inside]
    return [found] if core.ndim == 2 else list(found.T)


def measure_histogram(
    image: Image,
    place: Place,
    *,
    between: Extent | None = None,
    nbins: int = 256,
    mask: Image | None = None,
) -> Table:
    """Count the pixels of a tile: of each value, or for floats of each bin.

    Parameters
    ----------
    image, place, mask
        As of `measure_statistics`.
    between : tuple, optional
        For floats: least and greatest value of the whole image.
    nbins : int
        For floats: number of bins.

    Returns
    -------
    dict
        ``0.values`` and ``0.counts`` of each channel, or ``0.bins`` and ``edges``.

    Raises
    ------
    Rejected
        If floats are to be counted and `between` is not finite.
    """
    channels = channels_of(image, place, mask)
    found: Table = {}
    if image.dtype.kind in "iu":
        for i, each in enumerate(channels):
            values, counts = np.unique(each, return_counts=True)
            found |= {f"{i}.values": values, f"{i}.counts": counts.astype(np.int64)}
        return found
    if between is None:
        raise TypeError("between: floats need the least and the greatest value of the image")
    refuse_not_finite(between)
    edges = np.histogram_bin_edges(np.empty(0, image.dtype), nbins, between)
    for i, each in enumerate(channels):
        # As scikit-image calls it: with edges that all channels share.
        counted = (nbins, between) if image.ndim == 2 else (edges, None)
        found[f"{i}.bins"] = np.histogram(each, counted[0], counted[1])[0].astype(np.int64)
    return found | {"edges": edges}


def combine_histograms(one: Mapping[str, Array], other: Mapping[str, Array]) -> Table:
    """Join the counts of two sets of tiles."""
    result: Table = {}
    for name, each in one.items():
        channel, _, last = name.partition(".")
        if last == "values":
            counts = f"{channel}.counts"
            values, at = np.unique(np.concatenate([each, other[name]]), return_inverse=True)
            total = np.zeros(values.size, np.int64)
            np.add.at(total, at, np.concatenate([one[counts], other[counts]]))
            result |= {name: values, counts: total}
        elif last == "bins":
            result[name] = each + other[name]
        elif name == "edges":
            result[name] = each
    return result


def finish_histogram(found: Mapping[str, Array]) -> Table:
    """Return a row for each value, or each bin.

    Returns
    -------
    dict
        ``value`` (a whole number, or the centre of a bin) and ``pixels``, or ``pixels-0``,
        ``pixels-1``, … of several channels: the numbers of `skimage.exposure.histogram`.

    Raises
    ------
    Rejected
        If the values of whole numbers lie too far apart.
    """
    channels = len({name.partition(".")[0] for name in found if name != "edges"})
    names = ["pixels"] if channels == 1 else [f"pixels-{i}" for i in range(channels)]
    if "edges" in found:
        edges = found["edges"]
        counts: Sequence[Array] = [found[f"{i}.bins"] for i in range(channels)]
        return {"value": (edges[:-1] + edges[1:]) / 2.0} | dict(zip(names, counts, strict=True))
    every = np.concatenate([found[f"{i}.values"] for i in range(channels)])
    if every.size == 0:
        return {"value": every} | {name: np.zeros(0, np.int64) for name in names}
    least, greatest = int(every.min()), int(every.max())
    if greatest - least >= ROWS_MAX:
        raise Rejected(
            f"values from {least} to {greatest} need more than {ROWS_MAX} rows; "
            "put rescale_intensity before it"
        )
    result: Table = {"value": np.arange(least, greatest + 1)}
    for i, name in enumerate(names):
        result[name] = np.zeros(greatest - least + 1, np.int64)
        result[name][found[f"{i}.values"].astype(np.int64) - least] = found[f"{i}.counts"]
    return result
