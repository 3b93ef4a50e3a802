"""Watershed segmentation, with compiled loops."""

import numpy as np
from scipy import ndimage

# Private functions of scikit-image: markers and neighbours must come in exactly its order.
from cluster_worker.kernels import Image, floods
from cluster_worker.lazy import lazily

segmentation = lazily("skimage.segmentation")
_util = lazily("skimage.morphology._util")
_watershed = lazily("skimage.segmentation._watershed")
loops = lazily("cluster_worker.kernels.loops.basins")

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
    framed = np.full([n + 2 for n in relief.shape], -1, np.int32)
    within = framed[1:-1, 1:-1]
    np.copyto(within, given, where=inside.view(np.bool_), casting="same_kind")
    near = ndimage.generate_binary_structure(2, connectivity)
    loops.flood(
        np.pad(levels, 1).reshape(-1),
        framed.reshape(-1),
        np.flatnonzero(framed > 0),
        _util._offsets_to_raveled_neighbors(framed.shape, near, (1, 1)),
        np.empty(framed.size, np.uint64),
        np.empty(framed.size, np.uint32),
    )
    return np.maximum(within, 0, dtype=given.dtype)


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
