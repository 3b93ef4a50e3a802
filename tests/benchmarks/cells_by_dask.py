"""Cells from a raw picture to a table with dask-image and scikit-image, as users write it by hand.

`python cells_by_dask.py IN.tif LABELS.npy` runs in an environment that has dask-image. Blocks are
computed with a margin, which the steps that look further than a pixel need. dask-image joins labels
over blocks, but has neither a watershed nor peaks, so scikit-image computes those in each block.
"""

import csv
import sys
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import tifffile
import zarr
from dask_image import ndfilters, ndmeasure
from scipy import ndimage
from skimage import feature, filters, segmentation

BLOCK = 2048
# More than the radius of a cell.
MARGIN = 32


def peaks_of(distance):
    """Return the peaks of a block as a mask."""
    found = np.zeros(distance.shape, bool)
    found[tuple(feature.peak_local_max(distance, min_distance=5, exclude_border=False).T)] = True
    return found


def basins_of(distance, markers, mask):
    """Return the basins of a block."""
    return segmentation.watershed(-distance, markers, mask=mask)


def sums_of(labels, picture, count, top, left):
    """Return pixels, sums of rows and columns, and of values, of each label of a block."""
    rows, columns = np.nonzero(labels)
    found = labels[rows, columns]
    weights = (None, rows + top, columns + left, picture[rows, columns].astype(float))
    return np.stack([np.bincount(found, each, count + 1) for each in weights])


def main(source, target):
    """Label the cells of a picture, and write their table beside the labels."""
    with tifffile.TiffFile(source) as file:
        stored = zarr.open(file.aszarr(), mode="r")
        picture = da.from_array(stored, chunks=BLOCK)
        smooth = ndfilters.gaussian_filter(picture.astype(np.float32) / 65535, 1.5, mode="nearest")
        least, most = dask.compute(smooth.min(), smooth.max())
        counts, edges = da.histogram(smooth, 256, (least, most))
        middles = (edges[:-1] + edges[1:]) / 2
        mask = smooth > filters.threshold_otsu(hist=(counts.compute(), middles))
        overlap = {"depth": MARGIN, "boundary": "none"}
        mask = mask.map_overlap(ndimage.binary_fill_holes, dtype=bool, **overlap)
        distance = mask.map_overlap(ndimage.distance_transform_edt, dtype=float, **overlap)
        peaks = distance.map_overlap(peaks_of, dtype=bool, **overlap)
        markers, count = ndmeasure.label(peaks, np.ones((3, 3)))
        labels = da.map_overlap(basins_of, distance, markers, mask, dtype=np.int32, **overlap)
        written = np.lib.format.open_memmap(target, "w+", np.int32, picture.shape)
        da.store(labels, written)
        sums = np.zeros((4, int(count.compute()) + 1))
        for top in range(0, written.shape[0], BLOCK):
            for left in range(0, written.shape[1], BLOCK):
                span = slice(top, top + BLOCK), slice(left, left + BLOCK)
                sums += sums_of(written[span], stored[span], sums.shape[1] - 1, top, left)
    with Path(target + ".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "area", "centroid-0", "centroid-1", "intensity_mean"])
        for label in np.flatnonzero(sums[0]):
            area, *others = sums[:, label]
            writer.writerow([label, area, *(each / area for each in others)])


if __name__ == "__main__":
    main(*sys.argv[1:])
