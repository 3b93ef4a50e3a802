"""Labels: the regions of a mask numbered, and small ones or those at the border left out."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import components, floods
from cluster_worker.operations.declare import (
    Composed,
    Image,
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
    Codes,
    Contacts,
    choose,
    contacts,
    contacts_in,
    join_contacts,
    parts_wanted,
    per_region,
    refuse_not_finite,
    refuse_pictures,
    run_starts,
    runs_of_a_tile,
    within_border,
)

Size = Annotated[int, Number(0, 10_000_000, unit="px", slider=(0, 1000), step=1)]


def first_channel(block: Image) -> Codes:
    """Give the codes of a block that may hold values beside them."""
    return block if block.ndim == 2 else block[..., 0]


@operation(
    "Label regions",
    "Regions",
    Composed("propagating"),
    channels="gray",
    takes="mask",
    arrays=0,
    table=runs_of_a_tile,
    cost=2,
)
def label(
    background: Annotated[int, Number(-1, 65_535, slider=(0, 1), step=1)] = 0,
    connectivity: Connectivity = 2,
) -> Stages:
    """Give each connected region of a mask a number of its own, from 1, in reading order.

    Parameters
    ----------
    background : int
        The value that is no region and becomes 0; -1 if every value is one.
    connectivity : int
        1 if pixels of a region must share an edge, 2 if a corner will do.

    Notes
    -----
    Of an image of several values, as depth "native" may be given, neighbours of equal value make
    a region. The numbers of all regions are kept while it runs: 8 bytes for each.

    References
    ----------
    skimage.measure.label
    """
    return (
        Stage(
            partial(label_tile, background=background, connectivity=connectivity),
            like=like_label_tile,
        ),
        Stage(numbered, measures=(regions(connectivity),), like=like_numbered),
    )


def label_tile(
    image: Image, *, place: Place, out: Image | None, background: int, connectivity: int
) -> Image:
    """Give a tile's regions codes; of several values, those beside them as a second channel."""
    if image.dtype.kind == "b":
        # scikit-image looks for what is not set, if that is no background.
        mask = ~image if background == 1 else image
        return components.regions(mask, 0, connectivity, place, out=out)
    refuse_not_finite(image)
    # scikit-image cuts off what follows the point, too.
    values = image.astype(np.int64)
    codes = components.regions(values, background, connectivity, place)
    return np.stack([codes, values.view(np.uint64)], axis=2, out=out)


def like_label_tile(image: Image) -> Image:
    """Make an image like that of codes, or of codes and values."""
    codes = AS_CODES(image)
    return codes if image.dtype.kind == "b" else np.stack([codes, codes], axis=2)


def like_numbered(block: Image) -> Image:
    """Make an image like that of the numbers: scikit-image labels masks with 32 bits."""
    return first_channel(block).astype(np.int32 if block.ndim == 2 else np.int64)


@dataclass(frozen=True)
class Regions:
    """Which codes touch, and the codes of the regions' first pixels as each tile has found them."""

    contacts: Contacts
    found: tuple[Codes, ...]

    @cached_property
    def ordered(self) -> Codes:
        """Give the first codes of all regions in reading order."""
        codes = np.concatenate(self.found)
        return np.sort(codes[self.contacts.firsts(codes) == codes])

    @cached_property
    def numbers(self) -> NDArray[np.int32]:
        """Give the numbers of the regions whose codes touch others."""
        return (np.searchsorted(self.ordered, self.contacts.groups[1]) + 1).astype(np.int32)


def regions(connectivity: int) -> Measure:
    """Measure what all regions of the image need to be numbered."""
    return Measure(partial(regions_in, connectivity=connectivity), join_regions)


def regions_in(block: Image, *, place: Place, connectivity: int) -> Regions:
    """Find which codes of a block touch, and the first pixels of its core's regions."""
    found = components.first_pixels(first_channel(block), place)
    touch = contacts_in(block, place=place, connectivity=connectivity)
    return Regions(touch, (found,))


def join_regions(a: Regions, b: Regions) -> Regions:
    """Regions of two parts."""
    return Regions(join_contacts(a.contacts, b.contacts), a.found + b.found)


def numbered(
    block: Image,
    *,
    place: Place,
    statistics: tuple[Regions],
    target: str | None,
    out: Image | None,
) -> Image:
    """Replace codes by the regions' numbers in reading order."""
    (found,) = statistics
    given = (place, found.contacts.groups[0], found.numbers, found.ordered)
    if block.ndim == 2:
        return components.numbered(block, *given, target or "int32", out)
    return components.numbered(first_channel(block), *given, "int32").astype(target or np.int64)


@operation(
    "Remove small objects", "Regions", Composed("propagating"), takes="labels", arrays=5, cost=2
)
def remove_small_objects(max_size: Size = 64, connectivity: Connectivity = 1) -> Stages:
    """Remove what is small from a mask or from labels.

    Parameters
    ----------
    max_size : int
        Objects of so many pixels or fewer become background.
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
    """Give the objects of a mask codes with their sizes; labels stay what they are."""
    refuse_pictures(image)
    if image.dtype.kind != "b":
        return image
    return components.regions(image, 0, connectivity, place, sized=True, out=out)


def like_sized(image: Image) -> Image:
    """Make an image like that of codes, or of labels."""
    refuse_pictures(image)
    return AS_CODES(image) if image.dtype.kind == "b" else image


def like_without_small(block: Image) -> Image:
    """Make an image like the mask, or the labels, without what is small."""
    return AS_MASK(block) if block.dtype == np.uint64 else block


# Labels that are no more than so many times the runs are counted in a table of all of them.
DENSE = 4


@dataclass(frozen=True)
class LabelSizes:
    """How many pixels each label has, as they were counted in each tile."""

    labels: tuple[NDArray[Any], ...]
    counts: tuple[NDArray[np.intp], ...]

    @cached_property
    def summed(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Give the labels in order, and the sum for each."""
        labels, places = np.unique(np.concatenate(self.labels), return_inverse=True)
        counts = np.zeros(labels.size, np.intp)
        np.add.at(counts, places, np.concatenate(self.counts))
        return labels, counts

    def of(self, labels: NDArray[Any]) -> NDArray[np.intp]:
        """Give the pixels of labels that the image has."""
        known, counts = self.summed
        return counts[np.searchsorted(known, labels)]


Sizes = Contacts | LabelSizes


def join_sizes(a: Any, b: Any) -> Sizes:
    """Sizes of two parts."""
    if isinstance(a, Contacts):
        return join_contacts(a, b)
    return LabelSizes(a.labels + b.labels, a.counts + b.counts)


def sizes_in(block: Image, *, place: Place, connectivity: int) -> Sizes:
    """Find which codes of a block touch, or count the pixels of its labels."""
    if block.dtype == np.uint64:
        return contacts_in(block, place=place, connectivity=connectivity)
    flat = block[place.inner].ravel()
    starts = run_starts(flat)
    labels, counts = summed_up(flat[starts], np.diff(starts, append=flat.size))
    return LabelSizes((labels,), (counts,))


def summed_up(
    labels: NDArray[Any], lengths: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Give the labels of runs in order, each once, and how long its runs are together."""
    if labels.max() < DENSE * labels.size:
        totals = np.bincount(labels, weights=lengths).astype(np.intp)
        there = np.flatnonzero(totals)
        return there.astype(labels.dtype), totals[there]
    found, places = np.unique(labels, return_inverse=True)
    return found, np.bincount(places, weights=lengths).astype(np.intp)


def without_small(
    block: Image, *, place: Place, statistics: tuple[Sizes], out: Image | None, max_size: int
) -> Image:
    """Give the mask of what is large, or the labels that are."""
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
    """Fill what is small and black in a mask.

    Parameters
    ----------
    max_size : int
        Holes of so many pixels or fewer are filled.
    connectivity : int
        1 if pixels of a hole must share an edge, 2 if a corner will do.

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
    """Give a mask's holes codes with their sizes."""
    refuse_pictures(image)
    return components.regions(image == 0, 0, connectivity, place, sized=True, out=out)


def like_holes(image: Image) -> Image:
    """Make an image like that of codes."""
    refuse_pictures(image)
    return AS_CODES(image)


def without_holes(
    codes: Image, *, place: Place, statistics: tuple[Contacts], out: Image | None, max_size: int
) -> Image:
    """Give the mask in which no small hole is left."""
    return choose(codes, place, statistics[0], max_size, above=False, out=out)


def clear_border_at_once(buffer_size: int, dtype: str) -> Stages:
    """Clear the border of a mask or labels by finding its regions once, without rounds."""
    first = partial(regions_at_border, width=buffer_size + 1)
    return parts_wanted(first, 2, wanted=False, dtype=dtype)


def regions_at_border(image: Image, *, place: Place, out: Image | None, width: int) -> Image:
    """Give seats to the regions of a tile; marked is what lies in the border."""
    kept = within_border(image, place, width)
    # What is no region has no marks.
    marks = None if kept.all() else ~kept
    return components.seated(image, marks, 2, place, wanted=False, out=out)


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
)
def clear_border(
    buffer_size: Annotated[int, Number(0, 1000, unit="px", slider=(0, 50), step=1)] = 0,
) -> Stages:
    """Remove the regions that touch the image's border, which may be cut off by it.

    Parameters
    ----------
    buffer_size : int
        How far from the border a region must stay to be kept.

    Notes
    -----
    Where the border so widened holds all of the image, nothing is left; scikit-image raises.

    References
    ----------
    skimage.segmentation.clear_border
    """
    first = partial(cleared, width=buffer_size + 1)
    return (Stage(first, rounds=Rounds(cleared_further, far=True), like=like_cleared),)


def cleared(image: Image, *, place: Place, width: int) -> Image:
    """Clear what is connected within a block to a border of a width."""
    refuse_pictures(image)
    kept = within_border(image, place, width)
    return image if kept.all() else cleared_further(image * kept, image)


def like_cleared(image: Image) -> Image:
    """Make an image like the cleared one: the same."""
    refuse_pictures(image)
    return image


def cleared_further(state: Image, image: Image) -> Image:
    """Clear what is connected to something cleared, within a block."""
    # What is 0 from the beginning is connected to nothing but its like.
    result: Image = image * floods.dropped(state != 0, image, 2)
    return result
