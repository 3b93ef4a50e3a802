"""TIFF of one page or many, in all the kinds that tifffile and imagecodecs decode."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import TiffImageFile
from tifffile import TiffPage

from cluster_worker.imagefiles.codecs import ome
from cluster_worker.imagefiles.codecs.colour_spaces import cmyk_note
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    as_stored,
    palette_of,
    upright_shape,
    valid_orientation,
    valid_profile,
)
from cluster_worker.imagefiles.codecs.items import first_of
from cluster_worker.imagefiles.codecs.threads import THREADS
from cluster_worker.imagefiles.codecs.tiff_colours import palette_colours, to_pixels, white_of
from cluster_worker.imagefiles.codecs.tiff_incomplete import read_incomplete
from cluster_worker.imagefiles.codecs.tiff_items import (
    CARRIES,
    items_of,
)
from cluster_worker.imagefiles.codecs.tiff_page import (
    ORIENTATION,
    ZSTD_NUMBER,
    Samples,
    block_of,
    check_extent,
    check_raw,
    check_tags,
    fits,
    imagej_unit,
    nodata_of,
    planes_last,
    resolution_of,
    samples_of,
)
from cluster_worker.imagefiles.codecs.tiff_stack import (
    check_planes,
    open_tiff,
    page_of,
    planes_of,
    scanned_size,
)
from cluster_worker.imagefiles.codecs.tiff_tiles import encode_tiles
from cluster_worker.imagefiles.codecs.tiff_windows import StoredPieces, read_window
from cluster_worker.imagefiles.codecs.tiff_writing import TiffStack, assemble, write
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.tiling import Span

# Compressions that a result takes over, by their numbers: those of faxes become G4.
KEPT = {ZSTD_NUMBER: "zstd", 2: "g4", 3: "g4", 4: "g4"}
INCH_METRES = 0.0254

SPARE = "a strip of the file is longer than its pixels"


def read_header(path: Path, name: str) -> Header:
    """Read a TIFF's header.

    Raises
    ------
    Rejected
        If the file has pixels that this app does not process.
    EOFError
        If the file has no page.
    ValueError
        If an important tag cannot be read.
    """
    planes = planes_of(path)
    header = read_plane_header(path, name, 0)
    return replace(
        header, stack=planes.stack, notes=planes.notes + header.notes, parts=planes.parts
    )


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of one plane of a TIFF; what is raised is as for `read_header`."""
    with open_tiff(path) as file:
        page = page_of(file, path, plane, name)
        check_raw(file, page, name)
        check_tags(file, page)
        check_planes(planes_of(path), page, name)
        samples = samples_of(page, name)
        notes = samples.notes
        tag = page.tags.get(ORIENTATION)
        orientation = valid_orientation(int(tag.value) if tag else 1)
        profile, dropped = valid_profile(page.iccprofile)
        if samples.conversion == "cmyk":
            notes += (cmyk_note(profile),)
        if samples.conversion in ("cmyk", "lab"):
            profile = b""
        items, lost = items_of(path, file, page)
        resolution = resolution_of(page, orientation)
        described = ome.described(first_of(items, "ome"))
        size = described.pixel_size or scanned_size(file, page, planes_of(path).parts, plane)
        if size and orientation >= 5:
            size = size[::-1]
        if size and resolution is None:
            resolution = INCH_METRES / size[1], INCH_METRES / size[0]
        elif resolution and imagej_unit(page) not in ("", "inch", "pixel"):
            size = INCH_METRES / resolution[1], INCH_METRES / resolution[0]
        indexed = samples.conversion == "palette" and samples.dtype == "uint8"
        return Header(
            name=name,
            format="tiff",
            image=ImageHeader(
                upright_shape(page.imagelength, page.imagewidth, samples.channels, orientation),
                samples.dtype,
                "yx" if samples.channels == 1 else "yxs",
                samples.kind,
                samples.alpha,
                nodata_of_pixels(page, samples),
                size,
                channel_names(samples, described.channels),
            ),
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution,
            notes=notes + dropped + lost,
            block=block_of(page, samples.conversion) if orientation == 1 else None,
            compression=KEPT.get(page.compression, ""),
            palette=palette_of(palette_colours(page)) if indexed else b"",
            bits=0 if samples.conversion == "palette" else samples.bits,
            items=items,
            plane=plane,
        )


def nodata_of_pixels(page: TiffPage, samples: Samples) -> float | None:
    """Return the value of pixels without data, which a page states for its stored samples.

    The value stays an index for a palette of 8 bits, whose indices may be read. None where samples
    become other colours.
    """
    value = nodata_of(page)
    if samples.conversion == "white" and fits(value, samples.dtype) is not None:
        return float(white_of(samples.dtype, samples.bits)) - (value or 0.0)
    indexed = samples.conversion == "palette" and samples.dtype == "uint8"
    return value if samples.conversion in ("", "premultiplied") or indexed else None


def channel_names(samples: Samples, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the channels without alpha: those of OME-XML if it names them all."""
    colours = samples.channels - samples.alpha
    return named if len(named) == colours and not samples.names else samples.names


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a TIFF into `out`.

    Returns
    -------
    tuple of str
        What was tolerated, one sentence each.

    Raises
    ------
    EOFError
        If the file ends before its pixels do.
    """
    with open_tiff(path) as file:
        page = page_of(file, path, header.plane, header.name)
        check_extent(page, path.stat().st_size)
        check_shape(page, header)
        samples = samples_of(page, header.name)
        stored = as_stored(out, header.orientation)
        if samples.conversion == "ycbcr":
            stored[...] = by_libtiff(path, page.index)
            return ()
        planar = page.planarconfig == 2 and page.samplesperpixel > 1
        straight = samples.conversion in ("", "white", "premultiplied") and not planar
        if straight and stored.flags.c_contiguous:
            # A new view: tifffile changes the shape of the array that it gets.
            notes = decode(page, path, header.plane, stored.view(np.ndarray))
            if samples.conversion:
                to_pixels(page, samples, stored, stored, indexed=False)
            return notes
        raw = np.empty(page.shape, page.dtype)
        notes = decode(page, path, header.plane, raw)
        raw = planes_last(page, raw, stored.shape[:2])
        to_pixels(page, samples, raw, stored, header.is_indexed)
        return notes


def decode(page: TiffPage, path: Path, plane: int, out: Image) -> tuple[str, ...]:
    """Decode the samples of a page into `out`, which has the page's shape.

    Where tifffile fails, the pieces are tried one by one, with more patience.

    Returns
    -------
    tuple of str
        What was tolerated.
    """
    try:
        page.asarray(out=out, maxworkers=THREADS)
    except Exception:
        if block_of(page, "") is None or page.planarconfig == 2:
            raise
        pieces = StoredPieces(path, plane, tolerant=True)
        rows, columns = page.imagelength, page.imagewidth
        whole = out.reshape(rows, columns, page.samplesperpixel)
        pieces.read(Span(0, rows, 0, columns), whole)
        return (SPARE,)
    return ()


def by_libtiff(path: Path, index: int) -> Image:
    """Decode colours in YCbCr that are not compressed as JPEG, which libtiff converts to RGB."""
    with path.open("rb") as opened:
        file = TiffImageFile(opened)
        file.seek(index)
        return np.asarray(file.convert("RGB"))


def check_shape(page: TiffPage, header: Header) -> None:
    """Check that a page has the rows and columns of its header.

    Raises
    ------
    ValueError
        If not: the file has changed, or the header is of another one.
    """
    rows, columns = as_stored(np.empty(header.shape[:2], bool), header.orientation).shape
    if (page.imagelength, page.imagewidth) != (rows, columns):
        raise ValueError(f"the header is of {header.shape}, the page of {page.shape}")


PIL.Image.MAX_IMAGE_PIXELS = None

TIFF = Format(
    name="tiff",
    title="TIFF",
    extensions=("tif", "tiff"),
    media_type="image/tiff",
    # Two byte orders; 42 (*) for classic TIFF and 43 (+) for BigTIFF. A file of DICOM may begin
    # with the head of a TIFF, too.
    magic=re.compile(rb"(?!.{128}DICM)(?:II[*+]\0|MM\0[*+])", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
    read_incomplete=read_incomplete,
    write=write,
    read_window=read_window,
    encode_tiles=encode_tiles,
    assemble=assemble,
    carries=CARRIES,
    holds_bands=True,
    read_plane_header=read_plane_header,
    open_stack=TiffStack,
    holds_axes=True,
)
