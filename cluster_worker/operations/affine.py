"""Geometry: rotate an image, or warp it by an affine mapping."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from cluster_worker.kernels import warping
from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import (
    Composed,
    Geometry,
    Image,
    Kernel,
    Number,
    Place,
    Stage,
    operation,
)
from cluster_worker.operations.sizes import Factor, OtherFactor
from cluster_worker.operations.support import clipping, folding, sampling
from cluster_worker.operations.support.affine_sampling import mapping_in_type, warped_affine
from cluster_worker.operations.support.folding import Border, Floats
from cluster_worker.operations.support.sampling import Mapping, MovedFill, Order
from cluster_worker.pixels.tiling import Span, all_of

transform = lazily("skimage.transform")

Shape = tuple[int, int]


Radians = Annotated[float, Number(-6.3, 6.3, unit="rad", slider=(-3.2, 3.2), step=0.01)]


Shift = Annotated[float, Number(-100_000, 100_000, unit="px", slider=(-500, 500), step=1)]


Center = Number(-10_000, 100_000, unit="px", slider=(0, 2000), step=0.5)
CenterRow = Annotated[
    float | None, Center, "Row of the centre, from 0; null means the middle of the image."
]
CenterColumn = Annotated[
    float | None, Center, "Column of the centre, from 0; null means the middle of the image."
]


def center_of(
    middle: tuple[float, float], center_row: float | None, center_column: float | None
) -> tuple[float, float]:
    """Return the (row, column) of a centre; what is not given is that of the middle."""
    row, column = middle
    return (
        row if center_row is None else float(center_row),
        column if center_column is None else float(center_column),
    )


def corners(core: Span, matrix: Floats) -> tuple[Floats, Floats]:
    """Return rows and columns, in the image, of the four corner pixels of a core."""
    x = np.array([core.left, core.right - 1] * 2, np.float64)
    y = np.repeat(np.array([core.top, core.bottom - 1], np.float64), 2)
    across, down = matrix[:2, :2] @ np.stack([x, y]) + matrix[:2, 2:]
    return down, across


def affine_mapping(matrix: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Map rows and columns of a result to those of the image, in float64.

    The product of matrices is scikit-image's, with its roundings: halfway between two pixels they
    decide which of them is the nearest.
    """
    x, y = np.broadcast_arrays(columns, rows)
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    across, down, _ = (points @ matrix.astype(np.float64).T).T
    return down.reshape(x.shape), across.reshape(x.shape)


def outermost_of(result: Shape, mapping: sampling.Mapping) -> tuple[Floats, Floats]:
    """Return rows and columns, in the image, of the four corner pixels of a result."""
    rows, columns = (np.array([0.0, side - 1.0]) for side in result)
    return mapping(rows[:, np.newaxis], columns[np.newaxis])


def affine_window(
    core: Span,
    shape: Shape,
    matrix_of: Callable[[Shape], Floats],
    order: int | None,
    mode: Border,
) -> Span:
    """Compute the span of the image that a core of the warped image reads."""
    down, across = corners(core, matrix_of(shape))
    box = (down.min(), down.max(), across.min(), across.max())
    return folding.needed_span(box, shape, order, mode)


def affine_warped(
    image: Image,
    shape_of: Callable[[Shape], Shape],
    matrix_of: Callable[[Shape], Floats],
    order: int | None,
    mode: Border,
    cval: float,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Compute a core of an image under an affine mapping.

    Parameters
    ----------
    shape_of : callable
        From (rows, columns) of the image to those of the result.
    matrix_of : callable
        From (rows, columns) of the image to the 3 × 3 matrix from (column, row, 1) of the result
        to those of the image.
    """
    order = sampling.order_for(image, order)
    block = sampling.as_floats(image) if order > 0 else image
    matrix = matrix_of(place.shape)
    mapping = partial(affine_mapping, matrix)
    if order in (1, 3):
        mapping = partial(mapping_in_type, matrix.astype(block.dtype))
        result = warped_affine(block, place, mapping, order, mode, cval)
    else:
        result = sampling.warped(block, place, mapping, order, mode, cval)
    if not statistics:
        return result
    # If a pixel of the result lies beyond the image, so does one of its four corners.
    outermost = outermost_of(shape_of(place.shape), mapping)
    reaches = clipping.lies_beyond(*outermost, place.shape, order)
    meets = partial(meets_image, mapping, shape_of(place.shape), place.shape)
    return clipping.clipped(result, image, statistics[0], order, mode, cval, reaches, meets)


def meets_image(mapping: Mapping, result: Shape, shape: Shape) -> bool:
    """Return whether some pixel of a result of these (rows, columns) lies on an image's pixel."""
    columns = np.arange(result[1], dtype=np.float64)[np.newaxis]
    # Row by row: most results meet the image in an early one, and a whole grid may be large.
    for row in range(result[0]):
        down, across = mapping(np.array([[row]], np.float64), columns)
        beyond = clipping.beyond(down, across, shape, 0)
        if not beyond.all():
            return True
    return False


def affine_stages(
    shape_of: Callable[[Shape], Shape],
    matrix_of: Callable[[Shape], Floats],
    order: int | None,
    mode: Border,
    cval: float,
) -> tuple[Stage, ...]:
    """Make the stages for an affine mapping; the parameters are those of `affine_warped`."""
    shared: dict[str, Any] = {"matrix_of": matrix_of, "order": order, "mode": mode}
    stage = Stage(
        partial(affine_warped, **shared, shape_of=shape_of, cval=cval),
        measures=clipping.measures_for_clipping(order, mode),
        wraps=folding.wraps(mode),
        geometry=Geometry(shape_of, partial(affine_window, **shared)),
    )
    return clipping.with_clipping(stage, order, mode, cval)


def affine_coordinates(matrix: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Map rows, (n,), and columns, (m,), of a result to those of the image, in float32."""
    across_of, down_of = matrix.astype(np.float32)[:2]
    x, y = columns.astype(np.float32), rows.astype(np.float32)[:, np.newaxis]
    across = across_of[0] * x + across_of[1] * y + across_of[2]
    down = down_of[0] * x + down_of[1] * y + down_of[2]
    return down.astype(np.float64), across.astype(np.float64)


def affine_sampled(
    image: Image,
    shape_of: Callable[[Shape], Shape],
    matrix_of: Callable[[Shape], Floats],
    order: int | None,
    mode: Border,
    cval: float,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
    dtype: str,
    out: Image | None,
) -> Image:
    """Compute a core of an image under an affine mapping, with a kernel."""
    matrix = matrix_of(place.shape)
    outermost = corners(all_of(shape_of(place.shape)), matrix)
    reaches = clipping.lies_beyond(*outermost, place.shape, order)
    limits = clipping.limits_of(image.dtype, statistics, mode, cval, reaches)
    coordinates = partial(affine_coordinates, matrix)
    return warping.sampled(
        image, coordinates, mode, cval, limits, dtype=dtype, place=place, out=out
    )


def by_loop(stages: tuple[Stage, ...], function: Callable[..., Any]) -> tuple[Stage, ...]:
    """Replace the function of a single stage by a kernel with the same arguments."""
    (stage,) = stages
    given: Any = stage.function
    return (replace(stage, function=partial(function, **given.keywords), model=stage),)


def is_linear(order: int | None, mode: Border, **_: Any) -> bool:
    """Return whether the kernel applies: linear interpolation that does not wrap at the border."""
    return order in (None, 1) and mode != "wrap"


def same_shape(shape: Shape) -> Shape:
    """Return the rows and columns unchanged."""
    return shape


def rotation(
    shape: Shape,
    angle: float,
    resize: bool,
    center_row: float | None,
    center_column: float | None,
) -> tuple[Floats, Shape]:
    """Compute the matrix of a rotation about a centre, and the shape of the result.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image.
    angle : float
        Anticlockwise, in degrees.
    resize : bool
        Whether the result grows to show the whole rotated image.
    center_row, center_column : float, optional
        The centre; by default the middle of the image.

    Returns
    -------
    matrix : ndarray
        3 × 3, from (column, row, 1) of the result to those of the image.
    shape : tuple of int
        (rows, columns) of the result.
    """
    rows, columns = shape
    middle = rows / 2.0 - 0.5, columns / 2.0 - 0.5
    center = np.array(center_of(middle, center_row, center_column)[::-1])
    turn = (
        transform.SimilarityTransform(translation=-center)
        + transform.SimilarityTransform(rotation=np.deg2rad(angle))
        + transform.SimilarityTransform(translation=center)
    )
    if resize:
        outermost = np.array([[0, 0], [0, rows - 1], [columns - 1, rows - 1], [columns - 1, 0]])
        reached = turn.inverse(outermost)
        low, high = reached.min(axis=0), reached.max(axis=0)
        columns, rows = (int(each) for each in np.around(high - low + 1))
        turn = transform.SimilarityTransform(translation=tuple(low)) + turn
    return turn.params, (rows, columns)


def rotation_matrix(shape: Shape, **turn: Any) -> Floats:
    """Compute the matrix of a rotation, as `rotation` does."""
    return rotation(shape, **turn)[0]


def rotation_shape(shape: Shape, **turn: Any) -> Shape:
    """Compute rows and columns of a rotated image."""
    return rotation(shape, **turn)[1]


def rotate_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the stage of `rotate` with a kernel."""
    return by_loop(rotate(**given), affine_sampled)


@operation(
    "Rotate",
    "Geometry",
    Composed("geometric"),
    floats=True,
    arrays=6,
    cost=4,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            rotate_by_loop,
            when=is_linear,
            arrays=0,
            cost=0.5,
            tolerance=1e-6,
        ),
    ),
    differs=sampling.DIFFERS,
)
def rotate(
    angle: Annotated[float, Number(-360, 360, unit="°", slider=(-180, 180), step=0.5)] = 15.0,
    resize: bool = False,
    center_row: CenterRow = None,
    center_column: CenterColumn = None,
    order: Order = None,
    mode: Border = "constant",
    cval: MovedFill = 0.0,
) -> tuple[Stage, ...]:
    """Rotate an image about its middle, or about another centre.

    Parameters
    ----------
    angle : float
        Angle of the rotation, anticlockwise.
    resize : bool
        Whether the result grows to fit the whole rotated image.

    References
    ----------
    skimage.transform.rotate
    """
    center = {"center_row": center_row, "center_column": center_column}
    turn: dict[str, Any] = {"angle": angle, "resize": resize, **center}
    shape_of, matrix_of = partial(rotation_shape, **turn), partial(rotation_matrix, **turn)
    return affine_stages(shape_of, matrix_of, order, mode, cval)


def affine_matrix(_: Shape, given: Any) -> Floats:
    """Compute the matrix from pixels of the result to pixels of the image.

    Parameters
    ----------
    given : tuple of (str, value)
        Arguments of skimage.transform.AffineTransform; a tuple, so that it can be hashed.
    """
    matrix: Floats = transform.AffineTransform(**dict(given)).inverse.params
    return matrix


def affine_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the stage of `affine` with a kernel."""
    return by_loop(affine(**given), affine_sampled)


@operation(
    "Affine warp",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="lost",
    arrays=6,
    cost=4,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            affine_by_loop,
            when=is_linear,
            arrays=0,
            cost=0.5,
            tolerance=1e-6,
        ),
    ),
    differs=sampling.DIFFERS,
)
def affine(
    scale: Factor = 1.0,
    scale_rows: OtherFactor = None,
    rotation: Radians = 0.0,
    shear: Annotated[float, Number(-1.5, 1.5, unit="rad", slider=(-1, 1), step=0.01)] = 0.2,
    translation: Shift = 0.0,
    translation_rows: Shift = 0.0,
    order: Order = None,
    mode: Border = "constant",
    cval: MovedFill = 0.0,
) -> tuple[Stage, ...]:
    """Warp an image by an affine mapping: scale, rotate, shear and shift it.

    The upper left corner is the fixed point of scale, rotation and shear.

    Parameters
    ----------
    scale : float
        Factor of the width, and of the height if `scale_rows` is null.
    scale_rows : float
        Factor of the height. Null means the same as `scale`.
    rotation : float
        Angle of the rotation, clockwise.
    shear : float
        Angle of the shear, by which the columns of the image lean.
    translation : float
        How far the image is shifted to the right.
    translation_rows : float
        How far the image is shifted down.

    References
    ----------
    skimage.transform.AffineTransform, with skimage.transform.warp
    """
    given = (
        ("scale", (scale, scale if scale_rows is None else scale_rows)),
        ("rotation", rotation),
        ("shear", shear),
        ("translation", (translation, translation_rows)),
    )
    return affine_stages(same_shape, partial(affine_matrix, given=given), order, mode, cval)
