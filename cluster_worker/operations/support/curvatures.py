"""The eigenvalues of the Hessian, with Gaussian derivatives, for each pixel of a core."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import derivatives
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Place, Span
from cluster_worker.operations.support.gaussians import reach

ndimage = lazily("scipy.ndimage")
feature = lazily("skimage.feature")

Weights = NDArray[np.float64]
# From a block, a scale, the border mode, its level and the place, to the curvatures of the core.
Curvatures = Callable[[Image, float, str, float, Place], tuple[Image, Image]]


@lru_cache(maxsize=64)
def kernels(sigma: float) -> tuple[Weights, Weights]:
    """Compute the weights of a Gaussian and of its derivative, as in scikit-image's Hessian.

    scikit-image blurs twice by √½ σ. For σ ≤ 1 it cuts the kernel off only at 100 standard
    deviations, so that most weights are 0 or subnormal numbers, which are slow to compute with.
    They are left out here, which changes a finite image by less than 1e-300.

    Returns
    -------
    blur, slope : ndarray of float64
        For `scipy.ndimage.correlate1d`.
    """
    scaled = 1 / math.sqrt(2) * sigma
    radius = reach(scaled, 8 if sigma > 1 else 100)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    blur, slope = (
        ndimage.gaussian_filter1d(impulse, scaled, order=order, mode="constant", radius=radius)
        for order in (0, 1)
    )
    kept = np.maximum(blur, abs(slope)) >= np.finfo(np.float64).tiny
    return blur[kept][::-1].copy(), slope[kept][::-1].copy()


def around(place: Place, halo: int) -> Span:
    """Return the span of a core with a halo, clipped to its block."""
    grown, window = place.core.grown(halo), place.window
    return Span(
        max(grown.top, window.top),
        min(grown.bottom, window.bottom),
        max(grown.left, window.left),
        min(grown.right, window.right),
    )


def curvatures(
    image: Image, sigma: float, mode: str, cval: float, place: Place
) -> tuple[Image, Image]:
    """Compute the eigenvalues of the Hessian for each pixel of a core.

    As `skimage.feature.hessian_matrix` with Gaussian derivatives: a second derivative is the
    derivative of a derivative, each with half the blur. Each filter keeps only the pixels that
    the next one reads.

    Parameters
    ----------
    image : ndarray of float
        (rows, columns) of the block.
    sigma : float
        Scale, in pixels.
    mode, cval : str, float
        What lies beyond the border, as in scipy.ndimage.
    place : Place
        Of the block.

    Returns
    -------
    greater, lesser : ndarray
        Of the core.
    """
    blur, slope = kernels(sigma)
    half = len(blur) // 2
    outer, middle = around(place, 2 * half), around(place, half)
    block = image[outer.relative_to(place.window).slices]

    def filtered(block: Image, down: Weights, across: Weights, outer: Span, inner: Span) -> Image:
        rows, columns = inner.relative_to(outer).slices
        found: Image = ndimage.correlate1d(block, down, axis=0, mode=mode, cval=cval)[rows]
        ndimage.correlate1d(found, across, axis=1, output=found, mode=mode, cval=cval)
        return found[:, columns]

    by_row = filtered(block, slope, blur, outer, middle)
    by_column = filtered(block, blur, slope, outer, middle)
    greater, lesser = feature.hessian_matrix_eigvals(
        [
            filtered(by_row, slope, blur, middle, place.core),
            filtered(by_row, blur, slope, middle, place.core),
            filtered(by_column, blur, slope, middle, place.core),
        ]
    )
    return greater, lesser


def curvatures_by_loop(
    image: Image, sigma: float, mode: str, cval: float, place: Place
) -> tuple[Image, Image]:
    """Return the same as `curvatures`, by a compiled loop."""
    weights = kernels(sigma)
    middle = around(place, len(weights[0]) // 2)
    greater, lesser = feature.hessian_matrix_eigvals(
        derivatives.second(image, weights, mode, cval, middle, place)
    )
    return greater, lesser
