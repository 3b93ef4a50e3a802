"""Geometry: swirl an image, or unroll it into polar coordinates."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from cluster_worker.kernels import warping
from cluster_worker.operations.affine import (
    CenterColumn,
    CenterRow,
    Radians,
    Shape,
    by_loop,
    center_of,
    is_linear,
    meets_image,
    same_shape,
)
from cluster_worker.operations.declare import (
    Composed,
    Geometry,
    Image,
    Kernel,
    Measure,
    Number,
    Place,
    Stage,
    either,
    operation,
)
from cluster_worker.operations.support import clipping, folding, sampling
from cluster_worker.operations.support.folding import Border, Box, Floats
from cluster_worker.operations.support.sampling import MovedFill, Order
from cluster_worker.operations.support.statistics import Extent
from cluster_worker.pixels.tiling import Span

# From the image's shape, and rows and columns of the result, to rows and columns of the image at
# which its pixels are sampled.
MappingOf = Callable[[Shape, Floats, Floats], tuple[Floats, Floats]]


def cosine_range(low: float, high: float) -> tuple[float, float]:
    """Return the least and the greatest cosine over a range of angles, in radians."""
    ends = math.cos(low), math.cos(high)
    full = 2 * math.pi
    greatest = 1.0 if math.ceil(low / full) * full <= high else max(ends)
    least = -1.0 if (math.ceil(low / full - 0.5) + 0.5) * full <= high else min(ends)
    return least, greatest


def sector_box(
    center: tuple[float, float], radii: tuple[float, float], angles: tuple[float, float]
) -> Box:
    """Return the box around a sector of a ring.

    Parameters
    ----------
    center : tuple of float
        (row, column).
    radii, angles : tuple of float
        Least and greatest. Angles are in radians, from the axis of columns towards that of rows.

    Returns
    -------
    tuple of float
        Least and greatest row, least and greatest column.
    """
    found: list[float] = []
    for middle, shift in zip(center, (math.pi / 2, 0.0), strict=True):
        least, greatest = cosine_range(angles[0] - shift, angles[1] - shift)
        found += [
            middle + min(least * radius for radius in radii),
            middle + max(greatest * radius for radius in radii),
        ]
    return found[0], found[1], found[2], found[3]


def swirl_center(shape: Shape, *center: float | None) -> tuple[float, float]:
    """Return the (row, column) about which scikit-image swirls; `center` as of `center_of`."""
    return center_of((shape[0] / 2, shape[1] / 2), *center)


def swirl_mapping(
    shape: Shape,
    rows: Floats,
    columns: Floats,
    rotation: float,
    strength: float,
    radius: float,
    center_row: float | None,
    center_column: float | None,
) -> tuple[Floats, Floats]:
    """Map rows and columns of a swirled image to those of the image."""
    y0, x0 = swirl_center(shape, center_row, center_column)
    # Both are as large as the result, since numpy rounds sines of broadcast arrays differently.
    y = np.repeat(rows - y0, columns.size, axis=1)
    x = np.repeat(columns - x0, rows.size, axis=0)
    away = np.sqrt(x**2 + y**2)
    theta = rotation + strength * np.exp(-away / swirl_decay(radius)) + np.arctan2(y, x)
    return y0 + away * np.sin(theta), x0 + away * np.cos(theta)


def swirl_decay(radius: float) -> float:
    """Return the distance over which the turn falls by a factor of e: to 1/1000 at the radius."""
    return float(radius / 5 * np.log(2))


def swirl_window(
    core: Span,
    shape: Shape,
    rotation: float,
    strength: float,
    radius: float,
    center_row: float | None,
    center_column: float | None,
    order: int | None,
    mode: Border,
) -> Span:
    """Compute the span of the image that a core of the swirled image reads.

    The pixels that the core reads lie in a sector of a ring, which bounds the span.
    """
    y0, x0 = swirl_center(shape, center_row, center_column)
    top, bottom = core.top - y0, core.bottom - 1 - y0
    left, right = core.left - x0, core.right - 1 - x0
    outer = math.hypot(max(-top, bottom), max(-left, right))
    inner = math.hypot(max(top, -bottom, 0.0), max(left, -right, 0.0))
    if inner == 0:
        return folding.needed_span(
            sector_box((y0, x0), (0.0, outer), (0.0, 2 * math.pi)), shape, order, mode
        )
    middle = math.atan2(top + bottom, left + right)
    around = [
        math.remainder(math.atan2(y, x) - middle, 2 * math.pi)
        for y in (top, bottom)
        for x in (left, right)
    ]
    turns = [strength * math.exp(-each / swirl_decay(radius)) for each in (inner, outer)]
    angles = (
        middle + rotation + min(around) + min(turns),
        middle + rotation + max(around) + max(turns),
    )
    return folding.needed_span(sector_box((y0, x0), (inner, outer), angles), shape, order, mode)


def maps_beyond(
    _: Image, __: Extent, mapping_of: MappingOf, order: int | None, *, place: Place
) -> bool:
    """Return whether some pixel of a core is sampled where it has no neighbour in the image.

    The result is as large as the image. The block and its extent are not used.
    """
    return any(
        clipping.lies_beyond(*mapping_of(place.shape, rows, columns), place.shape, order)
        for _, rows, columns in sampling.bands(place.core)
    )


def mapped(
    image: Image,
    mapping_of: MappingOf,
    order: int | None,
    mode: Border,
    cval: float,
    shape_of: Callable[[Shape], Shape] = same_shape,
    outermost: Span | None = None,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
) -> Image:
    """Compute a core of an image under any mapping.

    Parameters
    ----------
    shape_of : callable
        From (rows, columns) of the image to those of the result.
    outermost : Span, optional
        Pixels of the result that lie farthest out: if any pixel of the result is sampled where it
        has no neighbour in the image, one of these is. Without it, the second statistic says
        whether there is such a pixel.
    """
    order = sampling.order_for(image, order)
    block = sampling.as_floats(image) if order > 0 else image
    mapping = partial(mapping_of, place.shape)
    result = sampling.warped(block, place, mapping, order, mode, cval)
    if not statistics:
        return result
    if outermost is None:
        reaches = len(statistics) > 1 and statistics[1]
    else:
        found = (mapping(rows, columns) for _, rows, columns in sampling.bands(outermost))
        reaches = any(clipping.lies_beyond(*each, place.shape, order) for each in found)
    meets = partial(meets_image, mapping, shape_of(place.shape), place.shape)
    return clipping.clipped(result, image, statistics[0], order, mode, cval, reaches, meets)


def swirl_sampled(
    image: Image,
    mode: Border,
    rotation: float,
    strength: float,
    radius: float,
    center_row: float | None,
    center_column: float | None,
    *,
    place: Place,
    dtype: str,
    out: Image | None,
) -> Image:
    """Compute a core of a swirled image, with a kernel."""
    center = swirl_center(place.shape, center_row, center_column)
    decay = swirl_decay(radius)
    coordinates = partial(warping.swirled, center, rotation, strength, decay)
    limits = -math.inf, math.inf
    return warping.sampled(image, coordinates, mode, 0.0, limits, dtype=dtype, place=place, out=out)


def swirl_by_loop(mode: Border, **given: Any) -> tuple[Stage, ...]:
    """Make the stage of `swirl` with a kernel."""
    (stage,) = swirl(mode=mode, **given)
    stir = {name: given[name] for name in given.keys() - {"order", "cval"}}
    return (replace(stage, function=partial(swirl_sampled, mode=mode, **stir), model=stage),)


@operation(
    "Swirl",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="lost",
    arrays=6,
    cost=lambda order, **_: 24 if order is not None and order > 1 else 8,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            swirl_by_loop,
            when=lambda mode, **others: mode != "constant" and is_linear(mode=mode, **others),
            arrays=0,
            cost=3,
            tolerance=1e-6,
        ),
    ),
    differs=sampling.DIFFERS,
)
def swirl(
    strength: Annotated[float, Number(-100, 100, slider=(-20, 20), step=0.5)] = 5.0,
    radius: Annotated[float, Number(1, 100_000, unit="px", slider=(10, 1000), step=1)] = 100.0,
    rotation: Radians = 0.0,
    center_row: CenterRow = None,
    center_column: CenterColumn = None,
    order: Order = None,
    mode: Border = "reflect",
    cval: MovedFill = 0.0,
) -> tuple[Stage, ...]:
    """Swirl an image: rotate it about a centre, most at the centre and less farther out.

    Parameters
    ----------
    strength : float
        How far the centre is turned, in radians; the turn falls off towards the radius.
    radius : float
        Distance from the centre beyond which almost nothing is turned.
    rotation : float
        Angle by which the whole image is turned as well.

    References
    ----------
    skimage.transform.swirl
    """
    center = {"center_row": center_row, "center_column": center_column}
    stir: dict[str, Any] = {
        "rotation": rotation,
        "strength": strength,
        "radius": radius,
        **center,
    }
    sampled: dict[str, Any] = {"mapping_of": partial(swirl_mapping, **stir), "order": order}
    measures = clipping.measures_for_clipping(order, mode)
    if mode == "constant" and not clipping.overshoots(order, mode):
        measures += (Measure(partial(maps_beyond, **sampled), either),)
    stage = Stage(
        partial(mapped, **sampled, mode=mode, cval=cval),
        measures=measures,
        wraps=folding.wraps(mode),
        geometry=Geometry(same_shape, partial(swirl_window, **stir, order=order, mode=mode)),
    )
    return clipping.with_clipping(stage, order, mode, cval)


# One row for each degree.
POLAR_ROWS = 360


def polar_radius(shape: Shape, radius: float | None) -> float:
    """Return the radius of the circle that is unrolled, in pixels."""
    return float(np.sqrt((shape[0] / 2) ** 2 + (shape[1] / 2) ** 2)) if radius is None else radius


def polar_shape(shape: Shape, radius: float | None) -> Shape:
    """Return rows and columns of the result: one row per degree, one column per pixel of radius."""
    return POLAR_ROWS, math.ceil(polar_radius(shape, radius))


def polar_distances(shape: Shape, radius: float | None, scaling: str, columns: Floats) -> Floats:
    """Convert columns of the result to distances from the centre, in pixels."""
    reached = polar_radius(shape, radius)
    width = polar_shape(shape, radius)[1]
    if scaling == "linear":
        return columns / (width / reached)
    distances: Floats = np.exp(columns / (width / np.log(reached)))
    return distances


def polar_center(shape: Shape, *center: float | None) -> tuple[float, float]:
    """Return the (row, column) about which an image is unrolled; `center` as of `center_of`."""
    return center_of((shape[0] / 2 - 0.5, shape[1] / 2 - 0.5), *center)


def polar_mapping(
    shape: Shape,
    rows: Floats,
    columns: Floats,
    radius: float | None,
    scaling: str,
    center_row: float | None,
    center_column: float | None,
) -> tuple[Floats, Floats]:
    """Map rows and columns of an unrolled image to those of the image."""
    angle = rows / (POLAR_ROWS / (2 * np.pi))
    away = polar_distances(shape, radius, scaling, columns)
    down, across = polar_center(shape, center_row, center_column)
    return away * np.sin(angle) + down, away * np.cos(angle) + across


def polar_window(
    core: Span,
    shape: Shape,
    radius: float | None,
    scaling: str,
    center_row: float | None,
    center_column: float | None,
    order: int | None,
    mode: Border,
) -> Span:
    """Compute the span of the image that a core of the unrolled image reads: a sector of a ring."""
    ends = np.array([core.left, core.right - 1], np.float64)
    away = polar_distances(shape, radius, scaling, ends)
    radii = float(away.min()), float(away.max())
    step = 2 * math.pi / POLAR_ROWS
    angles = core.top * step, (core.bottom - 1) * step
    center = polar_center(shape, center_row, center_column)
    return folding.needed_span(sector_box(center, radii, angles), shape, order, mode)


def unrolled(image: Image, radius: float | None, *, place: Place, **sampled: Any) -> Image:
    """Compute a core of the unrolled image."""
    # The last column is the outermost circle: if any column leaves the image, it does.
    width = polar_shape(place.shape, radius)[1]
    circle = Span(0, POLAR_ROWS, width - 1, width)
    shape_of = partial(polar_shape, radius=radius)
    return mapped(image, shape_of=shape_of, outermost=circle, place=place, **sampled)


def polar_coordinates(
    shape: Shape, mapping_of: MappingOf, rows: Floats, columns: Floats
) -> tuple[Floats, Floats]:
    """Map rows, (n,), and columns, (m,), of an unrolled image to those of the image."""
    return mapping_of(shape, rows[:, np.newaxis], columns[np.newaxis])


def unroll_sampled(
    image: Image,
    radius: float | None,
    mapping_of: MappingOf,
    order: int | None,
    mode: Border,
    cval: float,
    *,
    place: Place,
    statistics: tuple[Any, ...] = (),
    dtype: str,
    out: Image | None,
) -> Image:
    """Compute a core of the unrolled image, with a kernel."""
    coordinates = partial(polar_coordinates, place.shape, mapping_of)
    width = polar_shape(place.shape, radius)[1]
    circle = coordinates(np.arange(POLAR_ROWS), np.array([width - 1]))
    reaches = clipping.lies_beyond(*circle, place.shape, order)
    limits = clipping.limits_of(image.dtype, statistics, mode, cval, reaches)
    return warping.sampled(
        image, coordinates, mode, cval, limits, dtype=dtype, place=place, out=out
    )


def warp_polar_by_loop(**given: Any) -> tuple[Stage, ...]:
    """Make the stage of `warp_polar` with a kernel."""
    return by_loop(warp_polar(**given), unroll_sampled)


@operation(
    "Unroll (polar)",
    "Geometry",
    Composed("geometric"),
    floats=True,
    pixels="lost",
    arrays=6,
    # Of floats, whose rate also has the time to measure the whole image.
    cost=lambda order, **_: 1.2 if order is not None and order > 1 else 0.4,
    tolerance=1e-6,
    averages=sampling.between_pixels,
    kernels=(
        Kernel(
            warp_polar_by_loop,
            when=is_linear,
            arrays=0,
            cost=1,
            tolerance=1e-6,
        ),
    ),
    differs=sampling.DIFFERS,
)
def warp_polar(
    radius: Annotated[
        float | None, Number(2, 100_000, unit="px", slider=(10, 2000), step=1)
    ] = None,
    scaling: Literal["linear", "log"] = "linear",
    center_row: CenterRow = None,
    center_column: CenterColumn = None,
    order: Order = None,
    mode: Border = "constant",
    cval: MovedFill = 0.0,
) -> tuple[Stage, ...]:
    """Unroll an image into polar coordinates: rows are degrees, columns distances from the centre.

    Parameters
    ----------
    radius : float
        Largest distance from the centre that is shown. Null means up to the corners.
    scaling : str
        Whether columns are equal steps of the distance (linear) or of its logarithm (log). With
        the logarithm, a change of size becomes a shift.

    References
    ----------
    skimage.transform.warp_polar
    """
    center = {"center_row": center_row, "center_column": center_column}
    unroll: dict[str, Any] = {"radius": radius, "scaling": scaling, **center}
    sampled: dict[str, Any] = {"order": order, "mode": mode}
    mapping_of = partial(polar_mapping, **unroll)
    stage = Stage(
        partial(unrolled, radius=radius, mapping_of=mapping_of, cval=cval, **sampled),
        measures=clipping.measures_for_clipping(order, mode),
        wraps=folding.wraps(mode),
        geometry=Geometry(
            partial(polar_shape, radius=radius),
            partial(polar_window, **unroll, **sampled),
            counts_result=True,
        ),
    )
    return clipping.with_clipping(stage, order, mode, cval)
