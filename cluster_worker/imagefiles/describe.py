"""An image file in words: what it is, and what it carries."""

from collections.abc import Iterator

from cluster_worker.imagefiles.codecs.header import Header
from cluster_worker.imagefiles.codecs.items import TITLES
from cluster_worker.imagefiles.formats import FORMATS
from cluster_worker.pixels.stack import AXES, Stack

MICROMETRES = 1e6


def description(header: Header, stack: Stack | None = None) -> Iterator[tuple[str, str]]:
    """Describe an image file, or a plane of it and all that are like it.

    Yields
    ------
    str, str
        Name and value of each property that the file has.
    """
    image = header.image
    yield "format", FORMATS[header.format].title
    yield "kind", image.kind
    yield "axes", (stack.axes if stack else "") + image.axes
    yield "shape", " × ".join(map(str, (*(stack.shape if stack else ()), *image.shape)))
    for number, part in enumerate(header.parts, 1):
        yield f"page {number}", part
    if stack:
        yield from of_planes(stack)
    yield "dtype", f"{image.dtype}, {header.bits} bits used" if header.bits else image.dtype
    if image.alpha:
        yield "alpha", "the last channel"
    if image.channels and not (stack and stack.channels):
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


def of_planes(stack: Stack) -> Iterator[tuple[str, str]]:
    """Describe the planes of a file, as `description` does."""
    counts = zip(stack.axes, stack.shape, strict=True)
    along = ", ".join(f"{count} along {axis} ({AXES[axis]}s)" for axis, count in counts)
    yield "planes", along if len(stack.axes) == 1 else f"{stack.planes}: {along}"
    if stack.channels:
        yield "channels", ", ".join(each or "?" for each in stack.channels)
    if stack.step:
        yield "slice step", f"{MICROMETRES * stack.step:.6g} µm"
    if stack.milliseconds:
        shown = sum(stack.milliseconds) / 1000
        yield "animation", f"{shown:g} s, played {stack.loops or 'again and again'}"
