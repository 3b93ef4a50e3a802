"""The picture of a histogram of oriented gradients: a star of lines in every cell of a grid."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Span

draw = lazily("skimage.draw")
_hoghistogram = lazily("skimage.feature._hoghistogram")
_hog = lazily("skimage.feature._hog")

Indices = NDArray[np.intp]
Histograms = NDArray[np.float64]


def steepest(image: Image) -> tuple[Image, Image]:
    """Return the differences along columns and along rows, of each pixel's steepest colour."""
    if image.ndim == 2:
        down, across = _hog._hog_channel_gradient(image)
        return down, across
    slopes = [_hog._hog_channel_gradient(image[..., i]) for i in range(image.shape[2])]
    down, across = slopes[0]
    steep = np.hypot(down, across)
    for other_down, other_across in slopes[1:]:
        other = np.hypot(other_down, other_across)
        # Of equal values the first counts, and NaN counts as the greatest value, as in argmax.
        better = (other > steep) | (np.isnan(other) & ~np.isnan(steep))
        np.copyto(down, other_down, where=better)
        np.copyto(across, other_across, where=better)
        np.copyto(steep, other, where=better)
    return down, across


def histograms(image: Image, orientations: int, side: int) -> Histograms:
    """Sum the gradient magnitudes of each cell by orientation: (rows, columns, orientations)."""
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
    """The ends of the lines in some neighbouring cells, along rows or along columns.

    Attributes
    ----------
    cells : slice
        The cells.
    starts, stops : ndarray of int
        For each orientation, where its line starts and stops within a cell, in pixels.
    """

    cells: slice
    starts: Indices
    stops: Indices


def ends(reach: NDArray[np.float64], side: int, first: int, count: int) -> list[Ends]:
    """Return the ends of lines, for runs of cells in which they are the same.

    scikit-image computes them from the position of a cell in the whole image. Their rounding may
    therefore differ from one cell to the next.

    Parameters
    ----------
    reach : ndarray
        For each orientation, pixels from the middle of a cell to the end of the line.
    side : int
        Side of a cell, in pixels.
    first, count : int
        Index of the first cell in the whole image, and number of cells.
    """
    corner = side * (first + np.arange(count))[:, np.newaxis]
    middle = corner + side // 2
    starts, stops = ((middle + sign * reach).astype(np.intp) - corner for sign in (-1, 1))
    changes = np.diff(np.hstack([starts, stops]), axis=0).any(axis=1)
    edges = [0, *(np.flatnonzero(changes) + 1), count]
    return [Ends(slice(begin, end), starts[begin], stops[begin]) for begin, end in pairwise(edges)]


def stars(image: Image, orientations: int, side: int, window: Span) -> Image:
    """Draw lines along the edges in each cell, as bright as the sum of the edges' magnitudes.

    Parameters
    ----------
    image : ndarray of float32 or float64
        (rows, columns) or (rows, columns, channels), at least as large as one cell.
    orientations : int
        Number of lines of a star.
    side : int
        Rows and columns of a cell.
    window : Span
        Where the image lies in the whole image; it begins with a cell.

    Returns
    -------
    ndarray
        (rows, columns), of the image's type; pixels left over beside the last cell are 0.
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
                # From the upper right end to the lower left one. If the vertical reach is negative,
                # from the lower right end to the upper left one.
                line = draw.line(rows.starts[i], columns.stops[i], rows.stops[i], columns.starts[i])
                for y, x in zip(*line, strict=True):
                    cells[rows.cells, y, columns.cells, x] += strength
    result: Image = np.zeros(image.shape[:2], image.dtype)
    result[: down * side, : across * side] = cells.reshape(down * side, across * side)
    return result
