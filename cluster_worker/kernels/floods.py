"""What spreads within a block, with compiled loops."""

from typing import Any

import numpy as np

from cluster_worker.kernels import Image, lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.floods")
opencv = lazily("cluster_worker.kernels.opencv")

# What OpenCV compares.
COMPARED = ("uint8", "uint16", "float32", "float64")


def framed(image: Image, dtype: np.dtype[Any]) -> Image:
    """Copy an image as floats, with a frame of minus infinity, which nothing spreads from."""
    rows, columns = image.shape
    result: Image = np.empty((rows + 2, columns + 2), dtype)
    result[[0, -1]] = -np.inf
    result[:, [0, -1]] = -np.inf
    result[1:-1, 1:-1] = image
    return result


def reconstructed(state: Image, mask: Image, method: str) -> Image:
    """Reconstruct by dilation or erosion within a mask, as scikit-image does.

    Parameters
    ----------
    state : ndarray
        (rows, columns), of float32 or float64.
    mask : ndarray
        Of the same shape, and of any type whose values the state's can hold.
    method : {"dilation", "erosion"}
        Whether the state, which must lie below the mask, grows; or lies above it, and shrinks.
    """
    grows = method == "dilation"
    # An erosion is the dilation of the negative, to the last bit.
    grown = framed(state if grows else -state, state.dtype)
    limit = framed(mask, state.dtype)
    if not grows:
        np.negative(limit[1:-1, 1:-1], out=limit[1:-1, 1:-1])
    loops.reconstruct(grown, limit, np.empty(grown.size, np.int32), np.zeros(grown.size, np.uint8))
    result = grown[1:-1, 1:-1]
    return result if grows else -result


def dropped(left: Image, values: Image, connectivity: int) -> Image:
    """Drop from a mask what is connected by equal values to something that is not in it.

    Parameters
    ----------
    left : ndarray of bool
        (rows, columns).
    values : ndarray
        Of the same shape, without NaN.
    connectivity : int
        1 if pixels must share an edge, 2 if a corner will do.
    """
    state = np.array(left, order="C")
    # Adding 0 makes the negative zero equal to the other.
    given = values + values.dtype.type(0) if values.dtype.kind == "f" else values
    bits = np.require(given, requirements=["C", "W"]).view(f"u{values.dtype.itemsize}")
    loops.drop(state.view(np.uint8), bits, connectivity == 2, np.empty(state.size, np.int32))
    return state


def highest(image: Image, connectivity: int) -> Image:
    """Give the mask of the pixels that have no higher neighbour.

    Parameters
    ----------
    image : ndarray
        (rows, columns), without NaN.
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    """
    # Whole numbers of 32 bits are exact as floats of 64.
    given = image.view(np.uint8) if image.dtype.kind == "b" else image
    given = given if str(given.dtype) in COMPARED else given.astype(np.float64)
    cross_or_square = (opencv.cv2.MORPH_CROSS, opencv.cv2.MORPH_RECT)[connectivity - 1]
    near = opencv.cv2.getStructuringElement(cross_or_square, (3, 3))
    # What repeats the border beyond it is higher nowhere, infinite values included.
    beyond = opencv.cv2.BORDER_REPLICATE
    found: Image = opencv.cv2.dilate(given, near, borderType=beyond).reshape(image.shape) == given
    return found


def filled(
    image: Image, least: Any, greatest: Any, point: tuple[int, int], connectivity: int, place: Place
) -> tuple[Span, Image] | None:
    """Flood a block from a point.

    Parameters
    ----------
    image : ndarray
        (rows, columns), of whole numbers or floats.
    least, greatest : scalar
        Of the image's type: what is flooded besides the point.
    point : tuple of int
        Row and column in the block.
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    place : Place
        Of the block.

    Returns
    -------
    span, mask : Span, ndarray of bool
        A part of the whole image, and what is flooded of it; None if the flood may go on beyond
        the block.
    """
    window = place.window
    within = window.grown(1).clipped(place.shape).relative_to(window)
    given = np.require(image, requirements=["C", "W"])
    given = given.view(np.uint8) if image.dtype.kind == "b" else given
    between = given.dtype.type(least), given.dtype.type(greatest)
    mask = np.zeros(image.shape, np.uint8)
    bounds = np.array([point[0], point[0] + 1, point[1], point[1] + 1])
    stack = np.empty(image.size, np.int32)
    if not loops.fill(given, *between, connectivity == 2, np.array(within), bounds, mask, stack):
        return None
    taken = Span(*bounds.tolist())
    cut: Image = mask[taken.slices].view(np.bool_)
    # In the whole image.
    return Span(
        taken.top + window.top,
        taken.bottom + window.top,
        taken.left + window.left,
        taken.right + window.left,
    ), cut.copy()
