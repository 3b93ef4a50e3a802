"""TIFF of one page: 1, 8 and 16 bits, floats; gray, RGB, palette, alpha; labels of 32 bits."""

import logging
import re
import struct
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TiffFile, TiffPage, imwrite

from cluster_worker.codecs.header import (
    INCHES,
    Format,
    Header,
    Image,
    as_stored,
    fitting_profile,
    has_alpha,
    narrowed,
    upright_shape,
    valid_orientation,
    valid_profile,
    valid_resolution,
    without_channels,
)
from cluster_worker.errors import Rejected

# tifffile logs what it finds odd in a file; what matters is refused or noted here.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

# Values of tags, as the TIFF specification numbers them.
MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE = 0, 1, 2, 3
UNSPECIFIED, PREMULTIPLIED = 0, 1
REDUCED, MASK = 1, 4
ORIENTATION = 274
COMPRESSIONS = {1, 5, 8, 32773, 32946, 50000}  # none, LZW, deflate, PackBits, deflate, zstd
X_RESOLUTION, Y_RESOLUTION = 282, 283

# Inches in the units that ImageJ knows; it writes the letter for micro as an escape too.
MICROMETRE = 1e-3 / 25.4
IMAGEJ_INCHES = {
    **dict.fromkeys(("micron", "microns", "um", "µm", "\\u00b5m"), MICROMETRE),
    "nm": MICROMETRE / 1000,
    "mm": 1 / 25.4,
    "cm": 1 / 2.54,
    "inch": 1.0,
}

# Tags that change what the pixels are, or that a result carries over.
NEEDED = {254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317}
NEEDED |= {320, 322, 323, 324, 325, 338, 339, 34675}

# Bits of a sample, by the type that tifffile decodes it to.
BITS = {"bool": 1, "uint8": 8, "uint16": 16, "uint32": 32, "float32": 32, "float64": 64}
INDEX_BITS = (1, 2, 4, 8)

# Threads of one decode; the codecs release the GIL, and a node decodes several files at once.
THREADS = 2
STRIP_BYTES = 1 << 20
# Level 1 is four times as fast as the usual 6, and with the predictor hardly larger.
DEFLATE_LEVEL = 1


def read_header(path: Path, name: str) -> Header:
    """Read a TIFF's header.

    Raises
    ------
    Rejected
        If the file has several pages, or pixels of a kind that this app does not process.
    """
    with TiffFile(path) as file:
        page = first_page(file)
        check_tags(file, page)
        refuse_pages(file, page, name)
        channels, notes = channels_of(page, name)
        tag = page.tags.get(ORIENTATION)
        orientation = valid_orientation(int(tag.value) if tag else 1)
        palette = page.photometric == PALETTE
        return Header(
            name=name,
            format="tiff",
            shape=upright_shape(page.imagelength, page.imagewidth, channels, orientation),
            dtype="uint8" if palette else str(page.dtype),
            orientation=orientation,
            icc_profile=valid_profile(page.iccprofile),
            resolution=resolution_of(page, orientation),
            notes=notes,
        )


def resolution_of(page: TiffPage, orientation: int) -> tuple[float, float] | None:
    """Tell pixels per inch."""
    if X_RESOLUTION not in page.tags or Y_RESOLUTION not in page.tags:
        return None
    # ImageJ has more units than TIFF, and names its own in the description.
    unit = re.search(r"^unit=(.+)$", page.imagej_description or "", re.MULTILINE)
    named = IMAGEJ_INCHES.get(unit[1].strip().lower()) if unit else None
    return valid_resolution(page.resolution, named or INCHES.get(page.resolutionunit), orientation)


def first_page(file: TiffFile) -> TiffPage:
    """Give the first page; most writers put what describes it at the end of the file.

    Raises
    ------
    EOFError
        If there is none.
    """
    if len(file.pages) == 0:
        raise EOFError("no page lies within the file")
    return file.pages.first


def check_tags(file: TiffFile, page: TiffPage) -> None:
    """Check that no tag that matters was passed over.

    tifffile goes on without a tag that it cannot read, for one because its value lies past the
    end of the file, and would then decode other pixels.

    Raises
    ------
    ValueError
        If one was.
    """
    layout = file.tiff
    file.filehandle.seek(page.offset)
    count = struct.unpack(layout.tagnoformat, file.filehandle.read(layout.tagnosize))[0]
    entries = file.filehandle.read(count * layout.tagsize)
    codes = {
        struct.unpack_from(layout.byteorder + "H", entries, start)[0]
        for start in range(0, len(entries), layout.tagsize)
    }
    unread = sorted(code for code in codes & NEEDED if code not in page.tags)
    if unread:
        raise ValueError(f"tags {unread} cannot be read")


def refuse_pages(file: TiffFile, page: TiffPage, name: str) -> None:
    """Refuse several pages; smaller copies and masks of the first are no pages."""
    pages = len(file.pages)
    others = (each.subfiletype & (REDUCED | MASK) for each in islice(iter(file.pages), 1, None))
    if all(others):
        # ImageJ writes a stack as one page and says in its description how many there are.
        stack = re.search(r"images=(\d+)", page.imagej_description or "")
        pages = max(int(stack[1]) if stack else 1, page.imagedepth)
    if pages > 1:
        raise Rejected(f"{name}: has {pages} pages; this app reads files of one page")
    if page.subfiletype & (REDUCED | MASK):
        raise Rejected(f"{name}: its first page is a thumbnail; this app reads no raw files")


def channels_of(page: TiffPage, name: str) -> tuple[int, tuple[str, ...]]:
    """Count the channels that the pixels will have, and give notes.

    Raises
    ------
    Rejected
        If this app does not read such pixels.
    """
    kind, samples, extra = page.photometric, page.samplesperpixel, tuple(page.extrasamples)
    if page.compression not in COMPRESSIONS:
        raise Rejected(
            f"{name}: is compressed by {name_of(page.compression)}; this app reads TIFF "
            "uncompressed or compressed by deflate, LZW, PackBits or zstd"
        )
    if kind == PALETTE and samples == 1 and page.bitspersample in INDEX_BITS:
        return 3, ()
    if BITS.get(str(page.dtype)) != page.bitspersample:
        raise Rejected(
            f"{name}: has samples of {page.bitspersample} bits as {page.dtype}; this app reads "
            "whole numbers of 1, 8, 16 and 32 bits without sign, and floats of 32 and 64 bits"
        )
    if page.dtype == np.uint32 and (kind, samples) != (MIN_IS_BLACK, 1):
        raise Rejected(
            f"{name}: has whole numbers of 32 bits as {name_of(kind)} in {samples} channels; this "
            "app reads such as labels, in one channel that counts from black"
        )
    if kind == MIN_IS_WHITE and page.dtype is not None and page.dtype.kind == "f":
        raise Rejected(f"{name}: has floats that count from white; store it counting from black")
    colours = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3}.get(kind)
    if colours is None:
        raise Rejected(
            f"{name}: has {name_of(kind)} colours; this app reads TIFF in gray, RGB and palette"
        )
    # A fourth channel beside RGB is transparency even if the file does not say so; two channels
    # of gray are more often two dyes under a microscope.
    if samples == colours:
        return samples, ()
    if samples != colours + 1 or (colours == 1 and extra[:1] in ((), (UNSPECIFIED,))):
        raise Rejected(
            f"{name}: has {samples} channels; this app reads gray and RGB, each with or without "
            "transparency"
        )
    if page.dtype == bool:
        raise Rejected(f"{name}: has transparency of 1 bit; store it with 8 bits")
    if extra[:1] == (PREMULTIPLIED,):
        return samples, ("colours were multiplied by transparency; they were divided by it",)
    return samples, ()


def name_of(value: Any) -> str:
    """Name a tag's value if tifffile knows it, else show its number."""
    return str(getattr(value, "name", value))


def read_pixels(path: Path, header: Header, out: Image) -> None:
    """Decode a TIFF into `out`.

    Raises
    ------
    EOFError
        If the file ends before its pixels do.
    """
    with TiffFile(path) as file:
        page = first_page(file)
        check_extent(page, path.stat().st_size)
        stored = as_stored(out, header.orientation)
        if plain(page) and stored.flags.c_contiguous:
            # A view of its own, since tifffile reshapes what it is given.
            page.asarray(out=stored.view(np.ndarray), maxworkers=THREADS)
            return
        stored[...] = converted(page, page.asarray(maxworkers=THREADS), stored.shape)


def check_extent(page: TiffPage, size: int) -> None:
    """Check that all strips or tiles lie within the file; tifffile would fill in zeros."""
    ends = [
        offset + length
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True)
        if offset and length
    ]
    if page.is_contiguous and ends:
        ends.append(page.dataoffsets[0] + page.nbytes)
    if len(ends) < prod(page.chunked) or max(ends) > size:
        raise EOFError("strips or tiles are missing")


def plain(page: TiffPage) -> bool:
    """Whether the pixels can be taken as they lie in the file."""
    return (
        page.photometric in (MIN_IS_BLACK, RGB)
        and (page.samplesperpixel == 1 or page.planarconfig == 1)
        and tuple(page.extrasamples)[:1] != (PREMULTIPLIED,)
    )


def converted(page: TiffPage, pixels: Image, shape: tuple[int, ...]) -> Image:
    """Turn decoded samples into gray or RGB with the channels last."""
    if page.photometric == PALETTE:
        # Palettes have 16 bits; writers put 8 bits into the upper half, some into both.
        table = np.asarray(page.colormap, np.uint16).reshape(3, -1) >> 8
        return table.astype(np.uint8).T[pixels.reshape(shape[:2])]
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        pixels = np.moveaxis(pixels.reshape(-1, *shape[:2]), 0, -1)
    pixels = pixels.reshape(shape)
    colours = pixels[..., :-1] if has_alpha(shape) else pixels
    if page.photometric == MIN_IS_WHITE:
        np.invert(colours, out=colours)
    if has_alpha(shape) and tuple(page.extrasamples)[:1] == (PREMULTIPLIED,):
        divide_by_alpha(colours, pixels[..., -1:])
    return pixels


def divide_by_alpha(colours: Image, alpha: Image) -> None:
    """Undo the multiplication of colours by alpha, in place; what is fully clear stays black."""
    white = 1.0 if colours.dtype.kind == "f" else float(np.iinfo(colours.dtype).max)
    for row, opacity in zip(colours, alpha, strict=True):
        straight = row * (white / np.maximum(opacity, np.finfo(np.float32).tiny))
        if row.dtype.kind == "u":
            straight = np.rint(np.clip(straight, 0, white))
        row[...] = np.where(opacity > 0, straight, 0)


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a TIFF in the image's own depth: strips, deflated, whole numbers as differences.

    Labels are written in 16 bits if the largest fits.
    """
    image = narrowed(without_channels(image))
    profile, notes = fitting_profile(image.shape, header)
    options: dict[str, Any] = {}
    if has_alpha(image.shape):
        options["extrasamples"] = ["unassalpha"]
    if header.resolution:
        options |= {"resolution": header.resolution, "resolutionunit": "INCH"}
    if image.dtype != bool:
        options["compressionargs"] = {"level": DEFLATE_LEVEL}
    imwrite(
        path,
        np.ascontiguousarray(image),
        photometric="rgb" if image.ndim == 3 and image.shape[2] >= 3 else "minisblack",
        planarconfig="contig" if image.ndim == 3 else None,
        compression="adobe_deflate",
        predictor=image.dtype.kind == "u",
        rowsperstrip=max(1, STRIP_BYTES // max(1, image.nbytes // image.shape[0])),
        iccprofile=profile or None,
        maxworkers=THREADS,
        metadata=None,
        software=False,
        **options,
    )
    return notes


TIFF = Format(
    name="tiff",
    title="TIFF",
    extensions=("tif", "tiff"),
    media_type="image/tiff",
    # Two byte orders and two sizes.
    magic=re.compile(rb"II[*+]\0|MM\0[*+]"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
)
