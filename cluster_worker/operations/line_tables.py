"""Straight lines: those in a mask, and the values of an image along one."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Number, Place, Table, operation
from cluster_worker.operations.support.column_units import PIXELS, RADIANS, VALUE, units

ndimage = lazily("scipy.ndimage")
hough = lazily("skimage.transform")
profile = lazily("skimage.measure.profile")

Array = NDArray[Any]
Columns = dict[str, Array]
Coordinate = Annotated[tuple[float, ...], Number(0, 1_000_000, unit="px")]


def directions(angles: int) -> NDArray[np.float64]:
    """Return the angles between the columns' axis and the normals of the lines, in radians."""
    return np.linspace(-np.pi / 2, np.pi / 2, angles, endpoint=False)


def farthest(shape: tuple[int, int]) -> int:
    """Return the largest distance of a line from the corner of an image, in pixels."""
    return math.ceil(math.sqrt(shape[0] * shape[0] + shape[1] * shape[1]))


def add_votes(a: Array, b: Array) -> Array:
    """Add the votes of two sets of tiles."""
    found: Array = a + b
    return found


def finish_lines(
    found: Array,
    shape: tuple[int, int],
    angles: int,
    min_distance: int,
    min_angle: int,
    threshold: float | None,
    num_peaks: int | None,
) -> Columns:
    """Return the lines with most votes, by scikit-image's own choice of peaks."""
    offset = farthest(shape)
    votes, angle, distance = hough.hough_line_peaks(
        found,
        directions(angles),
        np.linspace(-offset, offset, 2 * offset + 1),
        min_distance,
        min_angle,
        threshold,
        np.inf if num_peaks is None else num_peaks,
    )
    kinds = {"votes": (votes, np.int64), "angle": (angle, float), "distance": (distance, float)}
    return {name: np.asarray(each, kind) for name, (each, kind) in kinds.items()}


@operation(
    "Straight lines",
    "Measurements",
    Table(add_votes, finish_lines, unit=units(votes=PIXELS, angle=RADIANS, distance=PIXELS)),
    channels="gray",
    takes="mask",
    arrays=8,
    cost=lambda angles, **_: 0.5 * angles,
    differs="the table has the columns of scikit-image's result by name",
)
def hough_line_peaks(
    image: Image,
    angles: Annotated[int, Number(2, 1800, slider=(90, 360), step=1)] = 180,
    min_distance: Annotated[int, Number(1, 10_000, unit="px", slider=(1, 50), step=1)] = 9,
    min_angle: Annotated[int, Number(1, 900, slider=(1, 45), step=1)] = 10,
    threshold: Annotated[float | None, Number(0, 1e9, unit="px")] = None,
    num_peaks: Annotated[int | None, Number(1, 100_000, slider=(1, 100), step=1)] = None,
    *,
    place: Place,
) -> Array:
    """Find straight lines in a mask with the Hough transform: a table with a row for each line.

    Every pixel votes for all lines through it. A line is given by the angle of its normal, from the
    columns' axis, and by its distance from the middle of the upper left pixel.

    Parameters
    ----------
    angles : int
        Number of angles that are tried, over half a turn.
    min_distance : int
        Lines of about the same angle are at least so far apart.
    min_angle : int
        Least difference of two lines, in steps of the angles that are tried.
    threshold : float, optional
        Least number of pixels on a line; automatic is half of that of the best line.
    num_peaks : int, optional
        Most lines; those with most pixels are kept.

    References
    ----------
    skimage.transform.hough_line_peaks
    """
    del min_distance, min_angle, threshold, num_peaks  # For the finished table.
    rows, columns = (each.astype(np.float64) for each in np.nonzero(image[place.inner]))
    rows += place.core.top
    columns += place.core.left
    offset = farthest(place.shape)
    votes = np.zeros((2 * offset + 1, angles), np.uint64)
    for i, angle in enumerate(directions(angles)):
        far = np.cos(angle) * columns + np.sin(angle) * rows
        # Rounded as C code of scikit-image does: halves away from 0.
        at = np.trunc(np.where(far > 0, far + 0.5, far - 0.5)).astype(np.int64) + offset
        votes[:, i] = np.bincount(at, minlength=2 * offset + 1)
    return votes


def profile_halo(linewidth: int, **_: Any) -> int:
    """Return the pixels around a tile that its part of a line is made from.

    A wide line may leave the image by half its width, and is then continued there.
    """
    return linewidth + 2


# Bytes of one sample of a line while it is measured: places, the tile it lies in, and its value.
SAMPLE_BYTES = 96


def profile_bytes(src: tuple[float, ...], dst: tuple[float, ...], linewidth: int, **_: Any) -> int:
    """Return the bytes that the samples of a line need, over its whole length and width."""
    return SAMPLE_BYTES * math.ceil(math.dist(src[:2], dst[:2]) + 1) * linewidth


def join_samples(a: Mapping[str, Array], b: Mapping[str, Array]) -> Columns:
    """Join the samples of two sets of tiles."""
    return {name: np.concatenate([a[name], b[name]]) for name in a}


def finish_profile(
    found: Mapping[str, Array],
    _: tuple[int, int],
    src: tuple[float, ...],
    dst: tuple[float, ...],
    linewidth: int,
    mode: str,
) -> Columns:
    """Return the mean over the width of the line, for each pixel of its length."""
    del mode  # The samples know.
    lines = profile._line_profile_coordinates(src, dst, linewidth)
    length, channels = lines.shape[1], found["values"].shape[1]
    # In the order in memory in which scikit-image averages them.
    samples = np.empty((channels, length * linewidth), found["values"].dtype)
    samples[:, found["at"]] = found["values"].T
    samples = np.flip(samples.reshape(channels, length, linewidth), axis=2)
    means = [np.mean(each, axis=1) for each in samples]
    if channels > 1:
        means = list(np.mean(np.transpose(samples, (1, 2, 0)), axis=1).T)
    rows, columns = (np.linspace(*ends, length) for ends in zip(src, dst, strict=True))
    table: Columns = {"distance": np.hypot(rows - src[0], columns - src[1])}
    table |= {"row": rows, "column": columns}
    names = ["value"] if channels == 1 else [f"value-{i}" for i in range(channels)]
    return table | dict(zip(names, means, strict=True))


def unit_of_profile(column: str, **_: Any) -> str:
    """Return the unit of a column."""
    return VALUE if column.startswith("value") else PIXELS


@operation(
    "Profile along a line",
    "Measurements",
    Table(join_samples, finish_profile, halo=profile_halo, unit=unit_of_profile),
    channels="any",
    arrays=3,
    table=profile_bytes,
    cost=0.1,
    differs="the table has the place of each value as well",
)
def profile_line(
    image: Image,
    src: Coordinate = (0.0, 0.0),
    dst: Coordinate = (10.0, 10.0),
    linewidth: Annotated[int, Number(1, 500, unit="px", slider=(1, 50), step=1)] = 1,
    mode: Literal["reflect", "nearest", "mirror", "constant"] = "reflect",
    *,
    place: Place,
) -> Columns:
    """Measure the values along a straight line: a table with a row for each pixel of its length.

    Values between pixels are interpolated linearly.

    Parameters
    ----------
    src : tuple of float
        Row and column of the first point.
    dst : tuple of float
        Row and column of the last point.
    linewidth : int
        Width of the line; values are averaged over it.
    mode : str
        How the image goes on beyond its border, where a wide line leaves it.

    References
    ----------
    skimage.measure.profile_line
    """
    for name, point in (("src", src), ("dst", dst)):
        check_point(name, point, place.shape)
    lines = profile._line_profile_coordinates(src, dst, linewidth).reshape(2, -1)
    owners = np.floor(lines).astype(np.int64)
    owners = np.clip(owners, 0, np.array(place.shape)[:, np.newaxis] - 1)
    core, window = place.core, place.window
    inside = (owners[0] >= core.top) & (owners[0] < core.bottom)
    inside &= (owners[1] >= core.left) & (owners[1] < core.right)
    at = np.flatnonzero(inside)
    here = lines[:, at] - np.array([[window.top], [window.left]])
    # As scikit-image: the constant continues the grid of pixels.
    beyond = "grid-constant" if mode == "constant" else mode
    spline_order = 0 if image.dtype.kind == "b" else 1
    channels = np.moveaxis(np.atleast_3d(image), 2, 0)
    values = [
        ndimage.map_coordinates(each, here, order=spline_order, mode=beyond, prefilter=False)
        for each in channels
    ]
    return {"at": at, "values": np.stack(values, axis=1)}


def check_point(name: str, point: tuple[float, ...], shape: tuple[int, int]) -> None:
    """Check that a point lies in an image.

    Raises
    ------
    ValueError
        If it does not.
    """
    if len(point) != 2:
        raise ValueError(f"{name}: must be a row and a column, got {len(point)} numbers")
    if not all(0 <= at <= side - 1 for at, side in zip(point, shape, strict=True)):
        raise ValueError(
            f"{name}: must lie in the image of {shape[0]} × {shape[1]} pixels, "
            f"got row {point[0]:g} and column {point[1]:g}"
        )
