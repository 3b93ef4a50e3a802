"""The picture of oriented gradients: a star of lines in every cell of a grid."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from skimage import draw
from skimage.feature import _hoghistogram
from skimage.feature._hog import _hog_channel_gradient

from cluster_worker.operations.declare import Image

Indices = NDArray[np.intp]
Histograms = NDArray[np.float64]


def steepest(image: Image) -> tuple[Image, Image]:
    """Give the differences along columns and along rows; of colours those that are steepest."""
    if image.ndim == 2:
        down, across = _hog_channel_gradient(image)
        return down, across
    slopes = [_hog_channel_gradient(image[..., i]) for i in range(image.shape[2])]
    down, across = slopes[0]
    steep = np.hypot(down, across)
    for other_down, other_across in slopes[1:]:
        other = np.hypot(other_down, other_across)
        # The first of equals counts, and NaN before all numbers, as for argmax.
        better = (other > steep) | (np.isnan(other) & ~np.isnan(steep))
        np.copyto(down, other_down, where=better)
        np.copyto(across, other_across, where=better)
        np.copyto(steep, other, where=better)
    return down, across


def histograms(image: Image, orientations: int, side: int) -> Histograms:
    """Sum up how steep the pixels of each cell are, (rows, columns, orientations) of cells."""
    rows, columns = image.shape[:2]
    found = np.zeros((rows // side, columns // side, orientations))
    down, across = (each.astype(np.float64, copy=False) for each in steepest(image))
    down_cells, across_cells = found.shape[:2]
    _hoghistogram.hog_histograms(
        *(across, down, side, side, columns, rows),
        *(across_cells, down_cells, orientations, found),
    )
    return found


@lru_cache(maxsize=32)
def lines(
    orientations: int, side: int, row: int, column: int
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Give the pixels of the lines that are drawn in a cell, (row, column) within it.

    As scikit-image draws them, their ends may be rounded otherwise in the first row or column of
    cells than in any other: 0 stands for it, 1 for the others.
    """
    length = side // 2 - 1
    middle = np.pi * (np.arange(orientations) + 0.5) / orientations
    top, left = row * side, column * side
    y, x = top + side // 2, left + side // 2
    found = []
    for right, down in zip(length * np.sin(middle), length * np.cos(middle), strict=True):
        pixels = draw.line(int(y - down), int(x + right), int(y + down), int(x - right))
        found.append(tuple((int(a) - top, int(b) - left) for a, b in zip(*pixels, strict=True)))
    return tuple(found)


def stars(image: Image, orientations: int, side: int) -> Image:
    """Draw lines along the edges in each cell, as bright as those are strong together.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels), of at least one cell.
    orientations : int
        Lines of a star.
    side : int
        Rows and columns of a cell.

    Returns
    -------
    ndarray
        (rows, columns), of the image's type; what is left over beside the last cell is 0.
    """
    found = histograms(image, orientations, side)
    down, across = found.shape[:2]
    cells = np.zeros((down, side, across, side), image.dtype)
    for row, rows in ((0, slice(0, 1)), (1, slice(1, None))):
        for column, columns in ((0, slice(0, 1)), (1, slice(1, None))):
            for i, pixels in enumerate(lines(orientations, side, row, column)):
                strength = found[rows, columns, i]
                for y, x in pixels:
                    cells[rows, y, columns, x] += strength
    result: Image = np.zeros(image.shape[:2], image.dtype)
    result[: down * side, : across * side] = cells.reshape(down * side, across * side)
    return result
