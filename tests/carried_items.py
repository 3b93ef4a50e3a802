"""Write docs/formats.md's table: which item of a file each format keeps, by what was done.

`python -m tests.carried_items` writes real files with every item and reads them again.
"""

import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import ImageCms

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.carry import Outcome, carried
from cluster_worker.imagefiles.codecs import exif, ifd
from cluster_worker.imagefiles.codecs.items import TITLES, Item
from cluster_worker.imagefiles.formats import FORMATS, WRITTEN, Header
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.placement import Placement

PAGE = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
START = "<!-- The table is written by python -m tests.carried_items. -->\n"
END = "<!-- End of the table. -->\n"
LIST_START = "<!-- The list is written by python -m tests.carried_items. -->\n"
LIST_END = "<!-- End of the list. -->\n"

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="24" '
    'SizeY="16" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="2" PhysicalSizeY="2">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData/></Pixels></Image></OME>'
)

# Steps by what they do to pixels: values computed anew, moved along rows and columns, or warped.
CLASSES = {
    "filters": (Placement(), False),
    "crop, flip, turn": (Placement(1, 0, 1, 0, -1, 3), True),
    "resize": (Placement(2, 0, 1, 0, 2, 3), False),
    "rotate, warp": (None, False),
    "to a mask": (Placement(), False),
}


def items():
    """Every item, valid in the formats that hold it."""
    numbers = struct.pack("<3d", 1.0, 1.0, 0.0), struct.pack("<6d", 0, 0, 0, 10, 20, 0)
    date = ifd.Entry(0x9003, ifd.ASCII, 20, b"2026:01:02 03:04:05\0")
    block = exif.block_of({exif.CAMERA: [date]}, ifd.Layout("<"))
    return (
        Item("exif", "", block),
        Item("xmp", "", b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
        Item("iptc", "", b"\x1c\x02\x50\x00\x04name"),
        Item("comment", "", b"a comment"),
        Item("text", "Author", b"somebody"),
        Item("gamma", "gAMA", struct.pack(">I", 45455)),
        Item("cicp", "cICP", bytes((9, 16, 0, 1))),
        Item("sbit", "sBIT", bytes((8, 8, 8))),
        Item("coordinates", "33550:12:3", numbers[0]),
        Item("coordinates", "33922:12:6", numbers[1]),
        Item("gdal", "", b'<GDALMetadata><Item name="unit">K</Item></GDALMetadata>'),
        Item("ome", "", OME.encode()),
        Item("imagej", "", b"ImageJ=1.54f\nunit=micron\n"),
    )


def original(format, shape, **fields):
    """Return the header of a file that carries everything."""
    kind = "picture" if len(shape) == 3 else "labels"
    image = ImageHeader(shape, "uint8", "yxs"[: len(shape)], kind, nodata=0.0)
    return Header(
        "cat",
        format,
        image,
        icc_profile=SRGB,
        resolution=(300.0, 300.0),
        items=items(),
        **fields,
    )


def header_for(name, shape):
    """Return a header that carries everything, or the items that exclude the others."""
    palette = np.random.default_rng(0).integers(0, 256, (256, 4), np.uint8)
    header = original("tiff", (16, 24) if name == "palette" else shape)
    if name == "palette":
        return replace(header, palette=palette.tobytes(), items=())
    # A file has one description: that of ImageJ or of OME-TIFF.
    others = {"ome": "imagej", "imagej": "ome"}
    excluded = others.get(name, "imagej")
    return replace(header, items=tuple(each for each in header.items if each.name != excluded))


def is_there(name, header):
    """Return whether a file that was read again has an item."""
    if name == "profile":
        return bool(header.icc_profile)
    if name == "resolution":
        return header.resolution is not None
    if name == "palette":
        return bool(header.palette)
    if name == "nodata":
        return header.image.nodata is not None
    if name == "comment" and header.format == "png":
        return any(each.key == "Comment" for each in header.items)
    if name == "text" and header.format in ("jpeg", "webp", "avif"):
        blocks = [each.value for each in header.items if each.name == "exif"]
        return bool(blocks) and 315 in {each.code for each in exif.first_directory(blocks[0])[0]}
    return any(each.name == name for each in header.items)


def cell(name, format, done, folder):
    """Write a file, read it again, and say what became of an item."""
    placement, values_kept = CLASSES[done]
    header = header_for(name, (16, 24, 3))
    image = header.image
    if done == "to a mask":
        image = image._replace(shape=(16, 24), axes="yx", kind="mask", channels=())
    elif name == "palette" and placement is None:
        image = image._replace(kind="picture")
    resolution = None if placement is None else header.resolution
    result, notes = carried(
        header, Outcome(image, resolution, placement, values_kept, holes_kept=True)
    )
    path = folder / "out"
    pixels = np.random.default_rng(0).integers(0, 2, image.shape).astype(np.uint8)
    notes += formats.write(path, pixels, format, result)
    found = formats.read_header(path, "out", 10_000)
    if is_there(name, found):
        return "kept"
    said = any(TITLES[name].partition(" ")[0] in note for note in notes)
    # These notes are made where the steps are known: `engine.run_file`.
    elsewhere = name == "resolution" or (name == "palette" and done != "filters")
    assert said or elsewhere, f"{name} in {format} after {done}: lost without a note: {notes}"
    return "–"


def table(folder):
    """Return the table as text."""
    names = [FORMATS[each].title for each in WRITTEN]
    lines = [f"| item | after | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for name, title in TITLES.items():
        rows = {done: [cell(name, form, done, folder) for form in WRITTEN] for done in CLASSES}
        same = {tuple(row): [each for each in rows if rows[each] == row] for row in rows.values()}
        for row, done in same.items():
            after = "all steps" if len(done) == len(CLASSES) else "; ".join(done)
            lines.append(f"| {title} | {after} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def listed():
    """Return the list of all formats as text."""
    lines = ["| format | endings | written | planes | windows |", "|---|---|---|---|---|"]
    for form in FORMATS.values():
        written = "yes" if form.write else "–"
        planes = "many" if form.read_plane_header else "one"
        windows = "read" if form.read_window else "rows to disk" if form.decodes_rows else "–"
        endings = ", ".join(f"`.{each}`" for each in form.extensions)
        lines.append(f"| {form.title} | {endings} | {written} | {planes} | {windows} |")
    return "\n".join(lines) + "\n"


def page(folder):
    """Return the page with a fresh list and a fresh table."""
    text = PAGE.read_text()
    before, _, rest = text.partition(LIST_START)
    text = before + LIST_START + "\n" + listed() + "\n" + LIST_END + rest.partition(LIST_END)[2]
    before, _, rest = text.partition(START)
    return before + START + "\n" + table(folder) + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(Path(folder)))
