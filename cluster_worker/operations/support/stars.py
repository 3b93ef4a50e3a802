"""The picture of oriented gradients: a star of lines in every cell of a grid."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage import draw
from skimage.feature import _hoghistogram
from skimage.feature._hog import _hog_channel_gradient

from cluster_worker.operations.declare import Image, Span

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


class Ends(NamedTuple):
    """Where the lines of some neighbouring cells end, along rows or along columns.

    Attributes
    ----------
    cells : slice
        Which cells.
    starts, stops : ndarray of int
        Of each orientation's line, within a cell.
    """

    cells: slice
    starts: Indices
    stops: Indices


def ends(reach: NDArray[np.float64], side: int, first: int, count: int) -> list[Ends]:
    """Give where lines end, for runs of cells whose lines end alike.

    As scikit-image draws them, from where a cell lies in the whole image, ends may be rounded
    otherwise in one cell than in the next.

    Parameters
    ----------
    reach : ndarray
        From the middle of a cell to the end of each orientation's line.
    side : int
        Of a cell.
    first, count : int
        The first cell, counted in the whole image, and how many there are.
    """
    corner = side * (first + np.arange(count))[:, np.newaxis]
    middle = corner + side // 2
    starts, stops = ((middle + sign * reach).astype(np.intp) - corner for sign in (-1, 1))
    changes = np.diff(np.hstack([starts, stops]), axis=0).any(axis=1)
    edges = [0, *(np.flatnonzero(changes) + 1), count]
    return [Ends(slice(begin, end), starts[begin], stops[begin]) for begin, end in pairwise(edges)]


def stars(image: Image, orientations: int, side: int, window: Span) -> Image:
    """Draw lines along the edges in each cell, as bright as those are strong together.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels), of at least one cell.
    orientations : int
        Lines of a star.
    side : int
        Rows and columns of a cell.
    window : Span
        Where the image lies in the whole one; it begins with a cell.

    Returns
    -------
    ndarray
        (rows, columns), of the image's type; what is left over beside the last cell is 0.
    """
    found = histograms(image, orientations, side)
    down, across = found.shape[:2]
    cells = np.zeros((down, side, across, side), image.dtype)
    length = side // 2 - 1
    middle = np.pi * (np.arange(orientations) + 0.5) / orientations
    for rows in ends(length * np.cos(middle), side, window.top // side, down):
        for columns in ends(length * np.sin(middle), side, window.left // side, across):
            for i in range(orientations):
                strength = found[rows.cells, columns.cells, i]
                # Up and to the right, down and to the left.
                line = draw.line(rows.starts[i], columns.stops[i], rows.stops[i], columns.starts[i])
                for y, x in zip(*line, strict=True):
                    cells[rows.cells, y, columns.cells, x] += strength
    result: Image = np.zeros(image.shape[:2], image.dtype)
    result[: down * side, : across * side] = cells.reshape(down * side, across * side)
    return result
