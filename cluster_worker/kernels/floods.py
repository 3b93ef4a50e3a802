"""Floods and reconstruction within a block, with compiled loops."""

from typing import Any

import numpy as np

from cluster_worker.kernels import Image, morphology
from cluster_worker.kernels.footprints import footprint_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.tiling import Place, Span

loops = lazily("cluster_worker.kernels.loops.floods")
opencv = lazily("cluster_worker.kernels.opencv")

# Types that OpenCV dilates.
COMPARED = ("uint8", "uint16", "float32", "float64")


def framed(image: Image, dtype: np.dtype[Any]) -> Image:
    """Copy an image as floats, with a frame of minus infinity, from which nothing spreads.

    Parameters
    ----------
    image : ndarray
        (rows, columns).
    dtype : dtype
        Type of the copy: float32 or float64.

    Returns
    -------
    ndarray
        (rows + 2, columns + 2).
    """
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
        Same shape as the state, of any type whose values fit the state's type.
    method : {"dilation", "erosion"}
        "dilation": the state lies below the mask and grows. "erosion": it lies above the mask and
        shrinks.

    Returns
    -------
    ndarray
        Same shape and type as the state.
    """
    grows = method == "dilation"
    # An erosion is the negative of the dilation of the negative, with the same bits.
    grown = framed(state if grows else -state, state.dtype)
    limit = framed(mask, state.dtype)
    if not grows:
        np.negative(limit[1:-1, 1:-1], out=limit[1:-1, 1:-1])
    loops.reconstruct(grown, limit, np.empty(grown.size, np.int32), np.zeros(grown.size, np.uint8))
    result = grown[1:-1, 1:-1]
    return result if grows else -result


def least_in_disk(image: Image, radius: int) -> Image:
    """Replace each pixel by the least value within a disk around it.

    Parameters
    ----------
    image : ndarray
        (rows, columns), of float32 or float64, without NaN.
    radius : int
        In pixels.
    """
    return morphology.least(image, footprint_of("disk", radius), "reflect", 0)


def greatest_in_disk(image: Image, radius: int) -> Image:
    """Replace each pixel by the greatest value within a disk around it; see `least_in_disk`."""
    return morphology.greatest(image, footprint_of("disk", radius), "reflect", 0)


def dropped(mask: Image, values: Image, connectivity: int) -> Image:
    """Remove from a mask each pixel that is connected to a pixel outside it through equal values.

    Parameters
    ----------
    mask : ndarray of bool
        (rows, columns).
    values : ndarray
        Same shape as the mask, without NaN.
    connectivity : int
        1 if pixels must share an edge, 2 if a corner will do.

    Returns
    -------
    ndarray of bool
        The rest of the mask.
    """
    state = np.array(mask, order="C")
    # Adding 0 turns the negative zero into the positive one: the bits are compared.
    given = values + values.dtype.type(0) if values.dtype.kind == "f" else values
    bits = np.require(given, requirements=["C", "W"]).view(f"u{values.dtype.itemsize}")
    loops.drop(state.view(np.uint8), bits, connectivity == 2, np.empty(state.size, np.int32))
    return state


def highest(image: Image, connectivity: int) -> Image:
    """Return the mask of the pixels that have no higher neighbour.

    Parameters
    ----------
    image : ndarray
        (rows, columns), without NaN.
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    """
    # Integers of 32 bits are exact as float64.
    given = image.view(np.uint8) if image.dtype.kind == "b" else image
    given = given if str(given.dtype) in COMPARED else given.astype(np.float64)
    cross_or_square = (opencv.cv2.MORPH_CROSS, opencv.cv2.MORPH_RECT)[connectivity - 1]
    near = opencv.cv2.getStructuringElement(cross_or_square, (3, 3))
    # A repeated border adds no higher neighbour, even if pixels are infinite.
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
        (rows, columns), of bool, integers or floats.
    least, greatest : scalar
        Pixels between these values, both included, are flooded; the point always is.
    point : tuple of int
        Row and column in the block.
    connectivity : int
        1 if neighbours share an edge, 2 if a corner will do.
    place : Place
        Where the block lies in the whole image.

    Returns
    -------
    span, mask : Span, ndarray of bool
        A span of the whole image, and the mask of the flooded pixels in it. None instead of both
        if the flood reaches a side of the block beyond which the image continues.
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
    # From the block's coordinates to those of the whole image.
    return Span(
        taken.top + window.top,
        taken.bottom + window.top,
        taken.left + window.left,
        taken.right + window.left,
    ), cut.copy()
