"""Floods and labels that cross tile borders: what several operations share.

Connected regions are first found in each tile alone. There a region gets a *code*: a number that
no other region of the image has, and a *fact* about it, such as its pixels in that tile. Which
codes touch is then measured over the whole image; those that do are one region, and their facts
are summed. A code is a uint64, which no image is, and 0 where there is no region.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cluster_worker.kernels import components, floods
from cluster_worker.operations.declare import Image, Measure, Place, Rounds

Codes = NDArray[np.uint64]

# What planning makes of its example instead of codes, and of codes instead of a mask: loops are not
# loaded to plan.
AS_CODES = partial(np.asarray, dtype=np.uint64)
AS_MASK = partial(np.asarray, dtype=np.bool_)

# Low bits of a code hold its fact, the others its number: enough for 2**40 pixels.
FACT_MAX = (1 << 24) - 1

# Two views of an image in which the same place holds neighbours; the first two share an edge.
NEIGHBOURS = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1, :], np.s_[1:, :]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
)


def neighbours(connectivity: int) -> Iterator[tuple[Any, Any]]:
    """Give the views for pixels that share an edge (1), or an edge or a corner (2)."""
    yield from NEIGHBOURS[: 2 * connectivity]


def structure(connectivity: int) -> NDArray[np.bool_]:
    """Make the neighbourhood of 3 × 3 pixels that a connectivity means."""
    mask: NDArray[np.bool_] = ndimage.generate_binary_structure(2, connectivity)
    return mask


def each_colour(function: Callable[..., Image], *images: Image) -> Image:
    """Run a function of gray images on every colour of images."""
    if images[0].ndim == 2:
        return function(*images)
    colours = range(images[0].shape[2])
    return np.stack([function(*(image[..., i] for image in images)) for i in colours], axis=2)


def refuse_nan(image: Image) -> None:
    """Refuse an image that holds NaN, which has no order.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if image.dtype.kind == "f" and np.isnan(image).any():
        raise ValueError(
            "the image holds NaN, which is neither less nor greater than its neighbours"
        )


def refuse_not_finite(values: Image) -> None:
    """Refuse an image some of whose values are no numbers.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("the image holds NaN or infinity, which cannot be compared")


def run_starts(flat: NDArray[Any]) -> NDArray[np.intp]:
    """Give where runs of equal values begin; there are far fewer of them than pixels."""
    return np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))


def per_region(codes: Codes, function: Callable[[Codes], NDArray[Any]]) -> Image:
    """Replace each code by what a function of codes gives for it."""
    flat = codes.ravel()
    starts = run_starts(flat)
    values = function(flat[starts])
    result: Image = np.repeat(values, np.diff(starts, append=flat.size)).reshape(codes.shape)
    return result


def regions_with(
    marks: Image, mask: Image, connectivity: int, place: Place, out: Image | None = None
) -> Codes:
    """Give codes to the regions of a mask; the fact is how many marks a region holds."""
    return components.regions(mask, 0, connectivity, place, marks=marks, out=out)


@dataclass(frozen=True)
class Contacts:
    """Which codes touch in the whole image.

    Attributes
    ----------
    pairs : tuple of ndarray
        Each of n × 2 codes, as they were found in one tile.
    """

    pairs: tuple[Codes, ...] = ()

    @cached_property
    def groups(self) -> tuple[Codes, Codes, NDArray[np.int64]]:
        """Give the codes that touch others, in order, and for each its group's first and total."""
        pairs = np.concatenate([np.empty((0, 2), np.uint64), *self.pairs])
        codes, ends = np.unique(pairs, return_inverse=True)
        if not codes.size:
            return codes, codes, np.empty(0, np.int64)
        ends = ends.reshape(-1, 2)
        links = coo_array((np.ones(len(ends), np.bool_), ends.T), (codes.size, codes.size))
        _, group = connected_components(links, directed=False)
        totals = np.bincount(group, weights=codes & FACT_MAX).astype(np.int64)
        _, first = np.unique(group, return_index=True)
        return codes, codes[first[group]], totals[group]

    def firsts(self, codes: Codes) -> Codes:
        """Give for each code the one of its region whose number is least."""
        known, firsts, _ = self.groups
        if not known.size:
            return codes
        places = np.minimum(np.searchsorted(known, codes), known.size - 1)
        return np.where(known[places] == codes, firsts[places], codes)


def join_contacts(a: Contacts, b: Contacts) -> Contacts:
    """Contacts of two parts."""
    return Contacts(a.pairs + b.pairs)


def contacts_in(block: Image, connectivity: int) -> Contacts:
    """Find which codes of a block touch.

    A block of rows × columns × 2 holds values beside the codes, and equal values alone touch.
    """
    codes, values = (block, None) if block.ndim == 2 else (block[..., 0], block[..., 1])
    if values is None:
        return Contacts((components.touching(codes, connectivity),))
    found = []
    filled = codes != 0
    for one, other in neighbours(connectivity):
        a, b = codes[one], codes[other]
        touch = a != b
        touch &= filled[one]
        touch &= filled[other]
        touch &= values[one] == values[other]
        if touch.any():
            found.append(np.unique(np.stack([a[touch], b[touch]], axis=1), axis=0))
    return Contacts(tuple(found))


def contacts(connectivity: int) -> Measure:
    """Measure which codes touch in the whole image."""
    return Measure(partial(contacts_in, connectivity=connectivity), join_contacts, halo=1)


def choose(
    codes: Codes, place: Place, found: Contacts, limit: int, *, above: bool, out: Image | None
) -> Image:
    """Give the mask of the regions whose facts are more than a limit, or if not `above`, all else.

    Where there is no region the sum is 0.
    """
    known, _, totals = found.groups
    return components.chosen(codes, place, known, totals, limit, above, out)


def marked(codes: Image, *, place: Place, statistics: tuple[Contacts], out: Image | None) -> Image:
    """Give the mask of the regions whose facts are not all 0."""
    return choose(codes, place, statistics[0], 0, above=True, out=out)


# Reconstruction: an image that grows, or shrinks, within a mask.


def spread(state: Image, mask: Image, *, method: str) -> Image:
    """Reconstruct within a block."""
    return floods.reconstructed(state, mask, method)


def spread_beside(state: Image, _: Image, method: str) -> Image:
    """Reconstruct the first channel of a state within its second."""
    grown = spread(state[..., 0], state[..., 1], method=method)
    return np.stack([grown, state[..., 1]], axis=2)


def reconstruct(method: str) -> Rounds:
    """Reconstruct the first channel of a state within its second, until no tile changes."""
    return Rounds(partial(spread_beside, method=method), far=True)
