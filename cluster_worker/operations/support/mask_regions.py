"""How far the connected regions of a mask reach, so that a tile can be given all of its regions.

Regions that lie within one tile need no account. Those that touch the edges of a tile are counted
there, with the rectangle and the pixels that each has in the tile. Regions that touch each other
across the edges of tiles are one.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import components
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Measure, Place, Span
from cluster_worker.operations.support.propagation import Edges, after, edges_of, touching

ndimage = lazily("scipy.ndimage")
sparse = lazily("scipy.sparse")
csgraph = lazily("scipy.sparse.csgraph")

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Reaches:
    """The regions that touch the edges of tiles.

    Attributes
    ----------
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    pixels_max : int
        Most pixels of a tile together with all of its regions.
    tiles : tuple of Edges
        The edges of each tile, whose regions are numbered from 1.
    parts : tuple of ndarray of int64
        For each tile, (regions, 5): top, bottom, left, right of a region in that tile, in the
        coordinates of the image, and its pixels there.
    """

    connectivity: int
    pixels_max: int
    tiles: tuple[Edges, ...]
    parts: tuple[Integers, ...]

    @cached_property
    def regions(self) -> tuple[Integers, tuple[Integers, ...]]:
        """The rectangle and the pixels of each region, and for each tile the indices of its own."""
        ends = np.cumsum([0, *map(len, self.parts)])
        numbered = [
            Edges(each.tile, *(after(edge, first) for edge in each[1:]))
            for each, first in zip(self.tiles, ends, strict=False)
        ]
        none = np.empty((0, 2), np.uint64)
        pairs = np.concatenate([none, *touching(numbered, self.connectivity)]).astype(np.int64) - 1
        size = int(ends[-1])
        links = sparse.coo_array((np.ones(len(pairs), np.bool_), pairs.T), (size, size))
        count, group = csgraph.connected_components(links, directed=False)
        parts = np.concatenate(self.parts)
        joined = np.zeros((count, 5), np.int64)
        joined[:, [0, 2]] = np.iinfo(np.int64).max
        for column, join in enumerate((np.minimum, np.maximum, np.minimum, np.maximum, np.add)):
            join.at(joined[:, column], group, parts[:, column])
        return joined, tuple(group[first:end] for first, end in pairwise(ends))

    @cached_property
    def last(self) -> dict[Span, Image]:
        """What a rank has computed last, by its rectangle: tiles of one large region share that."""
        return {}

    @cached_property
    def windows(self) -> dict[Span, Span]:
        """For each tile, the rectangle around it and all of its regions.

        Raises
        ------
        ValueError
            If a rectangle is too large.
        """
        joined, own = self.regions
        found = {}
        for each, regions in zip(self.tiles, own, strict=True):
            tile, boxes = each.tile, joined[regions]
            found[tile] = Span(
                int(boxes[:, 0].min(initial=tile.top)),
                int(boxes[:, 1].max(initial=tile.bottom)),
                int(boxes[:, 2].min(initial=tile.left)),
                int(boxes[:, 3].max(initial=tile.right)),
            )
        largest = max(found, key=lambda tile: found[tile].pixels)
        if found[largest].pixels > max(self.pixels_max, largest.pixels):
            self.refuse()
        return found

    def refuse(self) -> None:
        """Raise ValueError with a sentence on the largest region."""
        joined, _ = self.regions
        top, bottom, left, right, pixels = max(
            joined.tolist(), key=lambda box: (box[1] - box[0]) * (box[3] - box[2])
        )
        raise ValueError(
            f"a region of the mask has {pixels} pixels and reaches over {bottom - top} × "
            f"{right - left} pixels from row {top}, column {left}; a rank takes regions of up to "
            f"{self.pixels_max} pixels around a tile; part the mask, by opening for example"
        )


def reaches(connectivity: int, pixels_max: int) -> Measure:
    """Return the measure of how far the regions of a second image, ``mask``, reach."""
    measure = partial(reaches_in, connectivity=connectivity, pixels_max=pixels_max)
    return Measure(measure, join)


def reaches_in(
    _: Image, *, mask: Image, place: Place, connectivity: int, pixels_max: int
) -> Reaches:
    """Return the regions that touch the edges of a tile."""
    numbers = components.numbered(mask, 0, connectivity, None)[0]
    at_edges = (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1])
    touching_edges = np.unique(np.concatenate(at_edges))
    touching_edges = touching_edges[touching_edges > 0]
    table = np.zeros(int(numbers.max()) + 1, np.int32)
    table[touching_edges] = np.arange(1, touching_edges.size + 1)
    kept: Image = table[numbers]
    sizes = np.bincount(kept.ravel(), minlength=touching_edges.size + 1)[1:]
    boxes = [
        (rows.start, rows.stop, columns.start, columns.stop)
        for rows, columns in ndimage.find_objects(kept)
    ]
    corner = np.array([place.core.top] * 2 + [place.core.left] * 2)
    parts = np.column_stack([np.array(boxes, np.int64).reshape(-1, 4) + corner, sizes])
    edges = edges_of(place.core, kept, None)
    return Reaches(connectivity, pixels_max, (edges,), (parts,))


def join(a: Reaches, b: Reaches) -> Reaches:
    """Join the regions of two sets of tiles."""
    return replace(a, tiles=a.tiles + b.tiles, parts=a.parts + b.parts)


def window_of(core: Span, found: Reaches) -> Span:
    """Return the rectangle around a tile and all of its regions."""
    return found.windows[core]
