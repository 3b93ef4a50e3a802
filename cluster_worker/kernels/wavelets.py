"""Noise taken away by the shortest wavelet, a step, to the last bit as scikit-image does."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.restoration._denoise import _bayes_thresh, _sigma_est_dwt, _universal_thresh

from cluster_worker.kernels import Image, lazily

loops = lazily("cluster_worker.kernels.loops.wavelets")

# Coarser scales than these many are left as they are.
COARSEST = 3
# What an image of half the size lacks across, down, and slanted.
Details = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def denoised(
    plane: Image, sigma: float | None, mode: str, wavelet_levels: int | None, method: str
) -> Image:
    """Take noise away from one colour.

    Parameters
    ----------
    plane : ndarray
        (rows, columns) of float32 or float64.
    sigma, mode, wavelet_levels, method
        As in ``skimage.restoration.denoise_wavelet``.
    """
    # As often as the shorter side can be halved.
    levels = wavelet_levels or max(min(plane.shape).bit_length() - 1 - COARSEST, 1)
    coarse, scales = np.ascontiguousarray(plane), []
    for _ in range(levels):
        coarse, details = parted(coarse)
        scales.append(details)
    noise = _sigma_est_dwt(scales[0][2]) if sigma is None else sigma
    shapes = [plane.shape, *(details[0].shape for details in scales)]
    for details, shape in zip(reversed(scales), reversed(shapes[:-1]), strict=True):
        if method == "BayesShrink":
            thresholds = [_bayes_thresh(each, noise**2) for each in details]
        else:
            thresholds = [_universal_thresh(plane, noise)] * 3
        kept = [
            lessened(each, threshold) if mode == "soft" else cut(each, threshold)
            for each, threshold in zip(details, thresholds, strict=True)
        ]
        coarse = joined(coarse, kept, shape)
    return coarse.astype(plane.dtype)


def lessened(details: NDArray[Any], threshold: Any) -> NDArray[Any]:
    """Bring details nearer to 0 by a threshold."""
    kept = 1 - threshold / np.abs(details)
    np.maximum(kept, 0, out=kept)
    less: NDArray[Any] = details * kept
    return less


def cut(details: NDArray[Any], threshold: Any) -> NDArray[Any]:
    """Drop details that are less than a threshold."""
    return np.where(np.abs(details) < threshold, 0, details)


def share_of(dtype: Any) -> Any:
    """Give what each of two values counts, in their type."""
    return np.dtype(dtype).type(math.sqrt(0.5))


def parted(image: Image) -> tuple[Image, Details]:
    """Give an image of half the size, and what that lacks."""
    half = tuple((side + 1) // 2 for side in image.shape)
    coarse, across, down, slanted = (np.empty(half, image.dtype) for _ in range(4))
    loops.part(image, share_of(image.dtype), coarse, across, down, slanted)
    return coarse, (across, down, slanted)


def joined(coarse: Image, details: list[Any], shape: tuple[int, ...]) -> Image:
    """Make an image of this shape of one of half the size and what that lacks."""
    kind = np.result_type(coarse, *details)
    image = np.empty(shape, kind)
    parts = [np.ascontiguousarray(each, kind) for each in (coarse, *details)]
    loops.join(*parts, share_of(kind), image)
    return image
