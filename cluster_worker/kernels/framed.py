"""Filter the core of a block by a loop that knows no border.

Such a loop is given an image that reaches beyond its result on every side. Where the block holds
all that is read, it reads the block and writes the result; along the border of the image it is
given copies, continued beyond it.
"""

from collections.abc import Callable

import numpy as np

from cluster_worker.kernels import Image, channels_of, lazily
from cluster_worker.pixels.tiling import Place, Span

opencv = lazily("cluster_worker.kernels.opencv")

# OpenCV's names for scipy's borders. Beyond a block that wraps lies more of the image already.
MODES = {
    "nearest": "BORDER_REPLICATE",
    "wrap": "BORDER_REPLICATE",
    "reflect": "BORDER_REFLECT",
    "mirror": "BORDER_REFLECT_101",
    "constant": "BORDER_CONSTANT",
}
# The least (rows, columns) of a result that loops make.
LEAST = (4, 64)

# Of a part: (address of the first value, bytes to the next row) of what is read and of the result,
# and values in each row of it.
Part = tuple[tuple[int, int], tuple[int, int], int]
NONE: Part = ((0, 0), (0, 0), 0)
# From three parts, their rows, and the bytes of a pixel.
Loop = Callable[[tuple[Part, ...], int, int], None]


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
        filter_parts(loop, [(continued(image, whole.grown(halo), mode, level), found)])
        result[...] = found[core.relative_to(whole).slices]
    else:
        for parts in parted(core, halo, shape):
            pairs = []
            for part in parts:
                window = part.grown(halo)
                inside = window == window.clipped(shape)
                read = image[window.slices] if inside else continued(image, window, mode, level)
                pairs.append((read, result[part.relative_to(core).slices]))
            filter_parts(loop, pairs)
    if out is not None and result is not out:
        out[...] = result
    return result


def filter_parts(loop: Loop, pairs: list[tuple[Image, Image]]) -> None:
    """Filter up to three parts of the same rows, from what is read of each into its result."""
    shape, size = pairs[0][1].shape, pairs[0][1].itemsize
    channels = channels_of(pairs[0][1])
    parts = [(rows_at(read), rows_at(to), to.shape[1] * channels) for read, to in pairs]
    loop((*parts, NONE, NONE)[:3], shape[0], size * channels)


def continued(image: Image, window: Span, mode: str, level: float) -> Image:
    """Copy a window of a block, of a type that OpenCV has, that reaches beyond it."""
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


def parted(core: Span, halo: int, shape: tuple[int, int]) -> list[list[Span]]:
    """Part a core in what reads nothing beyond the block, and its edges along the border.

    Parts of the same rows are side by side. Edges are as wide as a loop's least result, and so
    overlap the inner part. A core that has no inner part as large as that is one part.
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
    """Whether the values of each row lie side by side, and rows one after the other."""
    return image[:1].flags.c_contiguous and min(image.strides) >= 0


def rows_at(image: Image) -> tuple[int, int]:
    """Give the address of an image's first value, and the bytes from one row to the next."""
    return image.ctypes.data, image.strides[0]
