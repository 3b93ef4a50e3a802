"""Geometry: rotate, and warp by an affine mapping."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from skimage import transform

from cluster_worker.kernels import warping
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
from cluster_worker.operations.support import clipping, sampling
from cluster_worker.operations.support.affine_sampling import warped_affine
from cluster_worker.operations.support.sampling import Border, Floats, Level, Order
from cluster_worker.pixels.tiling import Span, all_of

Shape = tuple[int, int]


Radians = Annotated[float, Number(-6.3, 6.3, unit="rad", slider=(-3.2, 3.2), step=0.01)]


Shift = Annotated[float, Number(-100_000, 100_000, unit="px", slider=(-500, 500), step=1)]


def corners(core: Span, matrix: Floats) -> tuple[Floats, Floats]:
    """Give rows and columns in the image of a core's four outermost pixels."""
    x = np.array([core.left, core.right - 1] * 2, np.float64)
    y = np.repeat(np.array([core.top, core.bottom - 1], np.float64), 2)
    across, down = matrix[:2, :2] @ np.stack([x, y]) + matrix[:2, 2:]
    return down, across


def affine_mapping(matrix: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Map rows and columns of a result to those of the image."""
    across, down = (
        line[0] * columns + line[1] * rows + line[2] for line in matrix[:2].astype(np.float64)
    )
    return down, across


def affine_window(
    core: Span,
    shape: Shape,
    matrix_of: Callable[[Shape], Floats],
    order: int | None,
    mode: Border,
) -> Span:
    """Give what a core of the warped image is made from."""
    down, across = corners(core, matrix_of(shape))
    box = (down.min(), down.max(), across.min(), across.max())
    return sampling.spanned(box, shape, order, mode)


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
    """Fill a core of an image under an affine mapping."""
    order = sampling.order_for(image, order)
    block = sampling.as_floats(image) if order > 0 else image
    matrix = matrix_of(place.shape)
    if order in (1, 3):
        result = warped_affine(block, place, matrix, order, mode, cval)
    else:
        mapping = partial(affine_mapping, matrix)
        result = sampling.warped(block, place, mapping, order, mode, cval)
    if not statistics:
        return result
    # A line between two pixels leaves the image only if one of them lies outside.
    outermost = corners(all_of(shape_of(place.shape)), matrix)
    reaches = clipping.lies_beyond(*outermost, place.shape, order)
    return clipping.clipped(result, image, statistics[0], order, mode, cval, reaches)


def affine_parts(
    shape_of: Callable[[Shape], Shape],
    matrix_of: Callable[[Shape], Floats],
    order: int | None,
    mode: Border,
    cval: float,
) -> tuple[Stage, ...]:
    """Make the stages for an affine mapping."""
    shared: dict[str, Any] = {"matrix_of": matrix_of, "order": order, "mode": mode}
    stage = Stage(
        partial(affine_warped, **shared, shape_of=shape_of, cval=cval),
        measures=clipping.measures_for_clipping(order, mode),
        wraps=sampling.wraps(mode),
        geometry=Geometry(shape_of, partial(affine_window, **shared)),
    )
    return clipping.with_clipping(stage, order, mode, cval)


def affine_coordinates(matrix: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Map rows and columns of a result to those of the image, in single precision."""
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
    """Fill a core of an image under an affine mapping, by a kernel."""
    matrix = matrix_of(place.shape)
    outermost = corners(all_of(shape_of(place.shape)), matrix)
    reaches = clipping.lies_beyond(*outermost, place.shape, order)
    limits = clipping.limits_of(image.dtype, statistics, mode, cval, reaches)
    coordinates = partial(affine_coordinates, matrix)
    return warping.sampled(
        image, coordinates, mode, cval, limits, dtype=dtype, place=place, out=out
    )


def by_loop(stages: tuple[Stage, ...], function: Callable[..., Any]) -> tuple[Stage, ...]:
    """Let a kernel do what a stage does, with the same arguments."""
    (stage,) = stages
    given: Any = stage.function
    return (replace(stage, function=partial(function, **given.keywords), model=stage),)


def is_linear(order: int | None, mode: Border, **_: Any) -> bool:
    """Whether pixels are means of four, of which none lies at the opposite border."""
    return order in (None, 1) and mode != "wrap"


def same_shape(shape: Shape) -> Shape:
    """Keep rows and columns."""
    return shape


def rotation(shape: Shape, angle: float, resize: bool) -> tuple[Floats, Shape]:
    """Give the matrix of a rotation about the centre, and the rows and columns of the result."""
    rows, columns = shape
    center = np.array((columns, rows)) / 2.0 - 0.5
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


def rotation_matrix(shape: Shape, angle: float, resize: bool) -> Floats:
    """Give the matrix of a rotation."""
    return rotation(shape, angle, resize)[0]


def rotation_shape(shape: Shape, angle: float, resize: bool) -> Shape:
    """Give rows and columns of a rotated image."""
    return rotation(shape, angle, resize)[1]


def rotate_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the stage of a rotation, by a kernel."""
    return by_loop(rotate(**given), affine_sampled)


@operation(
    "Rotate",
    "Geometry",
    Composed("geometric"),
    floats=True,
    arrays=6,
    cost=4,
    tolerance=1e-6,
    kernels=(
        Kernel(
            rotate_by_loop,
            when=is_linear,
            arrays=0,
            cost=0.5,
            tolerance=1e-6,
        ),
    ),
)
def rotate(
    angle: Annotated[float, Number(-360, 360, unit="°", slider=(-180, 180), step=0.5)] = 15.0,
    resize: bool = False,
    order: Order = None,
    mode: Border = "constant",
    cval: Level = 0.0,
) -> tuple[Stage, ...]:
    """Rotate an image about its centre.

    Parameters
    ----------
    angle : float
        How far, anticlockwise.
    resize : bool
        Whether the result grows so that the whole rotated image fits.
    order : int
        How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic spline, 3
        cubic. Null means 1, and 0 for a mask.
    mode : str
        What lies beyond the image's border: one level, the last pixel, the mirror image with or
        without the last pixel twice (symmetric, reflect), or the opposite edge (wrap).
    cval : float
        The level for the mode constant, as a share of white; transparency takes it as well.

    References
    ----------
    skimage.transform.rotate
    """
    turn: dict[str, Any] = {"angle": angle, "resize": resize}
    shape_of, matrix_of = partial(rotation_shape, **turn), partial(rotation_matrix, **turn)
    return affine_parts(shape_of, matrix_of, order, mode, cval)


def affine_matrix(_: Shape, given: Any) -> Floats:
    """Give the matrix from a result's pixels to the image's."""
    matrix: Floats = transform.AffineTransform(**dict(given)).inverse.params
    return matrix


def affine_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the stage of an affine warp, by a kernel."""
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
    kernels=(
        Kernel(
            affine_by_loop,
            when=is_linear,
            arrays=0,
            cost=0.5,
            tolerance=1e-6,
        ),
    ),
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
    cval: Level = 0.0,
) -> tuple[Stage, ...]:
    """Scale, turn, shear and shift an image, about its upper left corner.

    Parameters
    ----------
    scale : float
        Factor of the width, and of the height if that has none of its own.
    scale_rows : float
        Another factor for the height. Null means the same.
    rotation : float
        How far it is turned, clockwise as rows count downwards.
    shear : float
        Angle by which columns lean.
    translation : float
        How far it is shifted to the right.
    translation_rows : float
        How far it is shifted down.
    order : int
        How values between pixels are found: 0 nearest pixel, 1 linear, 2 quadratic spline, 3
        cubic. Null means 1, and 0 for a mask.
    mode : str
        What lies beyond the image's border: one level, the last pixel, the mirror image with or
        without the last pixel twice (symmetric, reflect), or the opposite edge (wrap).
    cval : float
        The level for the mode constant, as a share of white; transparency takes it as well.

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
    return affine_parts(same_shape, partial(affine_matrix, given=given), order, mode, cval)
