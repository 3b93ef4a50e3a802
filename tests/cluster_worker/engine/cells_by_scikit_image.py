"""The numbers of a large picture of cells by scikit-image: what ours are compared with.

The picture is smoothed by bands, as scipy smooths a whole, so that the threshold of the whole is
known. All that follows is then computed on a crop, or on the whole where it fits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import exposure, feature, filters, measure, segmentation, util

from cluster_worker.kernels import basins

SIGMA = 1.5
HALO = 8
BAND = 512
BINS = 256
# scikit-image takes minutes for others, such as convex hulls.
PROPERTIES = ("label", "area", "bbox", "centroid", "intensity_mean")


@dataclass(frozen=True)
class Smoothed:
    """A picture, the same smoothed, and Otsu's threshold of the whole."""

    picture: NDArray[np.uint16]
    smooth: NDArray[np.float32]
    threshold: np.float32

    def crop(self, span):
        """Return the same of a span of rows and columns, with the threshold of the whole."""
        return Smoothed(self.picture[span], self.smooth[span], self.threshold)

    def labels(self, ties):
        """Return the cells: ties as scikit-image breaks them ("heap"), or by position."""
        mask = ndimage.binary_fill_holes(self.smooth > self.threshold)
        distance = ndimage.distance_transform_edt(mask)
        peaks = feature.peak_local_max(distance, min_distance=5, exclude_border=False)
        marked = np.zeros(mask.shape, bool)
        marked[tuple(peaks.T)] = True
        markers = measure.label(marked)
        if ties == "heap":
            return segmentation.watershed(-distance, markers, mask=mask)
        return basins.watershed_by_position(-distance, markers, 1, mask)

    def table(self, labels):
        """Return the table of the cells."""
        return measure.regionprops_table(labels, self.picture, properties=PROPERTIES)


def smoothed(picture, path):
    """Smooth a picture by bands into a file of bare pixels, and find its threshold.

    Parameters
    ----------
    picture : ndarray of uint16
        May be a mapped file.
    path : Path
        Where the smoothed pixels go.
    """
    rows = picture.shape[0]
    smooth = np.memmap(path, np.float32, "w+", shape=picture.shape)
    for top in range(0, rows, BAND):
        first, last = max(top - HALO, 0), min(top + BAND + HALO, rows)
        band = filters.gaussian(util.img_as_float32(picture[first:last]), SIGMA)
        smooth[top : top + BAND] = band[top - first : top - first + BAND]
    bands = [smooth[top : top + BAND] for top in range(0, rows, BAND)]
    ends = np.array([min(each.min() for each in bands), max(each.max() for each in bands)])
    # A histogram's bins lie between the ends of the whole, which each band is given as its own.
    counts = np.zeros(BINS, np.int64)
    for each in bands:
        counts += np.histogram(each, BINS, (ends[0], ends[1]))[0]
    _, centres = exposure.histogram(ends, BINS, source_range="image")
    return Smoothed(picture, smooth, filters.threshold_otsu(hist=(counts, centres)))


def at_border(labels):
    """Return the labels of the cells whose connected piece of the mask touches the border."""
    pieces = measure.label(labels > 0, connectivity=2)
    edges = [pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]
    touching = np.isin(pieces, np.unique(np.concatenate(edges)))
    return np.unique(labels[touching])


def wrong_cells(found, expected):
    """Return the labels of `expected` that no label of `found` has the pixels of."""
    inside = (found > 0) | (expected > 0)
    pairs, shared = np.unique(
        np.stack([expected[inside], found[inside]]), axis=1, return_counts=True
    )
    one, other = pairs
    ours, theirs = np.bincount(expected.ravel())[one], np.bincount(found.ravel())[other]
    same = (one > 0) & (other > 0) & (shared == ours) & (shared == theirs)
    return np.setdiff1d(np.unique(expected[expected > 0]), one[same])
