"""What a pixel of a resized image is made from, along one axis: blur and zoom as one sum."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import _filters

from cluster_worker.kernels.resampling import Taps
from cluster_worker.operations.filters import reach
from cluster_worker.operations.support import sampling
from cluster_worker.operations.support.sampling import Border, Floats, Indices

# Blurs of less are none, as scipy has it.
NO_BLUR = 1e-15
# Ranges of axes whose taps are kept: those of a few tiles.
TAPS_KEPT = 16


class Shares(NamedTuple):
    """Pixels of an axis that others are made from, and their weights: both (pixels, many)."""

    pixels: Indices
    weights: Floats


SharesOf = Callable[[Indices], Shares]
# The same, with what it has to know by name: lengths before and after, the blur, and such.
Way = Callable[..., Shares]


def own(pixels: Indices) -> Shares:
    """Make each pixel from itself."""
    return Shares(pixels[:, np.newaxis], np.ones((len(pixels), 1)))


def put_through(shares: Shares, offsets: Indices, weights: Floats) -> Shares:
    """Let each pixel of some shares be made from others, (pixels, many, more) of them."""
    count = len(shares.pixels)
    total = shares.weights[..., np.newaxis] * weights
    return Shares(offsets.reshape(count, -1), total.reshape(count, -1))


def through_blur(shares: Shares, length: int, sigma: float, border: Border) -> Shares:
    """Let each pixel be that of a blurred axis."""
    if sigma < NO_BLUR:
        return shares
    radius = reach(sigma)
    weights = _filters._gaussian_kernel1d(sigma, 0, radius)
    around = shares.pixels[..., np.newaxis] + np.arange(-radius, radius + 1)
    return put_through(shares, sampling.folded(around, length, border), weights)


def through_zoom(shares: Shares, length: int, new: int, order: int, border: Border) -> Shares:
    """Let each pixel of an axis of `new` be sampled from one of `length`."""
    at = zoomed(shares.pixels.astype(np.float64), length, new)
    at = sampling.folded_coordinates(at, length, border)
    indices = np.stack(sampling.neighbours(at, order), axis=-1)
    weights = np.stack(sampling.spline_weights(at, order), axis=-1)
    return put_through(shares, sampling.folded(indices, length, border), weights)


def zoomed(index: Any, length: int, new: int) -> Any:
    """Give coordinates in an axis of `length` for pixels of one of `new`, as scipy does."""
    return (index + 0.5) * (length / new) - 0.5


def gathered(pixels: Indices, step: int, shares_of: SharesOf) -> Taps:
    """Join the shares that a pixel of the result takes of one pixel of the image.

    Parameters
    ----------
    pixels : ndarray of int
        Of the result, one after the other, and at the end one that others may be like.
    step, shares_of : int, callable
        As in `taps`.
    """
    shares = shares_of(pixels)
    first, last = shares.pixels.min(axis=1), shares.pixels.max(axis=1)
    count = last - first + 1
    most = int(count.max())
    places = np.arange(len(pixels))[:, np.newaxis] * most + shares.pixels - first[:, np.newaxis]
    total = np.bincount(places.ravel(), shares.weights.ravel(), len(pixels) * most)
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
def taps(core: tuple[int, int], new: int, step: int, way: Way, /, **known: float) -> Taps:
    """Give what a range of a resized axis is made from.

    Tiles of one image, and images of one size, ask for the same again.

    Parameters
    ----------
    core : tuple of int
        Half open.
    new : int
        Pixels of the axis.
    step : int
        How far neighbouring pixels lie apart in the image, if that is a whole number, or 0.
    way : callable
        From pixels of the result, and what is `known` by name, to their shares.
    """
    # Whether a pixel is like others must not depend on the range: the middle one decides.
    return gathered(np.append(np.arange(*core), new // 2), step, partial(way, **known))


def even_step(length: int, new: int) -> int:
    """Give the factor by which an axis is made smaller if it is a whole number, or 0."""
    return length // new if length % new == 0 else 0
