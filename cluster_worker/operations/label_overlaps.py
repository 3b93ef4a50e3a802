"""Overlaps of two label images: a table with a row for each pair of labels that share pixels.

`measure`, `combine` and `finish` give the pairs; `finish_parents` counts for each region of the
first image the regions of the second that lie in it, such as the spots of each cell.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.region_tables import whole_numbers

Array = NDArray[Any]
Table = dict[str, Array]


def measure(labels: Image, others: Image, place: Place) -> Table:
    """Count the pixels of each pair of labels in a tile.

    Parameters
    ----------
    labels, others : ndarray of integers or bool
        Two blocks of the same rows and columns. A pixel that is 0 or less in one of them belongs to
        no pair, but counts for its region in the other.
    place : Place
        Where the blocks lie in the image; only the core is measured.

    Returns
    -------
    dict
        ``label``, ``other`` and ``pixels`` of each pair, sorted by both labels; 0 is no region.
    """
    core = place.inner
    one, two = (
        np.maximum(whole_numbers(each)[core].astype(np.int64), 0) for each in (labels, others)
    )
    flat = one.ravel(), two.ravel()
    changes = (flat[0][1:] != flat[0][:-1]) | (flat[1][1:] != flat[1][:-1])
    firsts = np.flatnonzero(np.append(True, changes))
    lengths = np.diff(firsts, append=one.size)
    return grouped(flat[0][firsts], flat[1][firsts], lengths)


def grouped(label: Array, other: Array, pixels: Array) -> Table:
    """Add up the pixels of equal pairs, but for the pair of no region with none."""
    wanted = (label > 0) | (other > 0)
    label, other, pixels = label[wanted], other[wanted], pixels[wanted]
    order = np.lexsort((other, label))
    label, other, pixels = label[order], other[order], pixels[order]
    changes = (label[1:] != label[:-1]) | (other[1:] != other[:-1])
    firsts = np.flatnonzero(np.append(True, changes))[: label.size]
    if label.size:
        pixels = np.add.reduceat(pixels, firsts)
    return {"label": label[firsts], "other": other[firsts], "pixels": pixels.astype(np.int64)}


def combine(one: Mapping[str, Array], other: Mapping[str, Array]) -> Table:
    """Join what was found in two sets of tiles."""
    names = ("label", "other", "pixels")
    return grouped(*(np.concatenate([one[name], other[name]]) for name in names))


def finish(found: Mapping[str, Array]) -> Table:
    """Return the pairs, sorted by label and other label.

    Returns
    -------
    dict
        ``label``, ``other`` and ``pixels``; ``share_of_label`` and ``share_of_other``, the part of
        each region that the pair has; and ``iou``, the pixels of both over those of either.
    """
    label, other, pixels = (found[name] for name in ("label", "other", "pixels"))
    both = (label > 0) & (other > 0)
    of_label, of_other = totals(label, pixels), totals(other, pixels)
    shares = pixels / of_label, pixels / of_other, pixels / (of_label + of_other - pixels)
    columns = (label, other, pixels, *shares)
    names = ("label", "other", "pixels", "share_of_label", "share_of_other", "iou")
    return {name: each[both] for name, each in zip(names, columns, strict=True)}


def totals(labels: Array, pixels: Array) -> Array:
    """Return for each pair the pixels of all pairs of its label."""
    _, at = np.unique(labels, return_inverse=True)
    sums = np.zeros(int(at.max(initial=-1)) + 1, np.int64)
    np.add.at(sums, at, pixels)
    return sums[at]


def finish_parents(found: Mapping[str, Array]) -> Table:
    """Return for each region of the first image the regions of the second that lie in it.

    A region of the second lies in the one that has most of its pixels; of several, in the one with
    the lowest label. One that has most of its pixels outside all regions lies in none.

    Returns
    -------
    dict
        ``label``, ``count`` (regions of the second that lie in it), and ``pixels`` (those of any
        region of the second).
    """
    label, other, pixels = (found[name] for name in ("label", "other", "pixels"))
    parents, at = np.unique(label[label > 0], return_inverse=True)
    covered = np.zeros(parents.size, np.int64)
    np.add.at(covered, at, np.where(other[label > 0] > 0, pixels[label > 0], 0))
    inside = other > 0
    order = np.lexsort((label[inside], -pixels[inside], other[inside]))
    child, parent = other[inside][order], label[inside][order]
    firsts = np.append(True, child[1:] != child[:-1])[: child.size]
    chosen = parent[firsts]
    chosen = chosen[chosen > 0]
    count = np.bincount(np.searchsorted(parents, chosen), minlength=parents.size)
    return {"label": parents, "count": count.astype(np.int64), "pixels": covered}
