"""Remove objects that lie too near to larger ones."""

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from cluster_worker.operations.declare import (
    Image,
    Measure,
    Number,
    Place,
    Statistical,
    operation,
)
from cluster_worker.operations.support.propagation import refuse_pictures

Array = NDArray[Any]
Found = dict[str, Array]


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
        pairs = self.pairs_of(points, owners, inside[border])
        return {"labels": labels.astype(np.int64), "sizes": sizes, "pairs": pairs}

    def pairs_of(self, points: Array, owners: Array, inside: Array) -> Array:
        """Return the pairs of objects that are too near to each other.

        Parameters
        ----------
        points : ndarray of int
            (points, 2): the pixels at the borders of objects, in a block.
        owners : ndarray of int64
            The label of each.
        inside : ndarray of bool
            Whether each lies in the core of the block; a pair has at least one that does.
        """
        own, all_of = groups_of(points[inside], owners[inside]), groups_of(points, owners)
        numbers = np.array(list(all_of), np.int64)
        ends = np.array([(*each.min(axis=0), *each.max(axis=0)) for each in all_of.values()])
        trees = {number: cKDTree(each) for number, each in all_of.items()}
        norm = np.inf if self.chessboard else 2
        found = set()
        for number, some in own.items():
            least, most = some.min(axis=0), some.max(axis=0)
            near = (ends[:, :2] <= most + self.min_distance).all(axis=1)
            near &= (ends[:, 2:] >= least - self.min_distance).all(axis=1)
            tree = cKDTree(some)
            for other in numbers[near].tolist():
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
