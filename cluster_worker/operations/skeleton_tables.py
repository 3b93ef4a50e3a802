"""Tables of skeletons: the branches of lines of one pixel, and the length of each skeleton."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Input, Place, Table, operation
from cluster_worker.operations.region_tables import whole_numbers
from cluster_worker.operations.support import skeleton_graphs
from cluster_worker.operations.support.column_units import PIXELS, units
from cluster_worker.operations.support.skeleton_graphs import (
    BETWEEN,
    DEGREE,
    FIRST,
    HALO,
    LABEL,
    OWNER,
    PIXEL,
    A,
    B,
)

Columns = dict[str, NDArray[Any]]
DIFFERS = (
    "the table has what is measured on scikit-image's graph of pixels, without the steps over "
    "corners that two steps over sides replace"
)
# Kinds of branches: their ends are two ends of lines, an end and a junction, two junctions; or the
# branch is a ring without junctions.
RING = 3


def finish_branches(found: skeleton_graphs.Graph, shape: tuple[int, int]) -> Columns:
    """Return the columns of `skeleton_branches`."""
    graph = skeleton_graphs.whole(found)
    branches, degrees = graph["branches"], graph["degrees"]
    row, column = skeleton_graphs.places(branches[:, A], shape[1])
    end_row, end_column = skeleton_graphs.places(branches[:, B], shape[1])
    ring = degrees[:, 0] == 2
    return {
        "skeleton": graph["skeletons"],
        "branch_type": np.where(ring, RING, 2 - np.count_nonzero(degrees == 1, axis=1)),
        "branch_distance": skeleton_graphs.lengths(branches),
        "euclidean_distance": np.hypot(end_row - row, end_column - column),
        "row": row,
        "column": column,
        "end_row": end_row,
        "end_column": end_column,
    }


@operation(
    "Branches of skeletons",
    "Measurements",
    Table(
        skeleton_graphs.combine,
        finish_branches,
        halo=lambda **_: HALO,
        unit=units(
            branch_distance=PIXELS,
            euclidean_distance=PIXELS,
            row=PIXELS,
            column=PIXELS,
            end_row=PIXELS,
            end_column=PIXELS,
        ),
    ),
    channels="gray",
    takes="mask",
    arrays=40,
    cost=2.0,
    differs=DIFFERS,
)
def skeleton_branches(image: Image, *, place: Place) -> skeleton_graphs.Graph:
    """Measure the branches of a skeleton: a table with a row for each, with its length and ends.

    Put skeletonize, thin or medial_axis before: thicker lines have many junctions. `branch_type` is
    0 for a line between two ends, 1 between an end and a junction, 2 between two junctions, and 3
    for a ring.

    References
    ----------
    skimage.graph.pixel_graph
    """
    return skeleton_graphs.measure(image.view(np.uint8), place)


def finish_lengths(found: skeleton_graphs.Graph, shape: tuple[int, int]) -> Columns:
    """Return the columns of `skeleton_lengths`."""
    graph = skeleton_graphs.whole(found)
    branches, nodes = graph["branches"], graph["nodes"]
    # Without a label image every skeleton is a region; its label is then its number.
    labelled = np.all(np.concatenate([branches[:, LABEL], nodes[:, OWNER]]) > 0)
    of_branches = branches[:, LABEL] if labelled else graph["skeletons"]
    of_nodes = nodes[:, OWNER] if labelled else graph["of_nodes"]
    labels, at = np.unique(np.concatenate([of_branches, of_nodes]), return_inverse=True)
    at_branches, at_nodes = at[: len(branches)], at[len(branches) :]

    def total(each: NDArray[Any], where: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up integers of branches or nodes for each label."""
        sums = np.zeros(labels.size, np.int64)
        np.add.at(sums, where, each)
        return sums

    ring = branches[graph["degrees"][:, 0] == 2, FIRST]
    sums = np.zeros((labels.size, branches.shape[1]), np.int64)
    np.add.at(sums, at_branches, branches)
    longest = np.zeros(labels.size)
    np.maximum.at(longest, at_branches, skeleton_graphs.lengths(branches))
    first = np.full(labels.size, shape[0] * shape[1])
    np.minimum.at(first, at_branches, branches[:, FIRST])
    np.minimum.at(first, at_nodes, nodes[:, PIXEL])
    row, column = skeleton_graphs.places(first, shape[1])
    rings = total(np.ones(ring.size, np.int64), at_branches[graph["degrees"][:, 0] == 2])
    return {
        "label": labels,
        "pixels": sums[:, BETWEEN] + total(np.ones(len(nodes), np.int64), at_nodes) + rings,
        "length": skeleton_graphs.lengths(sums),
        "longest_branch": longest,
        "branches": total(np.ones(len(branches), np.int64), at_branches),
        "ends": total(nodes[:, DEGREE] == 1, at_nodes),
        "junctions": total(nodes[:, DEGREE] > 2, at_nodes),
        "row": row,
        "column": column,
    }


@operation(
    "Lengths of skeletons",
    "Measurements",
    Table(
        skeleton_graphs.combine,
        finish_lengths,
        halo=lambda **_: HALO,
        unit=units(pixels=PIXELS, length=PIXELS, longest_branch=PIXELS, row=PIXELS, column=PIXELS),
    ),
    channels="gray",
    takes="mask",
    arrays=40,
    cost=2.0,
    differs=DIFFERS,
)
def skeleton_lengths(
    image: Image,
    *,
    labels: Annotated[Image | None, Input("labels")] = None,
    place: Place,
) -> skeleton_graphs.Graph:
    """Measure how long skeletons are: a table with a row for each object.

    Put skeletonize, thin or medial_axis before: thicker lines have many junctions.

    Parameters
    ----------
    labels : ndarray of int, optional
        The objects that the lines belong to: each has one row, and lines of two objects are not
        joined. Without it every connected skeleton has a row, with the number that label gives it.

    References
    ----------
    skimage.graph.pixel_graph
    """
    if labels is None:
        return unlabelled(skeleton_graphs.measure(image.view(np.uint8), place))
    owners = whole_numbers(labels)
    return skeleton_graphs.measure(np.where(image, owners, 0), place)


def unlabelled(graph: skeleton_graphs.Graph) -> skeleton_graphs.Graph:
    """Return a graph without labels: `finish_lengths` numbers its skeletons."""
    graph["branches"][:, LABEL] = graph["nodes"][:, OWNER] = 0
    return graph
