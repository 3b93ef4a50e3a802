"""Faster ways to scikit-image's pixels, which operations name in their declarations.

A kernel is a plain function of a block. What it computes with is OpenCV, where that gives the same
bits, or loops compiled by numba, in a module of its own beside the kernels: it is loaded when a
kernel is first called, since a process that only plans need not pay for it. A loop's result must
not depend on where a tile was cut: each pixel is the same sum in the same order.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.pixels.tiling import Span

Image = NDArray[Any]

# White of each type that kernels take: by it values become floats of 0…1, and back.
WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
# The loops' numbers of scipy's borders; of "wrap" a block holds what lies beyond.
BORDERS = {"nearest": 0, "reflect": 1, "mirror": 2, "constant": 3, "wrap": 0}


def lazily(name: str) -> ModuleType:
    """Give a module that is loaded when something of it is first used.

    Parameters
    ----------
    name : str
        Its full name.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def channels_of(image: Image) -> int:
    """Count the colours side by side in a row of an image."""
    return int(image.shape[2]) if image.ndim == 3 else 1


def rows_of(image: Image) -> Image:
    """Give an image as rows of values, colours side by side, as compiled loops take it.

    Parameters
    ----------
    image : ndarray
        (rows, columns) or (rows, columns, channels).

    Returns
    -------
    ndarray
        (rows, columns × channels), contiguous; a view where the image is.
    """
    return np.require(image, requirements=["C", "W"]).reshape(len(image), -1)


@contextmanager
def core_of(image: Image, core: Span, dtype: str, out: Image | None) -> Iterator[Image]:
    """Give a contiguous array for the core of a block's result, which ends in `out` if given.

    Parameters
    ----------
    image : ndarray
        The block.
    core : Span
        In the block's coordinates.
    dtype : str
        Of the result.
    out : ndarray or None
        Of the same shape and type.
    """
    if out is not None and out.flags.c_contiguous:
        yield out
        return
    result = np.empty((*core.shape, *image.shape[2:]), dtype)
    yield result
    if out is not None:
        out[...] = result
