"""Filter the core of a block by a loop that knows no border.

Such a loop is given an image that reaches beyond its result on every side. Where the block holds
all that is read, it reads the block and writes the result; along the border of the image it is
given copies, continued beyond it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cluster_worker.kernels import Image, channels_of
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
    shape = (image.shape[0], image.shape[1])
    if core.shape[0] < LEAST[0] or core.shape[1] < LEAST[1]:
        bottom, right = core.top + LEAST[0], core.left + LEAST[1]
        whole = core._replace(bottom=max(core.bottom, bottom), right=max(core.right, right))
        found = np.empty((*whole.shape, *image.shape[2:]), image.dtype)
        filter_part(loop, continued(image, whole.grown(halo), mode, level), found)
        result[...] = found[core.relative_to(whole).slices]
    else:
        for part in parted(core, halo, shape):
            window = part.grown(halo)
            inside = window == window.clipped(shape)
            read = image[window.slices] if inside else continued(image, window, mode, level)
            filter_part(loop, read, result[part.relative_to(core).slices])
    if out is not None and result is not out:
        out[...] = result
    return result


def filter_part(loop: Loop, read: Image, result: Image) -> None:
    """Filter a part that is as large as a loop's least result, or larger."""
    rows, columns, channels = *result.shape[:2], channels_of(result)
    loop(rows_at(read), rows_at(result), rows, columns * channels, result.itemsize * channels)


def continued(image: Image, window: Span, mode: str, level: float) -> Image:
    """Copy a window of a block that reaches beyond it."""
    inside = window.clipped((image.shape[0], image.shape[1]))
    beyond = [
        (inside.top - window.top, window.bottom - inside.bottom),
        (inside.left - window.left, window.right - inside.right),
        (0, 0),
    ]
    constant = {"constant_values": level} if mode == "constant" else {}
    pad: Any = np.pad  # its types know no mode that is given by name
    copy: Image = pad(image[inside.slices], beyond[: image.ndim], mode=MODES[mode], **constant)
    return copy


def parted(core: Span, halo: int, shape: tuple[int, int]) -> list[Span]:
    """Part a core in what reads nothing beyond the block, and its edges along the border.

    Edges are as wide as a loop's least result, and so overlap the inner part. A core that has no
    inner part as large as that is one part.
    """
    top, bottom = max(core.top, halo), min(core.bottom, shape[0] - halo)
    left, right = max(core.left, halo), min(core.right, shape[1] - halo)
    rows, columns = LEAST
    if bottom - top < rows or right - left < columns:
        return [core]
    inner = Span(top, bottom, left, right)
    edges = [
        (core.top < top, core._replace(bottom=max(top, core.top + rows))),
        (core.bottom > bottom, core._replace(top=min(bottom, core.bottom - rows))),
        (core.left < left, inner._replace(left=core.left, right=core.left + columns)),
        (core.right > right, inner._replace(left=core.right - columns, right=core.right)),
    ]
    return [inner, *(edge for missing, edge in edges if missing)]


def is_in_rows(image: Image) -> bool:
    """Whether the values of each row lie side by side."""
    return image[:1].flags.c_contiguous


def rows_at(image: Image) -> tuple[int, int]:
    """Give the address of an image's first value, and the bytes from one row to the next."""
    return image.ctypes.data, image.strides[0]
