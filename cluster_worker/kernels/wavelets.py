"""Denoising with the Haar wavelet, with the same bits as scikit-image."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.lazy import lazily

_denoise = lazily("skimage.restoration._denoise")
loops = lazily("cluster_worker.kernels.loops.wavelets")

# By default, this many of the coarsest scales are not denoised.
COARSEST = 3
# The detail coefficients of one scale: across, down, and diagonal.
Details = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def denoised(
    plane: Image, sigma: float | None, mode: str, wavelet_levels: int | None, method: str
) -> Image:
    """Denoise one plane of an image.

    Parameters
    ----------
    plane : ndarray
        (rows, columns) of float32 or float64.
    sigma, mode, wavelet_levels, method
        As in ``skimage.restoration.denoise_wavelet``.

    Returns
    -------
    ndarray
        Same shape and type as the plane.
    """
    # As many scales as the shorter side can be halved, without the coarsest.
    levels = wavelet_levels or max(min(plane.shape).bit_length() - 1 - COARSEST, 1)
    shrink = soft_thresholded if mode == "soft" else hard_thresholded
    coarse, scales = np.ascontiguousarray(plane), []
    for _ in range(levels):
        coarse, details = split(coarse)
        scales.append(details)
    noise = _denoise._sigma_est_dwt(scales[0][2]) if sigma is None else sigma
    shapes = [plane.shape, *(details[0].shape for details in scales)]
    for details, shape in zip(reversed(scales), reversed(shapes[:-1]), strict=True):
        if method == "BayesShrink":
            thresholds = [_denoise._bayes_thresh(each, noise**2) for each in details]
        else:
            thresholds = [_denoise._universal_thresh(plane, noise)] * 3
        kept = [
            shrink(each, threshold) for each, threshold in zip(details, thresholds, strict=True)
        ]
        coarse = joined(coarse, kept, shape)
    return coarse.astype(plane.dtype)


def soft_thresholded(details: NDArray[Any], threshold: Any) -> NDArray[Any]:
    """Shrink details towards 0 by a threshold."""
    kept = 1 - threshold / np.abs(details)
    np.maximum(kept, 0, out=kept)
    less: NDArray[Any] = details * kept
    return less


def hard_thresholded(details: NDArray[Any], threshold: Any) -> NDArray[Any]:
    """Set details to 0 whose magnitude is below a threshold."""
    return np.where(np.abs(details) < threshold, 0, details)


def haar_weight(dtype: Any) -> Any:
    """Return the weight of each value of a pair in the Haar wavelet: the root of 0.5, in a type."""
    return np.dtype(dtype).type(math.sqrt(0.5))


def split(image: Image) -> tuple[Image, Details]:
    """Split an image into one of half the size and its details, one step of the transform."""
    half = tuple((side + 1) // 2 for side in image.shape)
    coarse, across, down, diagonal = (np.empty(half, image.dtype) for _ in range(4))
    loops.split(image, haar_weight(image.dtype), coarse, across, down, diagonal)
    return coarse, (across, down, diagonal)


def joined(coarse: Image, details: list[Any], shape: tuple[int, ...]) -> Image:
    """Join an image of half the size and its details into one of this shape; inverts `split`."""
    dtype = np.result_type(coarse, *details)
    image = np.empty(shape, dtype)
    coefficients = [np.ascontiguousarray(each, dtype) for each in (coarse, *details)]
    loops.join(*coefficients, haar_weight(dtype), image)
    return image
