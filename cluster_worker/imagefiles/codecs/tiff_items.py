"""What a TIFF carries besides its pixels: read from the tags of its page, and written to them."""

import json
import mmap
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TIFF, TiffFile, TiffPage

from cluster_worker.imagefiles.codecs import exif, ome
from cluster_worker.imagefiles.codecs.header import (
    Header,
    fitting_profile,
    palette_table,
)
from cluster_worker.imagefiles.codecs.ifd import (
    LONG,
    LONG8,
    Entry,
    Layout,
    build_directory,
    in_order,
    read_directory,
    value_places,
)
from cluster_worker.imagefiles.codecs.items import (
    TEXT_TAGS,
    TITLES,
    Item,
    Items,
    first_of,
    split_texts,
    text,
    upright_xmp,
    within_limit,
)
from cluster_worker.imagefiles.codecs.tiff_page import IMAGEJ_INCHES, NEEDED, NODATA
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.stack import Stack

DESCRIPTION, XMP, IPTC, GDAL = 270, 700, 33723, 42112
# Scale, tie points, transformation, directory of keys with its numbers and texts, and RPCs.
COORDINATES = (33550, 33922, 34264, 34735, 34736, 34737, 50844)
DIRECTORIES = (exif.CAMERA, exif.PLACE)
# tifffile writes no tag of a directory. So it writes one of a neighbouring number, which has the
# same place in the order of the tags, and gets the right number afterwards.
STAND_INS = {exif.CAMERA: exif.CAMERA - 1, exif.PLACE: exif.PLACE - 1}

# Tags that say how the file stores its pixels; a result has its own.
STRUCTURE = NEEDED | {255, 263, 264, 265, 280, 281, 288, 289, 290, 291, 292, 293, 297, 301}
STRUCTURE |= {321, 326, 327, 328, 330, 332, 336, 340, 341, 347, 512, 513, 514, 515, 517, 518, 519}
STRUCTURE |= {520, 521, 529, 530, 531, 532, 559, 32997, 32998, 50674, 50675, 50676, 65000}
KNOWN = STRUCTURE | {*COORDINATES, *DIRECTORIES, *TEXT_TAGS.values(), XMP, IPTC, GDAL, NODATA}

CARRIES = frozenset(
    (
        "profile",
        "resolution",
        "exif",
        "xmp",
        "iptc",
        "text",
        "palette",
        "nodata",
        "coordinates",
        "gdal",
        "ome",
        "imagej",
    )
)

# Options of tifffile that say how pixels are stored, which hold for smaller copies as well.
OF_PIXELS = {"tile", "dtype", "predictor", "compression", "photometric", "subsampling"}
OF_PIXELS |= {"planarconfig", "extrasamples", "colormap", "metadata", "software"}

# Lines of ImageJ's description that say what a stack is, and which values it shows.
STACK_LINES = re.compile(r"^(images|channels|slices|frames|hyperstack|mode|loop)=.*\n?", re.M)
# Those of them that stay true for another number of images.
MODE_LINES = re.compile(r"^(mode|loop)=.*\n?", re.M)
SPACING_LINE = re.compile(r"^spacing=.*\n?", re.MULTILINE)
FRAMES = re.compile(r"^frames=(\d+)", re.MULTILINE)
INTERVAL_LINES = re.compile(r"^(finterval|fps|tunit)=.*\n?", re.MULTILINE)
INCH_METRES = 0.0254
UNIT = re.compile(r"^unit=(.+)$", re.MULTILINE)
UNIT_LINE = re.compile(r"^unit=.*\n?", re.MULTILINE)
RANGE_LINES = re.compile(r"^(min|max)=.*\n?", re.MULTILINE)


def items_of(path: Path, file: TiffFile, page: TiffPage) -> tuple[Items, tuple[str, ...]]:
    """Return what a page carries, and notes on what is not kept."""
    layout = Layout(file.byteorder, file.is_bigtiff)
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        entries, _ = read_directory(whole, page.offset, layout)  # type: ignore[arg-type]
        found, lost = exif_of(entries, whole, layout)
    items = list(found)
    for each in entries:
        if each.code in COORDINATES:
            value = in_order(each, layout.order, "<").value
            items.append(Item("coordinates", f"{each.code}:{each.type}:{each.length}", value))
    values = {each.code: each.value for each in entries}
    items += [Item(name, "", values[code]) for name, code in NAMED.items() if code in values]
    items += [
        text(key, values[code])
        for key, code in TEXT_TAGS.items()
        if code in values and code != DESCRIPTION and values[code].strip(b"\0 ")
    ]
    items += described(file, page)
    other = sorted(each.code for each in entries if each.code not in KNOWN)
    if other:
        lost += (f"tags dropped: {', '.join(tag_name(code) for code in other)}",)
    kept, over = within_limit(items)
    return kept, lost + over


NAMED = {"xmp": XMP, "iptc": IPTC, "gdal": GDAL}


def tag_name(code: int) -> str:
    """Return the name of a tag, or its number if it has none."""
    return str(TIFF.TAGS.get(code, code))


def described(file: TiffFile, page: TiffPage) -> list[Item]:
    """Return the description of a page, as the item that it is."""
    content = page.description
    if not content.strip():
        return []
    if file.is_ome:
        return [Item("ome", "", content.encode())]
    if page.is_imagej:
        return [Item("imagej", "", content.encode())]
    # tifffile writes the shape of an array; it is what other tags say as well.
    return [] if page.is_shaped else [text("Description", content)]


def exif_of(
    entries: Sequence[Entry], content: Any, layout: Layout
) -> tuple[list[Item], tuple[str, ...]]:
    """Build EXIF data of the directories of the camera and of the place."""
    directories = {}
    for each in entries:
        if each.code in DIRECTORIES and each.value:
            size = (
                layout.number
                if len(each.value) == layout.number.size
                else Layout(layout.order).number
            )
            try:
                found, _ = read_directory(content, size.unpack(each.value)[0], layout)
            except (ValueError, struct.error):
                return [], ("the EXIF data is damaged; it was passed over",)
            directories[each.code] = [
                entry for entry in found if entry.code != exif.INTEROPERABILITY and entry.type < 16
            ]
    if not directories:
        return [], ()
    return [Item("exif", "", exif.block_of(directories, layout))], ()


def write_options(
    image: ImageHeader, header: Header, stack: Stack | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return tifffile's options for a result, and notes on what was dropped.

    How its pixels are compressed is not among them.

    Parameters
    ----------
    image : ImageHeader
        The result as it is written.
    header : Header
        What it carries.
    stack : Stack, optional
        What the pages of the file are, if the result is the first of several.
    """
    profile, notes = fitting_profile(image.shape, header)
    header, lost = with_ome(header)
    notes += lost
    extra = image.colours - (3 if image.is_rgb else 1)
    options: dict[str, Any] = {
        "photometric": "rgb" if image.is_rgb else "minisblack",
        "planarconfig": "contig" if len(image.shape) == 3 else None,
        "iccprofile": profile or None,
        "metadata": None,
        "software": False,
    }
    if extra or image.alpha:
        options["extrasamples"] = ["unspecified"] * extra + ["unassalpha"] * image.alpha
    if header.is_indexed and image.dtype == "uint8":
        table = np.zeros((256, 3), np.uint16)
        colours = palette_table(header.palette)[:, :3]
        table[: len(colours)] = colours.astype(np.uint16) * 257
        options |= {"photometric": "palette", "colormap": table.T}
    if header.resolution:
        options |= {"resolution": header.resolution, "resolutionunit": "INCH"}
    tags, described_by, lost = tags_of(image, header, options, stack)
    if described_by:
        options["description"] = described_by
    return options | {"extratags": tags}, notes + lost


def smaller_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return those of a page's options that hold for its smaller copies, and its nodata tag."""
    found = {name: each for name, each in options.items() if name in OF_PIXELS}
    return found | {"extratags": [each for each in options["extratags"] if each[0] == NODATA]}


def with_ome(header: Header) -> tuple[Header, tuple[str, ...]]:
    """Return a header with OME-XML if its file becomes an OME-TIFF, and notes on what goes.

    A file has one description.
    """
    if header.output.layout != "ome":
        return header, ()
    kept, notes = [], []
    for each in header.items:
        if each.name == "imagej":
            notes.append(f"{TITLES['imagej']} dropped: OME-XML stands in its place")
        elif (each.name, each.key) == ("text", "Description"):
            notes.append("description dropped: OME-XML stands in its place")
        else:
            kept.append(each)
    if not any(each.name == "ome" for each in kept):
        kept.append(Item("ome", "", ome.plain()))
    return replace(header, items=tuple(kept)), tuple(notes)


def tags_of(
    image: ImageHeader, header: Header, options: dict[str, Any], stack: Stack | None
) -> tuple[list[tuple[Any, ...]], bytes, tuple[str, ...]]:
    """Return further tags for tifffile, the description, and notes; ImageJ changes the options."""
    texts, notes = split_texts(header.items)
    description = texts.pop(DESCRIPTION, b"")
    tags: list[tuple[Any, ...]] = [
        (code, 2, len(value) + 1, value + b"\0", True) for code, value in texts.items()
    ]
    for each in header.items:
        if each.name == "coordinates":
            code, kind, count = (int(number) for number in each.key.split(":"))
            tags.append((code, kind, count, each.value, True))
        elif each.name == "xmp":
            value = upright_xmp(each.value)
            tags.append((XMP, 1, len(value), value, True))
        elif each.name == "iptc":
            tags.append((IPTC, 7, len(each.value), each.value, True))
        elif each.name == "gdal":
            value = each.value.rstrip(b"\0") + b"\0"
            tags.append((GDAL, 2, len(value), value, True))
        elif each.name == "ome":
            try:
                sized = image._replace(pixel_size=image.pixel_size or size_of(header.resolution))
                description = ome.updated(each.value, sized, stack, moved=each.key == "moved")
            except ValueError as error:
                notes += (f"OME metadata dropped: {error}",)
        elif each.name == "imagej":
            description, lost = imagej_description(each, header, options, stack)
            notes += lost
    if not description and stack and stack.axes != "p":
        description = shaped_description(image, stack)
    if image.nodata is not None:
        value = f"{image.nodata:.17g}".encode() + b"\0"
        tags.append((NODATA, 2, len(value), value, True))
    tags += [(STAND_INS[code], LONG, 1, 0, True) for code in exif_directories(header)]
    return tags, description, notes


def size_of(resolution: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return (height, width) of a pixel in metres, of pixels per inch along (columns, rows)."""
    return (INCH_METRES / resolution[1], INCH_METRES / resolution[0]) if resolution else None


def shaped_description(image: ImageHeader, stack: Stack) -> bytes:
    """Return the description in which tifffile looks for axes."""
    axes = f"{stack.axes}{image.axes}".upper()
    return json.dumps({"shape": [*stack.shape, *image.shape], "axes": axes}).encode()


def stack_lines(stack: Stack | None, lines: str) -> str:
    """Return the lines of ImageJ's description for a stack, in place of those of the original."""
    modes = "".join(found[0] for found in MODE_LINES.finditer(lines)) if stack else ""
    lines = STACK_LINES.sub("", lines)
    if stack is None:
        return lines
    counts = dict(zip(stack.axes, stack.shape, strict=True))
    slices = counts.get("z", counts.get("p", 1))
    named = {"channels": counts.get("c", 1), "slices": slices, "frames": counts.get("t", 1)}
    head, _, rest = lines.partition("\n")
    made = [f"images={stack.planes}"] + [f"{key}={each}" for key, each in named.items() if each > 1]
    if len(stack.axes) > 1:
        made.append("hyperstack=true")
    return "\n".join((head, *made, modes + with_spacing(rest, stack)))


def with_spacing(lines: str, stack: Stack) -> str:
    """Return lines of ImageJ's description with the distance of a stack's slices, if it has any."""
    lines = SPACING_LINE.sub("", lines)
    unit = UNIT.search(lines)
    inches = IMAGEJ_INCHES.get(unit[1].strip().lower()) if unit else None
    if stack.step is None or inches is None:
        return lines
    spacing = stack.step / (inches * INCH_METRES)
    return f"spacing={spacing:.10g}\n{lines}"


def imagej_description(
    item: Item, header: Header, options: dict[str, Any], stack: Stack | None
) -> tuple[bytes, tuple[str, ...]]:
    """Return ImageJ's description for a result, and a note; its resolution is in ImageJ's unit.

    A unit without a resolution would say that a pixel is one unit wide, so it is dropped.
    """
    original = item.value.decode("utf-8", "replace")
    lines = stack_lines(stack, original)
    frames = FRAMES.search(original)
    if frames and frames[1] != str(
        stack and dict(zip(stack.axes, stack.shape, strict=True)).get("t")
    ):
        # A frame interval is not true of other times.
        lines = INTERVAL_LINES.sub("", lines)
    if item.key == "changed":
        lines = RANGE_LINES.sub("", lines)
    unit = UNIT.search(lines)
    inches = IMAGEJ_INCHES.get(unit[1].strip().lower()) if unit else None
    if inches and header.resolution:
        along = tuple(each * inches for each in header.resolution)
        options |= {"resolution": along, "resolutionunit": "NONE"}
    elif unit and unit[1].strip().lower() not in ("pixel", "pixels"):
        without = UNIT_LINE.sub("", lines)
        return without.encode(), (f"ImageJ's unit {unit[1].strip()} dropped: no scale is kept",)
    return lines.encode(), ()


def exif_directories(header: Header) -> dict[int, list[Entry]]:
    """Return the directories of camera and place in EXIF data, for a little-endian file."""
    block = first_of(header.items, "exif")
    if not block:
        return {}
    order = exif.layout_of(block).order
    found = {pointer: exif.directory(block, pointer) for pointer in DIRECTORIES}
    return {
        pointer: [
            in_order(each, order, "<") for each in entries if each.code != exif.INTEROPERABILITY
        ]
        for pointer, entries in found.items()
        if entries
    }


def exif_texts(header: Header) -> Items:
    """Return the texts in the first directory of EXIF data: a TIFF has tags of its own for them."""
    block = first_of(header.items, "exif")
    if not block:
        return ()
    keys = {code: key for key, code in TEXT_TAGS.items()}
    known = {each.key for each in header.items if each.name == "text"}
    return tuple(
        text(keys[each.code], each.value)
        for each in exif.first_directory(block)[0]
        if each.code in keys and keys[each.code] not in known and each.value.strip(b"\0 ")
    )


def append_directories(path: Path, header: Header, shape: Sequence[int]) -> None:
    """Write the directories of EXIF data behind a file that is complete, and point at them."""
    found = exif_directories(header)
    if not found:
        return
    with TiffFile(path) as file:
        layout, offset = Layout(file.byteorder, file.is_bigtiff), file.pages.first.offset
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        places = value_places(whole, offset, layout)  # type: ignore[arg-type]
    sizes = {exif.COLUMNS: shape[1], exif.ROWS: shape[0]}
    with path.open("r+b") as written:
        for code, entries in found.items():
            end = written.seek(0, 2)
            written.write(b"\0" * (end % 2))
            start = end + end % 2
            true = [
                Entry(each.code, LONG, 1, struct.pack("<I", sizes[each.code]))
                if each.code in sizes
                else each
                for each in entries
            ]
            written.write(build_directory(true, start, layout))
            place = places[STAND_INS[code]]
            # Beyond 4 GiB, in a BigTIFF, an offset takes 64 bits.
            kind = LONG8 if layout.big else LONG
            written.seek(place - layout.head.size)
            written.write(layout.head.pack(code, kind, 1) + layout.number.pack(start))
