"""Join two label images: a region for each pair of labels."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image, Input, Measure, Statistical, operation

Pairs = NDArray[np.int64]


def pairs_in(image: Image, *, other: Image) -> Pairs:
    """Return the pairs of labels in a block, (pairs, 2), sorted."""
    return np.unique(as_pairs(image, other), axis=0)


def as_pairs(image: Image, other: Image) -> Pairs:
    """Return the pair of labels of each pixel, (pixels, 2)."""
    return np.stack([image.ravel(), other.ravel()], axis=1).astype(np.int64)


def join_pairs(a: Pairs, b: Pairs) -> Pairs:
    """Join the pairs of two sets of tiles."""
    return np.unique(np.concatenate([a, b]), axis=0)


@operation(
    "Join segmentations",
    "Regions",
    Statistical((Measure(pairs_in, join_pairs),)),
    channels="gray",
    takes="labels",
    arrays=12,
    cost=100.0,
)
def join_segmentations(
    image: Image, *, other: Annotated[Image, Input("labels")], statistics: tuple[Any]
) -> Image:
    """Join two label images: pixels have one label if they have one in both images.

    Labels are numbered from 1 in the order of the first image's labels, then of the second's; what
    is background in both stays background.

    Parameters
    ----------
    other : ndarray
        The other label image.

    References
    ----------
    skimage.segmentation.join_segmentations
    """
    (pairs,) = statistics
    numbers = np.arange(len(pairs)) + (0 if not len(pairs) or not pairs[0].any() else 1)
    # The second label counts within the first one.
    firsts, first = np.unique(pairs[:, 0], return_inverse=True)
    seconds, second = np.unique(pairs[:, 1], return_inverse=True)
    keys = first * seconds.size + second
    of = np.searchsorted(firsts, image) * seconds.size + np.searchsorted(seconds, other)
    result: Image = numbers[np.searchsorted(keys, of)].astype(np.int32)
    return result
