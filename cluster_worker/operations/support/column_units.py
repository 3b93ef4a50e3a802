"""The units of the columns of tables.

A unit is a short text: "px" for lengths and numbers of pixels, "value" for what the pixels hold, ""
for what has no unit. Lengths of regions whose pixels were given a size are in "unit": that of the
size, which only its user knows, or in micrometres.
"""

from collections.abc import Callable, Sequence

PIXELS = "px"
RADIANS = "rad"
DEGREES = "°"
VALUE = "value"
# The unit of a length if pixels were given another size than 1.
GIVEN = "unit"
MICROMETRES = "µm"
# Endings of names of columns in micrometres, by the power of the length.
ENDINGS = {1: "_um", 2: "_um2"}
POWERS = ("", "", "²", "³", "⁴", "⁵", "⁶")

# Powers of the unit of length that a property of regions has.
LENGTHS = {
    **dict.fromkeys(("equivalent_diameter_area", "feret_diameter_max"), 1),
    **dict.fromkeys(("perimeter", "perimeter_crofton"), 1),
    **dict.fromkeys(("axis_major_length", "axis_minor_length"), 1),
    **dict.fromkeys(("centroid", "centroid_local"), 1),
    **dict.fromkeys(("centroid_weighted", "centroid_weighted_local"), 1),
    **dict.fromkeys(("area", "area_bbox", "area_filled", "area_convex"), 2),
    **dict.fromkeys(("inertia_tensor", "inertia_tensor_eigvals"), 2),
}
# Properties of regions with a unit of their own.
OTHERS = {
    **dict.fromkeys(("num_pixels", "bbox"), PIXELS),
    **dict.fromkeys(("intensity_mean", "intensity_std", "intensity_median"), VALUE),
    **dict.fromkeys(("intensity_min", "intensity_max"), VALUE),
    "orientation": RADIANS,
}
# Moments: the sum of the powers of row and column is the power of the unit of length.
MOMENTS = ("moments", "moments_central")
WEIGHTED_MOMENTS = ("moments_weighted", "moments_weighted_central")


def units(**by_column: str) -> Callable[..., str]:
    """Return a function from a column to its unit, for a table whose columns are always the same.

    Columns that are not named have no unit.
    """
    return lambda column, **_: by_column.get(column, "")


def in_micrometres(column: str) -> str:
    """Return the name of a column of lengths or areas with its unit: ``centroid_um-0``."""
    name, dash, numbers = column.partition("-")
    return f"{name}{ENDINGS.get(LENGTHS.get(name, 0), '')}{dash}{numbers}"


def unit_of_region(
    column: str, *, spacing: Sequence[float] = (1.0,), unit: str = "spacing", **_: object
) -> str:
    """Return the unit of a column of `regionprops_table`.

    Parameters
    ----------
    column : str
        Name of a property, and numbers behind it, as in ``centroid-0``.
    spacing : sequence of float
        Height and width of a pixel.
    unit : {"spacing", "micrometre"}
        Where lengths come from.
    """
    name, *numbers = column.split("-")
    length = PIXELS if all(side == 1 for side in spacing) else GIVEN
    if unit == "micrometre":
        name, length = name.removesuffix("_um2").removesuffix("_um"), MICROMETRES
    if name in OTHERS:
        return OTHERS[name]
    if name in LENGTHS:
        return length + POWERS[LENGTHS[name]]
    if name not in (*MOMENTS, *WEIGHTED_MOMENTS):
        return ""
    power = sum(map(int, numbers[:2]))
    found = length + POWERS[power] if power else ""
    if name in MOMENTS:
        return found
    return f"{VALUE}·{found}" if found else VALUE
