"""The planes of a TIFF: its pages, or what ImageJ, OME-XML or tifffile say of them."""

import re
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from tifffile import TiffFile, TiffPage, TiffPageSeries

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs import ome
from cluster_worker.imagefiles.codecs.tiff_page import (
    IMAGEJ_INCHES,
    MASK,
    REDUCED,
    first_page,
    imagej_unit,
)
from cluster_worker.pixels.stack import PLANES_MAX, Stack, check_count

INCH_METRES = 0.0254

# tifffile's letters of the axes that have a meaning here; all others are pages.
LETTERS = {"T": "t", "Z": "z", "C": "c"}

MICROMETRES_PER_PIXEL = re.compile(r"\|\s*MPP\s*=\s*(\d*\.?\d+)")
SPACING = re.compile(r"^spacing=([-+.\deE]+)\s*$", re.MULTILINE)


class Place(NamedTuple):
    """Where a plane lies in a file.

    Attributes
    ----------
    page, offset : int
        Number of its page, and offset of the page's directory in bytes.
    shift : int
        Bytes that its pixels lie behind those of the page.
    """

    page: int
    offset: int
    shift: int = 0


class Planes(NamedTuple):
    """The planes of a file.

    Attributes
    ----------
    stack : Stack or None
        What they are; None if there is one.
    places : tuple of Place or None
        Where each of them lies; None if the file does not hold it.
    notes : tuple of str
        What of the file is not read, one sentence each.
    parts : tuple of str
        Names of planes that are different pictures, as in `Header`.
    """

    stack: Stack | None
    places: tuple[Place | None, ...]
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def planes_of(path: Path) -> Planes:
    """Return the planes of a file, from the cache if it is one of the last files.

    Raises
    ------
    EOFError
        If the file has no page.
    """
    found = path.stat()
    return cached_planes(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


# A stack is read in turn with those that its steps read beside it.
@lru_cache(maxsize=4)
def cached_planes(path: Path, *identity: int) -> Planes:
    """Find the planes of a file; `identity` tells a changed file from the cached one."""
    del identity
    with open_tiff(path) as file:
        return find_planes(file)


def open_tiff(path: Path) -> TiffFile:
    """Open a file; no other files are read that its OME-XML may name."""
    return TiffFile(path, _multifile=False)


def page_of(file: TiffFile, path: Path, plane: int, name: str) -> TiffPage:
    """Return the page of a plane, with the places of the plane's own pixels.

    Raises
    ------
    Rejected
        If the file does not hold this plane.
    EOFError
        If the file has no page.
    """
    if plane == 0 and planes_of(path).places[0] == Place(0, first_page(file).offset):
        return first_page(file)
    place = planes_of(path).places[plane]
    if place is None:
        raise Rejected(
            f"{name}: does not hold this plane, which its OME-XML places in another file or "
            "nowhere; choose others by page, z, t or channels"
        )
    file.filehandle.seek(place.offset)
    page = TiffPage(file, index=place.page)
    if place.shift:
        page.dataoffsets = tuple(offset + place.shift for offset in page.dataoffsets)
    return page


def find_planes(file: TiffFile) -> Planes:
    """Find the planes of an opened file.

    Raises
    ------
    EOFError
        If the file has no page.
    """
    first = first_page(file)
    if is_slide(file):
        return parts_of(file)
    named = named_planes(file) if file.is_ome or file.is_imagej or file.is_shaped else None
    if named is not None:
        copies = parts_of(file) if len(named.places) == 1 else named
        return copies if copies.parts else named
    # The tags of all pages are read here. tifffile would read those of the first page only.
    file.pages.useframes = False
    places = [
        Place(index, each.offset)
        for index, each in enumerate(file.pages)
        if index == 0 or not each.subfiletype & (REDUCED | MASK)
    ]
    if len(places) < len(file.pages) or (len(places) == 1 and first.subifds):
        found = parts_of(file)
        if len(places) == 1 and found.parts:
            return found
    stack = Stack("p", (len(places),)) if len(places) > 1 else None
    notes: tuple[str, ...] = ()
    if file.is_ome and stack:
        notes = ("OME-XML places planes in other files; the pages of this file were read",)
    return Planes(stack, tuple(places) or (Place(0, first.offset),), notes)


def is_slide(file: TiffFile) -> bool:
    """Return whether a file is that of a slide scanner."""
    return any((file.is_svs, file.is_ndpi, file.is_scn, file.is_philips, file.is_bif))


def parts_of(file: TiffFile) -> Planes:
    """Return the pictures of a slide or of a file with smaller copies, the largest first.

    Each is named with its rows and columns: the slide, its smaller copies, then label, macro and
    the like by the names that tifffile has for them.
    """
    parts: dict[Place, str] = {}
    try:
        series = file.series
    except Exception:  # noqa: BLE001 - a description may say anything
        series = []
    largest = max(series, key=lambda each: prod(each.keyframe.shape), default=None)
    for each in sorted(series, key=lambda each: each is not largest):
        name = "slide" if is_slide(file) else "image"
        name = name if each is largest else (each.name or "picture").lower()
        for number, level in enumerate(each.levels):
            page = level.keyframe
            size = f"{page.imagelength} × {page.imagewidth}"
            copy = f", {number} times reduced" if number else ""
            parts.setdefault(Place(page.index, page.offset), f"{name}{copy}: {size}")
    if len(parts) < 2:
        return Planes(None, tuple(parts) or (Place(0, first_page(file).offset),))
    return Planes(Stack("p", (len(parts),)), tuple(parts), (), tuple(parts.values()))


def named_planes(file: TiffFile) -> Planes | None:
    """Return the planes that a description names; None if it is not true of the file."""
    try:
        series = file.series
    except Exception:  # noqa: BLE001 - a description may say anything
        return None
    if not series or series[0].kind not in ("ome", "imagej", "shaped"):
        return None
    found = series[0]
    if found.kind == "shaped" and len(series) > 1:
        return None
    leading = leading_axes(found)
    places = places_in(found)
    if leading is None or prod(leading[1]) != len(places):
        return None
    notes: tuple[str, ...] = ()
    if len(series) > 1:
        notes = (f"{len(series) - 1} more images of the file are not read, only the first",)
    if len(places) == 1:
        return Planes(None, places, notes)
    axes, shape = with_pages(*leading)
    return Planes(described_stack(file, axes, shape), places, notes)


def leading_axes(series: TiffPageSeries) -> tuple[str, tuple[int, ...]] | None:
    """Return the axes of a series that its pages lie along, without those of one plane."""
    page = series.keyframe
    planes = prod(series.shape) // max(1, prod(page.shape))
    axes = ""
    shape: tuple[int, ...] = ()
    for axis, count in zip(series.axes, series.shape, strict=True):
        if prod(shape) == planes:
            break
        if count > 1:
            axes, shape = axes + axis, (*shape, count)
    return (axes, shape) if prod(shape) == planes else None


def places_in(series: TiffPageSeries) -> tuple[Place | None, ...]:
    """Return where the planes of a series lie; one page may hold all of them."""
    # The public sequence would make a page of each plane that one page holds.
    pages: list[Any] = series._pages
    page = series.keyframe
    planes = prod(series.shape) // max(1, prod(page.shape))
    if len(pages) == 1 and planes > 1 and page.is_contiguous and planes <= PLANES_MAX:
        return tuple(Place(page.index, page.offset, k * page.nbytes) for k in range(planes))
    return tuple(None if each is None else Place(each.index, each.offset) for each in pages)


def with_pages(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return axes in the letters of a `Stack`: if some axis has none, all planes are pages."""
    letters = "".join(LETTERS.get(axis, "p") for axis in axes)
    if len(letters) > 1 and ("p" in letters or len(set(letters)) < len(letters)):
        return "p", (prod(shape),)
    return letters, shape


def described_stack(file: TiffFile, axes: str, shape: tuple[int, ...]) -> Stack:
    """Return a stack with the channels' names and the distance of slices that a file states."""
    page = file.pages.first
    if file.is_ome:
        described = ome.described(page.description.encode())
        count = shape[axes.index("c")] if "c" in axes else 0
        names = described.channels if len(described.channels) == count else ()
        return Stack(axes, shape, names, described.step)
    spacing, inches = None, IMAGEJ_INCHES.get(imagej_unit(page))
    found = SPACING.search(page.imagej_description or "")
    if found and inches:
        spacing = abs(float(found[1])) * inches * INCH_METRES or None
    return Stack(axes, shape, (), spacing)


def scanned_size(
    file: TiffFile, page: TiffPage, parts: tuple[str, ...], plane: int
) -> tuple[float, float] | None:
    """Return (height, width) in metres that Aperio states for the slide, here of one part of it."""
    found = MICROMETRES_PER_PIXEL.search(first_page(file).description) if file.is_svs else None
    if found is None or not (plane == 0 or parts[plane].startswith("slide")):
        return None
    side = float(found[1]) * 1e-6
    whole = first_page(file)
    return side * whole.imagelength / page.imagelength, side * whole.imagewidth / page.imagewidth


def check_planes(planes: Planes, page: TiffPage, name: str) -> None:
    """Check that the planes of a file can be read.

    Raises
    ------
    Rejected
        If they are too many, if pages hold volumes, or if the first page is a thumbnail.
    """
    check_count(len(planes.places), name)
    if page.imagedepth > 1:
        raise Rejected(
            f"{name}: has pages of {page.imagedepth} slices each; save it with one slice to a page"
        )
    if page.subfiletype & (REDUCED | MASK) and not planes.parts:
        raise Rejected(
            f"{name}: its first page is a thumbnail, as in raw files of cameras; save it as TIFF "
            "with a raw converter"
        )
