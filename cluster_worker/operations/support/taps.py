"""Blur and zoom along one axis as a single weighted sum.

`Shares` hold the sum for each pixel of a resized axis. `taps` turns them into the arrays of
`kernels.resampling`.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from cluster_worker.kernels.resampling import Taps
from cluster_worker.lazy import lazily
from cluster_worker.operations.support import folding, sampling
from cluster_worker.operations.support.folding import Border, Floats, Indices
from cluster_worker.operations.support.gaussians import reach

_filters = lazily("scipy.ndimage._filters")

# Standard deviations below this one do not blur, as in scipy.
NO_BLUR = 1e-15
# Ranges of an axis whose taps stay in the cache: those of a few tiles.
TAPS_KEPT = 16


class Shares(NamedTuple):
    """The weighted sum for each pixel of an axis.

    Attributes
    ----------
    pixels : ndarray of int
        (pixels, terms): indices of the pixels that are summed. They may repeat.
    weights : ndarray of float64
        (pixels, terms): the weight of each.
    """

    pixels: Indices
    weights: Floats


# From pixels of the result to their shares. Lengths before and after, the blur and such are passed
# as keywords.
SharesOf = Callable[..., Shares]


def identity(pixels: Indices) -> Shares:
    """Return shares that take each pixel from itself."""
    return Shares(pixels[:, np.newaxis], np.ones((len(pixels), 1)))


def compose(shares: Shares, indices: Indices, weights: Floats) -> Shares:
    """Replace each pixel in shares by a weighted sum of other pixels.

    Parameters
    ----------
    shares : Shares
        (pixels, terms).
    indices, weights : ndarray
        (pixels, terms, inner terms): the sum for each pixel of `shares`.

    Returns
    -------
    Shares
        (pixels, terms · inner terms).
    """
    count = len(shares.pixels)
    total = shares.weights[..., np.newaxis] * weights
    return Shares(indices.reshape(count, -1), total.reshape(count, -1))


def through_blur(shares: Shares, length: int, sigma: float, border: Border) -> Shares:
    """Replace each pixel in shares by the blur around it; `sigma` is in pixels."""
    if sigma < NO_BLUR:
        return shares
    radius = reach(sigma)
    weights = _filters._gaussian_kernel1d(sigma, 0, radius)
    around = shares.pixels[..., np.newaxis] + np.arange(-radius, radius + 1)
    return compose(shares, folding.folded(around, length, border), weights)


def through_zoom(shares: Shares, length: int, new: int, order: int, border: Border) -> Shares:
    """Replace each pixel of an axis of `new` pixels by its sample of one of `length` pixels."""
    at = zoomed(shares.pixels.astype(np.float64), length, new)
    at = folding.folded_coordinates(at, length, border)
    indices = np.stack(sampling.neighbours(at, order), axis=-1)
    weights = np.stack(sampling.spline_weights(at, order), axis=-1)
    return compose(shares, folding.folded(indices, length, border), weights)


def zoomed(index: Any, length: int, new: int) -> Any:
    """Convert pixels of an axis of `new` pixels to coordinates in one of `length`, as scipy."""
    return (index + 0.5) * (length / new) - 0.5


def gathered(pixels: Indices, step: int, shares_of: SharesOf) -> Taps:
    """Sum the shares that name the same pixel of the image, and lay them out as `Taps`.

    Parameters
    ----------
    pixels : ndarray of int
        Consecutive pixels of the result. The last entry is a reference pixel: pixels with the
        same weights are marked.
    step, shares_of : int, callable
        As in `taps`.

    Returns
    -------
    Taps
        Without the reference pixel.
    """
    shares = shares_of(pixels)
    first, last = shares.pixels.min(axis=1), shares.pixels.max(axis=1)
    count = last - first + 1
    most = int(count.max())
    cells = np.arange(len(pixels))[:, np.newaxis] * most + shares.pixels - first[:, np.newaxis]
    total = np.bincount(cells.ravel(), shares.weights.ravel(), len(pixels) * most)
    weights = total.reshape(len(pixels), most).astype(np.float32)
    even = (
        (step > 0)
        & (count == count[-1])
        & (first - first[-1] == step * (pixels - pixels[-1]))
        & (weights == weights[-1]).all(axis=1)
    )
    lines = np.stack([first, count, even], axis=1)
    return Taps(lines[:-1], weights[:-1], step)


@lru_cache(maxsize=TAPS_KEPT)
def taps(
    core: tuple[int, int], new: int, step: int, shares_of: SharesOf, /, **parameters: float
) -> Taps:
    """Compute the weighted sums for a range of a resized axis.

    The result is cached: tiles of one image, and images of one size, need the same taps.

    Parameters
    ----------
    core : tuple of int
        First pixel of the range, and the one after its last.
    new : int
        Pixels of the resized axis.
    step : int
        Distance in the image between neighbouring pixels of the result, if it is a whole number
        of pixels, or 0.
    shares_of : callable
        From pixels of the result to their shares. It is called with `parameters` as keywords.
    """
    # Which pixels are marked must not depend on the range, so that tilings agree: the reference is
    # the middle of the axis.
    return gathered(np.append(np.arange(*core), new // 2), step, partial(shares_of, **parameters))


def even_step(length: int, new: int) -> int:
    """Return the factor by which an axis shrinks if it is a whole number, or 0."""
    return length // new if length % new == 0 else 0
