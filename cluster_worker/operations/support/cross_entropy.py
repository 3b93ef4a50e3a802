"""Li's threshold: the level of least cross entropy, from counts per value or sums in bins."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.operations.declare import Image
from cluster_worker.operations.support.statistics import (
    Extent,
    counts,
    numbers,
    refuse_not_finite,
)

# Li's method on floats: number of bins, and of steps within a bin to which values are rounded.
LI_BINS = 1 << 16
LI_STEPS = 1 << 30


def levels(image: Image, between: Extent) -> NDArray[np.int64]:
    """Count the pixels of each value; for floats, count and sum the pixels in each of many bins.

    Parameters
    ----------
    image : ndarray
        A core.
    between : tuple
        Least and greatest value of the whole image.

    Returns
    -------
    ndarray
        For integers, the counts. For floats, (4, LI_BINS): the number of pixels in each bin, and
        their sum, least and greatest value in steps above the start of the bin. All are whole
        numbers, so that any order of tiles adds up to the same.

    Raises
    ------
    Rejected
        If the image holds infinity, or no number.
    """
    if image.dtype.kind in "bu":
        # Masks have two levels.
        return counts(image.view(np.uint8) if image.dtype.kind == "b" else image, between)
    refuse_not_finite(between)
    low, high = map(float, between)
    share = (numbers(image).ravel().astype(np.float64) - low) / ((high - low) or 1.0)
    steps = (share * (LI_BINS * LI_STEPS - 1)).astype(np.int64)
    bins, steps = steps // LI_STEPS, steps % LI_STEPS
    found = np.zeros((4, LI_BINS), np.int64)
    found[0] = np.bincount(bins, minlength=LI_BINS)
    found[1] = np.bincount(bins, steps, LI_BINS)
    found[2] = LI_STEPS
    np.minimum.at(found[2], bins, steps)
    np.maximum.at(found[3], bins, steps)
    return found


def join_levels(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Combine the counts of two tiles."""
    joined: NDArray[np.int64] = a + b
    if a.ndim == 2:
        joined[2], joined[3] = np.minimum(a[2], b[2]), np.maximum(a[3], b[3])
    return joined


@lru_cache(maxsize=4)
def li_level(found: bytes, between: tuple[float, float] | None) -> Any:
    """Find the level of least cross entropy.

    Parameters
    ----------
    found : bytes
        What `levels` measured in the whole image, as int64.
    between : tuple of float, optional
        Least and greatest value of a float image; None for integers.

    Returns
    -------
    float
        For floats, the level minus the least value of the image.
    """
    if between is not None:
        low, high = between
        pixels, sums, least, greatest = np.frombuffer(found, np.int64).reshape(4, -1)
        there = np.flatnonzero(pixels)
        scale = (high - low) / (LI_BINS * LI_STEPS - 1)
        values = (there * LI_STEPS + sums[there] / pixels[there]) * scale
        weights = pixels[there].astype(np.float64)
        # Half the least difference of two values, as in scikit-image, if no bin holds two values.
        alone = (least == greatest)[there].all()
        tolerance = float(np.diff(values).min()) / 2 if alone else (high - low) * 1e-9
        return li_iterated(values, weights, weights, tolerance)
    counted = np.frombuffer(found, np.int64)
    there = np.flatnonzero(counted)
    exact = counted[there].astype(np.float64)
    # scikit-image computes the means of integers with counts in float32.
    values = there - there[0]
    return li_iterated(values, exact, exact.astype(np.float32), 0.5) + there[0]


def li_iterated(
    values: NDArray[Any], exact: NDArray[Any], weights: NDArray[Any], tolerance: float
) -> Any:
    """Iterate to the level of least cross entropy.

    Parameters
    ----------
    values : ndarray
        Levels, the least of which is 0.
    exact, weights : ndarray of float
        Pixels of each level: `exact` for the mean of all, `weights` for those of the two classes.
    tolerance : float
        The iteration stops when the level changes by no more than this.
    """
    after = np.average(values, weights=exact)
    before = -2 * tolerance
    while abs(after - before) > tolerance:
        before = after
        bright = values > before
        mean_bright = np.average(values[bright], weights=weights[bright])
        mean_dark = np.average(values[~bright], weights=weights[~bright])
        if mean_dark == 0:
            break
        after = (mean_dark - mean_bright) / (np.log(mean_dark) - np.log(mean_bright))
    return after
