"""Regions: labels, their borders, and what is left out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import color, feature, filters, morphology, segmentation, util

from cluster_worker.kernels import basins, clusters, components, floods, graphs, modes
from cluster_worker.operations.declare import (
    Composed,
    Image,
    Kernel,
    Local,
    Measure,
    Number,
    Part,
    Place,
    Rounds,
    Span,
    Whole,
    channel_axis,
    each_channel,
    operation,
)
from cluster_worker.operations.propagation import (
    AS_CODES,
    AS_MASK,
    Codes,
    Contacts,
    choose,
    contacts,
    contacts_in,
    each_colour,
    join_contacts,
    parts_wanted,
    per_region,
    reconstruct,
    refuse_nan,
    refuse_not_finite,
    run_starts,
    spread,
)
from cluster_worker.operations.statistics import EXTENT, Extent

Connectivity = Annotated[int, Number(1, 2, step=1)]
Size = Annotated[int, Number(0, 10_000_000, unit="px", slider=(0, 1000), step=1)]
# In the image's own units: with depth "input" that is a share of white.
Height = Annotated[float, Number(0.0001, 65_535, slider=(0.01, 1), step=0.01)]
Parts = tuple[Part, ...]


def runs_of_a_tile(**_: Any) -> int:
    """Bytes of the runs of a tile of two million pixels, no two of which are alike side by side."""
    return 36 << 20


def refuse_pictures(image: Image) -> None:
    """Refuse what is neither labels nor a mask.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if image.ndim == 3 or image.dtype.kind == "f":
        found = "colours" if image.ndim == 3 else "floats"
        raise ValueError(f"takes labels or a mask, got {found}; put a threshold before it")


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
) -> Parts:
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
        Part(
            partial(label_tile, background=background, connectivity=connectivity),
            like=like_label_tile,
        ),
        Part(numbered, measures=(regions(connectivity),), like=like_numbered),
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
def remove_small_objects(max_size: Size = 64, connectivity: Connectivity = 1) -> Parts:
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
        Part(partial(sized, connectivity=connectivity), like=like_sized),
        Part(partial(without_small, max_size=max_size), measures=(sizes,), like=like_without_small),
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
def remove_small_holes(max_size: Size = 64, connectivity: Connectivity = 1) -> Parts:
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
        Part(partial(holes, connectivity=connectivity), like=like_holes),
        Part(
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


def clear_border_at_once(buffer_size: int, dtype: str) -> Parts:
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
) -> Parts:
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
    return (Part(first, rounds=Rounds(cleared_further, far=True), like=like_cleared),)


def cleared(image: Image, *, place: Place, width: int) -> Image:
    """Clear what is connected within a block to a border of a width."""
    refuse_pictures(image)
    kept = within_border(image, place, width)
    return image if kept.all() else cleared_further(image * kept, image)


def like_cleared(image: Image) -> Image:
    """Make an image like the cleared one: the same."""
    refuse_pictures(image)
    return image


def within_border(image: Image, place: Place, width: int) -> Image:
    """Give the mask of a block's pixels that lie off the whole image's border of a width."""
    rows, columns = place.shape
    kept = np.zeros(image.shape, np.bool_)
    inner = Span(width, rows - width, width, columns - width).relative_to(place.window)
    inner = inner.clipped(image.shape[:2])
    if min(inner.shape) > 0:
        kept[inner.slices] = True
    return kept


def cleared_further(state: Image, image: Image) -> Image:
    """Clear what is connected to something cleared, within a block."""
    # What is 0 from the beginning is connected to nothing but its like.
    result: Image = image * floods.dropped(state != 0, image, 2)
    return result


Method = Literal["dilation", "erosion"]


@operation(
    "Reconstruction",
    "Morphology",
    Composed("propagating"),
    floats=True,
    arrays=8,
    cost=12,
)
def reconstruction(
    seed: Literal["shifted", "eroded"] = "eroded",
    h: Annotated[float, Number(0, 65_535, slider=(0, 1), step=0.01)] = 0.1,
    radius: Annotated[int, Number(1, 50, unit="px", slider=(1, 20), step=1)] = 5,
    method: Method = "dilation",
) -> Parts:
    """Take bright detail away and keep the outlines of what is left exactly.

    A seed that lies below the image grows as far as the image lets it; with erosion, a seed that
    lies above shrinks, which takes dark detail away.

    Parameters
    ----------
    seed : str
        What grows: the image made darker ("shifted") cuts peaks off; the image eroded ("eroded")
        loses what is small. With erosion: brighter, or dilated.
    h : float
        How much darker or brighter a shifted seed is, as a share of white.
    radius : int
        Radius of the disk of an eroded seed.
    method : str
        Whether the seed grows below the image or shrinks above it.

    References
    ----------
    skimage.morphology.reconstruction
    """
    rounds = Rounds(partial(each_colour, partial(spread, method=method)), far=True)
    if seed == "shifted":
        return (Part(partial(shifted, h=h if method == "erosion" else -h), rounds=rounds),)
    return (Part(partial(eroded, radius=radius, method=method), radius, rounds=rounds),)


def shifted(image: Image, h: float) -> Image:
    """Make an image brighter or darker."""
    refuse_nan(image)
    result: Image = image + h
    return result


def eroded(image: Image, radius: int, method: Method) -> Image:
    """Make a seed that lacks what is small, in floating point."""
    refuse_nan(image)
    shrink = morphology.erosion if method == "dilation" else morphology.dilation
    disk = morphology.disk(radius)
    dtype = image.dtype if image.dtype.kind == "f" else np.float64
    return each_channel(lambda plane: shrink(plane, disk), image).astype(dtype)


@operation(
    "Peaks of a height",
    "Morphology",
    Composed("propagating"),
    channels="gray",
    floats=True,
    arrays=8,
    cost=12,
)
def h_maxima(h: Height = 0.1) -> Parts:
    """Find the peaks that stand out from their surroundings by a height, as a mask.

    Parameters
    ----------
    h : float
        How far one must go down from a peak on the way to a higher one, as a share of white.

    References
    ----------
    skimage.morphology.h_maxima
    """
    return (
        Part(partial(lowered, h=h), measures=EXTENT, rounds=reconstruct("dilation")),
        Part(partial(stands_out, h=h, sign=1)),
    )


@operation(
    "Hollows of a depth",
    "Morphology",
    Composed("propagating"),
    channels="gray",
    floats=True,
    arrays=8,
    cost=12,
)
def h_minima(h: Height = 0.1) -> Parts:
    """Find the hollows that lie below their surroundings by a depth, as a mask.

    Parameters
    ----------
    h : float
        How far one must go up from a hollow on the way to a deeper one, as a share of white.

    References
    ----------
    skimage.morphology.h_minima
    """
    return (
        Part(partial(raised, h=h), measures=EXTENT, rounds=reconstruct("erosion")),
        Part(partial(stands_out, h=h, sign=-1)),
    )


def as_compared(image: Image, between: Extent) -> Image:
    """Convert an image to floats, in which heights are compared.

    Raises
    ------
    ValueError
        If it has no heights: a mask, NaN, infinity.
    """
    if image.dtype.kind == "b":
        raise ValueError("takes a picture, got a mask, which has no heights")
    refuse_not_finite(np.asarray(between))
    return image if image.dtype.kind == "f" else image.astype(np.float64)


def rounding(image: Image, values: Image, h: float) -> Any:
    """Give what scikit-image adds to a height so that rounding does not hide it."""
    if image.dtype.kind != "f" and h % 1 == 0:
        return 0
    return 2 * np.finfo(values.dtype).resolution * np.abs(values)


def lowered(image: Image, *, h: float, statistics: tuple[Extent]) -> Image:
    """Give the image lowered by h, and the image, as two channels."""
    ((low, high),) = statistics
    values = as_compared(image, (low, high))
    seed = values - h - rounding(image, values, h)
    if image.dtype.kind != "f" and h % 1 == 0:
        seed = np.maximum(seed, 0)
    return np.stack([values if h > high - low else seed, values], axis=2)


def raised(image: Image, *, h: float, statistics: tuple[Extent]) -> Image:
    """Give the image raised by h, and the image, as two channels."""
    ((low, high),) = statistics
    values = as_compared(image, (low, high))
    seed = values + h + rounding(image, values, h)
    if image.dtype.kind != "f" and h % 1 == 0:
        seed = np.minimum(seed, np.iinfo(image.dtype).max)
    return np.stack([values if h > high - low else seed, values], axis=2)


def stands_out(state: Image, *, h: float, sign: int) -> Image:
    """Give the mask of what a reconstruction has taken away by h."""
    result: Image = sign * (state[..., 1] - state[..., 0]) >= h
    return result


@operation("Local maxima", "Morphology", Composed("propagating"), channels="gray", cost=3)
def local_maxima(connectivity: Connectivity = 2, allow_borders: bool = True) -> Parts:
    """Find pixels, and plateaus of equal pixels, that are brighter than all around them.

    Parameters
    ----------
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    allow_borders : bool
        Whether a plateau that touches the image's border may be one.

    References
    ----------
    skimage.morphology.local_maxima
    """
    first = partial(peaks, connectivity=connectivity, allow_borders=allow_borders)
    rounds = Rounds(partial(without_open_plateaus, connectivity=connectivity), far=True)
    return (Part(first, 1, EXTENT, rounds=rounds, like=AS_MASK),)


@operation("Local minima", "Morphology", Composed("propagating"), channels="gray", cost=3)
def local_minima(connectivity: Connectivity = 2, allow_borders: bool = True) -> Parts:
    """Find pixels, and plateaus of equal pixels, that are darker than all around them.

    Parameters
    ----------
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    allow_borders : bool
        Whether a plateau that touches the image's border may be one.

    References
    ----------
    skimage.morphology.local_minima
    """
    return (
        Part(partial(util.invert, signed_float=True)),
        *local_maxima(connectivity, allow_borders),
    )


def peaks(
    image: Image,
    *,
    place: Place,
    statistics: tuple[Extent],
    connectivity: int,
    allow_borders: bool,
) -> Image:
    """Find the plateaus of a block that nothing in it is higher than."""
    refuse_nan(image)
    ((low, high),) = statistics
    # A constant image has no maxima for scikit-image; a constant block may be one.
    if low == high:
        return np.zeros(image.shape, np.bool_)
    found = floods.highest(image, connectivity)
    if not allow_borders:
        found &= within_border(image, place, 1)
    return floods.dropped(found, image, connectivity)


def without_open_plateaus(state: Image, image: Image, connectivity: int) -> Image:
    """Drop the plateaus of a block that go on where they are known to be no maxima."""
    return floods.dropped(state, image, connectivity)


class Flood(NamedTuple):
    """What a flood takes, and the mask of what it has taken if it stays within one tile."""

    least: Any
    greatest: Any
    taken: tuple[Span, Image] | None


def flood_parts(seed_point: tuple[int, ...], tolerance: float | None, connectivity: int) -> Parts:
    """Make the parts of a flood."""
    given: dict[str, Any] = {"seed_point": seed_point, "connectivity": connectivity}
    found = Measure(partial(flooded_in_tile, tolerance=tolerance, **given), whichever)
    like = partial(like_flooded, seed_point=seed_point)
    return parts_wanted(partial(flooded, **given), connectivity, like=like, measures=(found,))


def check_point(seed_point: tuple[int, ...]) -> None:
    """Refuse a point of which there are not two numbers.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if len(seed_point) != 2:
        raise ValueError(f"seed_point: must be a row and a column, got {len(seed_point)} numbers")


def within(seed_point: tuple[int, ...], place: Place) -> tuple[int, int] | None:
    """Give the row and column in a block of a point of the image, if it is there."""
    check_point(seed_point)
    row, column = seed_point
    top, bottom, left, right = place.window
    return (row - top, column - left) if top <= row < bottom and left <= column < right else None


def like_flooded(image: Image, seed_point: tuple[int, ...]) -> Image:
    """Make an image like that of seats."""
    check_point(seed_point)
    return np.asarray(image, np.uint32)


def taken_from(value: Any, tolerance: float | None) -> tuple[Any, Any]:
    """Give the least and the greatest value that a flood takes from a point of some value."""
    if tolerance is None:
        return value, value
    low, high = value.item() - tolerance, value.item() + tolerance
    if value.dtype.kind != "f":
        low, high = int(max(low, 0)), int(min(high, np.iinfo(value.dtype).max))
    return value.dtype.type(low), value.dtype.type(high)


def flooded_in_tile(
    image: Image,
    *,
    place: Place,
    seed_point: tuple[int, ...],
    tolerance: float | None,
    connectivity: int,
) -> Flood | None:
    """Flood the tile that holds the point; None for any other."""
    point = within(seed_point, place)
    if point is None:
        return None
    between = taken_from(image[point], tolerance)
    return Flood(*between, floods.filled(image, *between, point, connectivity, place))


def whichever(a: Any, b: Any) -> Any:
    """Give what has been found."""
    return b if a is None else a


def flooded(
    image: Image,
    *,
    place: Place,
    statistics: tuple[Flood | None],
    out: Image | None,
    seed_point: tuple[int, ...],
    connectivity: int,
) -> Image:
    """Give seats to the regions of a tile that a flood might take; marked is its point."""
    (flood,) = statistics
    if flood is None:
        return components.given(None, place, out)
    if flood.taken is not None:
        return components.given(flood.taken, place, out)
    mask = image == flood.least
    if flood.least != flood.greatest:
        mask = (image >= flood.least) & (image <= flood.greatest)
    point, marks = within(seed_point, place), None
    if point is not None:
        marks = np.zeros(image.shape, np.bool_)
        marks[point] = mask[point] = True
    return components.seated(mask, marks, connectivity, place, out=out)


@operation(
    "Flood",
    "Regions",
    Composed("propagating"),
    channels="gray",
    floats=True,
    arrays=0,
    table=runs_of_a_tile,
    cost=2,
    kernels=(
        # Equal levels are equal as floats, too.
        Kernel(
            flood_parts,
            takes=("uint8", "uint16"),
            when=lambda tolerance, **_: tolerance is None,
            gray=True,
            exact=True,
            # Of small tiles, few are looked at.
            arrays=1,
            cost=0.3,
        ),
    ),
)
def flood(
    seed_point: Annotated[tuple[int, ...], Number(0, 1_000_000, unit="px", step=1)] = (0, 0),
    tolerance: Annotated[float | None, Number(0, 65_535, slider=(0, 1), step=0.01)] = None,
    connectivity: Connectivity = 2,
) -> Parts:
    """Find what is connected to a point and as bright, as a mask.

    Parameters
    ----------
    seed_point : list of int
        Row and column of the point, from 0. One outside of the image floods nothing.
    tolerance : float, optional
        How much brighter or darker than the point a pixel may be, as a share of white; none if
        it must be equal.
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.

    Notes
    -----
    For whole numbers scikit-image cuts off what follows the point in the least value that is
    flooded, so that a tolerance of 0.5 reaches one level down and none up. So does this.

    References
    ----------
    skimage.segmentation.flood
    """
    return flood_parts(seed_point, tolerance, connectivity)


@operation(
    "Region borders",
    "Regions",
    Local(lambda connectivity, mode, background: 1),
    takes="labels",
    fine=(),
)
def find_boundaries(
    image: Image,
    connectivity: Connectivity = 1,
    mode: Literal["thick", "inner", "outer"] = "thick",
    background: Annotated[int, Number(0, 65_535, slider=(0, 10), step=1)] = 0,
) -> Image:
    """Draw the borders between regions, as a mask.

    Parameters
    ----------
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    mode : str
        Which pixels: on both sides of a border ("thick"), those just inside of regions ("inner"),
        or those of the background around regions, and both sides where two touch ("outer").
    background : int
        The label that is no region.

    References
    ----------
    skimage.segmentation.find_boundaries
    """
    refuse_pictures(image)
    result: Image = segmentation.find_boundaries(image, connectivity, mode, background)
    return result


@operation(
    "Expand labels", "Regions", Local(lambda distance: int(distance)), takes="labels", cost=6
)
def expand_labels(
    image: Image,
    distance: Annotated[float, Number(0, 200, unit="px", slider=(0, 30), step=0.5)] = 1,
) -> Image:
    """Grow each label outwards without running into another.

    Parameters
    ----------
    distance : float
        How far a label grows; a pixel takes the label that is nearest.

    References
    ----------
    skimage.segmentation.expand_labels
    """
    refuse_pictures(image)
    result: Image = segmentation.expand_labels(image, distance)
    return result


def watershed_of_floats(
    image: Image,
    on: str,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    **_: Any,
) -> Image:
    """Part an image of floats into basins that are neither compact nor parted by lines."""
    return basins_on(on, image, markers, min_distance, connectivity, basins.watershed)


def basins_on(
    on: str,
    image: Image,
    markers: int | None,
    min_distance: int,
    connectivity: int,
    part: Callable[..., Image],
) -> Image:
    """Part an image into basins of what the water rises in."""
    refuse_nan(image)
    if on != "distance":
        relief = filters.sobel(image) if on == "gradient" else image
        return part(relief, markers, connectivity)
    mask = image > (np.iinfo(image.dtype).max / 2 if image.dtype.kind == "u" else 0.5)
    distance = ndimage.distance_transform_edt(mask)
    # Evenly spaced markers on nothing make scikit-image divide by zero.
    given = markers if markers and mask.any() else summits(distance, mask, min_distance)
    return part(np.negative(distance, out=distance), given, connectivity, mask=mask)


@operation(
    "Watershed",
    "Regions",
    Whole("Water rises from all markers at once, in one order of all pixels of the image."),
    channels="gray",
    floats=True,
    arrays=14,
    cost=20,
    kernels=(
        Kernel(
            watershed_of_floats,
            takes=("float32", "float64"),
            when=lambda compactness, watershed_line, **_: not (compactness or watershed_line),
            exact=True,
            cost=10,
        ),
    ),
)
def watershed(
    image: Image,
    on: Literal["gradient", "image", "distance"] = "gradient",
    markers: Annotated[int | None, Number(1, 1_000_000, slider=(1, 1000), step=1)] = None,
    min_distance: Annotated[int, Number(1, 500, unit="px", slider=(1, 50), step=1)] = 10,
    connectivity: Connectivity = 1,
    compactness: Annotated[float, Number(0, 1000, slider=(0, 1))] = 0.0,
    watershed_line: bool = False,
) -> Image:
    """Part an image into basins, as water would that rises from markers; gives labels.

    Parameters
    ----------
    on : str
        What the water rises in: the image's slopes ("gradient"), so that basins end at edges; the
        image itself; or, for what is brighter than half of white, how far it is to the edge
        ("distance"), which parts round things that touch.
    markers : int, optional
        How many markers, evenly spaced. None: where slopes or image are least, or where the
        distance to the edge is greatest.
    min_distance : int
        How far apart the greatest distances are, where they are the markers.
    connectivity : int
        1 if water flows over edges of pixels only, 2 if over corners as well.
    compactness : float
        More makes the basins rounder and more alike.
    watershed_line : bool
        Whether a line of one pixel with the label 0 parts the basins.

    References
    ----------
    skimage.segmentation.watershed
    """
    part = partial(segmentation.watershed, compactness=compactness, watershed_line=watershed_line)
    return basins_on(on, image, markers, min_distance, connectivity, part)


def summits(distance: Image, mask: Image, min_distance: int) -> Image:
    """Number the greatest distances to the edge."""
    points = feature.peak_local_max(
        distance, min_distance, exclude_border=False, labels=mask.astype(np.uint8)
    )
    markers = np.zeros(mask.shape, np.int64)
    markers[tuple(points.T)] = np.arange(1, len(points) + 1)
    return markers


def slic_of_floats(image: Image, **parameters: Any) -> Image:
    """Part an image of floats into superpixels.

    Raises
    ------
    ValueError
        If the image holds NaN or infinity.
    """
    refuse_not_finite(image)
    return clusters.slic(image, **parameters)


@operation(
    "Superpixels (SLIC)",
    "Regions",
    Whole("Each round moves all centres by sums over their pixels, in the order of the pixels."),
    channels="any",
    floats=True,
    arrays=12,
    cost=30,
    kernels=(Kernel(slic_of_floats, takes=("float32", "float64"), exact=True, cost=15),),
)
def slic(
    image: Image,
    n_segments: Annotated[int, Number(1, 100_000, slider=(2, 2000), step=1)] = 100,
    compactness: Annotated[float, Number(0.001, 1000, slider=(0.1, 50))] = 10.0,
    max_num_iter: Annotated[int, Number(1, 100, slider=(1, 20), step=1)] = 10,
    sigma: Annotated[float, Number(0, 20, unit="px", slider=(0, 5), step=0.1)] = 0.0,
    enforce_connectivity: bool = True,
    slic_zero: bool = False,
) -> Image:
    """Part an image into small regions of like colour and like size; gives labels.

    Parameters
    ----------
    n_segments : int
        About how many regions.
    compactness : float
        More makes regions squarer, less lets them follow colours.
    max_num_iter : int
        Rounds of k-means at most.
    sigma : float
        Standard deviation of a blur that goes before; 0 for none.
    enforce_connectivity : bool
        Whether each region must be in one piece.
    slic_zero : bool
        Whether each region finds its own compactness.

    References
    ----------
    skimage.segmentation.slic
    """
    result: Image = segmentation.slic(
        image,
        n_segments,
        compactness,
        max_num_iter,
        sigma,
        enforce_connectivity=enforce_connectivity,
        slic_zero=slic_zero,
        channel_axis=channel_axis(image),
    )
    return result


@operation(
    "Superpixels (Felzenszwalb)",
    "Regions",
    Whole("Regions are joined in the order of all differences of the image, least first."),
    channels="any",
    floats=True,
    arrays=38,
    cost=30,
    kernels=(
        Kernel(graphs.felzenszwalb, takes=("float32", "float64"), exact=True, arrays=34, cost=10),
    ),
)
def felzenszwalb(
    image: Image,
    scale: Annotated[float, Number(0.001, 100_000, slider=(1, 1000))] = 1.0,
    sigma: Annotated[float, Number(0, 20, unit="px", slider=(0, 5), step=0.1)] = 0.8,
    min_size: Annotated[int, Number(1, 1_000_000, unit="px", slider=(1, 1000), step=1)] = 20,
) -> Image:
    """Part an image into regions of any size that hold together; gives labels.

    Parameters
    ----------
    scale : float
        More gives larger regions.
    sigma : float
        Standard deviation of a blur that goes before.
    min_size : int
        Smaller regions are joined to a neighbour.

    References
    ----------
    skimage.segmentation.felzenszwalb
    """
    result: Image = segmentation.felzenszwalb(
        image, scale, sigma, min_size, channel_axis=channel_axis(image)
    )
    return result


@operation(
    "Superpixels (quickshift)",
    "Regions",
    Composed("propagating"),
    channels="rgb",
    floats=True,
    arrays=12,
    cost=lambda kernel_size, **_: 0.1 * (6 * kernel_size + 1) ** 2,
)
def quickshift(
    ratio: Annotated[float, Number(0, 1, slider=(0, 1), step=0.01)] = 1.0,
    kernel_size: Annotated[float, Number(1, 20, unit="px", slider=(1, 10), step=0.5)] = 5,
    max_dist: Annotated[float, Number(0, 1000, slider=(1, 100))] = 10,
    sigma: Annotated[float, Number(0, 20, unit="px", slider=(0, 5), step=0.1)] = 0.0,
    convert2lab: bool = True,
    rng: Annotated[int, Number(0, 1_000_000, step=1)] = 42,
) -> Parts:
    """Part an image into regions around its most frequent colours; gives labels.

    Parameters
    ----------
    ratio : float
        How much colour counts against distance; more follows colours.
    kernel_size : float
        Width of the Gaussian that smooths the density; more gives fewer regions.
    max_dist : float
        How far apart in colour and place two pixels of a region may be; more gives fewer regions.
    sigma : float
        Standard deviation of a blur that goes before; 0 for none.
    convert2lab : bool
        Whether colours are compared in Lab, where distances are as the eye sees them.
    rng : int
        Seed of the random numbers that settle ties.

    References
    ----------
    skimage.segmentation.quickshift
    """
    given: dict[str, Any] = {"ratio": ratio, "sigma": sigma}
    given |= {"convert2lab": convert2lab, "rng": rng}
    # A measure of nothing parts the passes: densities are not to be found twice where tiles meet.
    alone = Measure(nothing_in, nothing_of_both)
    halo = modes.reach(kernel_size)
    return (
        Part(partial(with_noise, **given), whole=True),
        Part(partial(modes.with_densities, kernel_size=kernel_size), halo, like=np.array),
        Part(
            partial(parents_of, kernel_size=kernel_size, max_dist=max_dist),
            halo,
            (alone,),
            like=like_trees,
        ),
        Part(modes.trees, whole=True, like=np.array),
    )


def nothing_in(_: Image) -> None:
    """Measure nothing."""


def nothing_of_both(_: None, __: None) -> None:
    """Combine what measures nothing."""


def with_noise(image: Image, ratio: float, sigma: float, convert2lab: bool, rng: int) -> Image:
    """Give the colours that quickshift compares, and the noise that settles ties.

    Both are those of scikit-image to the last bit: the matrix product that makes Lab rounds by
    place, and random numbers are drawn for all pixels in order.
    """
    colours = util.img_as_float(image)
    colours = color.rgb2lab(colours) if convert2lab else colours
    blurred = filters.gaussian(colours, [sigma, sigma], mode="reflect", channel_axis=2) * ratio
    noise = np.random.default_rng(rng).normal(scale=0.00001, size=image.shape[:2])
    return np.dstack([blurred, noise.astype(blurred.dtype, copy=False)])


def parents_of(
    block: Image,
    *,
    place: Place,
    statistics: tuple[None],
    out: Image | None,
    kernel_size: float,
    max_dist: float,
) -> Image:
    """Give the number of each pixel's nearest denser one."""
    del statistics  # of nothing
    return modes.with_parents(
        block, place=place, out=out, kernel_size=kernel_size, max_dist=max_dist
    )


def like_trees(block: Image) -> Image:
    """Make an image like that of pixels' numbers."""
    return np.zeros(block.shape[:2], np.int64)


@operation(
    "Two classes (Chan–Vese)",
    "Regions",
    Whole(
        "Each round needs the means of both classes to the last bit, which sums over tiles miss."
    ),
    channels="gray",
    floats=True,
    arrays=24,
    cost=lambda max_num_iter, **_: 2.0 * max_num_iter,
)
def chan_vese(
    image: Image,
    mu: Annotated[float, Number(0, 10, slider=(0, 1), step=0.01)] = 0.25,
    lambda1: Annotated[float, Number(0, 100, slider=(0, 5), step=0.1)] = 1.0,
    lambda2: Annotated[float, Number(0, 100, slider=(0, 5), step=0.1)] = 1.0,
    tol: Annotated[float, Number(0, 1, slider=(0, 0.1))] = 1e-3,
    max_num_iter: Annotated[int, Number(1, 2000, slider=(1, 500), step=1)] = 500,
    dt: Annotated[float, Number(0.01, 10, slider=(0.1, 2), step=0.1)] = 0.5,
    init_level_set: Literal["checkerboard", "disk", "small disk"] = "checkerboard",
) -> Image:
    """Part an image into two classes of brightness with smooth outlines, as a mask.

    Parameters
    ----------
    mu : float
        Weight of the outline's length; more makes it rounder.
    lambda1 : float
        Weight of what is not alike in the white class.
    lambda2 : float
        Weight of what is not alike in the black class.
    tol : float
        Change of a round, for each pixel, at which it is over.
    max_num_iter : int
        Rounds at most.
    dt : float
        Length of a round's step.
    init_level_set : str
        Outline to begin with.

    References
    ----------
    skimage.segmentation.chan_vese
    """
    result: Image = segmentation.chan_vese(
        image, mu, lambda1, lambda2, tol, max_num_iter, dt, init_level_set
    )
    return result
