"""What a result carries of its original: all that is still true, and a note on the rest.

Positions move along with the pixels. Whether a file of the chosen format can hold an item is for
`formats.write` to say.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.items import SHOWING, TITLES, Item
from cluster_worker.imagefiles.codecs.tiff_page import fits
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.placement import Placement

Metadata = Literal["keep", "strip"]

# Tags of a GeoTIFF.
SCALE, TIE_POINTS, MATRIX, KEYS, RPC = 33550, 33922, 34264, 34735, 50844
DOUBLE = 12
# Key of the directory that says what a coordinate counts, and its value for centres of pixels.
RASTER_TYPE, PIXEL_IS_POINT = 1025, 2

# What GDAL has computed of the values.
STATISTICS = re.compile(rb"\s*<Item name=\"STATISTICS_[^>]*>[^<]*</Item>")
# How GDAL makes quantities of the values.
SCALING = re.compile(rb"\s*<Item [^>]*role=\"(?:scale|offset)\"[^>]*>[^<]*</Item>")
# Rows and columns that XMP repeats, as attributes or as elements.
XMP_COLUMNS = re.compile(rb"((?:tiff:ImageWidth|exif:PixelXDimension)(?:=[\"']|>)\s*)\d+")
XMP_ROWS = re.compile(rb"((?:tiff:ImageLength|exif:PixelYDimension)(?:=[\"']|>)\s*)\d+")


class Outcome(NamedTuple):
    """What a chain did to an image.

    Attributes
    ----------
    image : ImageHeader
        The result.
    resolution : tuple of float or None
        Pixels per inch along (columns, rows) of the result.
    placement : Placement or None
        Where the pixels of the result lie in the original; None if that is not affine.
    values_kept : bool
        Whether pixels were moved at most.
    holes_kept : bool
        Whether the steps left out the pixels without data, and gave them their value back.
    units_kept : bool
        Whether values count in the units of the original, as means of its values do.
    """

    image: ImageHeader
    resolution: tuple[float, float] | None
    placement: Placement | None
    values_kept: bool
    holes_kept: bool = False
    units_kept: bool = False


def carried(
    header: Header, outcome: Outcome, metadata: Metadata = "keep"
) -> tuple[Header, tuple[str, ...]]:
    """Return the header of a result, and notes on what is not true any more.

    Parameters
    ----------
    header : Header
        Of the original.
    outcome : Outcome
        What the chain did.
    metadata : {"keep", "strip"}
        "strip" drops all but what a picture needs to look as it does.
    """
    indexed = header.is_indexed and outcome.image[1] == "uint8" and outcome.image.kind == "labels"
    found = replace(
        header,
        image=outcome.image,
        resolution=outcome.resolution,
        palette=header.palette if indexed else b"",
    )
    if metadata == "strip":
        showing = tuple(each for each in header.items if each.name in SHOWING)
        return true_items(replace(found, items=showing, resolution=None), header, outcome)
    return true_items(found, header, outcome)


def true_items(found: Header, header: Header, outcome: Outcome) -> tuple[Header, tuple[str, ...]]:
    """Move or drop the items of a result."""
    items: list[Item] = []
    notes: tuple[str, ...] = ()
    places = [each for each in found.items if each.name == "coordinates"]
    try:
        moved, lost = moved_coordinates(places, header, outcome)
    except (ValueError, struct.error, ZeroDivisionError):
        moved, lost = [], (f"{TITLES['coordinates']} dropped: they are damaged",)
    items += moved
    notes += lost
    for each in found.items:
        if each.name == "coordinates":
            continue
        kept, lost = RULES.get(each.name, as_it_is)(each, header, outcome)
        items += kept
        notes += lost
    image, lost = with_nodata(outcome, header)
    return replace(found, items=tuple(items), image=image), notes + lost


Rule = Callable[[Item, Header, Outcome], tuple[list[Item], tuple[str, ...]]]


def as_it_is(item: Item, _: Header, __: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep an item that stays true whatever is done."""
    return [item], ()


def significant(item: Item, header: Header, outcome: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep the number of significant bits while pixels only move."""
    same = outcome.values_kept and header.image.colours == outcome.image.colours
    if same and header.dtype == outcome.image.dtype:
        return [item], ()
    return [], (f"{TITLES['sbit']} dropped: values were computed with more bits",)


def of_pictures(item: Item, _: Header, outcome: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep what says how colours look, unless the result has none."""
    if outcome.image.kind in ("picture", "intensity", "bands"):
        return [item], ()
    return [], (f"{TITLES[item.name]} dropped: the result is {named(outcome.image.kind)}",)


def gdal(item: Item, header: Header, outcome: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep GDAL's metadata, without statistics of values that have changed.

    Scale and offset stay true of values that count in the same units.
    """
    if outcome.values_kept and outcome.placement == Placement():
        return [item], ()
    value, lost = STATISTICS.sub(b"", item.value), 0
    units_kept = outcome.units_kept and outcome.image.dtype == header.dtype
    if not (outcome.values_kept or units_kept):
        value, lost = SCALING.subn(b"", value)
    notes = ("scale and offset of GDAL dropped: values count in other units",) if lost else ()
    return [item._replace(value=value)], notes


def xmp(item: Item, _: Header, outcome: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep XMP data, with the rows and columns of the result."""
    rows, columns = outcome.image.shape[:2]
    value = XMP_COLUMNS.sub(rb"\g<1>%d" % columns, item.value)
    return [item._replace(value=XMP_ROWS.sub(rb"\g<1>%d" % rows, value))], ()


def ome(item: Item, _: Header, outcome: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep OME metadata; the key tells the codec to drop places in the image."""
    return [item._replace(key="" if outcome.placement == Placement() else "moved")], ()


def imagej(item: Item, _: Header, outcome: Outcome) -> tuple[list[Item], tuple[str, ...]]:
    """Keep ImageJ's metadata; the key tells the codec to drop the range of values shown."""
    return [item._replace(key="" if outcome.values_kept else "changed")], ()


RULES: dict[str, Rule] = {
    "sbit": significant,
    "gamma": of_pictures,
    "cicp": of_pictures,
    "gdal": gdal,
    "xmp": xmp,
    "ome": ome,
    "imagej": imagej,
}


def named(kind: str) -> str:
    """Return the name of a kind of image in a sentence."""
    return {"mask": "a mask", "labels": "labels"}.get(kind, kind)


def with_nodata(outcome: Outcome, header: Header) -> tuple[ImageHeader, tuple[str, ...]]:
    """Return a result with the value of pixels without data, if that is still true, and a note."""
    image, value = outcome.image, header.image.nodata
    if value is None:
        return image._replace(nodata=None), ()
    moved = image.kind == header.image.kind
    if image.kind in ("mask", "labels") and not moved:
        what = f"the result is {named(image.kind)}"
    elif not (outcome.values_kept or outcome.holes_kept):
        what = "the steps computed with it as with any other value"
    elif image.dtype == header.dtype or fits(value, image.dtype) is not None:
        return image._replace(nodata=value), ()
    else:
        what = f"{image.dtype} has no {value:g}"
    return image._replace(nodata=None), (f"{TITLES['nodata']} ({value:g}) dropped: {what}",)


def moved_coordinates(
    items: Sequence[Item], header: Header, outcome: Outcome
) -> tuple[list[Item], tuple[str, ...]]:
    """Return the tags of a GeoTIFF for a result whose pixels lie elsewhere.

    Raises
    ------
    ValueError, struct.error, ZeroDivisionError
        If they are damaged.
    """
    # The orientation turns the stored image, which the coordinates are for.
    upright = placement_of(header)
    if not items or (outcome.placement == Placement() and upright == Placement()):
        return list(items), ()
    if outcome.placement is None:
        moves = "the pixels do not lie in straight rows any more"
        return [], (f"{TITLES['coordinates']} dropped: {moves}",)
    move = upright.then(outcome.placement)
    tags = {int(each.key.partition(":")[0]): each for each in items}
    if KEYS in tags and counts_centres(tags[KEYS]):
        move = move.between_centres()
    notes: tuple[str, ...] = ()
    if tags.pop(RPC, None):
        notes = ("rational polynomial coefficients dropped: the pixels have moved",)
    points = numbers(tags[TIE_POINTS]) if TIE_POINTS in tags else ()
    if MATRIX in tags:
        found = matrix_tags(affine_of_matrix(numbers(tags[MATRIX])).then(move))
    elif SCALE in tags and len(points) == 6:
        found = tags_of(affine_of_scale(numbers(tags[SCALE]), points).then(move))
    else:
        back = move.inverse()
        found = {}
        if points:
            found = {TIE_POINTS: moved_points(points, back)}
        if SCALE in tags:
            notes += ("scale of the coordinates dropped: the pixels have moved",)
    kept = [each for code, each in tags.items() if code not in (SCALE, TIE_POINTS, MATRIX)]
    made = [
        Item("coordinates", f"{code}:{DOUBLE}:{len(each)}", struct.pack(f"<{len(each)}d", *each))
        for code, each in found.items()
    ]
    return made + kept, notes


def placement_of(header: Header) -> Placement:
    """Return where the pixels of the upright image lie in the stored one."""
    rows, columns = header.shape[:2]
    if header.orientation >= 5:
        rows, columns = columns, rows
    return stored_of(header.orientation, rows, columns)


def stored_of(orientation: int, rows: int, columns: int) -> Placement:
    """Return the place in a stored image of (rows, columns) of places in the upright one.

    Source: TIFF revision 6.0, Orientation.
    """
    flipped_x, flipped_y = Placement(xx=-1, x0=columns), Placement(yy=-1, y0=rows)
    both = flipped_x.then(Placement(yy=-1, y0=rows))
    swap = Placement(xx=0, xy=1, yx=1, yy=0)
    return {
        2: flipped_x,
        3: both,
        4: flipped_y,
        5: swap,
        6: flipped_y.then(swap),
        7: both.then(swap),
        8: flipped_x.then(swap),
    }.get(orientation, Placement())


def numbers(item: Item) -> tuple[float, ...]:
    """Return the numbers of a tag of doubles."""
    return struct.unpack(f"<{len(item.value) // 8}d", item.value)


def counts_centres(keys: Item) -> bool:
    """Return whether coordinates are those of the centres of pixels, not of their corners."""
    words = struct.unpack(f"<{len(keys.value) // 2}H", keys.value)
    entries = [words[start : start + 4] for start in range(4, len(words) - 3, 4)]
    return any(each[0] == RASTER_TYPE and each[3] == PIXEL_IS_POINT for each in entries)


def affine_of_scale(scale: Sequence[float], point: Sequence[float]) -> Placement:
    """Return the map from places in an image to coordinates, by its scale and one tie point."""
    across, down = scale[:2]
    column, row, _, x, y, _ = point
    return Placement(xx=across, x0=x - column * across, yy=-down, y0=y + row * down)


def affine_of_matrix(matrix: Sequence[float]) -> Placement:
    """Return the map from places in an image to coordinates, by a 4 × 4 matrix."""
    return Placement(matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7])


def tags_of(affine: Placement) -> dict[int, tuple[float, ...]]:
    """Return scale and tie point of a map, or its matrix if it turns or mirrors the image."""
    if affine.xy == 0 and affine.yx == 0 and affine.xx > 0 > affine.yy:
        return {
            SCALE: (affine.xx, -affine.yy, 0.0),
            TIE_POINTS: (0.0, 0.0, 0.0, affine.x0, affine.y0, 0.0),
        }
    return matrix_tags(affine)


def matrix_tags(affine: Placement) -> dict[int, tuple[float, ...]]:
    """Return the 4 × 4 matrix of a map."""
    return {
        MATRIX: (
            *(affine.xx, affine.xy, 0.0, affine.x0),
            *(affine.yx, affine.yy, 0.0, affine.y0),
            *(0.0, 0.0, 0.0, 0.0),
            *(0.0, 0.0, 0.0, 1.0),
        )
    }


def moved_points(points: Sequence[float], back: Placement) -> tuple[float, ...]:
    """Return tie points whose places in the image have moved."""
    found: tuple[float, ...] = ()
    for start in range(0, len(points) - 5, 6):
        column, row, *rest = points[start : start + 6]
        found += (*back.of(column, row), *rest)
    return found
