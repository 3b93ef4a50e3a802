"""References of peaks, of holes, and of operations on two images."""

import numpy as np
from scipy import ndimage
from skimage import exposure, segmentation
from skimage.feature import peak_local_max

from tests.cluster_worker.operations.reference.shared import axis


def peak_mask(
    image, exclude_border, num_peaks, chessboard, num_peaks_per_label, labels=None, **options
):
    """Mark the peaks as users do; scikit-image cannot sort those of a mask."""
    image = image.view(np.uint8) if image.dtype.kind == "b" else image
    if np.isnan(image).any():
        raise ValueError("NaN")
    points = peak_local_max(
        image,
        exclude_border=True if exclude_border is None else exclude_border,
        num_peaks=np.inf if num_peaks is None else num_peaks,
        num_peaks_per_label=np.inf if num_peaks_per_label is None else num_peaks_per_label,
        p_norm=np.inf if chessboard else 2,
        labels=labels,
        **options,
    )
    mask = np.zeros(image.shape, bool)
    mask[tuple(points.T)] = True
    return mask


def match_histograms(image, reference):
    if np.isnan(image).any() or np.isnan(reference).any():
        raise ValueError("NaN")
    return exposure.match_histograms(image, reference, channel_axis=axis(image))


def join_segmentations(image, other):
    """Join labels in 64 bits: scikit-image computes small ones modulo their range."""
    found = segmentation.join_segmentations(image.astype(np.int64), other.astype(np.int64))
    return found.astype(np.int32)


REFERENCE = {
    "match_histograms": match_histograms,
    "join_segmentations": join_segmentations,
    "peak_mask": peak_mask,
    "binary_fill_holes": lambda image: ndimage.binary_fill_holes(image),
}
