"""Geometry: flip, turn, transpose, crop and pad; no pixel changes its value."""

from functools import partial
from typing import Annotated, Literal

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.kernels import copies, turns
from cluster_worker.operations.declare import (
    Composed,
    Geometric,
    Geometry,
    Image,
    Kernel,
    Number,
    Place,
    Stage,
    operation,
)
from cluster_worker.operations.support import folding, sampling
from cluster_worker.operations.support.borders import Fill
from cluster_worker.operations.support.folding import Border
from cluster_worker.pixels.placement import Placement
from cluster_worker.pixels.tiling import Span

Shape = tuple[int, int]

Pixels = Annotated[int, Number(0, 100_000, unit="px", slider=(0, 500), step=1)]


def reversed_range(start: int, stop: int, length: int) -> tuple[int, int]:
    """Return where a half-open range lies after its axis is reversed."""
    return length - stop, length - start


def flip_window(core: Span, shape: Shape, axis: str) -> Span:
    """Compute the span of the image that a core of the flipped image shows."""
    rows, columns = core[:2], core[2:]
    if axis != "horizontal":
        rows = reversed_range(*rows, shape[0])
    if axis != "vertical":
        columns = reversed_range(*columns, shape[1])
    return Span(*rows, *columns)


def flip_map(before: Shape, _: Shape, axis: str) -> Placement:
    """Return where the pixels of a flipped image come from."""
    across = {"xx": -1.0, "x0": float(before[1])} if axis != "vertical" else {}
    down = {"yy": -1.0, "y0": float(before[0])} if axis != "horizontal" else {}
    return Placement(**across, **down)


@operation(
    "Flip",
    "Geometry",
    Geometric(lambda shape, axis: shape, flip_window),
    maps=flip_map,
    arrays=1,
    cost=0.1,
    kernels=(Kernel(turns.flip, takes=turns.TYPES, exact=True, arrays=0),),
)
def flip(image: Image, axis: Literal["horizontal", "vertical", "both"] = "horizontal") -> Image:
    """Mirror an image, left to right or upside down.

    Parameters
    ----------
    axis : str
        Direction in which pixels move: horizontal swaps left and right, vertical swaps top and
        bottom, both does both.

    References
    ----------
    numpy.flip
    """
    axes = {"horizontal": (1,), "vertical": (0,), "both": (0, 1)}[axis]
    result: Image = np.flip(image, axes)
    return result


def turned_shape(shape: Shape, k: int) -> Shape:
    """Return rows and columns after `k` quarter turns."""
    return shape[::-1] if k % 2 else shape


def turned_window(core: Span, shape: Shape, k: int) -> Span:
    """Compute the span of the image that a core of the turned image shows."""
    rows, columns = core[:2], core[2:]
    if k == 1:
        return Span(*columns, *reversed_range(*rows, shape[1]))
    if k == 2:
        return flip_window(core, shape, "both")
    return Span(*reversed_range(*columns, shape[0]), *rows)


def turned_map(before: Shape, _: Shape, k: int) -> Placement:
    """Return where the pixels of an image turned anticlockwise come from."""
    rows, columns = before
    if k == 2:
        return flip_map(before, before, "both")
    if k == 1:
        return Placement(xx=0, xy=-1, x0=columns, yx=1, yy=0, y0=0)
    return Placement(xx=0, xy=1, x0=0, yx=-1, yy=0, y0=rows)


@operation(
    "Quarter turns",
    "Geometry",
    Geometric(turned_shape, turned_window),
    pixels="turned",
    maps=turned_map,
    arrays=1,
    cost=0.1,
    kernels=(Kernel(turns.rot90, takes=turns.TYPES, exact=True, arrays=0),),
)
def rot90(image: Image, k: Annotated[int, Number(1, 3, step=1)] = 1) -> Image:
    """Rotate an image anticlockwise by quarter turns, without interpolation.

    Parameters
    ----------
    k : int
        Number of quarter turns.

    References
    ----------
    numpy.rot90
    """
    return np.rot90(image, k)


@operation(
    "Transpose",
    "Geometry",
    Geometric(lambda shape: shape[::-1], lambda core, shape: Span(*core[2:], *core[:2])),
    pixels="turned",
    maps=lambda before, after: Placement(xx=0, xy=1, yx=1, yy=0),
    arrays=1,
    cost=0.1,
    kernels=(Kernel(turns.transpose, takes=turns.TYPES, exact=True, arrays=0),),
)
def transpose(image: Image) -> Image:
    """Swap rows and columns: mirror an image at the diagonal from its upper left corner.

    References
    ----------
    numpy.transpose
    """
    return np.swapaxes(image, 0, 1)


def cropped_shape(shape: Shape, top: int, bottom: int, left: int, right: int) -> Shape:
    """Return the rows and columns that remain.

    Raises
    ------
    Rejected
        If no pixel remains.
    """
    rows, columns = shape[0] - top - bottom, shape[1] - left - right
    if min(rows, columns) < 1:
        raise Rejected(
            f"crop: must leave a pixel, got {top} + {bottom} of {shape[0]} rows and "
            f"{left} + {right} of {shape[1]} columns"
        )
    return rows, columns


def cropped_window(core: Span, _: Shape, top: int, left: int) -> Span:
    """Compute the span of the image that a core of the cropped image shows."""
    return Span(core.top + top, core.bottom + top, core.left + left, core.right + left)


def same(image: Image, *, out: Image | None = None) -> Image:
    """Return the pixels unchanged, in `out` if it is given."""
    if out is None:
        return image
    copies.copy(image, out)
    return out


@operation(
    "Crop",
    "Geometry",
    Composed("geometric"),
    maps=lambda before, after, top, left, **_: Placement(x0=left, y0=top),
    arrays=0,
    cost=0.1,
)
def crop(
    top: Pixels = 0, bottom: Pixels = 0, left: Pixels = 0, right: Pixels = 0
) -> tuple[Stage, ...]:
    """Crop an image: cut off rows and columns at its sides.

    Parameters
    ----------
    top : int
        Rows cut off at the top.
    bottom : int
        Rows cut off at the bottom.
    left : int
        Columns cut off on the left.
    right : int
        Columns cut off on the right.

    References
    ----------
    skimage.util.crop, whose crop_width holds the four
    """
    shape_of = partial(cropped_shape, top=top, bottom=bottom, left=left, right=right)
    return (Stage(same, geometry=Geometry(shape_of, partial(cropped_window, top=top, left=left))),)


def padded_shape(shape: Shape, top: int, bottom: int, left: int, right: int) -> Shape:
    """Return the rows and columns of the image with its border."""
    return shape[0] + top + bottom, shape[1] + left + right


def padded_window(core: Span, shape: Shape, top: int, left: int, mode: Border) -> Span:
    """Compute the span of the image that a core of the padded image reads."""
    return Span(
        *folding.needed_range(core.top - top, core.bottom - 1 - top, shape[0], mode),
        *folding.needed_range(core.left - left, core.right - 1 - left, shape[1], mode),
    )


def padded(
    image: Image,
    top: int,
    left: int,
    mode: Border,
    constant_values: float,
    *,
    place: Place,
    out: Image | None = None,
) -> Image:
    """Compute a core of the padded image: copy the image's own pixels and fill the border.

    Parameters
    ----------
    top, left : int
        Rows and columns of the border above and left of the image.
    mode, constant_values : str, float
        What the border shows, as in `pad`.
    """
    core, (rows, columns) = place.core, place.shape
    result = np.empty((*core.shape, *image.shape[2:]), image.dtype) if out is None else out
    white = np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1
    level = constant_values * white
    level = round(level) if white > 1 else level
    window = place.window
    shown = core.intersection(Span(top, top + rows, left, left + columns))
    if min(shown.shape) < 1:
        shown = Span(core.top, core.top, core.left, core.left)
    inner = shown.relative_to(core)
    # With "wrap" a block may begin near the end of an axis and continue at its start.
    first = (shown.top - top - window.top) % rows, (shown.left - left - window.left) % columns
    height, width = shown.shape
    copies.copy(image[first[0] :, first[1] :][:height, :width], result[inner.slices])
    for each in around(inner, core.shape):
        if mode == "constant":
            result[each.slices] = level
            continue
        pixels = sampling.Pixels(image, window.top, window.left, place.shape, mode, level)
        down = pixels.located(np.arange(each.top, each.bottom) + core.top - top, 0)
        across = pixels.located(np.arange(each.left, each.right) + core.left - left, 1)
        result[each.slices] = image[np.ix_(down.inside, across.inside)]
    return result


def around(inner: Span, shape: Shape) -> tuple[Span, ...]:
    """Cut what lies around a span of an image into spans: above, below, left and right."""
    rows, columns = shape
    return (
        Span(0, inner.top, 0, columns),
        Span(inner.bottom, rows, 0, columns),
        Span(inner.top, inner.bottom, 0, inner.left),
        Span(inner.top, inner.bottom, inner.right, columns),
    )


@operation(
    "Border",
    "Geometry",
    Composed("geometric"),
    maps=lambda before, after, top, left, **_: Placement(x0=-left, y0=-top),
    arrays=0,
    cost=0.1,
    fine=(),
)
def pad(
    top: Pixels = 16,
    bottom: Pixels = 16,
    left: Pixels = 16,
    right: Pixels = 16,
    mode: Border = "constant",
    constant_values: Fill = 0.0,
) -> tuple[Stage, ...]:
    """Pad an image: add a border around it.

    Parameters
    ----------
    top : int
        Rows added at the top.
    bottom : int
        Rows added at the bottom.
    left : int
        Columns added on the left.
    right : int
        Columns added on the right.
    mode : str
        What the border shows: one level, the last pixel, the mirror image with or without the
        last pixel twice (symmetric, reflect), or the opposite edge (wrap).
    constant_values : float
        The level for the mode constant, as a share of white; transparency takes it as well.

    References
    ----------
    numpy.pad, whose pad_width holds the four
    """
    return (
        Stage(
            partial(padded, top=top, left=left, mode=mode, constant_values=constant_values),
            wraps=folding.wraps(mode),
            geometry=Geometry(
                partial(padded_shape, top=top, bottom=bottom, left=left, right=right),
                partial(padded_window, top=top, left=left, mode=mode),
            ),
        ),
    )
