"""Sample an image under an affine mapping, as scikit-image's own fast kernel does."""

import numpy as np

from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.support.folding import Border, Floats
from cluster_worker.operations.support.sampling import (
    Mapping,
    Pixels,
    bands,
    over_channels,
    plain_pixels,
)


def mapping_in_type(matrix: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Map rows and columns of a result to those of the image, in the matrix's type.

    `matrix` is 3 × 3, from (column, row, 1) of the result to those of the image.
    """
    across_of, down_of = matrix[:2]
    x, y = columns.astype(matrix.dtype), rows.astype(matrix.dtype)
    across = across_of[0] * x + across_of[1] * y + across_of[2]
    down = down_of[0] * x + down_of[1] * y + down_of[2]
    return down, across


def warped_affine(
    block: Image, place: Place, mapping: Mapping, order: int, border: Border, cval: float
) -> Image:
    """Sample a block under an affine mapping as scikit-image's own fast kernel does.

    That kernel computes in the image's type. Its order 3 is a cubic convolution, not a spline.

    Parameters
    ----------
    block : ndarray of float
        Rows × columns [× channels].
    place : Place
        Its core is that of the result.
    mapping : callable
        From the result's rows and columns to those of the whole image, in the block's type.
    order : {1, 3}
        Linear or cubic.
    border, cval : str, float
        What lies beyond the image.

    Returns
    -------
    ndarray
        The core, in the block's type.
    """
    pixels = plain_pixels(block, place, border, cval)
    interpolated = bilinear if order == 1 else bicubic
    result = np.empty(place.core.shape + block.shape[2:], block.dtype)
    for band, rows, columns in bands(place.core):
        result[band] = interpolated(pixels, *mapping(rows, columns))
    return result


def bilinear(pixels: Pixels, down: Floats, across: Floats) -> Image:
    """Interpolate linearly between the four neighbours of each coordinate."""
    top, left = np.floor(down), np.floor(across)
    rows, columns = (
        [pixels.located(each.astype(np.intp), axis) for each in (low, np.ceil(at))]
        for axis, low, at in ((0, top, down), (1, left, across))
    )
    by_row = over_channels(down - top, pixels)
    by_column = over_channels(across - left, pixels)
    upper, lower = (
        (1 - by_column) * pixels.at(row, columns[0]) + by_column * pixels.at(row, columns[1])
        for row in rows
    )
    result: Image = (1 - by_row) * upper + by_row * lower
    return result


def bicubic(pixels: Pixels, down: Floats, across: Floats) -> Image:
    """Interpolate between the sixteen neighbours of each coordinate by cubic convolution.

    References
    ----------
    R. Keys. Cubic convolution interpolation for digital image processing. IEEE Transactions on
    Acoustics, Speech, and Signal Processing 29 (1981), 1153-1160.
    """
    top, left = np.floor(down), np.floor(across)
    rows, columns = (
        [pixels.located(low.astype(np.intp) + i, axis) for i in range(-1, 3)]
        for axis, low in ((0, top), (1, left))
    )
    by_row = over_channels(down - top, pixels)
    by_column = over_channels(across - left, pixels)
    lines = [cubic(by_column, [pixels.at(row, column) for column in columns]) for row in rows]
    return cubic(by_row, lines)


def cubic(x: Floats, f: list[Image]) -> Image:
    """Interpolate between the second and the third of four neighbours, at `x` from 0 to 1."""
    inner = 3 * (f[1] - f[2]) + f[3] - f[0]
    inner = 2 * f[0] - 5 * f[1] + 4 * f[2] - f[3] + x * inner
    result: Image = f[1] + x * (f[2] - f[0] + x * inner) / 2
    return result
