"""An image file in words: what it is, and what it carries."""

from collections.abc import Iterator

from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.imagefiles.formats import FORMATS

MICROMETRES = 1e6


def description(header: Header) -> Iterator[tuple[str, str]]:
    """Describe an image file.

    Yields
    ------
    str, str
        Name and value of each property that the file has.
    """
    image = header.image
    yield "format", FORMATS[header.format].title
    yield "kind", image.kind
    yield "axes", image.axes
    yield "shape", " × ".join(map(str, image.shape))
    yield "dtype", f"{image.dtype}, {header.bits} bits used" if header.bits else image.dtype
    if image.alpha:
        yield "alpha", "the last channel"
    if image.channels:
        yield "channels", ", ".join(each or "?" for each in image.channels)
    if image.nodata is not None:
        yield "nodata", f"{image.nodata:g}"
    if image.pixel_size:
        height, width = (MICROMETRES * side for side in image.pixel_size)
        yield "pixel size", f"{width:.6g} × {height:.6g} µm (width × height)"
    if header.resolution:
        yield "resolution", " × ".join(f"{each:.6g}" for each in header.resolution) + " per inch"
    if header.orientation != 1:
        yield "orientation", f"{header.orientation}, turned upright"
    if header.palette:
        yield "palette", f"{len(header.palette) // 4} colours"
    if header.icc_profile:
        yield TITLES["profile"], f"{len(header.icc_profile)} bytes"
    if header.block:
        yield "windows", f"read in pieces of {header.block[0]} × {header.block[1]} pixels"
    for name in dict.fromkeys(each.name for each in header.items):
        keys = [each.key for each in header.items if each.name == name and each.key]
        size = sum(len(each.value) for each in header.items if each.name == name)
        named = f" ({', '.join(keys)})" if name == "text" else ""
        yield TITLES[name], f"{size} bytes{named}"
    for note in header.notes:
        yield "note", note
