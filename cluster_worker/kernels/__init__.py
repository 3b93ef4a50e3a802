"""Kernels: faster functions for the pixels of an operation, named in its declaration.

A kernel is a plain function of a block. It computes with OpenCV, where OpenCV gives the same bits,
or with loops that numba compiles. Each loop module is loaded when a kernel is first called, so that
a process that only plans does not pay for it. The result of a loop must not depend on where a tile
was cut: each pixel is the same sum in the same order. README.md has the rules.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]

# White in each type that kernels take: values divided by it are floats in 0…1.
WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
# Numbers that the loops use for scipy's border modes. With "wrap" the block already holds the
# pixels beyond the border, so that any number will do.
BORDERS = {"nearest": 0, "reflect": 1, "mirror": 2, "constant": 3, "wrap": 0}


def channels_of(image: Image) -> int:
    """Return the number of channels of an image: 1 if it is gray."""
    return int(image.shape[2]) if image.ndim == 3 else 1


def rows_of(image: Image) -> Image:
    """Return an image as rows of values, the form that compiled loops take.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels).

    Returns
    -------
    ndarray
        (rows, columns × channels), contiguous and writable: the channels of a pixel lie side by
        side. It is a view if the image is contiguous and writable, else a copy.
    """
    return np.require(image, requirements=["C", "W"]).reshape(len(image), -1)


@contextmanager
def core_of(image: Image, core: Span, dtype: str, out: Image | None) -> Iterator[Image]:
    """Return a context whose value is a contiguous array for the result of a block's core.

    It is `out` itself if that is contiguous. Otherwise it is a new array, which is copied into
    `out`, if there is one, when the context ends.

    Parameters
    ----------
    image : ndarray
        The block; the result has its channels.
    core : Span
        The core, in the block's coordinates.
    dtype : str
        Type of the result.
    out : ndarray or None
        Array of the core's shape and of this type.
    """
    if out is not None and out.flags.c_contiguous:
        yield out
        return
    result = np.empty((*core.shape, *image.shape[2:]), dtype)
    yield result
    if out is not None:
        out[...] = result
