"""Remove objects that lie too near to larger ones."""

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Image,
    Measure,
    Number,
    Place,
    Statistical,
    operation,
)
from cluster_worker.operations.support.propagation import refuse_negative, refuse_pictures

ndimage = lazily("scipy.ndimage")
spatial = lazily("scipy.spatial")

Array = NDArray[Any]
Found = dict[str, Array]
# Seconds for one pixel at one shift of an image, for one look at the ends of an object, and for the
# distance of two objects: about right on any processor, to choose the quicker of two ways.
PIXEL_SECONDS, LOOK_SECONDS, PAIR_SECONDS = 15e-9, 10e-9, 100e-6
# Objects whose neighbours are counted for that choice.
SAMPLE = 64


def halo(min_distance: float, **_: Any) -> int:
    """Return the pixels around a tile whose objects may be too near to its own.

    One more tells which of them lie at the border of an object.
    """
    return ceil(min_distance) + 1


def measures(min_distance: float, chessboard: bool) -> tuple[Measure, ...]:
    """Return the measure that finds the labels to remove from the whole image."""
    return (Measure(Finding(min_distance, chessboard), join, halo(min_distance)),)


class Finding:
    """Finds the sizes of objects, and which of them are too near to each other.

    Attributes
    ----------
    min_distance : float
        Objects up to this distance are too near.
    chessboard : bool
        Whether a diagonal step counts as one pixel.
    """

    def __init__(self, min_distance: float, chessboard: bool) -> None:
        self.min_distance, self.chessboard = min_distance, chessboard

    def __call__(self, image: Image, *, place: Place) -> Found:
        """Return ``labels`` and their ``sizes`` in the core of a block, and ``pairs`` of labels."""
        refuse_pictures(image)
        refuse_negative(image)
        core = image[place.inner]
        labels, sizes = np.unique(core[core != 0], return_counts=True)
        # As scikit-image: straight distances between objects are those of pixels with an edge on
        # other pixels.
        near = ndimage.generate_binary_structure(2, 2 if self.chessboard else 1)
        image = image.view(np.uint8) if image.dtype.kind == "b" else image
        border = ndimage.maximum_filter(image, footprint=near)
        border = (border != ndimage.minimum_filter(image, footprint=near)) & (image != 0)
        inside = np.zeros(image.shape, np.bool_)
        inside[place.inner] = True
        points, owners = np.argwhere(border), image[border].astype(np.int64)
        own, all_of = (
            groups_of(points[inside[border]], owners[inside[border]]),
            groups_of(points, owners),
        )
        ends = np.array([(*each.min(axis=0), *each.max(axis=0)) for each in all_of.values()])
        if self.is_shifted_sooner(image.size, own, ends.reshape(-1, 4)):
            pairs = self.pairs_by_shifts(image, inside)
        else:
            pairs = self.pairs_of(own, all_of, ends)
        return {"labels": labels.astype(np.int64), "sizes": sizes, "pairs": pairs}

    def shifts(self) -> list[tuple[int, int]]:
        """Return the (rows, columns) from a pixel to all that follow it and are too near."""
        far = int(self.min_distance)
        steps = [(down, across) for down in range(far + 1) for across in range(-far, far + 1)]
        return [
            each
            for each in steps
            if each > (0, 0) and (self.chessboard or np.dot(each, each) <= self.min_distance**2)
        ]

    def is_shifted_sooner(self, pixels: int, own: Mapping[int, Array], ends: Array) -> bool:
        """Return whether `pairs_by_shifts` is likely to be quicker than `pairs_of`.

        It is where many objects lie within each other's reach, as in noise.
        """
        some = list(own.values())[:SAMPLE]
        if not some:
            return False
        reached = sum(int(self.within_reach(each, ends).sum()) for each in some) / len(some)
        one_by_one = len(own) * (len(ends) * LOOK_SECONDS + reached / 2 * PAIR_SECONDS)
        shifts = (2 if self.chessboard else np.pi / 2) * self.min_distance**2
        return bool(shifts * pixels * PIXEL_SECONDS < one_by_one)

    def within_reach(self, points: Array, ends: Array) -> Array:
        """Return which objects may be too near to some points, by their least and most places."""
        near: Array = (ends[:, :2] <= points.max(axis=0) + self.min_distance).all(axis=1)
        near &= (ends[:, 2:] >= points.min(axis=0) - self.min_distance).all(axis=1)
        return near

    def pairs_by_shifts(self, image: Image, inside: Array) -> Array:
        """Return the pairs of objects that are too near, by a comparison of the shifted image.

        `inside` says which pixels lie in the core of the block; a pair has at least one that does.
        """
        labels, ids = np.unique(image, return_inverse=True)
        ids = ids.reshape(image.shape)
        rows, columns = image.shape
        found = [np.empty(0, np.int64)]
        for down, across in self.shifts():
            width = max(columns - abs(across), 0)
            left, right = max(-across, 0), max(across, 0)
            before = slice(0, max(rows - down, 0)), slice(left, left + width)
            after = slice(down, rows), slice(right, right + width)
            apart = (ids[before] != ids[after]) & (image[before] != 0) & (image[after] != 0)
            apart &= inside[before] | inside[after]
            one, other = ids[before][apart], ids[after][apart]
            found.append(np.unique(np.minimum(one, other) * labels.size + np.maximum(one, other)))
        codes = np.unique(np.concatenate(found))
        pairs: Array = labels[np.stack([codes // labels.size, codes % labels.size], axis=1)]
        return pairs.astype(np.int64)

    def pairs_of(self, own: Mapping[int, Array], all_of: Mapping[int, Array], ends: Array) -> Array:
        """Return the pairs of objects that are too near to each other, one object after the other.

        Parameters
        ----------
        own, all_of : mapping
            By label, (points, 2): the pixels at the borders of objects, those in the core of the
            block and all; a pair has at least one in the core.
        ends : ndarray of int
            (objects, 4): the least row and column of each of `all_of`, and the greatest.
        """
        numbers = np.array(list(all_of), np.int64)
        trees = {number: spatial.cKDTree(each) for number, each in all_of.items()}
        norm = np.inf if self.chessboard else 2
        found = set()
        for number, some in own.items():
            tree = spatial.cKDTree(some)
            for other in numbers[self.within_reach(some, ends)].tolist():
                pair = (min(number, other), max(number, other))
                if number == other or pair in found:
                    continue
                if tree.count_neighbors(trees[other], self.min_distance, p=norm):
                    found.add(pair)
        return np.array(sorted(found), np.int64).reshape(-1, 2)


def groups_of(points: Array, owners: Array) -> dict[int, Array]:
    """Return the points of each owner."""
    order = np.argsort(owners, kind="stable")
    numbers, firsts = np.unique(owners[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(points[order], firsts[1:]), strict=False))


def join(a: Mapping[str, Array], b: Mapping[str, Array]) -> Found:
    """Join what was found in two sets of tiles."""
    labels, at = np.unique(np.concatenate([a["labels"], b["labels"]]), return_inverse=True)
    sizes = np.zeros(labels.size, np.int64)
    np.add.at(sizes, at, np.concatenate([a["sizes"], b["sizes"]]))
    pairs = np.unique(np.concatenate([a["pairs"], b["pairs"]]), axis=0)
    return {"labels": labels, "sizes": sizes, "pairs": pairs}


def removed_of(found: Mapping[str, Array]) -> NDArray[np.int64]:
    """Return the labels to remove: from the largest object on, each removes those near to it.

    Of objects of one size that with the larger label comes first.
    """
    pairs = found["pairs"]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    labels, firsts = np.unique(both[:, 0], return_index=True)
    near = dict(zip(labels.tolist(), np.split(both[:, 1], firsts[1:]), strict=False))
    sizes = found["sizes"][np.searchsorted(found["labels"], labels)]
    removed: set[int] = set()
    for label in labels[np.lexsort((labels, sizes))[::-1]].tolist():
        if label not in removed:
            removed.update(near[label].tolist())
    return np.array(sorted(removed), np.int64)


@operation(
    "Remove objects by distance",
    "Regions",
    Statistical(measures, halo=lambda **_: 0),
    channels="gray",
    takes="labels",
    arrays=10,
    cost=lambda min_distance, **_: 4 + min_distance,
)
def remove_objects_by_distance(
    image: Image,
    min_distance: Annotated[float, Number(0, 200, unit="px", slider=(0, 50), step=0.5)] = 10.0,
    chessboard: bool = False,
    *,
    statistics: tuple[Found],
) -> Image:
    """Remove objects that lie too near to larger ones, so that all are farther apart.

    Parameters
    ----------
    min_distance : float
        Of two objects up to this distance the smaller is removed; of two of one size that with the
        smaller label.
    chessboard : bool
        Whether a diagonal step counts as one pixel; else distances are as the crow flies. The
        parameter p_norm of scikit-image, infinite or 2.

    References
    ----------
    skimage.morphology.remove_objects_by_distance
    """
    del min_distance, chessboard  # For the measure.
    removed = removed_of(statistics[0])
    result: Image = np.where(np.isin(image, removed), image.dtype.type(0), image)
    return result
