"""Measure the regions of a label image: a table with a row for each region.

Each tile is measured alone; what was found is joined exactly, in integers, so that the table does
not depend on the tiles. `measure`, `combine` and `finish` are the three steps.
"""

from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels import region_sums
from cluster_worker.operations.declare import Image, Place
from cluster_worker.operations.support import exact_integers as exact
from cluster_worker.operations.support import (
    plain_region_sums,
    region_columns,
    region_holes,
    region_hulls,
    region_moments,
    region_partials,
)
from cluster_worker.operations.support.region_columns import COLUMNS, INTENSITY_COLUMNS, LOW
from cluster_worker.operations.support.region_partials import Finding, Pile

PROPERTIES = (*COLUMNS, *INTENSITY_COLUMNS)
DIFFERS = (
    "sums are exact and rounded once, so that the last digits may differ; intensities of any type "
    "are averaged in double precision, float32 and float16 too; pixels of other regions that are "
    "NaN or infinite do not count in weighted moments"
)

combine = region_partials.combine

# What must be measured for each property; the highest power of coordinates for moments.
MOMENTS = {
    **dict.fromkeys(("centroid", "centroid_local"), 1),
    **dict.fromkeys(
        (
            "axis_major_length",
            "axis_minor_length",
            "eccentricity",
            "inertia_tensor",
            "inertia_tensor_eigvals",
            "orientation",
        ),
        2,
    ),
    **dict.fromkeys(("moments", "moments_central", "moments_hu", "moments_normalized"), 3),
}
WEIGHTED = {
    **dict.fromkeys(("centroid_weighted", "centroid_weighted_local"), 1),
    **dict.fromkeys(
        (
            "moments_weighted",
            "moments_weighted_central",
            "moments_weighted_hu",
            "moments_weighted_normalized",
        ),
        3,
    ),
}
# How many of the moments `LOW` have powers up to the highest.
LOW_MOMENTS = {1: 2, 2: 5}
BORDERS = {"euler_number", "perimeter", "perimeter_crofton"}
HULLS = {"area_convex", "feret_diameter_max", "solidity"}
SUMS = {"intensity_mean", "intensity_std", "intensity_min", "intensity_max"}


def halo(properties: Collection[str]) -> int:
    """Return the pixels around a tile that the properties need."""
    return region_sums.REACH if BORDERS & set(properties) else 0


def check(properties: Collection[str], images: int) -> None:
    """Check the names of properties.

    Raises
    ------
    Rejected
        If one is unknown, or needs an intensity image and there is none.
    """
    for each in properties:
        if each not in PROPERTIES:
            raise Rejected(
                f"properties: {each!r} is no number of a region; "
                f"choose from {', '.join(PROPERTIES)}"
            )
        if each in INTENSITY_COLUMNS and images == 0:
            raise Rejected(f"properties: {each!r} needs an intensity image; name one")


def measure(
    labels: Image,
    intensities: Sequence[Image],
    place: Place,
    *,
    properties: Sequence[str] = ("label", "bbox"),
    skips_nan: bool = False,
    by: ModuleType | Any = plain_region_sums,
) -> Pile:
    """Measure the regions of a tile.

    Parameters
    ----------
    labels : ndarray of integers or bool
        A block with a halo of `halo(properties)` pixels, clipped at the image border. Pixels of
        equal labels are a region; 0 and negative labels are none.
    intensities : sequence of ndarray
        Blocks of the same rows and columns, (rows, columns) or (rows, columns, channels).
    place : Place
        Where the block lies in the image; only its core is measured.
    properties : sequence of str
        Names of `PROPERTIES`.
    skips_nan : bool
        Whether intensities that are NaN are left out, as pixels without data; else a region that
        holds one has the intensity NaN.
    by : module
        `kernels.region_sums` where the kernels are compiled, else `support.plain_region_sums`.

    Returns
    -------
    dict
        From names to arrays; see `support.region_partials`.
    """
    check(properties, len(intensities))
    labels = whole_numbers(labels)
    runs = by.find_runs(labels[place.inner])
    found = shapes(labels, place, runs, set(properties), by)
    for i, image in enumerate(intensities):
        core = image[place.inner]
        channels = {"gray": core} if core.ndim == 2 else dict_of_channels(core)
        for name, values in channels.items():
            counted = with_data(runs, values) if skips_nan else runs
            measured = channel(values, place, runs, counted, set(properties), by)
            found |= named(f"{i}.{name}", measured)
    return region_partials.piled([found])


def dict_of_channels(core: Image) -> dict[str, Image]:
    """Return the channels of an image by their names, ``c0``, ``c1``, ..."""
    return {f"c{c}": core[..., c] for c in range(core.shape[2])}


def with_data(runs: region_sums.Runs, values: Image) -> region_sums.Runs:
    """Cut what is NaN out of the runs of a core; a region may be left without any."""
    if values.dtype.kind != "f" or not np.isnan(values.min(initial=np.inf)):
        return runs
    columns = values.shape[1]
    inside = np.flatnonzero(plain_region_sums.mask_of(runs, values.shape))
    kept = ~np.isnan(values.ravel()[inside])
    slots = np.repeat(runs.slots, runs.stops - runs.starts)[kept]
    rows, at = np.divmod(inside[kept], columns)
    begins = np.ones(at.size, np.bool_)
    begins[1:] = (at[1:] != at[:-1] + 1) | (slots[1:] != slots[:-1]) | (rows[1:] != rows[:-1])
    firsts = np.flatnonzero(begins)
    lengths = np.diff(firsts, append=at.size)
    starts = at[firsts]
    return region_sums.Runs(runs.labels, slots[firsts], rows[firsts], starts, starts + lengths)


def whole_numbers(labels: Image) -> Image:
    """Return labels as signed integers, or as unsigned ones of up to 32 bits.

    Raises
    ------
    Rejected
        If they are floats or colours, or too large.
    """
    if labels.dtype.kind not in "biu" or labels.ndim != 2:
        what = "colours" if labels.ndim != 2 else labels.dtype.name
        raise Rejected(f"takes labels: whole numbers in one channel, got {what}; put label before")
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype == np.uint64:
        if labels.max() > np.iinfo(np.int64).max:
            raise Rejected(f"takes labels below 2**63, got {labels.max()}; put label before")
        return labels.view(np.int64)
    return labels


def named(prefix: str, found: Finding) -> Finding:
    """Return the same arrays, whose names have a prefix."""
    return {f"{prefix}.{name}": each for name, each in found.items()}


def shapes(
    labels: Image, place: Place, runs: region_sums.Runs, wanted: set[str], by: Any
) -> Finding:
    """Measure what does not depend on intensities."""
    top, left = place.core.top, place.core.left
    boxes = by.boxes(runs)
    found: Finding = {
        "label": runs.labels,
        "area": boxes[:, 0],
        "box": (boxes[:, 1:] + [top, left, top, left]).astype(np.int32),
    }
    highest = max((power for name, power in MOMENTS.items() if name in wanted), default=0)
    if highest:
        found |= moments(place, runs, highest, by)
    if wanted & BORDERS:
        found["borders"] = by.borders(labels, place, runs)
    if wanted & HULLS:
        ends = region_hulls.run_ends(
            runs.slots, runs.rows + top, runs.starts + left, runs.stops + left
        )
        owners, points = region_hulls.corners(*ends)
        found |= {"hull": points.astype(np.int32), "hull.owner": owners}
    if "area_filled" in wanted:
        found |= fills(place, runs)
    return found


def moments(place: Place, runs: region_sums.Runs, highest: int, by: Any) -> Finding:
    """Measure the moments of a tile's regions about the corner of the image."""
    power = 2 * highest if highest == 3 else highest
    words = region_moments.moment_words(place.shape, power)
    regions, core = runs.labels.size, place.core
    if highest < 3 and words == 2:
        sums = by.low_moments(runs, core.top, core.left)
        result = exact.words_of(sums[:, : LOW_MOMENTS[highest]], 2)
    else:
        pieces = region_moments.pieces_of(runs, core.top, core.left)
        result = region_moments.binary_moments(pieces, regions, highest, words)
        if highest < 3:
            result = np.stack([result[:, p, q] for p, q in LOW[: LOW_MOMENTS[highest]]], axis=1)
    return {"moments": result, "moments.low": np.array(0)}


def fills(place: Place, runs: region_sums.Runs) -> Finding:
    """Fill the holes that lie within a tile.

    Regions that reach a neighbouring tile keep their runs. Of the others only the number of pixels
    is kept, and a pixel of the tile's edge, to which all around them is connected.
    """
    core, (rows, columns) = place.core, place.shape
    lines = np.column_stack(
        [runs.slots, runs.rows + core.top, runs.starts + core.left, runs.stops + core.left]
    )
    reaches = (lines[:, 1] == core.top) & (core.top > 0)
    reaches |= (lines[:, 1] == core.bottom - 1) & (core.bottom < rows)
    reaches |= (lines[:, 2] == core.left) & (core.left > 0)
    reaches |= (lines[:, 3] == core.right) & (core.right < columns)
    regions = runs.labels.size
    kept = np.bincount(lines[reaches, 0], minlength=regions) > 0
    lines = region_holes.filled(lines)
    areas = np.bincount(lines[:, 0], lines[:, 3] - lines[:, 2], regions).astype(np.int64)
    alone = np.flatnonzero(~kept)
    at_corner = core.top > 0 or core.left > 0
    pixel = (core.top, core.left) if at_corner else (core.bottom - 1, core.right - 1)
    islands = np.column_stack([np.tile(pixel, (alone.size, 1)), areas[alone]])
    lines = lines[kept[lines[:, 0]]]
    return {
        "runs": lines[:, 1:].astype(np.int32),
        "runs.owner": lines[:, 0],
        "islands": islands.reshape(-1, 3).astype(np.int64),
        "islands.owner": alone,
    }


def channel(
    values: Image,
    place: Place,
    runs: region_sums.Runs,
    counted: region_sums.Runs,
    wanted: set[str],
    by: Any,
) -> Finding:
    """Measure the intensities of one channel of a core.

    `runs` are those of the regions, and `counted` those of their pixels that have data. For moments
    the other pixels weigh nothing.
    """
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    narrow = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    lengths = counted.stops - counted.starts
    pixels = np.bincount(counted.slots, lengths, runs.labels.size)
    found: Finding = {"pixels": pixels.astype(np.int64)}
    squares = "intensity_std" in wanted
    if wanted & SUMS or "intensity_median" in wanted:
        statistics = integers if narrow else floats
        found |= statistics(values, place, counted, squares, by)
    if "intensity_median" in wanted:
        found |= histogram(values, counted)
    highest = max((power for name, power in WEIGHTED.items() if name in wanted), default=0)
    if highest:
        core, regions = place.core, runs.labels.size
        pieces = region_moments.pieces_of(runs, core.top, core.left)
        given = values, runs, pieces, regions, highest
        if narrow:
            power = 2 * highest if highest == 3 else highest
            words = region_moments.moment_words(place.shape, power, 16)
            result, low = region_moments.weighted_moments(*given, words), 0
        else:
            result, low = region_moments.float_moments(*given, place.shape)
            found |= floats(values, place, counted, False, by)
        found |= {"moments": result, "moments.low": np.array(low)}
    return found


def integers(
    values: Image, place: Place, runs: region_sums.Runs, squares: bool, by: Any
) -> Finding:
    """Measure whole numbers of up to 16 bits."""
    sums = by.integer_sums(values, runs)
    bits = (place.shape[0] * place.shape[1]).bit_length()
    found = {
        "least": sums[:, 2].astype(values.dtype),
        "greatest": sums[:, 3].astype(values.dtype),
        "sum": exact.words_of(sums[:, 0], exact.word_count(16 + bits)),
        "sum.low": np.array(0),
    }
    if squares:
        words = exact.word_count(32 + bits)
        found |= {"squares": exact.words_of(sums[:, 1], words), "squares.low": np.array(0)}
    return found


def floats(values: Image, place: Place, runs: region_sums.Runs, squares: bool, by: Any) -> Finding:
    """Measure floats, or whole numbers of more bits as floats."""
    bits = (place.shape[0] * place.shape[1]).bit_length()
    least, greatest = exponents(values)
    low, low_square = least // 32, 2 * least // 32
    # The highest digit that a value, or the sum over the image, may need.
    digits = (greatest + bits + 1) // 32 - low + 3
    digits_square = (2 * greatest + bits + 1) // 32 - low_square + 3 if squares else 0
    sums = by.float_sums(values, runs, low, digits, low_square, digits_square)
    found = {
        "least": sums.least,
        "greatest": sums.greatest,
        "odd": sums.odd,
        "sum": exact.carried(sums.sums),
        "sum.low": np.array(low),
    }
    if squares:
        found |= {"squares": exact.carried(sums.squares), "squares.low": np.array(low_square)}
    return found


def exponents(values: Image) -> tuple[int, int]:
    """Return the exponents of 2 of the last bit of the smallest value and after the largest."""
    sizes = np.abs(values.astype(np.float64, copy=False))
    some = sizes[np.isfinite(sizes) & (sizes > 0)]
    if some.size == 0:
        return 0, 0
    least, greatest = np.frexp([some.min(), some.max()])[1]
    return max(int(least) - 53, -1074), int(greatest)


def histogram(values: Image, runs: region_sums.Runs) -> Finding:
    """Return the different values of each region, and how often each occurs. NaN is none."""
    found = values[plain_region_sums.mask_of(runs, values.shape)]
    slots = np.repeat(runs.slots, runs.stops - runs.starts)
    if found.dtype.kind == "f":
        known = ~np.isnan(found)
        found, slots = found[known], slots[known]
    owners, items, counts = region_partials.counted(slots, found, np.ones(found.size, np.int64))
    return {"values": items, "values.owner": owners, "counts": counts}


def finish(
    found: Mapping[str, NDArray[Any]],
    shape: tuple[int, int],  # noqa: ARG001 - every table is given it
    *,
    properties: Sequence[str] = ("label", "bbox"),
    spacing: tuple[float, float] = (1.0, 1.0),
    names: Sequence[str] = (),
) -> dict[str, NDArray[Any]]:
    """Return the table of an image, from what was found in all of its tiles.

    Parameters
    ----------
    found : mapping
        What `measure` and `combine` returned.
    shape : tuple of int
        (rows, columns) of the image.
    properties : sequence of str
        Those that were measured, in the order of the columns.
    spacing : tuple of float
        Height and width of a pixel.
    names : sequence of str
        If there are several intensity images, their names: the columns of each begin with its name
        and a dot.

    Returns
    -------
    dict
        From names to columns: those of `skimage.measure.regionprops_table`.

    Raises
    ------
    Rejected
        If a property is not defined for pixels of this shape.
    """
    region_columns.check_spacing(properties, spacing)
    finding = region_partials.merged(region_partials.findings_of(found))
    return region_columns.table(finding, properties, spacing, names)
