"""Watershed segmentation, with compiled loops."""

import numpy as np

# Private functions of scikit-image: markers and neighbours must come in exactly its order.
from cluster_worker.kernels import Image, floods
from cluster_worker.lazy import lazily

ndimage = lazily("scipy.ndimage")
segmentation = lazily("skimage.segmentation")
_util = lazily("skimage.morphology._util")
_watershed = lazily("skimage.segmentation._watershed")
loops = lazily("cluster_worker.kernels.loops.basins")
ordered = lazily("cluster_worker.kernels.loops.ordered_floods")

# The sign bit of a float32.
SIGN = np.uint32(1 << 31)
# Most pixels of an image with its frame: pixels are numbered in 31 bits.
PIXELS_MAX = 1 << 31


def watershed(
    relief: Image, markers: int | Image | None, connectivity: int, mask: Image | None = None
) -> Image:
    """Divide an image into basins, as ``skimage.segmentation.watershed`` does.

    No lines are left between the basins, and their compactness is 0.

    Parameters
    ----------
    relief : ndarray of float32 or float64
        (rows, columns).
    markers, connectivity, mask
        As in ``skimage.segmentation.watershed``.

    Returns
    -------
    ndarray
        (rows, columns): labels, in the type that scikit-image gives to the markers.
    """
    if np.isnan(relief).any() or (relief.shape[0] + 2) * (relief.shape[1] + 2) >= PIXELS_MAX:
        # NaN has no order: its labels depend on how scikit-image's own heap moves its entries.
        labels: Image = segmentation.watershed(relief, markers, connectivity, mask=mask)
        return labels
    given = minima(relief, connectivity, mask) if markers is None else markers
    levels = levels_of(relief)
    given, inside = _watershed._validate_inputs(relief, given, mask, connectivity)[1:]
    owners, labels = numbered(given, inside.view(np.bool_))
    near = ndimage.generate_binary_structure(2, connectivity)
    loops.flood(
        np.pad(levels, 1).reshape(-1),
        owners.reshape(-1),
        np.flatnonzero(owners > 0),
        _util._offsets_to_raveled_neighbors(owners.shape, near, (1, 1)),
        np.empty(owners.size, np.uint64),
        np.empty(owners.size, np.uint32),
    )
    return labelled(owners, labels)


def numbered(markers: Image, inside: Image) -> tuple[Image, Image]:
    """Number the pixels of markers in reading order.

    Parameters
    ----------
    markers : ndarray of int
        (rows, columns): labels, 0 where there is no marker.
    inside : ndarray of bool
        (rows, columns): where basins may lie.

    Returns
    -------
    owners : ndarray of int32
        (rows + 2, columns + 2): the numbers of the markers' pixels from 1, 0 elsewhere inside, and
        -1 outside and on the frame.
    labels : ndarray
        The label of each number, in the type of the markers; that of 0 is 0.
    """
    owners = np.full([n + 2 for n in markers.shape], -1, np.int32)
    within = owners[1:-1, 1:-1]
    within[inside] = 0
    found = inside & (markers != 0)
    labels = np.append(markers.dtype.type(0), markers[found])
    within[found] = np.arange(1, labels.size)
    return owners, labels


def labelled(owners: Image, labels: Image) -> Image:
    """Return the labels of an image without its frame, from what `numbered` returns."""
    result: Image = labels[np.maximum(owners[1:-1, 1:-1], 0)]
    return result


def watershed_by_position(
    relief: Image, markers: Image, connectivity: int, mask: Image | None = None
) -> Image:
    """Divide an image into basins; of markers of one level, the first in the image rises first.

    Otherwise it is `watershed`. There marker i of n has the age 0 as all others, so that the order
    follows the layout of one heap over all pixels. Here it has the age i - n, so that connected
    regions of the mask do not depend on each other.

    Parameters
    ----------
    relief : ndarray
        (rows, columns), without NaN.
    markers : ndarray of int
        (rows, columns): the labels of the markers, 0 elsewhere.
    connectivity, mask
        As in ``skimage.segmentation.watershed``.

    Returns
    -------
    ndarray
        (rows, columns): labels, in the type of the markers.
    """
    inside = np.ones(relief.shape, np.bool_) if mask is None else np.asarray(mask, np.bool_)
    owners, labels = numbered(markers, inside)
    levels = np.zeros(owners.shape, np.uint32)
    values, ranks = np.unique(relief[inside], return_inverse=True)
    levels[1:-1, 1:-1][inside] = ranks
    near = ndimage.generate_binary_structure(2, connectivity)
    ordered.flood(
        levels.reshape(-1),
        owners.reshape(-1),
        np.flatnonzero(owners > 0),
        _util._offsets_to_raveled_neighbors(owners.shape, near, (1, 1)),
        np.full(values.size, -1, np.int32),
        np.full(values.size, -1, np.int32),
        np.full(owners.size, -1, np.int32),
    )
    return labelled(owners, labels)


def minima(relief: Image, connectivity: int, mask: Image | None) -> Image:
    """Label the plateaus that are lower than all their neighbours, from 1.

    A flat image has none. A mask may cut a plateau in two.
    """
    if relief.min() == relief.max():
        return np.zeros(relief.shape, np.int32)
    lowest = floods.dropped(floods.highest(-relief, connectivity), relief, connectivity)
    lowest = lowest if mask is None else lowest & mask
    near = ndimage.generate_binary_structure(2, connectivity)
    labels: Image = ndimage.label(lowest, near)[0]
    return labels


def levels_of(relief: Image) -> Image:
    """Return uint32 levels that compare as the floats do, and are equal where those are equal."""
    if relief.dtype != np.float32:
        ranks: Image = np.unique(relief, return_inverse=True)[1].astype(np.uint32)
        return ranks.reshape(relief.shape)
    # Adding 0 turns the negative zero into the positive one.
    bits = (relief + np.float32(0)).view(np.uint32)
    levels: Image = np.where(bits & SIGN, ~bits, bits | SIGN)
    return levels
