"""Filter the core of a block by a loop that knows no border.

Such a loop is given an image that reaches beyond its result on every side. Where the block holds
all that is read, it reads the block and writes the result; along the border of the image it is
given copies, continued beyond it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image, channels_of
from cluster_worker.kernels.planes import as_planes
from cluster_worker.tiling import Place, Span

# numpy's names for scipy's borders. Beyond a block that wraps lies more of the image already.
MODES = {
    "nearest": "edge",
    "wrap": "edge",
    "reflect": "symmetric",
    "mirror": "reflect",
    "constant": "constant",
}
# The least (rows, columns) of a result that loops make.
LEAST = (4, 64)

# From (address of the first value, bytes to the next row) of an image and of a result, and from
# the result's rows, values in each, and bytes of a pixel.
Loop = Callable[[tuple[int, int], tuple[int, int], int, int, int], None]


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
        Reads `halo` pixels on every side of a result of `LEAST` rows and columns or more.
    image : ndarray
        The block: (rows, columns) or (rows, columns, channels).
    halo : int
        In pixels.
    mode, level : str, float
        What lies beyond the image's border, and its level if it is constant.
    place : Place
        Of the block, for its core.
    out : ndarray or None
        For the result.

    Returns
    -------
    ndarray
        The core.
    """
    core = place.core.relative_to(place.window)
    image = image if is_in_rows(image) else np.ascontiguousarray(image)
    result = out
    if result is None or not is_in_rows(result):
        result = np.empty((*core.shape, *image.shape[2:]), image.dtype)
    inner, border = parted(core, halo, (image.shape[0], image.shape[1]))
    pixel = image.itemsize * channels_of(image)
    if inner is not None:
        read, written = image[inner.grown(halo).slices], result[inner.relative_to(core).slices]
        rows, columns = inner.shape
        loop(rows_at(read), rows_at(written), rows, columns * channels_of(image), pixel)
    for part in border:
        made = continued(loop, image, part, halo, mode, level)
        result[part.relative_to(core).slices] = made.reshape(*part.shape, *image.shape[2:])
    if out is not None and result is not out:
        out[...] = result
    return result


def continued(
    loop: Loop, image: Image, part: Span, halo: int, mode: str, level: float
) -> NDArray[Any]:
    """Filter a part along the border, which may be smaller than the loop's least result."""
    rows, columns = (max(*each) for each in zip(part.shape, LEAST, strict=True))
    whole = Span(part.top, part.top + rows, part.left, part.left + columns)
    window = whole.grown(halo)
    inside = window.clipped((image.shape[0], image.shape[1]))
    constant = {"constant_values": level} if mode == "constant" else {}
    planes = as_planes(image[inside.slices], inside, window, MODES[mode], **constant)
    made = np.empty((len(planes), rows, columns), image.dtype)
    for plane, found in zip(planes, made, strict=True):
        loop(rows_at(plane), rows_at(found), rows, columns, image.itemsize)
    return np.moveaxis(made, 0, 2)[: part.shape[0], : part.shape[1]]


def parted(core: Span, halo: int, shape: tuple[int, int]) -> tuple[Span | None, list[Span]]:
    """Part a core in what reads nothing beyond the block, and the rest along its border.

    The first is None if it were smaller than the loops' least result.
    """
    top, bottom = max(core.top, halo), min(core.bottom, shape[0] - halo)
    left, right = max(core.left, halo), min(core.right, shape[1] - halo)
    if bottom - top < LEAST[0] or right - left < LEAST[1]:
        return None, [core]
    rest = [
        core._replace(bottom=top),
        core._replace(top=bottom),
        Span(top, bottom, core.left, left),
        Span(top, bottom, right, core.right),
    ]
    return Span(top, bottom, left, right), [each for each in rest if each.pixels]


def is_in_rows(image: Image) -> bool:
    """Whether the values of each row lie side by side."""
    return image[:1].flags.c_contiguous


def rows_at(image: Image) -> tuple[int, int]:
    """Give the address of an image's first value, and the bytes from one row to the next."""
    return image.ctypes.data, image.strides[0]
