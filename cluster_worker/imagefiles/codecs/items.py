"""What a file carries besides its pixels: each thing is an item with a name that all formats share.

The colour profile and the resolution have fields of their own in the header. A format lists in
`Format.carries` the items that its files can hold; the others are named in a note.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

# Items by name, and what notes call them.
TITLES: Mapping[str, str] = {
    "profile": "colour profile",
    "resolution": "resolution",
    "exif": "EXIF data",
    "xmp": "XMP data",
    "iptc": "IPTC data",
    "comment": "comment",
    "text": "text",
    "gamma": "gamma and primaries",
    "cicp": "coding of the colours (cICP)",
    "sbit": "number of significant bits (sBIT)",
    "palette": "palette",
    "nodata": "value of pixels without data",
    "coordinates": "coordinates and reference system",
    "gdal": "GDAL metadata",
    "ome": "OME metadata",
    "imagej": "ImageJ metadata",
}

# What a picture needs to look as it does.
SHOWING = ("gamma", "cicp", "sbit")

# All items of a file together; metadata beyond this is dropped.
BYTES_MAX = 16 << 20

# Texts that TIFF and EXIF keep in a tag, by their keyword in a PNG.
TEXT_TAGS: Mapping[str, int] = {
    "Title": 269,
    "Description": 270,
    "Make": 271,
    "Model": 272,
    "Software": 305,
    "Creation Time": 306,
    "Author": 315,
    "Copyright": 33432,
}
DATE_TAG, DATE = 306, re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")

# The orientation that XMP repeats; the pixels are upright when they are written.
XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[1-8]")


class Item(NamedTuple):
    """One thing that a file carries.

    Attributes
    ----------
    name : str
        One of `TITLES`.
    key : str
        Tells items of one name apart: the keyword of a text, the number of a tag, the type of a
        chunk.
    value : bytes
        Texts are UTF-8.
    """

    name: str
    key: str
    value: bytes


Items = tuple[Item, ...]


def within_limit(items: Iterable[Item]) -> tuple[Items, tuple[str, ...]]:
    """Return the items that fit into `BYTES_MAX` together, and a note on those that do not."""
    kept: list[Item] = []
    dropped: list[str] = []
    room = BYTES_MAX
    for each in items:
        if len(each.value) > room:
            dropped.append(TITLES[each.name])
            continue
        room -= len(each.value)
        kept.append(each)
    most = BYTES_MAX >> 20
    notes = tuple(
        f"{title} dropped: it has more than {most} MiB" for title in dict.fromkeys(dropped)
    )
    return tuple(kept), notes


def values_of(items: Iterable[Item], name: str) -> list[bytes]:
    """Return the values of all items of a name."""
    return [each.value for each in items if each.name == name]


def first_of(items: Iterable[Item], name: str) -> bytes:
    """Return the value of the first item of a name, b"" if there is none."""
    return next(iter(values_of(items, name)), b"")


def texts_of(items: Iterable[Item]) -> dict[str, str]:
    """Return the texts among the items, by keyword."""
    return {
        each.key: each.value.decode("utf-8", "replace") for each in items if each.name == "text"
    }


def text(key: str, value: str | bytes) -> Item:
    """Return the item of a text; bytes are UTF-8, or Latin-1 if they are not that."""
    return Item("text", key, as_utf8(value))


def as_utf8(value: str | bytes) -> bytes:
    """Return a text as UTF-8, without the zeros that end it in tags."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").strip(b"\0")
    value = value.strip(b"\0")
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value


def upright_xmp(value: bytes) -> bytes:
    """Return XMP data that says that the image is upright."""
    return XMP_ORIENTATION.sub(rb"\g<1>1", value)


def split_texts(items: Sequence[Item]) -> tuple[dict[int, bytes], tuple[str, ...]]:
    """Sort texts into those that a tag of TIFF or EXIF can hold, and notes on the others.

    Returns
    -------
    dict, tuple of str
        Text by number of the tag, and notes.
    """
    tags: dict[int, bytes] = {}
    lost = []
    for each in items:
        if each.name != "text":
            continue
        tag = TEXT_TAGS.get(each.key)
        if tag is None or (
            tag == DATE_TAG and not DATE.fullmatch(each.value.decode("utf-8", "replace"))
        ):
            lost.append(each.key)
        else:
            tags[tag] = each.value
    if not lost:
        return tags, ()
    return tags, (f"text dropped: no field for {', '.join(sorted(set(lost)))}",)
