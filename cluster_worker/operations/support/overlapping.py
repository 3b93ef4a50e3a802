"""Blobs that overlap: of two that share too much of their area, the smaller is left out."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily

blob = lazily("skimage.feature.blob")
spatial = lazily("scipy.spatial")

Array = NDArray[Any]
# Most pairs of blobs near enough to overlap that are compared. They lie in a set, as in
# scikit-image, of about 200 bytes each.
PAIRS_MAX = 5_000_000
# Cost of comparing a third of the most pairs, where a unit takes some 10 ns.
COST_CROWD = 1.5e8
# Largest sigma from which a small picture has about as many pairs as if all blobs were near.
SIGMA_CROWD = 30.0
# Pairs whose overlap is computed at a time.
CHUNK = 1 << 17


def crowd_cost(
    threshold: float | None, threshold_rel: float | None, max_sigma: float, **_: Any
) -> float:
    """Return the cost of overlaps, which counts where even the dimmest peaks are blobs."""
    if (threshold or 0) > 0 or (threshold_rel or 0) > 0:
        return 0.0
    return COST_CROWD * min(1.0, (max_sigma / SIGMA_CROWD) ** 2)


def without_overlaps(blobs: Array, overlap: float) -> Array:
    """Remove blobs as `skimage.feature.blob._prune_blobs` does, but faster.

    scikit-image calls a function for each pair. Here the overlaps of many pairs are computed at
    once. Which blobs are left depends on the order of the pairs, so they come from the same set.

    Parameters
    ----------
    blobs : ndarray
        (blobs, 3): row, column and sigma, of float32 or float64.
    overlap : float
        Of two blobs whose areas overlap by more than this share, the smaller is left out.

    Returns
    -------
    ndarray
        The other blobs, in the same order.

    Raises
    ------
    ValueError
        If more than `PAIRS_MAX` pairs are near enough to overlap.
    """
    sigmas, places = blobs[:, 2], blobs[:, :2]
    reach = 2 * sigmas.max() * math.sqrt(2)
    refuse_crowd(places, float(reach))
    kept = np.ones(len(blobs), np.bool_)
    for pairs in near_pairs(places, reach):
        # A blob that is left out removes no other.
        pairs = pairs[kept[pairs].all(axis=1)]
        found = pairs[do_overlap(blobs, pairs, overlap)]
        larger = sigmas[found[:, 0]] > sigmas[found[:, 1]]
        smaller = np.where(larger, found[:, 1], found[:, 0])
        for (one, other), least in zip(found.tolist(), smaller.tolist(), strict=True):
            if kept[one] and kept[other]:
                kept[least] = False
    return blobs[kept]


def refuse_crowd(places: Array, reach: float) -> None:
    """Raise ValueError if more than `PAIRS_MAX` pairs of places lie within a distance."""
    # Those in one cell are quickly counted: it is so small that all of its places are near.
    cells = np.floor_divide(places, max(reach / math.sqrt(2), 1.0)).astype(np.int64)
    _, counts = np.unique(cells, axis=0, return_counts=True)
    pairs = int((counts * (counts - 1) // 2).sum())
    if pairs <= PAIRS_MAX:
        tree = spatial.cKDTree(places)
        pairs = (int(tree.count_neighbors(tree, reach)) - len(places)) // 2
    if pairs > PAIRS_MAX:
        raise ValueError(
            f"threshold: more than {PAIRS_MAX:,} pairs of blobs are near enough to overlap; "
            "raise threshold, or lower max_sigma"
        )


def near_pairs(places: Array, reach: float) -> Iterator[Array]:
    """Yield the pairs of places within a distance, (pairs, 2), in scikit-image's order."""
    near = spatial.cKDTree(places).query_pairs(reach)
    numbers = chain.from_iterable(near)
    for start in range(0, len(near), CHUNK):
        count = min(CHUNK, len(near) - start)
        yield np.fromiter(numbers, np.intp, 2 * count).reshape(count, 2)


def do_overlap(blobs: Array, pairs: Array, overlap: float) -> Array:
    """Return whether the blobs of each pair overlap by more than a share of the smaller one.

    Where rounding might decide, scikit-image's own function does.
    """
    ones, others = (blobs[pairs[:, i]].astype(np.float64) for i in (0, 1))
    large = np.maximum(ones[:, 2], others[:, 2])
    ratio = np.minimum(ones[:, 2], others[:, 2]) / large
    # The radius of the larger blob is 1.
    unit = large * math.sqrt(2)
    apart = np.hypot(ones[:, 0] - others[:, 0], ones[:, 1] - others[:, 1]) / unit
    shared = lens(apart, ratio)
    # By how much scikit-image's distances and areas may be rounded.
    eps = float(np.finfo(blobs.dtype).eps)
    moved = 8 * eps * (1 + blobs[:, :2].max() / unit)
    rounded = math.sqrt(64 * eps) / ratio**2 + moved / ratio
    is_apart, is_within = apart > 1 + ratio + moved, apart < 1 - ratio - moved
    doubtful = (abs(shared - overlap) <= rounded) & ~is_apart & ~is_within
    result: Array = shared > overlap
    for i in np.flatnonzero(doubtful):
        one, other = blobs[pairs[i]]
        result[i] = blob._blob_overlap(one, other) > overlap
    return result


def lens(apart: Array, ratio: Array) -> Array:
    """Return the area that two disks share, as a share of the smaller one.

    Parameters
    ----------
    apart : ndarray
        Distances between the centres.
    ratio : ndarray
        Radii of the smaller disks; those of the larger are 1.
    """
    shared = np.where(apart <= 1 - ratio, 1.0, 0.0)
    meet = (apart > 1 - ratio) & (apart < 1 + ratio)
    d, r = apart[meet], ratio[meet]
    large = np.arccos(np.clip((d**2 + 1 - r**2) / (2 * d), -1, 1))
    small = np.arccos(np.clip((d**2 + r**2 - 1) / (2 * d * r), -1, 1))
    edges = np.sqrt(np.abs((r + 1 - d) * (d - r + 1) * (d + r - 1) * (d + r + 1)))
    shared[meet] = (large + r**2 * small - edges / 2) / (np.pi * r**2)
    return shared
