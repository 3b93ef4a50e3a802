"""OME-XML: what an OME-TIFF says of its image, and the same for a result.

Source: OME Data Model 2016-06, elements Pixels and Channel.
"""

import xml.etree.ElementTree as ET  # in the decoder's child process
from typing import NamedTuple

from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.stack import Stack

# Metres in the units of length of a pixel.
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "um": 1e-6, "nm": 1e-9, "pm": 1e-12}
METRES |= {"Å": 1e-10, "in": 0.0254}
UNIT = "µm"

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"

# Names of dtypes.
TYPES = {"bool": "bit", "float32": "float", "float64": "double"}
TYPES |= {each: each for each in ("uint8", "uint16", "uint32", "int8", "int16", "int32")}

# Parts of the file's own structure, and of places in the image, which a result has others of.
STRUCTURE, PLACES = ("TiffData", "BinData", "MetadataOnly"), ("ROIRef",)
# Where the microscope stood for a plane.
POSITIONS = tuple(f"Position{axis}{unit}" for axis in "XYZ" for unit in ("", "Unit"))


class Described(NamedTuple):
    """What OME-XML says of its first image.

    Attributes
    ----------
    pixel_size : tuple of float or None
        (height, width) of a pixel in metres.
    channels : tuple of str
        Names of the channels; empty if none has one.
    step : float or None
        Metres between two slices.
    """

    pixel_size: tuple[float, float] | None
    channels: tuple[str, ...]
    step: float | None = None


def described(xml: bytes) -> Described:
    """Read the size of a pixel and the names of the channels; nothing if the XML is damaged."""
    try:
        pixels = first_pixels(ET.fromstring(xml))  # noqa: S314 - in the decoder's child process
    except (ET.ParseError, ValueError):
        return Described(None, ())
    sides = [length_of(pixels, f"PhysicalSize{axis}") for axis in "YX"]
    names = tuple(each.get("Name", "") for each in pixels if local(each) == "Channel")
    height, width = sides
    size = (height, width) if height and width else None
    return Described(size, names if any(names) else (), length_of(pixels, "PhysicalSizeZ"))


def first_pixels(root: ET.Element) -> ET.Element:
    """Return the element Pixels of the first image.

    Raises
    ------
    ValueError
        If there is none.
    """
    for each in root.iter():
        if local(each) == "Pixels":
            return each
    raise ValueError("OME-XML without Pixels")


def local(element: ET.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def length_of(pixels: ET.Element, attribute: str) -> float | None:
    """Return a length in metres; None if it is missing or is no length."""
    try:
        length = float(pixels.get(attribute, "")) * METRES[pixels.get(attribute + "Unit", UNIT)]
    except (KeyError, ValueError):
        return None
    return length if length > 0 else None


def plain() -> bytes:
    """Return OME-XML that says nothing yet; `updated` completes it."""
    pixels = '<Pixels ID="Pixels:0" DimensionOrder="XYZCT"/>'
    return f'<OME xmlns="{SCHEMA}"><Image ID="Image:0">{pixels}</Image></OME>'.encode()


def updated(xml: bytes, image: ImageHeader, stack: Stack | None = None, *, moved: bool) -> bytes:
    """Return OME-XML that is true for a result.

    Parameters
    ----------
    xml : bytes
        Of the original.
    image : ImageHeader
        The result, or one plane of it.
    stack : Stack, optional
        What its planes are, if it has several.
    moved : bool
        Whether pixels have moved, so that regions and places of planes are not true any more.

    Raises
    ------
    ValueError
        If the XML is damaged, or knows no such dtype or planes.
    """
    if stack and stack.axes == "p":
        raise ValueError("the planes are pages without axes")
    if image.dtype not in TYPES:
        raise ValueError(f"OME-XML has no {image.dtype}")
    try:
        root = ET.fromstring(xml)  # noqa: S314 - in the decoder's child process
    except ET.ParseError as error:
        raise ValueError("OME-XML is damaged") from error
    pixels = first_pixels(root)
    space = root.tag.rpartition("}")[0] + "}" if root.tag.startswith("{") else ""
    if space:
        ET.register_namespace("", space[1:-1])
    root.attrib.pop("UUID", None)
    images = [each for each in root if local(each) == "Image"]
    dropped = images[1:] + [each for each in root if moved and local(each) == "ROI"]
    for each in dropped:
        root.remove(each)
    samples = image.colours + image.alpha
    counts = dict(zip(stack.axes, stack.shape, strict=True)) if stack else {}
    keep_planes(pixels, counts, moved=moved)
    set_pixels(pixels, image, samples, stack, counts)
    removed = STRUCTURE + (PLACES if moved else ())
    for parent in (pixels, *images[:1]):
        for each in [child for child in parent if local(child) in removed]:
            parent.remove(each)
    names = stack.channels if stack and "c" in stack.axes else image.channels
    set_channels(pixels, samples, counts.get("c", 1), names, space)
    planes = str(stack.planes if stack else 1)
    ET.SubElement(pixels, space + "TiffData", {"IFD": "0", "PlaneCount": planes})
    order = [*(each for each in pixels if local(each) != "Plane")]
    pixels[:] = [*order, *(each for each in pixels if local(each) == "Plane")]
    head = b'<?xml version="1.0" encoding="UTF-8"?>'
    body: bytes = ET.tostring(root, encoding="utf-8")
    return head + body


def keep_planes(pixels: ET.Element, counts: dict[str, int], *, moved: bool) -> None:
    """Keep what is said of each plane, as its time, if the result has the same planes."""
    same = all(pixels.get(f"Size{axis.upper()}") == str(counts.get(axis, 1)) for axis in "zt")
    # A frame interval is not true of other times.
    if pixels.get("SizeT") != str(counts.get("t", 1)):
        for name in ("TimeIncrement", "TimeIncrementUnit"):
            pixels.attrib.pop(name, None)
    planes = [each for each in pixels if local(each) == "Plane"]
    channels = {int(each.get("TheC", "0")) for each in planes}
    same = same and len(channels) == counts.get("c", 1)
    for each in planes:
        if not same:
            pixels.remove(each)
        for name in POSITIONS if moved else ():
            each.attrib.pop(name, None)


def set_pixels(
    pixels: ET.Element,
    image: ImageHeader,
    samples: int,
    stack: Stack | None,
    counts: dict[str, int],
) -> None:
    """Set the sizes, the order of the planes and the type of a result."""
    rows, columns = image.shape[:2]
    sizes = {"SizeX": columns, "SizeY": rows}
    sizes |= {f"Size{axis.upper()}": counts.get(axis, 1) for axis in "zt"}
    sizes["SizeC"] = samples * counts.get("c", 1)
    if stack:
        # The first letter changes fastest from one page to the next.
        order = stack.axes[::-1].upper()
        order += "".join(axis for axis in "ZCT" if axis not in order)
        pixels.set("DimensionOrder", f"XY{order}")
        set_length(pixels, "PhysicalSizeZ", stack.step if "z" in stack.axes else None)
    for name, value in sizes.items():
        pixels.set(name, str(value))
    pixels.set("Type", TYPES[image.dtype])
    pixels.set("BigEndian", "false")
    pixels.attrib.pop("SignificantBits", None)
    for axis, metres in zip("YX", image.pixel_size or (None, None), strict=True):
        set_length(pixels, f"PhysicalSize{axis}", metres)


def set_length(pixels: ET.Element, attribute: str, metres: float | None) -> None:
    """Set a length in the unit that the file uses for it; remove it if it is None."""
    if metres is None:
        pixels.attrib.pop(attribute, None)
        return
    unit = pixels.get(attribute + "Unit", UNIT)
    unit = unit if unit in METRES else UNIT
    pixels.set(attribute, f"{metres / METRES[unit]:.10g}")
    pixels.set(attribute + "Unit", unit)


def set_channels(
    pixels: ET.Element, samples: int, count: int, names: tuple[str, ...], space: str
) -> None:
    """Describe `count` channels of `samples` samples each; what is still true is kept.

    Channels are told by their names if only some of them were chosen.
    """
    channels = [each for each in pixels if local(each) == "Channel"]
    if len(channels) != count:
        by_name = {each.get("Name"): each for each in channels}
        chosen = [by_name[name] for name in names if name in by_name]
        for each in channels:
            pixels.remove(each)
        channels = chosen
        if len(chosen) != count:
            channels = [
                ET.Element(space + "Channel", {"ID": f"Channel:0:{k}"}) for k in range(count)
            ]
            for each, name in zip(channels, names if len(names) == count else (), strict=False):
                each.set("Name", name)
        pixels[:0] = channels
    for each in channels:
        if int(each.get("SamplesPerPixel", "1")) != samples:
            each.set("SamplesPerPixel", str(samples))
