"""OME-XML: what an OME-TIFF says of its image, and the same for a result.

Source: OME Data Model 2016-06, elements Pixels and Channel.
"""

import xml.etree.ElementTree as ET  # in the decoder's child process
from typing import NamedTuple

from cluster_worker.pixels.header import ImageHeader

# Metres in the units of length of a pixel.
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "um": 1e-6, "nm": 1e-9, "pm": 1e-12}
METRES |= {"Å": 1e-10, "in": 0.0254}
UNIT = "µm"

# Names of dtypes.
TYPES = {"bool": "bit", "float32": "float", "float64": "double"}
TYPES |= {each: each for each in ("uint8", "uint16", "uint32", "int8", "int16", "int32")}

# Parts of the file's own structure, and of places in the image, which a result has others of.
STRUCTURE, PLACES = ("TiffData", "BinData", "MetadataOnly"), ("Plane", "ROIRef")


class Described(NamedTuple):
    """What OME-XML says: (height, width) of a pixel in metres or None, and names of channels."""

    pixel_size: tuple[float, float] | None
    channels: tuple[str, ...]


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
    return Described(size, names if any(names) else ())


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


def updated(xml: bytes, image: ImageHeader, *, moved: bool) -> bytes:
    """Return OME-XML that is true for a result.

    Parameters
    ----------
    xml : bytes
        Of the original.
    image : ImageHeader
        The result.
    moved : bool
        Whether pixels have moved, so that regions and places of planes are not true any more.

    Raises
    ------
    ValueError
        If the XML is damaged, or knows no such dtype.
    """
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
    set_pixels(pixels, image, samples)
    removed = STRUCTURE + (PLACES if moved else ())
    for parent in (pixels, *images[:1]):
        for each in [child for child in parent if local(child) in removed]:
            parent.remove(each)
    set_channels(pixels, samples, space)
    ET.SubElement(pixels, space + "TiffData", {"IFD": "0", "PlaneCount": "1"})
    order = [*(each for each in pixels if local(each) != "Plane")]
    pixels[:] = [*order, *(each for each in pixels if local(each) == "Plane")]
    head = b'<?xml version="1.0" encoding="UTF-8"?>'
    body: bytes = ET.tostring(root, encoding="utf-8")
    return head + body


def set_pixels(pixels: ET.Element, image: ImageHeader, samples: int) -> None:
    """Set the sizes and the type of a result."""
    rows, columns = image.shape[:2]
    sizes = {"SizeX": columns, "SizeY": rows, "SizeZ": 1, "SizeT": 1, "SizeC": samples}
    for name, value in sizes.items():
        pixels.set(name, str(value))
    pixels.set("Type", TYPES[image.dtype])
    pixels.set("BigEndian", "false")
    pixels.attrib.pop("SignificantBits", None)
    for axis, metres in zip("YX", image.pixel_size or (None, None), strict=True):
        if metres is None:
            pixels.attrib.pop(f"PhysicalSize{axis}", None)
            continue
        unit = pixels.get(f"PhysicalSize{axis}Unit", UNIT)
        unit = unit if unit in METRES else UNIT
        pixels.set(f"PhysicalSize{axis}", f"{metres / METRES[unit]:.10g}")
        pixels.set(f"PhysicalSize{axis}Unit", unit)


def set_channels(pixels: ET.Element, samples: int, space: str) -> None:
    """Keep the channels if a result has as many samples, else describe one of so many samples."""
    channels = [each for each in pixels if local(each) == "Channel"]
    described = sum(int(each.get("SamplesPerPixel", "1")) for each in channels)
    if len(channels) == 1 and described == samples:
        return
    kept = channels[0].attrib if len(channels) == 1 else {}
    for each in channels:
        pixels.remove(each)
    made = {"ID": "Channel:0:0"} | kept | {"SamplesPerPixel": str(samples)}
    pixels.insert(0, ET.Element(space + "Channel", made))
