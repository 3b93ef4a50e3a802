"""References of peaks and of holes."""

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max


def peak_mask(image, exclude_border, num_peaks, chessboard, **options):
    """Mark the peaks as users do; scikit-image cannot sort those of a mask."""
    image = image.view(np.uint8) if image.dtype.kind == "b" else image
    if np.isnan(image).any():
        raise ValueError("NaN")
    points = peak_local_max(
        image,
        exclude_border=True if exclude_border is None else exclude_border,
        num_peaks=np.inf if num_peaks is None else num_peaks,
        p_norm=np.inf if chessboard else 2,
        **options,
    )
    mask = np.zeros(image.shape, bool)
    mask[tuple(points.T)] = True
    return mask


REFERENCE = {
    "peak_mask": peak_mask,
    "binary_fill_holes": lambda image: ndimage.binary_fill_holes(image),
}
