"""Texture: how often two gray levels lie side by side, and what follows from that."""

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.lazy import lazily
from cluster_worker.operations.declare import Image, Number, Place, Table, operation
from cluster_worker.operations.support.column_units import DEGREES, PIXELS, units
from cluster_worker.operations.support.rank_filters import as_levels

texture = lazily("skimage.feature")

Counts = NDArray[np.int64]

# In the order of the table's columns.
PROPERTIES = (
    *("contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation"),
    *("mean", "variance", "std", "entropy"),
)
# Most bytes of the counts of all distances and angles.
BYTES_MAX = 1 << 27


def halo(distances: tuple[int, ...], **_: Any) -> int:
    """Return the pixels around a tile that are compared with its own."""
    return max(distances)


def offset_of(distance: float, angle: float) -> tuple[int, int]:
    """Return rows and columns to the other pixel, rounded as C does: halves away from 0."""
    parts = math.sin(math.radians(angle)) * distance, math.cos(math.radians(angle)) * distance
    rows, columns = (int(math.copysign(math.floor(abs(each) + 0.5), each)) for each in parts)
    return rows, columns


def combine(a: Counts, b: Counts) -> Counts:
    """Add the counts of two sets of tiles."""
    return a + b


def finish(
    found: Counts,
    _: tuple[int, int],
    distances: tuple[int, ...],
    angles: tuple[float, ...],
    levels: int,
    symmetric: bool,
) -> dict[str, NDArray[Any]]:
    """Return a row for each distance and angle."""
    counts = found.reshape(levels, levels, len(distances), len(angles))
    counts = counts + np.transpose(counts, (1, 0, 2, 3)) if symmetric else counts
    table = {
        "distance": np.repeat(np.array(distances), len(angles)),
        "angle": np.tile(np.array(angles, float), len(distances)),
    }
    return table | {name: texture.graycoprops(counts, name).ravel() for name in PROPERTIES}


@operation(
    "Texture",
    "Measurements",
    Table(combine, finish, halo=halo, unit=units(distance=PIXELS, angle=DEGREES)),
    channels="gray",
    arrays=6,
    # A table of levels by levels for each distance and angle.
    cost_once=lambda levels, **_: 60 * levels**2,
    cost=lambda distances, angles, **_: 0.5 * len(distances) * len(angles),
    differs=(
        "the table has all properties of the counts that graycomatrix gives, and angles are in "
        "degrees"
    ),
)
def graycoprops(
    image: Image,
    distances: Annotated[tuple[int, ...], Number(1, 500, unit="px")] = (1,),
    angles: Annotated[tuple[float, ...], Number(0, 180, unit="°")] = (0.0, 45.0, 90.0, 135.0),
    levels: Annotated[int, Number(2, 1024, slider=(2, 256), step=1)] = 256,
    symmetric: bool = False,
    *,
    place: Place,
) -> Counts:
    """Measure the texture by counts of gray levels side by side: a table for distances and angles.

    Floats become 8 bits. The properties are contrast, dissimilarity, homogeneity, ASM, energy,
    correlation, mean, variance, std and entropy.

    Parameters
    ----------
    distances : tuple of int
        Distances of the two pixels of a pair.
    angles : tuple of float
        Directions from one to the other: 0 is to the right, 90 is down.
    levels : int
        Number of gray levels; all must be below it.
    symmetric : bool
        Whether each pair counts in both directions.

    References
    ----------
    skimage.feature.graycoprops
    """
    del symmetric  # For the finished table.
    size = 8 * levels**2 * len(distances) * len(angles)
    if size > BYTES_MAX:
        raise ValueError(
            f"levels: {levels} levels at {len(distances)} distances and {len(angles)} angles "
            f"need {size >> 20} MiB of at most {BYTES_MAX >> 20}; take fewer"
        )
    image = as_levels(image.view(np.uint8) if image.dtype.kind == "b" else image)
    if image.min() < 0 or image.max() >= levels:
        raise ValueError(
            f"levels: must be more than the greatest level, {image.max()}, and levels cannot be "
            f"below 0, got {levels}; raise it, or put rescale_intensity before it"
        )
    counts = np.zeros((levels * levels, len(distances), len(angles)), np.int64)
    core, window = place.core, place.window
    for i, distance in enumerate(distances):
        for j, angle in enumerate(angles):
            rows, columns = offset_of(distance, angle)
            # The pixels of the core whose partners lie in the image.
            top, left = max(core.top, -rows), max(core.left, -columns)
            bottom = min(core.bottom, place.shape[0] - rows)
            right = min(core.right, place.shape[1] - columns)
            if top >= bottom or left >= right:
                continue
            first = image[top - window.top : bottom - window.top, left - window.left :]
            first = first[:, : right - left].astype(np.int64)
            other = image[top + rows - window.top :, left + columns - window.left :]
            other = other[: bottom - top, : right - left]
            pairs = (first * levels + other).ravel()
            counts[:, i, j] += np.bincount(pairs, minlength=levels * levels)
    return counts
