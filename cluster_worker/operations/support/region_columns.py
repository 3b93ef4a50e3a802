"""The columns of a table of regions, computed from what was found in all tiles.

Every function computes one property of all regions, as `skimage.measure.regionprops` defines it:
from a `Regions` or, if it needs intensities, from a `Channel`. Properties of several numbers have
more axes than the one for the regions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.kernels.region_sums import DIAGONAL, EULER, MIXED, QUARTER, SLANTED, STRAIGHT
from cluster_worker.operations.support import exact_integers as exact
from cluster_worker.operations.support import region_holes, region_hulls
from cluster_worker.operations.support.region_moments import moments_of
from cluster_worker.operations.support.region_partials import Finding

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

POWERS = np.arange(4)
# Powers of row and column of the moments up to the second, in the order in which they are kept
# where no higher ones are.
LOW = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))


@dataclass(frozen=True)
class Regions:
    """The regions of an image, and what was found of their shapes."""

    found: Finding
    spacing: tuple[float, float]

    @property
    def pixels(self) -> Integers:
        """Number of pixels of each region."""
        result: Integers = self.found["area"]
        return result

    @cached_property
    def area(self) -> Floats:
        """Area of each region."""
        return self.pixels * (self.spacing[0] * self.spacing[1])

    @cached_property
    def box(self) -> Integers:
        """(regions, 4): first row and column, and the row and column after the last."""
        return self.found["box"].astype(np.int64)

    @property
    def corner(self) -> Integers:
        """(regions, 2): first row and column of each region."""
        return self.box[:, :2]

    @cached_property
    def words(self) -> exact.Words:
        """Moments about the image's corner; (0, 0) is the number of pixels."""
        found = self.found["moments"]
        words: exact.Words = found.copy()
        if found.ndim == 3:
            powers = 2 if found.shape[1] == 2 else 3
            words = np.zeros((len(found), powers, powers, found.shape[-1]), np.uint32)
            for i in range(found.shape[1]):
                words[:, *LOW[i]] = found[:, i]
        words[:, 0, 0] = exact.words_of(self.pixels, words.shape[-1])
        return words

    @cached_property
    def local(self) -> Floats:
        """Moments about the first row and column of each region."""
        moments: Floats = moments_of(self.words, 0, self.corner)
        moments *= scales(self.words, self.spacing)
        return moments

    @cached_property
    def central(self) -> Floats:
        """Moments about the centroid of each region."""
        return central_of(self.words, 0, self.box, self.spacing)

    @cached_property
    def inertia(self) -> Floats:
        """(regions, 2, 2): the inertia tensor."""
        rows, both, columns = (self.central[:, p, q] for p, q in ((2, 0), (1, 1), (0, 2)))
        tensor = np.stack([columns, -both, -both, rows], axis=1) / self.central[:, 0, :1]
        return tensor.reshape(-1, 2, 2)

    @cached_property
    def eigenvalues(self) -> Floats:
        """(regions, 2): eigenvalues of the inertia tensor, the larger first."""
        a, b, c = self.inertia[:, 0, 0], self.inertia[:, 0, 1], self.inertia[:, 1, 1]
        middle, apart = (a + c) / 2, np.hypot((a - c) / 2, b)
        return np.stack([middle + apart, np.maximum(middle - apart, 0)], axis=1)

    @cached_property
    def hull(self) -> tuple[Integers, Integers]:
        """Owners and points of the hulls."""
        return self.found["hull.owner"], self.found["hull"].astype(np.int64)

    @cached_property
    def convex(self) -> Floats:
        """Area of each filled hull."""
        pixels = region_hulls.areas(*self.hull, self.pixels.size)
        return pixels * (self.spacing[0] * self.spacing[1])


def scales(words: exact.Words, spacing: tuple[float, float]) -> Floats:
    """Return (powers, powers): the factor of each moment for pixels of this height and width."""
    powers = POWERS[: words.shape[1]]
    return np.outer(spacing[0] ** powers, spacing[1] ** powers)


def central_of(words: exact.Words, low: int, box: Integers, spacing: tuple[float, float]) -> Floats:
    """Return moments about the centroid.

    They are exact about the pixel that is nearest to it, within the region's box. Only the rest of
    the way, a part of a pixel, is computed in floats.
    """
    corner, sizes = box[:, :2], box[:, 2:] - box[:, :2]
    centre = centre_of(moments_of(words[:, :2, :2], low, corner))
    nearest = np.rint(np.clip(np.nan_to_num(centre), 0, sizes)).astype(np.int64)
    moments = moments_of(words, low, corner + nearest)
    rest = -centre_of(moments)
    for axis in (0, 1):
        exact.about(moments, rest[:, axis, np.newaxis], axis + 1)
    moments *= scales(words, spacing)
    return moments


def centre_of(moments: Floats) -> Floats:
    """Return (regions, 2): the centroid."""
    first = np.stack([moments[:, 1, 0], moments[:, 0, 1]], axis=1)
    return first / moments[:, 0, 0, np.newaxis]


def normalized(central: Floats, spacing: tuple[float, float]) -> Floats:
    """Return moments that do not depend on the size; NaN below the second."""
    powers = POWERS[:, np.newaxis] + POWERS
    total = central[:, 0, 0, np.newaxis, np.newaxis]
    result = central / min(spacing) ** powers / total ** (powers / 2 + 1)
    result[:, powers < 2] = np.nan
    return result


def hu(nu: Floats) -> Floats:
    """Return (regions, 7): Hu's moments, from normalized ones."""
    a, b = nu[:, 3, 0] + nu[:, 1, 2], nu[:, 2, 1] + nu[:, 0, 3]
    c, d = nu[:, 3, 0] - 3 * nu[:, 1, 2], 3 * nu[:, 2, 1] - nu[:, 0, 3]
    four, apart = 4 * nu[:, 1, 1], nu[:, 2, 0] - nu[:, 0, 2]
    one, other = a * (a * a - 3 * b * b), b * (3 * a * a - b * b)
    columns = (
        nu[:, 2, 0] + nu[:, 0, 2],
        apart * apart + four * nu[:, 1, 1],
        c * c + d * d,
        a * a + b * b,
        c * one + d * other,
        apart * (a * a - b * b) + four * a * b,
        d * one - c * other,
    )
    return np.stack(columns, axis=1)


def centroid(regions: Regions) -> Floats:
    """Return the mean of row and column."""
    first = exact.as_floats(np.stack([regions.words[:, 1, 0], regions.words[:, 0, 1]], axis=1))
    return first / regions.pixels[:, np.newaxis] * regions.spacing


def eccentricity(regions: Regions) -> Floats:
    """Return the eccentricity of the ellipse with the same second moments."""
    large, small = regions.eigenvalues.T
    ratio = np.divide(small, large, out=np.ones(large.size), where=large > 0)
    result: Floats = np.sqrt(1 - ratio)
    return result


def orientation(regions: Regions) -> Floats:
    """Return the angle between rows and the longer axis of that ellipse."""
    a, b, c = regions.inertia[:, 0, 0], regions.inertia[:, 0, 1], regions.inertia[:, 1, 1]
    diagonal = np.where(b < 0, pi / 4, -pi / 4)
    return np.where(a == c, diagonal, 0.5 * np.arctan2(-2 * b, c - a))


def perimeter(regions: Regions) -> Floats:
    """Return the length of a line through the centres of the pixels of the border."""
    counts = regions.found["borders"]
    length = counts[:, STRAIGHT] + sqrt(2) * counts[:, DIAGONAL]
    return (length + (1 + sqrt(2)) / 2 * counts[:, MIXED]) * regions.spacing[0]


def perimeter_crofton(regions: Regions) -> Floats:
    """Return Crofton's perimeter in four directions."""
    counts = regions.found["borders"]
    length = pi / 4 * (counts[:, QUARTER] + counts[:, SLANTED] / sqrt(2))
    return length * regions.spacing[0]


def area_bbox(regions: Regions) -> Floats:
    """Return the area of the box around each region."""
    sizes = regions.box[:, 2:] - regions.corner
    return sizes[:, 0] * sizes[:, 1] * (regions.spacing[0] * regions.spacing[1])


def area_filled(regions: Regions) -> Floats:
    """Return the area of each region with its holes."""
    runs, islands = (
        np.column_stack([regions.found[f"{name}.owner"], regions.found[name]]).astype(np.int64)
        for name in ("runs", "islands")
    )
    pixels = region_holes.areas(runs, islands, regions.pixels.size)
    return pixels * (regions.spacing[0] * regions.spacing[1])


def feret_diameter_max(regions: Regions) -> Floats:
    """Return the largest distance of two points of the hull's outline."""
    return region_hulls.diameters(*regions.hull, regions.pixels.size, regions.spacing)


# In alphabetic order, with the type of their columns.
COLUMNS: dict[str, tuple[Callable[[Regions], NDArray[Any]], type]] = {
    "area": (lambda each: each.area, float),
    "area_bbox": (area_bbox, float),
    "area_convex": (lambda each: each.convex, float),
    "area_filled": (area_filled, float),
    "axis_major_length": (lambda each: 4 * np.sqrt(each.eigenvalues[:, 0]), float),
    "axis_minor_length": (lambda each: 4 * np.sqrt(each.eigenvalues[:, 1]), float),
    "bbox": (lambda each: each.box, int),
    "centroid": (centroid, float),
    "centroid_local": (lambda each: centre_of(each.local), float),
    "eccentricity": (eccentricity, float),
    "equivalent_diameter_area": (lambda each: np.sqrt(4 * each.area / pi), float),
    "euler_number": (lambda each: each.found["borders"][:, EULER], int),
    "extent": (lambda each: each.area / area_bbox(each), float),
    "feret_diameter_max": (feret_diameter_max, float),
    "inertia_tensor": (lambda each: each.inertia, float),
    "inertia_tensor_eigvals": (lambda each: each.eigenvalues, float),
    "label": (lambda each: each.found["label"], int),
    "moments": (lambda each: each.local, float),
    "moments_central": (lambda each: each.central, float),
    "moments_hu": (lambda each: hu(normalized(each.central, each.spacing)), float),
    "moments_normalized": (lambda each: normalized(each.central, each.spacing), float),
    "num_pixels": (lambda each: each.pixels, int),
    "orientation": (orientation, float),
    "perimeter": (perimeter, float),
    "perimeter_crofton": (perimeter_crofton, float),
    "solidity": (lambda each: each.area / each.convex, float),
}


@dataclass(frozen=True)
class Channel:
    """The intensities of the regions in one channel of an image, and what was found of them."""

    regions: Regions
    found: Finding

    @property
    def pixels(self) -> Integers:
        """Number of pixels of each region that have data."""
        result: Integers = self.found["pixels"]
        return result

    @property
    def odd(self) -> NDArray[np.uint8]:
        """Bits for values that are NaN (1), infinite (2) and minus infinite (4)."""
        none = np.zeros(self.regions.pixels.size, np.uint8)
        result: NDArray[np.uint8] = self.found.get("odd", none)
        return result

    def exact_sum(self, name: str) -> exact.Words:
        """Return the words of a sum."""
        words: exact.Words = self.found[name]
        return words

    def low(self, name: str) -> int:
        """Return the place of a sum's lowest word."""
        return int(self.found[f"{name}.low"])

    def unless_odd(self, values: Floats, infinite: bool = False) -> Floats:
        """Return values, but NaN where an intensity is not finite.

        With `infinite`, where intensities are infinite with one sign, the value is so as well.
        """
        odd = self.odd.reshape(-1, *[1] * (values.ndim - 1))
        result = np.where(odd > 0, np.nan, values)
        if infinite:
            result = np.where(odd == 2, np.inf, np.where(odd == 4, -np.inf, result))
        return result

    def extreme(self, name: str) -> Floats:
        """Return the least or the greatest intensity; NaN if one is NaN, or there is none."""
        values = self.found[name].astype(np.float64) + 0.0
        return np.where((self.odd & 1 > 0) | (self.pixels == 0), np.nan, values)

    @cached_property
    def local(self) -> Floats:
        """Weighted moments about the first row and column of each region."""
        words, low = self.exact_sum("moments"), self.low("moments")
        moments = moments_of(words, low, self.regions.corner)
        return self.unless_odd(moments * scales(words, self.regions.spacing))

    @cached_property
    def central(self) -> Floats:
        """Weighted moments about the weighted centroid of each region."""
        words, low = self.exact_sum("moments"), self.low("moments")
        box, spacing = self.regions.box, self.regions.spacing
        return self.unless_odd(central_of(words, low, box, spacing))


def mean(channel: Channel) -> Floats:
    """Return the mean intensity."""
    total = exact.as_floats(channel.exact_sum("sum"), exact.WORD_BITS * channel.low("sum"))
    return channel.unless_odd(total / channel.pixels, infinite=True)


def deviation(channel: Channel) -> Floats:
    """Return the standard deviation of intensities: √(n·Σx² - (Σx)²) / n, in exact integers."""
    total, squares = channel.exact_sum("sum"), channel.exact_sum("squares")
    low, low_square = channel.low("sum"), channel.low("squares")
    # Both terms in units of 2**(32 × lowest).
    lowest = min(2 * low, low_square)
    count = 2 + max(2 * total.shape[-1] + 2 * low, squares.shape[-1] + low_square) - lowest
    pixels = exact.words_of(channel.pixels, 2)
    first = exact.product(exact.moved(squares, low_square - lowest, count), pixels, count)
    second = exact.moved(exact.product(total, total, 2 * total.shape[-1]), 2 * low - lowest, count)
    spread = exact.as_floats(exact.added(first, exact.negated(second)), exact.WORD_BITS * lowest)
    return channel.unless_odd(np.sqrt(spread) / channel.pixels)


def median(channel: Channel) -> Floats:
    """Return the median intensity: the mean of the two in the middle if their number is even."""
    values, counts = channel.found["values"].astype(np.float64), channel.found["counts"]
    pixels = channel.regions.pixels
    known = np.bincount(channel.found["values.owner"], counts, pixels.size).astype(np.int64)
    ends, before = np.cumsum(counts), np.cumsum(known) - known
    last = max(values.size - 1, 0)
    at = (
        np.minimum(np.searchsorted(ends, before + (known - odd) // 2, "right"), last)
        for odd in (1, 0)
    )
    low, high = (values[each] if values.size else np.zeros(pixels.size) for each in at)
    return np.where((channel.odd & 1 > 0) | (known == 0), np.nan, (low + high) / 2) + 0.0


def centroid_weighted(channel: Channel) -> Floats:
    """Return the mean of row and column, weighted with intensities."""
    return centre_of(channel.local) + channel.regions.corner * channel.regions.spacing


def weighted_normalized(channel: Channel) -> Floats:
    """Return normalized weighted moments."""
    return normalized(channel.central, channel.regions.spacing)


INTENSITY_COLUMNS: dict[str, Callable[[Channel], Floats]] = {
    "centroid_weighted": centroid_weighted,
    "centroid_weighted_local": lambda each: centre_of(each.local),
    "intensity_max": lambda each: each.extreme("greatest"),
    "intensity_mean": mean,
    "intensity_median": median,
    "intensity_min": lambda each: each.extreme("least"),
    "intensity_std": deviation,
    "moments_weighted": lambda each: each.local,
    "moments_weighted_central": lambda each: each.central,
    "moments_weighted_hu": lambda each: hu(weighted_normalized(each)),
    "moments_weighted_normalized": weighted_normalized,
}

SQUARE_PIXELS = ("perimeter", "perimeter_crofton")
UNIT_PIXELS = ("moments_hu", "moments_weighted_hu")


def check_spacing(properties: Sequence[str], spacing: tuple[float, float]) -> None:
    """Check that properties are defined for pixels of this height and width.

    Raises
    ------
    Rejected
        If one is not.
    """
    size = f"{spacing[0]:g} × {spacing[1]:g}"
    for each in properties:
        if each in SQUARE_PIXELS and spacing[0] != spacing[1]:
            raise Rejected(f"properties: {each} needs square pixels, and these are {size}")
        if each in UNIT_PIXELS and tuple(spacing) != (1, 1):
            raise Rejected(f"properties: {each} needs spacing 1 × 1, got {size}; leave it out")


def channels_of(finding: Finding, regions: Regions) -> list[tuple[list[Channel], bool]]:
    """Return for each intensity image its channels, and whether it has an axis of channels."""
    found: dict[str, dict[str, Finding]] = {}
    for name, each in finding.items():
        image, _, rest = name.partition(".")
        if image.isdigit():
            channel, _, field = rest.partition(".")
            found.setdefault(image, {}).setdefault(channel, {})[field] = each
    return [
        ([Channel(regions, each) for each in channels.values()], "gray" not in channels)
        for channels in found.values()
    ]


def table(
    finding: Finding,
    properties: Sequence[str],
    spacing: tuple[float, float],
    names: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """Return the columns of a table, in the order of the properties.

    Parameters
    ----------
    finding : dict
        What was found in all tiles.
    properties, spacing, names
        As in `region_tables.finish`.
    """
    regions = Regions(finding, spacing)
    images = channels_of(finding, regions)
    prefixes = [f"{name}." for name in names] if len(images) > 1 else [""]
    result: dict[str, NDArray[Any]] = {}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for name in properties:
            if name in COLUMNS:
                compute, kind = COLUMNS[name]
                result |= columns(name, compute(regions), kind)
                continue
            for prefix, (channels, has_axis) in zip(prefixes, images, strict=True):
                values = [INTENSITY_COLUMNS[name](each) for each in channels]
                stacked = np.stack(values, axis=-1) if has_axis else values[0]
                result |= columns(prefix + name, stacked, float)
    return result


def columns(name: str, values: NDArray[Any], kind: type) -> dict[str, NDArray[Any]]:
    """Return the columns of one property: several if it has several numbers.

    They are named as `regionprops_table` names them: ``bbox-0``, ``inertia_tensor-0-1``.
    """
    if values.ndim == 1:
        return {name: values.astype(kind)}
    places = np.ndindex(values.shape[1:])
    return {
        "-".join([name, *map(str, at)]): values[(slice(None), *at)].astype(kind) for at in places
    }
