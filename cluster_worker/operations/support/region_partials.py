"""What was found of regions in some tiles, and how two such findings become one.

A finding is a dict of arrays, which numpy can save. Most have a row for each region, in the rising
order of ``label``:

- ``area`` (pixels), ``box`` (first row and column, and those after the last), ``borders`` (see
  `kernels.region_sums.borders`);
- ``moments`` and, for each channel of each intensity image, ``3.c0.sum``, ``3.c0.squares``,
  ``3.c0.moments``: integers of several words, in units of 2**(32 × ``….low``);
- ``3.c0.pixels`` (those that have data), ``3.c0.least``, ``3.c0.greatest`` and ``3.c0.odd`` (see
  `kernels.region_sums.FloatSums`).

The others are lists, with ``….owner`` for the region of each item: ``hull`` (points), ``runs`` and
``islands`` (see `region_holes.areas`), and ``3.c0.values`` with ``3.c0.counts``.

A *pile* is several findings side by side, in a dict whose names begin with ``0/``, ``1/``, …, the
largest first. Joining a small finding to a large one would copy the large one each time: a pile
joins those of about the same size only, so that the work for n regions is that of sorting them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.support import exact_integers as exact
from cluster_worker.operations.support import region_hulls

Array = NDArray[Any]
Finding = dict[str, Array]
Pile = dict[str, Array]

EXACT = ("moments", "sum", "squares")
SMALLEST, LARGEST = ("least",), ("greatest",)
LISTS = ("hull", "runs", "islands", "values")


def piled(findings: Iterable[Finding]) -> Pile:
    """Return a pile of findings."""
    ordered = sorted(findings, key=size_of, reverse=True)
    return {f"{i}/{name}": each for i, one in enumerate(ordered) for name, each in one.items()}


def findings_of(pile: Mapping[str, Array]) -> list[Finding]:
    """Return the findings of a pile, the largest first."""
    found: dict[int, Finding] = {}
    for name, each in pile.items():
        number, _, field = name.partition("/")
        found.setdefault(int(number), {})[field] = each
    return [found[i] for i in sorted(found)]


def size_of(finding: Finding) -> int:
    """Return the bytes of a finding."""
    return sum(each.nbytes for each in finding.values())


def combine(one: Mapping[str, Array], other: Mapping[str, Array]) -> Pile:
    """Join two piles."""
    ordered = sorted(findings_of(one) + findings_of(other), key=size_of, reverse=True)
    # The last may be joined with the one before when it is not much smaller.
    while len(ordered) > 1 and 2 * size_of(ordered[-1]) >= size_of(ordered[-2]):
        ordered.append(merged([ordered.pop(), ordered.pop()]))
        ordered.sort(key=size_of, reverse=True)
    return piled(ordered)


def merged(findings: Sequence[Finding]) -> Finding:
    """Join findings of the same fields into one."""
    if len(findings) == 1:
        return findings[0]
    every = np.concatenate([each["label"] for each in findings])
    labels, slots = np.unique(every, return_inverse=True)
    ends = np.cumsum([each["label"].size for each in findings])
    at = np.split(slots, ends[:-1])
    result: Finding = {"label": labels}
    for name in findings[0]:
        last = name.rpartition(".")[2]
        if last in ("label", "owner", "low", "counts"):
            continue
        if last in EXACT:
            result |= summed(name, findings, at, labels.size)
        elif last in LISTS:
            result |= listed(name, findings, at)
        else:
            result[name] = reduced(last, [each[name] for each in findings], at, labels.size)
    return result


def reduced(
    last: str, columns: Sequence[Array], at: Sequence[NDArray[np.intp]], regions: int
) -> Array:
    """Join the rows of the same region: their sum, extent, or union of bits."""
    first = columns[0]
    result = np.zeros((regions, *first.shape[1:]), first.dtype)
    known = np.zeros(regions, np.bool_)
    for each, rows in zip(columns, at, strict=True):
        old, new = result[rows], known[rows]
        if last == "odd":
            joined = old | each
        elif last in SMALLEST:
            joined = np.minimum(old, each)
        elif last in LARGEST:
            joined = np.maximum(old, each)
        elif last == "box":
            joined = np.concatenate(
                [np.minimum(old[:, :2], each[:, :2]), np.maximum(old[:, 2:], each[:, 2:])], axis=1
            )
        else:
            joined = old + each
        result[rows] = np.where(new.reshape(-1, *[1] * (each.ndim - 1)), joined, each)
        known[rows] = True
    return result


def summed(
    name: str, findings: Sequence[Finding], at: Sequence[NDArray[np.intp]], regions: int
) -> Finding:
    """Add up exact integers, whose lowest words may differ."""
    lows = [int(each[f"{name}.low"]) for each in findings]
    low = min(lows)
    count = max(
        each[name].shape[-1] + place - low for each, place in zip(findings, lows, strict=True)
    )
    inner = findings[0][name].shape[1:-1]
    total = np.zeros((regions, *inner, count), np.uint32)
    for each, place, rows in zip(findings, lows, at, strict=True):
        words = exact.moved(each[name], place - low, count)
        total[rows] = exact.added(total[rows], words)
    return {name: total, f"{name}.low": np.array(low)}


def listed(name: str, findings: Sequence[Finding], at: Sequence[NDArray[np.intp]]) -> Finding:
    """Join lists of items, sorted by region."""
    owners = np.concatenate(
        [rows[each[f"{name}.owner"]] for each, rows in zip(findings, at, strict=True)]
    )
    items = np.concatenate([each[name] for each in findings])
    if name == "hull":
        owners, items = region_hulls.corners(owners, items.astype(np.int64))
        return {"hull": items.astype(np.int32), "hull.owner": owners}
    if name.endswith("values"):
        counts_name = f"{name.removesuffix('values')}counts"
        counts = np.concatenate([each[counts_name] for each in findings])
        owners, items, counts = counted(owners, items, counts)
        return {name: items, f"{name}.owner": owners, counts_name: counts}
    return {name: items, f"{name}.owner": owners}


def counted(
    owners: NDArray[np.int64], values: Array, counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array, NDArray[np.int64]]:
    """Return the different values of each owner in rising order, and how often each occurs."""
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # One key that holds both is sorted several times faster than two keys.
        least = np.iinfo(values.dtype).min
        order = np.argsort(owners << 16 | values.astype(np.int64) - least)
    else:
        order = np.lexsort((values, owners))
    owners, values, counts = owners[order], values[order], counts[order]
    changes = (owners[1:] != owners[:-1]) | (values[1:] != values[:-1])
    firsts = np.flatnonzero(np.append(True, changes))[: owners.size]
    if firsts.size == 0:
        return owners, values, counts
    return owners[firsts], values[firsts], np.add.reduceat(counts, firsts)
