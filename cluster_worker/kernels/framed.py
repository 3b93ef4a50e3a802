"""Filter the core of a block with a loop that has no border rule.

Such a loop reads pixels beyond its result on every side. Where the block holds all of them, the
loop reads the block and writes the result directly. Along the border of the image the loop reads a
copy of the block that is extended beyond the border.
"""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image, channels_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span

opencv = lazily("cluster_worker.kernels.opencv")

# OpenCV's names of scipy's border modes. With "wrap" the block already holds the pixels beyond the
# border, so that any name will do.
MODES = {
    "nearest": "BORDER_REPLICATE",
    "wrap": "BORDER_REPLICATE",
    "reflect": "BORDER_REFLECT",
    "mirror": "BORDER_REFLECT_101",
    "constant": "BORDER_CONSTANT",
}
# The smallest (rows, columns) of a result that loops can write.
LEAST = (4, 64)

# A piece of the result: (address of the first value, bytes to the next row) of the pixels that are
# read, the same of the result, and the number of values in a row of the result.
Piece = tuple[tuple[int, int], tuple[int, int], int]
NONE: Piece = ((0, 0), (0, 0), 0)
# Takes three pieces, the number of rows that all of them have, and the bytes of a pixel.
Loop = Callable[[tuple[Piece, ...], int, int], None]


def framed(
    loop: Loop,
    image: Image,
    halo: int,
    mode: str,
    level: float,
    place: Place,
    out: Image | None,
) -> Image:
    """Filter the core of a block.

    Parameters
    ----------
    loop : callable
        Reads `halo` pixels on every side of its result, which has `LEAST` rows and columns or more.
    image : ndarray
        The block: (rows, columns) or (rows, columns, channels).
    halo : int
        In pixels.
    mode, level : str, float
        Border mode, one of `MODES`, and the level beyond the border if the mode is "constant".
    place : Place
        Where the block lies, and its core.
    out : ndarray or None
        Array for the result; None makes a new one.

    Returns
    -------
    ndarray
        The result for the core.
    """
    core = place.core.relative_to(place.window)
    image = image if is_in_rows(image) else np.ascontiguousarray(image)
    result = out
    if result is None or not is_in_rows(result):
        result = np.empty((*core.shape, *image.shape[2:]), image.dtype)
    shape = (image.shape[0], image.shape[1])
    if core.shape[0] < LEAST[0] or core.shape[1] < LEAST[1]:
        bottom, right = core.top + LEAST[0], core.left + LEAST[1]
        whole = core._replace(bottom=max(core.bottom, bottom), right=max(core.right, right))
        found = np.empty((*whole.shape, *image.shape[2:]), image.dtype)
        filter_pieces(loop, [(extended(image, whole.grown(halo), mode, level), found)])
        result[...] = found[core.relative_to(whole).slices]
    else:
        for pieces in pieces_of(core, halo, shape):
            pairs = []
            for piece in pieces:
                window = piece.grown(halo)
                inside = window == window.clipped(shape)
                read = image[window.slices] if inside else extended(image, window, mode, level)
                pairs.append((read, result[piece.relative_to(core).slices]))
            filter_pieces(loop, pairs)
    if out is not None and result is not out:
        out[...] = result
    return result


def filter_pieces(loop: Loop, pairs: list[tuple[Image, Image]]) -> None:
    """Filter up to three pieces of the same rows.

    Parameters
    ----------
    loop : callable
        As in `framed`.
    pairs : list of tuple of ndarray
        For each piece, the pixels that are read and the array for its result.
    """
    shape, size = pairs[0][1].shape, pairs[0][1].itemsize
    channels = channels_of(pairs[0][1])
    pieces = [(rows_at(read), rows_at(to), to.shape[1] * channels) for read, to in pairs]
    loop((*pieces, NONE, NONE)[:3], shape[0], size * channels)


def extended(image: Image, window: Span, mode: str, level: float) -> Image:
    """Copy a window of a block that reaches beyond the block.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels), of a type that OpenCV has.
    window : Span
        The window, in the block's coordinates.
    mode, level : str, float
        As in `framed`.
    """
    inside = window.clipped((image.shape[0], image.shape[1]))
    copy: Image = opencv.cv2.copyMakeBorder(
        image[inside.slices],
        inside.top - window.top,
        window.bottom - inside.bottom,
        inside.left - window.left,
        window.right - inside.right,
        getattr(opencv.cv2, MODES[mode]),
        value=(level,) * 4,
    )
    # OpenCV drops the axis of a single colour.
    return copy.reshape(*window.shape, *image.shape[2:])


def pieces_of(core: Span, halo: int, shape: tuple[int, int]) -> list[list[Span]]:
    """Cut a core into an inner piece, which reads only the block, and edges along the border.

    Edges are as wide as the smallest result of a loop, and so overlap the inner piece. A core
    without an inner piece of at least that size stays whole.

    Parameters
    ----------
    core : Span
        The core, in the block's coordinates.
    halo : int
        In pixels.
    shape : tuple of int
        (rows, columns) of the block.

    Returns
    -------
    list of list of Span
        The pieces of an inner list have the same rows; there are at most three.
    """
    top, bottom = max(core.top, halo), min(core.bottom, shape[0] - halo)
    left, right = max(core.left, halo), min(core.right, shape[1] - halo)
    rows, columns = LEAST
    if bottom - top < rows or right - left < columns:
        return [[core]]
    inner = Span(top, bottom, left, right)
    above = core._replace(bottom=max(top, core.top + rows))
    below = core._replace(top=min(bottom, core.bottom - rows))
    before = inner._replace(left=core.left, right=core.left + columns)
    after = inner._replace(left=core.right - columns, right=core.right)
    beside = [before] * (core.left < left) + [after] * (core.right > right)
    return [[inner, *beside]] + [[above]] * (core.top < top) + [[below]] * (core.bottom > bottom)


def is_in_rows(image: Image) -> bool:
    """Return whether the values of a row lie side by side, and rows follow in rising order."""
    return image[:1].flags.c_contiguous and min(image.strides) >= 0


def rows_at(image: Image) -> tuple[int, int]:
    """Return the address of an image's first value, and the bytes from one row to the next."""
    return image.ctypes.data, image.strides[0]
