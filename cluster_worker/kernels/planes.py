"""Windows of a block as planes, one for each channel, extended beyond the image border."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.pixels.tiling import Place, Span


def cut_out(image: Image, inside: Span, place: Place) -> Image:
    """Return a view of a span of the whole image, which the block holds.

    Parameters
    ----------
    image : ndarray
        The block.
    inside : Span
        The span, in the whole image.
    place : Place
        Where the block lies in the whole image.
    """
    cut: Image = image[inside.relative_to(place.window).slices]
    return cut


def as_planes(cut: Image, inside: Span, window: Span, mode: str, **level: Any) -> NDArray[Any]:
    """Extend a span of an image to a window that reaches beyond it, as planes.

    Parameters
    ----------
    cut : ndarray
        (rows, columns) or (rows, columns, channels): the pixels of the span.
    inside, window : Span
        The span, and the window, which contains it.
    mode, **level
        As in ``numpy.pad``.

    Returns
    -------
    ndarray
        (channels, rows, columns), contiguous.
    """
    beyond = (
        (inside.top - window.top, window.bottom - inside.bottom),
        (inside.left - window.left, window.right - inside.right),
    )
    planes = np.moveaxis(np.atleast_3d(cut), 2, 0)
    pad: Any = np.pad  # its type stubs accept no mode in a variable
    return np.ascontiguousarray(pad(planes, ((0, 0), *beyond), mode=mode, **level))
