"""Which regions of a label image touch each other, and along how many pixels."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Place, Table, operation
from cluster_worker.operations.support.column_units import PIXELS, units
from cluster_worker.operations.support.footprints import Connectivity
from cluster_worker.operations.support.propagation import refuse_pictures

Pairs = NDArray[np.int64]
# Steps to the neighbours of a pixel, each pair once: over edges, then over corners.
EDGES = ((0, 1), (1, 0))
CORNERS = ((1, 1), (1, -1))


def combine(a: Pairs, b: Pairs) -> Pairs:
    """Add the counts of two sets of tiles."""
    return counted(np.concatenate([a, b]))


def counted(rows: Pairs) -> Pairs:
    """Return rows (label, other, contacts), each pair once, in order."""
    pairs, at = np.unique(rows[:, :2], axis=0, return_inverse=True)
    contacts = np.zeros(len(pairs), np.int64)
    np.add.at(contacts, at.reshape(-1), rows[:, 2])
    return np.column_stack([pairs, contacts])


def finish(found: Pairs, _: tuple[int, int], **__: Any) -> dict[str, NDArray[Any]]:
    """Return the columns."""
    return dict(zip(("label", "other", "contacts"), found.T.copy(), strict=True))


@operation(
    "Neighbours of regions",
    "Measurements",
    Table(combine, finish, halo=lambda **_: 1, unit=units(contacts=PIXELS)),
    channels="gray",
    takes="labels",
    arrays=8,
    cost=2.0,
    differs="the table has the edges of scikit-image's graph, and how many pixels touch",
)
def region_adjacency(
    image: Image,
    connectivity: Connectivity = 1,
    background: Annotated[bool, "Whether the background, 0, counts as a region."] = False,
    *,
    place: Place,
) -> Pairs:
    """Find the regions that touch each other: a table with a row for each pair of labels.

    Contacts are pairs of neighbouring pixels, one of each region.

    References
    ----------
    skimage.graph.RAG
    """
    refuse_pictures(image)
    window = place.window
    top, left = place.core.top - window.top, place.core.left - window.left
    bottom, right = place.core.bottom - window.top, place.core.right - window.left
    found = []
    for down, across in EDGES + (CORNERS if connectivity == 2 else ()):
        # Pixels of the core whose neighbour lies in the window, which ends at the image border.
        first, last = max(left, -across), min(right, image.shape[1] - max(across, 0))
        end = min(bottom, image.shape[0] - down)
        one = image[top:end, first:last]
        other = image[top + down : end + down, first + across : last + across]
        apart = one != other
        if not background:
            apart &= (one != 0) & (other != 0)
        found.append(np.stack([one[apart], other[apart]], axis=1).astype(np.int64))
    pairs = np.sort(np.concatenate(found), axis=1)
    return counted(np.column_stack([pairs, np.ones(len(pairs), np.int64)]))
