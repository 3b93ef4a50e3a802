"""The page of a TIFF: its tags, and the conversion of its samples to gray or RGB."""

import logging
import re
import struct
from collections.abc import Sequence
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from tifffile import TIFF, TiffFile, TiffPage

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import (
    INCHES,
    Header,
    Image,
    fitting_profile,
    has_alpha,
    valid_resolution,
)

# tifffile logs oddities of a file. The ones that matter are refused or noted here.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

# Values and numbers of tags, from the TIFF specification.
MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE = 0, 1, 2, 3
UNSPECIFIED, PREMULTIPLIED = 0, 1
REDUCED, MASK = 1, 4
ORIENTATION = 274
UNCOMPRESSED = 1
# Uncompressed, LZW, deflate, PackBits, deflate by another number, and zstd. Looking them up loads
# their codecs. If the first file loaded them, they might no longer fit into a decoder's memory.
COMPRESSIONS = {each: TIFF.DECOMPRESSORS[each] for each in (1, 5, 8, 32773, 32946, 50000)}
ZSTD_NUMBER = 50000
X_RESOLUTION, Y_RESOLUTION = 282, 283

# Inches in the units of ImageJ, which may write the letter µ as an escape sequence.
MICROMETRE = 1e-3 / 25.4
IMAGEJ_INCHES = {
    **dict.fromkeys(("micron", "microns", "um", "µm", "\\u00b5m"), MICROMETRE),
    "nm": MICROMETRE / 1000,
    "mm": 1 / 25.4,
    "cm": 1 / 2.54,
    "inch": 1.0,
}

# Tags that change the meaning of the pixels, or that a result takes over.
NEEDED = {254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317}
NEEDED |= {320, 322, 323, 324, 325, 338, 339, 34675}

# Bits of a sample, by the dtype that tifffile decodes it to.
BITS = {"bool": 1, "uint8": 8, "uint16": 16, "uint32": 32, "float32": 32, "float64": 64}
INDEX_BITS = (1, 2, 4, 8)

# For results. Level 1 of deflate is four times as fast as the usual 6, and with differences the
# file is hardly larger. Level 1 of zstd takes three quarters of the time of deflate.
DEFLATE, ZSTD = "adobe_deflate", "zstd"
LEVEL = 1

# A file with larger pieces than this is not read by windows: each piece must fit into memory.
PIECE_BYTES_MAX = 64 << 20


def resolution_of(page: TiffPage, orientation: int) -> tuple[float, float] | None:
    """Return pixels per inch along (columns, rows) of the upright image, or None."""
    if X_RESOLUTION not in page.tags or Y_RESOLUTION not in page.tags:
        return None
    # ImageJ has more units than TIFF, and writes its unit in the description.
    unit = re.search(r"^unit=(.+)$", page.imagej_description or "", re.MULTILINE)
    named = IMAGEJ_INCHES.get(unit[1].strip().lower()) if unit else None
    return valid_resolution(page.resolution, named or INCHES.get(page.resolutionunit), orientation)


def first_page(file: TiffFile) -> TiffPage:
    """Return the first page.

    Raises
    ------
    EOFError
        If there is none: most writers put the tags at the end of the file, which is missing then.
    """
    if len(file.pages) == 0:
        raise EOFError("no page lies within the file")
    return file.pages.first


def check_tags(file: TiffFile, page: TiffPage) -> None:
    """Check that all tags of `NEEDED` were read, and that rows and columns are numbers.

    tifffile skips a tag that it cannot read, for example because its value lies past the end of the
    file, and would then decode wrong pixels. It returns a tuple for a tag without values.

    Raises
    ------
    ValueError
        If a tag was skipped, or rows or columns are no number.
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
    if not isinstance(page.imagelength, int) or not isinstance(page.imagewidth, int):
        raise ValueError(f"rows {page.imagelength} and columns {page.imagewidth} are no numbers")


def refuse_pages(file: TiffFile, page: TiffPage, name: str) -> None:
    """Check that a file has one page; smaller copies and masks of it do not count.

    Raises
    ------
    Rejected
        If it has several, or if the first is a smaller copy or a mask.
    """
    pages = len(file.pages)
    others = (each.subfiletype & (REDUCED | MASK) for each in islice(iter(file.pages), 1, None))
    if all(others):
        # ImageJ writes a stack as one page, and the number of images in the description.
        stack = re.search(r"images=(\d+)", page.imagej_description or "")
        pages = max(int(stack[1]) if stack else 1, page.imagedepth)
    if pages > 1:
        raise Rejected(f"{name}: has {pages} pages; this app reads files of one page")
    if page.subfiletype & (REDUCED | MASK):
        raise Rejected(f"{name}: its first page is a thumbnail; this app reads no raw files")


def channels_of(page: TiffPage, name: str) -> tuple[int, tuple[str, ...]]:
    """Count the channels of the decoded pixels, after conversion to gray or RGB.

    Returns
    -------
    int, tuple of str
        Number of channels, and notes on what is changed, one sentence each.

    Raises
    ------
    Rejected
        If this app does not read such pixels.
    """
    photometric, samples = page.photometric, page.samplesperpixel
    extra = tuple(page.extrasamples)
    if page.compression not in COMPRESSIONS:
        raise Rejected(
            f"{name}: is compressed by {name_of(page.compression)}; this app reads TIFF "
            "uncompressed or compressed by deflate, LZW, PackBits or zstd"
        )
    if photometric == PALETTE and samples == 1 and page.bitspersample in INDEX_BITS:
        return 3, ()
    if BITS.get(str(page.dtype)) != page.bitspersample:
        raise Rejected(
            f"{name}: has samples of {page.bitspersample} bits as {page.dtype}; this app reads "
            "whole numbers of 1, 8, 16 and 32 bits without sign, and floats of 32 and 64 bits"
        )
    if page.dtype == np.uint32 and (photometric, samples) != (MIN_IS_BLACK, 1):
        raise Rejected(
            f"{name}: has whole numbers of 32 bits as {name_of(photometric)} in {samples} "
            "channels; this app reads such as labels, in one channel that counts from black"
        )
    is_float = page.dtype is not None and page.dtype.kind == "f"
    if photometric == MIN_IS_WHITE and is_float:
        raise Rejected(f"{name}: has floats that count from white; store it counting from black")
    colours = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3}.get(photometric)
    if colours is None:
        raise Rejected(
            f"{name}: has {name_of(photometric)} colours; this app reads TIFF in gray, RGB and "
            "palette"
        )
    # A fourth channel beside RGB is alpha even if the file does not state it. A second channel
    # beside gray is alpha only if the file states it: it is more often a second dye in microscopy.
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
    """Return tifffile's name for the value of a tag, or the number if it has none."""
    return str(getattr(value, "name", value))


def check_extent(page: TiffPage, size: int) -> None:
    """Check that all strips or tiles lie within the file; tifffile would fill them with zeros.

    Parameters
    ----------
    page : TiffPage
        Of the file.
    size : int
        Of the file, in bytes.

    Raises
    ------
    EOFError
        If some lie beyond its end.
    """
    ends = [
        offset + length
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True)
        if offset and length
    ]
    if page.is_contiguous and ends:
        ends.append(page.dataoffsets[0] + page.nbytes)
    if len(ends) < prod(page.chunked) or max(ends) > size:
        raise EOFError("strips or tiles are missing")


def block_of(page: TiffPage) -> tuple[int, int] | None:
    """Return (rows, columns) of the pieces that can be decoded one by one.

    Returns
    -------
    tuple of int or None
        Of a tile or strip; (1, columns) if single rows can be read. None if the pieces are too
        large, or are tiles of a volume.
    """
    if reads_by_rows(page):
        return 1, page.imagewidth
    rows, columns = min(page.rowsperstrip, page.imagelength), page.imagewidth
    if page.is_tiled:
        rows, columns = page.tilelength, page.tilewidth
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    nbytes = rows * columns * samples * np.dtype(page.dtype).itemsize
    is_flat = not page.is_tiled or page.tiledepth == 1
    return (rows, columns) if is_flat and 0 < nbytes <= PIECE_BYTES_MAX else None


def reads_by_rows(page: TiffPage) -> bool:
    """Return whether any pixels of a row can be read as they lie in the file, uncompressed."""
    return (
        page.compression == UNCOMPRESSED
        and not page.is_tiled
        and page.predictor == 1
        and page.fillorder == 1
    )


def needs_no_conversion(page: TiffPage) -> bool:
    """Return whether decoded samples are gray or RGB already, with the channels last."""
    return (
        page.photometric in (MIN_IS_BLACK, RGB)
        and (page.samplesperpixel == 1 or page.planarconfig == 1)
        and tuple(page.extrasamples)[:1] != (PREMULTIPLIED,)
    )


def to_gray_or_rgb(page: TiffPage, pixels: Image, shape: tuple[int, ...]) -> Image:
    """Convert decoded samples to gray or RGB with the channels last.

    Parameters
    ----------
    page : TiffPage
        The page that the samples are of.
    pixels : ndarray
        As tifffile decodes them; may be changed.
    shape : tuple of int
        (rows, columns) or (rows, columns, channels), as stored.

    Returns
    -------
    ndarray
        Of that shape; uint8 for a palette, else of the dtype of `pixels`.
    """
    if page.photometric == PALETTE:
        return palette_colours(page, pixels.reshape(shape[:2]))
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        pixels = np.moveaxis(pixels.reshape(-1, *shape[:2]), 0, -1)
    pixels = pixels.reshape(shape)
    normalise_samples(page, pixels)
    return pixels


def palette_colours(page: TiffPage, indices: Image) -> Image:
    """Look up the colours of (rows, columns) indices in the page's palette; RGB of uint8."""
    # Palettes have 16 bits. Writers put 8 bits into the upper half; some repeat them in the lower.
    table = np.asarray(page.colormap, np.uint16).reshape(3, -1) >> 8
    return table.astype(np.uint8).T[indices.astype(np.uint8, copy=False)]


def normalise_samples(page: TiffPage, pixels: Image) -> None:
    """Make 0 black, and undo the multiplication of colours by alpha, both in place."""
    colours = pixels[..., :-1] if has_alpha(pixels.shape) else pixels
    if page.photometric == MIN_IS_WHITE:
        np.invert(colours, out=colours)
    if has_alpha(pixels.shape) and tuple(page.extrasamples)[:1] == (PREMULTIPLIED,):
        divide_by_alpha(colours, pixels[..., -1:])


def divide_by_alpha(colours: Image, alpha: Image) -> None:
    """Undo the multiplication of colours by alpha, in place; transparent pixels become black."""
    white = 1.0 if colours.dtype.kind == "f" else float(np.iinfo(colours.dtype).max)
    for row, opacity in zip(colours, alpha, strict=True):
        straight = row * (white / np.maximum(opacity, np.finfo(np.float32).tiny))
        if row.dtype.kind == "u":
            straight = np.rint(np.clip(straight, 0, white))
        row[...] = np.where(opacity > 0, straight, 0)


def write_options(shape: Sequence[int], header: Header) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return tifffile's options for a result of this shape, and notes on what was dropped."""
    profile, notes = fitting_profile(shape, header)
    options: dict[str, Any] = {
        "compression": header.compression or DEFLATE,
        "photometric": "rgb" if len(shape) == 3 and shape[2] >= 3 else "minisblack",
        "planarconfig": "contig" if len(shape) == 3 else None,
        "iccprofile": profile or None,
        "metadata": None,
        "software": False,
    }
    if has_alpha(shape):
        options["extrasamples"] = ["unassalpha"]
    if header.resolution:
        options |= {"resolution": header.resolution, "resolutionunit": "INCH"}
    return options, notes
