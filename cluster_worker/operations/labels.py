"""Labels: number the regions of a mask, and remove small regions or those at the border."""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import components, floods
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Input,
    Kernel,
    Measure,
    Number,
    Place,
    Rounds,
    Stage,
    Stages,
    operation,
)
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import (
    AS_CODES,
    AS_MASK,
    Contacts,
    Edges,
    after,
    choose,
    contacts,
    contacts_in,
    edges_of,
    join_contacts,
    per_region,
    refuse_negative,
    refuse_not_finite,
    refuse_pictures,
    run_starts,
    runs_of_a_tile,
    selection_stages,
    shared_with,
    spans_of,
    touching,
    within_border,
)

Size = Annotated[int, Number(0, 10_000_000, unit="px", slider=(0, 1000), step=1)]


@operation(
    "Label regions",
    "Regions",
    Composed("propagating"),
    channels="gray",
    takes="classes",
    arrays=0,
    table=runs_of_a_tile,
    cost=2,
)
def label(
    background: Annotated[int, Number(-1, 65_535, slider=(0, 1), step=1)] = 0,
    connectivity: Connectivity = 2,
) -> Stages:
    """Number the connected regions of a mask, or of equal class numbers, from 1 in reading order.

    Parameters
    ----------
    background : int
        The value that is no region and becomes 0; -1 if every value is a region.

    Notes
    -----
    With depth "native" any image is labelled: neighbours of equal value form a region. 8 bytes are
    kept for each region while the operation runs.

    References
    ----------
    skimage.measure.label
    """
    return (
        Stage(
            partial(numbered_in_tile, background=background, connectivity=connectivity),
            like=like_numbered_in_tile,
        ),
        Stage(numbered, measures=(regions(connectivity),), like=like_numbered),
    )


def numbered_in_tile(
    image: Image, *, out: Image | None, background: int, connectivity: int
) -> Image:
    """Number a tile's regions, and write their count into its first pixel.

    If the image is no mask, its values follow as a second channel.
    """
    if image.dtype.kind == "b":
        # With background 1, scikit-image labels the pixels that are not set.
        mask = ~image if background == 1 else image
        return components.with_count(*components.numbered(mask, 0, connectivity, out))
    refuse_not_finite(image)
    # scikit-image truncates floats to integers, too.
    values = image.astype(np.int64)
    numbers = components.with_count(*components.numbered(values, background, connectivity, None))
    return np.stack([numbers.astype(np.uint64), values.view(np.uint64)], axis=2, out=out)


def like_numbered_in_tile(image: Image) -> Image:
    """Return an image of the type and channels that `numbered_in_tile` returns."""
    if image.dtype.kind == "b":
        return image.astype(np.uint32)
    return np.stack([image.astype(np.uint64)] * 2, axis=2)


def like_numbered(block: Image) -> Image:
    """Return an image of the type of the numbers: 32 bits for masks, as in scikit-image."""
    return block.astype(np.int32) if block.ndim == 2 else block[..., 0].astype(np.int64)


@dataclass(frozen=True)
class Regions:
    """What is needed to number all regions of the image.

    Attributes
    ----------
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.
    tiles : tuple of Edges
        The edges of each tile.
    begins : tuple of ndarray of int64
        For each tile, where its regions begin, as `components.first_pixels` returns it.
    """

    connectivity: int
    tiles: tuple[Edges, ...]
    begins: tuple[NDArray[np.int64], ...]

    @cached_property
    def spans(self) -> NDArray[np.intp]:
        """The spans of the tiles."""
        return spans_of(self.tiles)

    @cached_property
    def tables(self) -> tuple[NDArray[np.int32], ...]:
        """For each tile, a table from the number of a region in the tile to that in the image."""
        ends = np.cumsum([0, *map(len, self.begins)])
        edges = [
            Edges(each.tile, *(after(edge, first) for edge in each[1:]))
            for each, first in zip(self.tiles, ends, strict=False)
        ]
        none = np.empty((0, 2), np.uint64)
        pairs = np.concatenate([none, *touching(edges, self.connectivity)]).astype(np.int64) - 1
        numbers = components.joined(pairs, np.concatenate(self.begins))
        background = np.zeros(1, np.int32)
        return tuple(
            np.concatenate([background, numbers[first:end]]) for first, end in pairwise(ends)
        )


def regions(connectivity: int) -> Measure:
    """Return the measure of what is needed to number all regions of the image."""
    return Measure(partial(regions_in, connectivity=connectivity), join_regions)


def regions_in(block: Image, *, place: Place, connectivity: int) -> Regions:
    """Return the edges of a tile, and where its regions begin."""
    numbers, values = numbers_and_values(block)
    edges = without_count(edges_of(place.core, numbers, values))
    return Regions(connectivity, (edges,), (components.first_pixels(numbers, place),))


def without_count(edges: Edges) -> Edges:
    """Return the edges of a tile with the number of its first pixel instead of the count there."""
    rows, columns = edges.tile.shape
    has_corner = {"top": True, "left": True, "bottom": rows == 1, "right": columns == 1}
    found = {}
    for side in (side for side, has in has_corner.items() if has):
        edge = getattr(edges, side)
        regions = edge.regions.copy()
        regions[0] &= np.uint64(1)
        found[side] = edge._replace(regions=regions)
    return edges._replace(**found)


def numbers_and_values(block: Image) -> tuple[Image, Image | None]:
    """Return the numbers of a tile, and its values if it is no mask."""
    return (block, None) if block.ndim == 2 else (block[..., 0].astype(np.uint32), block[..., 1])


def join_regions(a: Regions, b: Regions) -> Regions:
    """Join the regions of two sets of tiles."""
    return replace(a, tiles=a.tiles + b.tiles, begins=a.begins + b.begins)


def numbered(
    block: Image,
    *,
    place: Place,
    statistics: tuple[Regions],
    target: str | None,
    out: Image | None,
) -> Image:
    """Replace the numbers of tiles by those of the image, in reading order."""
    (found,) = statistics
    numbers, values = numbers_and_values(block)
    dtype = target or ("int32" if values is None else "int64")
    fits = out is not None and dtype in ("int32", "uint32")
    result = out.view(np.int32) if out is not None and fits else np.empty(numbers.shape, np.int32)
    for i, span in shared_with(place.core, found.spans):
        within, tile = span.relative_to(place.core).slices, found.tiles[i].tile
        coded = (span.top, span.left) == (tile.top, tile.left)
        components.renumbered(numbers[within], coded, found.tables[i], result[within])
    return result.view(dtype) if dtype == "uint32" else result.astype(dtype, copy=False)


@operation(
    "Remove small objects", "Regions", Composed("propagating"), takes="labels", arrays=5, cost=2
)
def remove_small_objects(max_size: Size = 64, connectivity: Connectivity = 1) -> Stages:
    """Remove small objects from a mask or from labels.

    Parameters
    ----------
    max_size : int
        Objects of this number of pixels or fewer become background.
    connectivity : int
        Of a mask: 1 if pixels of an object must share an edge, 2 if a corner will do. All pixels
        of one label are one object.

    References
    ----------
    skimage.morphology.remove_small_objects
    """
    sizes = Measure(partial(sizes_in, connectivity=connectivity), join_sizes)
    return (
        Stage(partial(sized, connectivity=connectivity), like=like_sized),
        Stage(
            partial(without_small, max_size=max_size), measures=(sizes,), like=like_without_small
        ),
    )


def sized(image: Image, *, place: Place, out: Image | None, connectivity: int) -> Image:
    """Return codes with sizes for the objects of a mask; labels are returned unchanged."""
    refuse_pictures(image)
    if image.dtype.kind != "b":
        return image
    return components.regions(image, 0, connectivity, place, out=out)


def like_sized(image: Image) -> Image:
    """Return an image of the type that `sized` returns: of codes, or of labels."""
    refuse_pictures(image)
    return AS_CODES(image) if image.dtype.kind == "b" else image


def like_without_small(block: Image) -> Image:
    """Return an image of the type that `without_small` returns: a mask, or labels."""
    return AS_MASK(block) if block.dtype == np.uint64 else block


# Labels less than this many times the number of runs are counted in a table of all labels.
DENSE = 4


@dataclass(frozen=True)
class LabelSizes:
    """Number of pixels of each label.

    Attributes
    ----------
    labels, counts : tuple of ndarray
        For each tile, its labels and the pixels of each in that tile.
    """

    labels: tuple[NDArray[Any], ...]
    counts: tuple[NDArray[np.intp], ...]

    @cached_property
    def summed(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Labels of the whole image in ascending order, and the pixels of each."""
        labels, indices = np.unique(np.concatenate(self.labels), return_inverse=True)
        counts = np.zeros(labels.size, np.intp)
        np.add.at(counts, indices, np.concatenate(self.counts))
        return labels, counts

    def of(self, labels: NDArray[Any]) -> NDArray[np.intp]:
        """Return the number of pixels of each of some labels, which the image must contain."""
        known, counts = self.summed
        return counts[np.searchsorted(known, labels)]


Sizes = Contacts | LabelSizes


def join_sizes(a: Any, b: Any) -> Sizes:
    """Join the sizes of two sets of tiles."""
    if isinstance(a, Contacts):
        return join_contacts(a, b)
    return LabelSizes(a.labels + b.labels, a.counts + b.counts)


def sizes_in(block: Image, *, place: Place, connectivity: int) -> Sizes:
    """Return the contacts of a block of codes, or count the pixels of a block of labels."""
    if block.dtype == np.uint64:
        return contacts_in(block, place=place, connectivity=connectivity)
    flat = block[place.inner].ravel()
    refuse_negative(flat)
    starts = run_starts(flat)
    labels, counts = summed_up(flat[starts], np.diff(starts, append=flat.size))
    return LabelSizes((labels,), (counts,))


def summed_up(
    labels: NDArray[Any], lengths: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the labels of runs in ascending order, each once, and the total length of its runs."""
    if labels.max() < DENSE * labels.size:
        totals = np.bincount(labels, weights=lengths).astype(np.intp)
        there = np.flatnonzero(totals)
        return there.astype(labels.dtype), totals[there]
    found, indices = np.unique(labels, return_inverse=True)
    return found, np.bincount(indices, weights=lengths).astype(np.intp)


def without_small(
    block: Image, *, place: Place, statistics: tuple[Sizes], out: Image | None, max_size: int
) -> Image:
    """Return the mask, or the labels, without small objects."""
    (sizes,) = statistics
    if isinstance(sizes, Contacts):
        return choose(block, place, sizes, max_size, above=True, out=out)
    return per_region(
        block, lambda labels: np.where(sizes.of(labels) > max_size, labels, labels.dtype.type(0))
    )


@operation(
    "Fill small holes",
    "Regions",
    Composed("propagating"),
    takes="labels",
    arrays=0,
    table=runs_of_a_tile,
    cost=2,
)
def remove_small_holes(max_size: Size = 64, connectivity: Connectivity = 1) -> Stages:
    """Fill small holes in a mask.

    Parameters
    ----------
    max_size : int
        Holes of this number of pixels or fewer are filled.

    References
    ----------
    skimage.morphology.remove_small_holes
    """
    return (
        Stage(partial(holes, connectivity=connectivity), like=like_holes),
        Stage(
            partial(without_holes, max_size=max_size),
            measures=(contacts(connectivity),),
            like=AS_MASK,
        ),
    )


def holes(image: Image, *, place: Place, out: Image | None, connectivity: int) -> Image:
    """Return codes with sizes for the holes of a mask."""
    refuse_pictures(image)
    return components.regions(image == 0, 0, connectivity, place, out=out)


def like_holes(image: Image) -> Image:
    """Return an image of the type of codes."""
    refuse_pictures(image)
    return AS_CODES(image)


def without_holes(
    codes: Image, *, place: Place, statistics: tuple[Contacts], out: Image | None, max_size: int
) -> Image:
    """Return the mask without small holes."""
    return choose(codes, place, statistics[0], max_size, above=False, out=out)


def clear_border_at_once(buffer_size: int, dtype: str, *, mask: bool = False) -> Stages:
    """Return stages that clear the border with one search for regions, without rounds."""
    first = regions_beyond if mask else partial(regions_at_border, width=buffer_size + 1)
    return selection_stages(first, 2, wanted=False, dtype=dtype)


def regions_at_border(image: Image, *, place: Place, out: Image | None, width: int) -> Image:
    """Return the seats of the regions of a tile; pixels in the image's border are marks."""
    kept = within_border(image, place, width)
    # Marks on background pixels have no effect, so that all border pixels can be marked.
    marks = None if kept.all() else ~kept
    return components.seated(image, marks, 2, place, wanted=False, out=out)


def regions_beyond(image: Image, *, mask: Image, place: Place, out: Image | None) -> Image:
    """Return the seats of the regions of a tile; pixels outside a mask are marks."""
    return components.seated(image, ~mask, 2, place, wanted=False, out=out)


@operation(
    "Clear the border",
    "Regions",
    Composed("propagating"),
    takes="labels",
    arrays=3,
    cost=2,
    kernels=tuple(
        Kernel(
            partial(clear_border_at_once, dtype=dtype),
            takes=(dtype,),
            gray=True,
            exact=True,
            arrays=0,
            cost=0.4,
        )
        for dtype in ("bool", "uint8", "uint16", "uint32")
    ),
    differs="nothing is left if the widened border covers the image; scikit-image raises an error",
)
def clear_border(
    buffer_size: Annotated[int, Number(0, 1000, unit="px", slider=(0, 50), step=1)] = 0,
    *,
    mask: Annotated[bool, Input("mask")] = False,
) -> Stages:
    """Remove the regions that touch the image's border, because they may be cut off there.

    Parameters
    ----------
    buffer_size : int
        Pixels by which the border is widened; regions that reach into it are removed.
    mask : ndarray, optional
        Regions that reach out of it are removed, and no others; the image's border and
        `buffer_size` then count for nothing.

    Notes
    -----
    If the widened border covers the whole image, nothing is left; scikit-image raises an error.

    References
    ----------
    skimage.segmentation.clear_border
    """
    first = cleared_beyond if mask else partial(cleared, width=buffer_size + 1)
    return (Stage(first, rounds=Rounds(cleared_further, far=True), like=like_cleared),)


def cleared(image: Image, *, place: Place, width: int) -> Image:
    """Clear the regions of a block that reach into the border of `width` pixels."""
    refuse_pictures(image)
    kept = within_border(image, place, width)
    return image if kept.all() else cleared_further(image * kept, image)


def cleared_beyond(image: Image, *, mask: Image) -> Image:
    """Clear the regions of a block that reach out of a mask."""
    refuse_pictures(image)
    return cleared_further(image * mask, image)


def like_cleared(image: Image) -> Image:
    """Return the image itself: the result has its type."""
    refuse_pictures(image)
    return image


def cleared_further(state: Image, image: Image) -> Image:
    """Clear the pixels of a block that are connected to cleared pixels of the same region."""
    # Background pixels are 0 from the beginning, but connect only to other background pixels.
    result: Image = image * floods.dropped(state != 0, image, 2)
    return result
