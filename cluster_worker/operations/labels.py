"""Labels: number the regions of a mask, and remove small regions or those at the border."""

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
    per_region,
    refuse_not_finite,
    refuse_pictures,
    run_starts,
    runs_of_a_tile,
    selection_stages,
    within_border,
)

Size = Annotated[int, Number(0, 10_000_000, unit="px", slider=(0, 1000), step=1)]


def first_channel(block: Image) -> Codes:
    """Return the codes of a block, which may hold values as a second channel."""
    return block if block.ndim == 2 else block[..., 0]


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
            partial(label_tile, background=background, connectivity=connectivity),
            like=like_label_tile,
        ),
        Stage(numbered, measures=(regions(connectivity),), like=like_numbered),
    )


def label_tile(
    image: Image, *, place: Place, out: Image | None, background: int, connectivity: int
) -> Image:
    """Return the codes of a tile's regions, with the values as a second channel if not a mask."""
    if image.dtype.kind == "b":
        # With background 1, scikit-image labels the pixels that are not set.
        mask = ~image if background == 1 else image
        return components.regions(mask, 0, connectivity, place, out=out)
    refuse_not_finite(image)
    # scikit-image truncates floats to integers, too.
    values = image.astype(np.int64)
    codes = components.regions(values, background, connectivity, place)
    return np.stack([codes, values.view(np.uint64)], axis=2, out=out)


def like_label_tile(image: Image) -> Image:
    """Return an image of the type and channels that `label_tile` returns."""
    codes = AS_CODES(image)
    return codes if image.dtype.kind == "b" else np.stack([codes, codes], axis=2)


def like_numbered(block: Image) -> Image:
    """Return an image of the type of the numbers: 32 bits for masks, as in scikit-image."""
    return first_channel(block).astype(np.int32 if block.ndim == 2 else np.int64)


@dataclass(frozen=True)
class Regions:
    """What is needed to number all regions of the image.

    Attributes
    ----------
    contacts : Contacts
        Which codes touch.
    found : tuple of ndarray of uint64
        For each tile, the codes of its regions' first pixels.
    """

    contacts: Contacts
    found: tuple[Codes, ...]

    @cached_property
    def ordered(self) -> Codes:
        """First codes of all regions, in reading order."""
        codes = np.concatenate(self.found)
        return np.sort(codes[self.contacts.firsts(codes) == codes])

    @cached_property
    def numbers(self) -> NDArray[np.int32]:
        """Numbers of the regions whose codes touch others, in the order of `contacts.groups`."""
        return (np.searchsorted(self.ordered, self.contacts.groups[1]) + 1).astype(np.int32)


def regions(connectivity: int) -> Measure:
    """Return the measure of what is needed to number all regions of the image."""
    return Measure(partial(regions_in, connectivity=connectivity), join_regions)


def regions_in(block: Image, *, place: Place, connectivity: int) -> Regions:
    """Return the contacts of a block, and the first pixels of the regions of its core."""
    found = components.first_pixels(first_channel(block), place)
    touch = contacts_in(block, place=place, connectivity=connectivity)
    return Regions(touch, (found,))


def join_regions(a: Regions, b: Regions) -> Regions:
    """Join the regions of two sets of tiles."""
    return Regions(join_contacts(a.contacts, b.contacts), a.found + b.found)


def numbered(
    block: Image,
    *,
    place: Place,
    statistics: tuple[Regions],
    target: str | None,
    out: Image | None,
) -> Image:
    """Replace codes by the numbers of their regions, in reading order."""
    (found,) = statistics
    given = (place, found.contacts.groups[0], found.numbers, found.ordered)
    if block.ndim == 2:
        return components.numbered(block, *given, target or "int32", out)
    return components.numbered(first_channel(block), *given, "int32").astype(target or np.int64)


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
    return components.regions(image, 0, connectivity, place, sized=True, out=out)


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
    return components.regions(image == 0, 0, connectivity, place, sized=True, out=out)


def like_holes(image: Image) -> Image:
    """Return an image of the type of codes."""
    refuse_pictures(image)
    return AS_CODES(image)


def without_holes(
    codes: Image, *, place: Place, statistics: tuple[Contacts], out: Image | None, max_size: int
) -> Image:
    """Return the mask without small holes."""
    return choose(codes, place, statistics[0], max_size, above=False, out=out)


def clear_border_at_once(buffer_size: int, dtype: str) -> Stages:
    """Return stages that clear the border with one search for regions, without rounds."""
    first = partial(regions_at_border, width=buffer_size + 1)
    return selection_stages(first, 2, wanted=False, dtype=dtype)


def regions_at_border(image: Image, *, place: Place, out: Image | None, width: int) -> Image:
    """Return the seats of the regions of a tile; pixels in the image's border are marks."""
    kept = within_border(image, place, width)
    # Marks on background pixels have no effect, so that all border pixels can be marked.
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
    """Remove the regions that touch the image's border, because they may be cut off there.

    Parameters
    ----------
    buffer_size : int
        Pixels by which the border is widened; regions that reach into it are removed.

    Notes
    -----
    If the widened border covers the whole image, nothing is left; scikit-image raises an error.

    References
    ----------
    skimage.segmentation.clear_border
    """
    first = partial(cleared, width=buffer_size + 1)
    return (Stage(first, rounds=Rounds(cleared_further, far=True), like=like_cleared),)


def cleared(image: Image, *, place: Place, width: int) -> Image:
    """Clear the regions of a block that reach into the border of `width` pixels."""
    refuse_pictures(image)
    kept = within_border(image, place, width)
    return image if kept.all() else cleared_further(image * kept, image)


def like_cleared(image: Image) -> Image:
    """Return the image itself: the result has its type."""
    refuse_pictures(image)
    return image


def cleared_further(state: Image, image: Image) -> Image:
    """Clear the pixels of a block that are connected to cleared pixels of the same region."""
    # Background pixels are 0 from the beginning, but connect only to other background pixels.
    result: Image = image * floods.dropped(state != 0, image, 2)
    return result
