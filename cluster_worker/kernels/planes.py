"""Windows of a block as planes, one for each colour, continued beyond the image border."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.kernels import Image
from cluster_worker.pixels.tiling import Place, Span


def cut_out(image: Image, inside: Span, place: Place) -> Image:
    """Give what lies in a part of the whole image that the block holds.

    Parameters
    ----------
    image : ndarray
        The block.
    inside : Span
        In the whole image.
    place : Place
        Where the block lies in the whole image.
    """
    cut: Image = image[inside.relative_to(place.window).slices]
    return cut


def as_planes(cut: Image, inside: Span, window: Span, mode: str, **level: Any) -> NDArray[Any]:
    """Continue a part of an image to a window that reaches beyond it.

    Parameters
    ----------
    cut : ndarray
        (rows, columns) or (rows, columns, channels).
    inside, window : Span
        Where that lies, and where the result shall.
    mode, **level
        As for ``numpy.pad``.

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
    pad: Any = np.pad  # its types know no mode that is given by name
    return np.ascontiguousarray(pad(planes, ((0, 0), *beyond), mode=mode, **level))
