"""Convex hulls of the objects of a mask, each by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations import region_tables
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Measure,
    Place,
    Stage,
    Stages,
    operation,
)
from cluster_worker.operations.labels import label
from cluster_worker.operations.support import region_hulls, region_partials
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import runs_of_a_tile

Array = NDArray[Any]


@dataclass(frozen=True)
class Hulls:
    """The hulls of all objects of an image.

    Attributes
    ----------
    found : mapping
        As `region_tables.measure` finds them.
    """

    found: Mapping[str, Array]

    @cached_property
    def rows(self) -> tuple[Array, Array, Array]:
        """Row, first and last column of the pixels of all hulls, in the order of the rows."""
        found = region_partials.merged(region_partials.findings_of(self.found))
        points = found["hull"].astype(np.int64)
        rows, first, last = region_hulls.filled_rows(found["hull.owner"], points)
        order = np.argsort(rows[:, 1], kind="stable")
        return rows[order, 1], first[order], last[order]

    def draw(self, place: Place) -> Image:
        """Return the mask of all hulls in the window of a block."""
        rows, first, last = self.rows
        window = place.window
        some = slice(*np.searchsorted(rows, [window.top, window.bottom]))
        height, width = window.shape
        # 1 where a hull begins, and -1 behind its end: their sum counts the hulls of a pixel.
        changes = np.zeros((height, width + 1), np.int32)
        at = rows[some] - window.top
        np.add.at(changes, (at, np.clip(first[some] - window.left, 0, width)), 1)
        np.add.at(changes, (at, np.clip(last[some] + 1 - window.left, 0, width)), -1)
        counts: Image = np.cumsum(changes[:, :-1], axis=1)
        return counts.astype(np.bool_)


def hulls_in(labels: Image, *, place: Place) -> Hulls:
    """Find the hulls of the parts of objects in a tile."""
    return Hulls(region_tables.measure(labels, [], place, properties=("area_convex",)))


def join(a: Hulls, b: Hulls) -> Hulls:
    """Join the hulls of two sets of tiles."""
    return replace(a, found=region_tables.combine(a.found, b.found))


def drawn(
    labels: Image,  # noqa: ARG001 - the hulls are known from the measure
    *,
    place: Place,
    statistics: tuple[Hulls],
) -> Image:
    """Return the mask of the hulls in a block."""
    return statistics[0].draw(place)


def like_mask(labels: Image) -> Image:
    """Return a mask, for planning."""
    return labels.astype(np.bool_)


@operation(
    "Convex hulls of objects",
    "Morphology",
    Composed("by region"),
    channels="gray",
    takes="mask",
    arrays=4,
    table=runs_of_a_tile,
    cost=4,
)
def convex_hull_object(connectivity: Connectivity = 2) -> Stages:
    """Fill the convex hull of each object of a mask: the smallest convex shape around it.

    Notes
    -----
    Pixels are tested against the hulls with integer arithmetic, which is exact.

    References
    ----------
    skimage.morphology.convex_hull_object
    """
    return (
        *label(background=0, connectivity=connectivity),
        Stage(drawn, measures=(Measure(hulls_in, join),), like=like_mask),
    )
