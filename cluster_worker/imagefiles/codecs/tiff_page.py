"""The page of a TIFF: whether this app reads it, and what its samples mean."""

import logging
import math
import re
import struct
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
from tifffile import TIFF, TiffFile, TiffPage

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import INCHES, Image, valid_resolution
from cluster_worker.pixels.header import CHANNELS_MAX, RGB, Kind

# tifffile logs oddities of a file. The ones that matter are refused or noted here.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

# Values and numbers of tags, from the TIFF specification.
MIN_IS_WHITE, MIN_IS_BLACK, RGB_COLOURS, PALETTE, TRANSPARENCY = 0, 1, 2, 3, 4
SEPARATED, YCBCR, CIELAB, ICCLAB = 5, 6, 8, 9
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2
# Colours of raw files of cameras: a mosaic of filters, or the colours of the sensor.
RAW_COLOURS = (32803, 34892)
DNG_VERSION, SUB_DIRECTORIES = 50706, 330
# What begins a raw file of Canon behind the head of a TIFF.
CANON_RAW = b"CR\x02"
RAW = (
    "is a raw file of a camera, which this app does not read; save it as TIFF with a raw converter"
)
REDUCED, MASK = 1, 4
ORIENTATION, INK_SET = 274, 332
UNCOMPRESSED = 1
JPEGS = (6, 7, 33007, 34892)
# Uncompressed, LZW, deflate, PackBits, deflate by another number, and zstd. Looking them up loads
# their codecs. If the first file loaded them, they might no longer fit into a decoder's memory.
LOADED = [TIFF.DECOMPRESSORS[each] for each in (1, 5, 8, 32773, 32946, 50000)]
# tifffile has a name for this one, but no decoder.
JETRAW = 48124
ZSTD_NUMBER = 50000
DEFLATES = (8, 32946)
X_RESOLUTION, Y_RESOLUTION = 282, 283
NODATA = 42113

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

# Bits of a sample, by the dtype that tifffile decodes it to: first those that fill the dtype.
BITS = {"bool": (1,), "uint8": (8, 2, 3, 4, 5, 6, 7), "uint16": (16, *range(9, 16))}
BITS |= {"uint32": (32,), "uint64": (64,), "float16": (16,), "float32": (32,), "float64": (64,)}
BITS |= {"int8": (8,), "int16": (16,), "int32": (32,), "int64": (64,)}
INDEX_BITS = (1, 2, 4, 8, 16)

# A file with larger pieces than this is not read by windows: each piece must fit into memory.
PIECE_BYTES_MAX = 64 << 20

# What is done to samples to make them pixels.
Conversion = Literal["", "palette", "white", "premultiplied", "cmyk", "lab", "ycbcr"]


class Samples(NamedTuple):
    """What the samples of a page mean.

    Attributes
    ----------
    channels : int
        Of the decoded pixels, alpha included.
    dtype, kind, alpha : str, str, bool
        As in `ImageHeader`.
    names : tuple of str
        Of the channels without alpha; empty if nothing names them.
    bits : int
        Bits of a sample, if the dtype has more; else 0.
    conversion : str
        What is done to samples to make them pixels; "" for nothing.
    notes : tuple of str
        What is changed, one sentence each.
    """

    channels: int
    dtype: str
    kind: Kind
    alpha: bool = False
    names: tuple[str, ...] = ()
    bits: int = 0
    conversion: Conversion = ""
    notes: tuple[str, ...] = ()


def resolution_of(page: TiffPage, orientation: int) -> tuple[float, float] | None:
    """Return pixels per inch along (columns, rows) of the upright image, or None."""
    if X_RESOLUTION not in page.tags or Y_RESOLUTION not in page.tags:
        return None
    # ImageJ has more units than TIFF, and writes its unit in the description.
    named = IMAGEJ_INCHES.get(imagej_unit(page))
    return valid_resolution(page.resolution, named or INCHES.get(page.resolutionunit), orientation)


def imagej_unit(page: TiffPage) -> str:
    """Return the unit of length in the description that ImageJ writes; "" if there is none."""
    unit = re.search(r"^unit=(.+)$", page.imagej_description or "", re.MULTILINE)
    return unit[1].strip().lower() if unit else ""


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


def check_raw(file: TiffFile, page: TiffPage, name: str) -> None:
    """Check that a file is not the raw file of a camera, whose first page is a small preview.

    Raises
    ------
    Rejected
        If it is.
    """
    first = first_page(file)
    file.filehandle.seek(8)
    is_raw = DNG_VERSION in first.tags or file.filehandle.read(len(CANON_RAW)) == CANON_RAW
    pages = [page]
    if first.is_reduced and SUB_DIRECTORIES in first.tags:
        pages += list(first.pages or ())
    if is_raw or any(each.photometric in RAW_COLOURS for each in pages):
        raise Rejected(f"{name}: {RAW}")


def samples_of(page: TiffPage, name: str) -> Samples:
    """Find out what the samples of a page mean.

    Raises
    ------
    Rejected
        If this app does not read such pixels.
    """
    check_compression(page, name)
    dtype, bits = sample_type(page, name)
    photometric, samples = page.photometric, page.samplesperpixel
    if samples > CHANNELS_MAX:
        raise Rejected(
            f"{name}: has {samples} channels; at most {CHANNELS_MAX} are read, so save them in "
            "several files"
        )
    if photometric == PALETTE and samples == 1 and page.bitspersample in INDEX_BITS:
        deep = page.bitspersample > 8
        return Samples(3, "uint16" if deep else "uint8", "picture", conversion="palette")
    if photometric == SEPARATED and samples == 4 and tag_value(page, INK_SET, 1) == 1:
        return separated(dtype, name)
    if photometric in (CIELAB, ICCLAB) and samples == 3:
        return in_lab(dtype, name)
    if photometric == YCBCR and samples == 3 and page.compression not in JPEGS:
        if dtype != "uint8":
            raise Rejected(f"{name}: has YCbCr colours as {dtype}; store it as RGB")
        return Samples(3, "uint8", "picture", conversion="ycbcr")
    colours = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB_COLOURS: 3, YCBCR: 3, TRANSPARENCY: 1}
    colours[SEPARATED] = samples
    first = colours.get(photometric)
    if first is None or samples < first:
        raise Rejected(
            f"{name}: has {name_of(photometric)} colours in {samples} channels; this app reads "
            "TIFF in gray, RGB, CMYK, YCbCr, Lab and palette, so convert it to RGB"
        )
    return plain_samples(page, dtype, bits, first, name)


def plain_samples(page: TiffPage, dtype: str, bits: int, first: int, name: str) -> Samples:
    """Find out what samples mean that are gray, RGB or bands, perhaps with alpha.

    `first` is the number of channels that the photometric interpretation names.
    """
    samples, extra = page.samplesperpixel, tuple(page.extrasamples)
    # Other channels than the colours are alpha only if the file says so.
    opacity = extra[-1] if samples > first and extra else UNSPECIFIED
    alpha = opacity in (PREMULTIPLIED, STRAIGHT)
    if alpha and dtype == "bool":
        raise Rejected(f"{name}: has transparency of 1 bit; store it with 8 bits")
    counts_from_white = page.photometric == MIN_IS_WHITE
    if counts_from_white and (np.dtype(dtype).kind in "fi" or opacity == PREMULTIPLIED):
        raise Rejected(f"{name}: has {dtype} that count from white; store it counting from black")
    notes: tuple[str, ...] = ()
    if any(each in (PREMULTIPLIED, STRAIGHT) for each in extra[:-1]):
        notes += ("a transparency that is not the last channel is treated as a band",)
    conversion: Conversion = "white" if counts_from_white else ""
    if opacity == PREMULTIPLIED:
        conversion = "premultiplied"
        notes += ("colours were multiplied by transparency; they were divided by it",)
    colours = samples - alpha
    kind = kind_of(dtype, first, colours)
    names: tuple[str, ...] = RGB if first == 3 else ()
    if names and colours > first:
        names += tuple(f"band {number}" for number in range(first + 1, colours + 1))
    return Samples(samples, dtype, kind, alpha, names, bits, conversion, notes)


def kind_of(dtype: str, first: int, colours: int) -> Kind:
    """Return what an image is, by its dtype, the channels that are named, and all of them."""
    if colours > first:
        return "bands"
    if first == 3:
        return "picture"
    if first > 1:
        return "bands"
    if dtype == "bool":
        return "mask"
    if dtype == "uint32":
        return "labels"
    return "picture" if dtype == "uint8" else "intensity"


def check_compression(page: TiffPage, name: str) -> None:
    """Check that the pixels are compressed in a way that can be undone.

    Raises
    ------
    Rejected
        If not.
    """
    known = page.compression != JETRAW
    try:
        known = known and TIFF.DECOMPRESSORS[page.compression] is not None
    except KeyError:
        known = False
    if not known:
        raise Rejected(
            f"{name}: is compressed by {name_of(page.compression)}, which this app does not read; "
            "save it with deflate, LZW, zstd or no compression"
        )


def sample_type(page: TiffPage, name: str) -> tuple[str, int]:
    """Return the dtype of the samples, and their bits if the dtype has more, else 0.

    Raises
    ------
    Rejected
        If this app does not read such samples.
    """
    dtype, bits = str(page.dtype), page.bitspersample
    known = BITS.get(dtype, ())
    if page.dtype is None or bits not in known:
        formats = {1: "whole numbers", 2: "signed numbers", 3: "floats", 6: "complex numbers"}
        what = formats.get(page.sampleformat, "numbers")
        raise Rejected(
            f"{name}: has samples of {name_of(bits)} bits ({what}); this app reads whole numbers "
            "of 1 to 16, 32 and 64 bits and floats of 16, 32 and 64 bits, so save it as one of them"
        )
    return dtype, 0 if bits == known[0] else bits


def separated(dtype: str, name: str) -> Samples:
    """Return what the samples of a page in CMYK mean.

    Raises
    ------
    Rejected
        If they have other than 8 or 16 bits.
    """
    if dtype not in ("uint8", "uint16"):
        raise Rejected(f"{name}: has CMYK colours as {dtype}; store it with 8 bits")
    return Samples(3, "uint8", "picture", conversion="cmyk")


def in_lab(dtype: str, name: str) -> Samples:
    """Return what the samples of a page in Lab mean.

    Raises
    ------
    Rejected
        If they have other than 8 or 16 bits.
    """
    if dtype not in ("uint8", "uint16", "int8", "int16"):
        raise Rejected(f"{name}: has Lab colours as {dtype}; store it with 8 or 16 bits")
    depth = "uint8" if dtype in ("uint8", "int8") else "uint16"
    return Samples(3, depth, "picture", conversion="lab", notes=("Lab was converted to sRGB",))


def tag_value(page: TiffPage, code: int, otherwise: Any) -> Any:
    """Return the value of a tag, or `otherwise` if the page has none."""
    tag = page.tags.get(code)
    return otherwise if tag is None else tag.value


def nodata_of(page: TiffPage) -> float | None:
    """Return the value of pixels without data that GDAL's tag states, None if there is none."""
    try:
        value = float(str(tag_value(page, NODATA, "")).strip().strip("\0"))
    except ValueError:
        return None
    # Always the same object: NaN equals nothing else, and plans are looked up by it.
    return math.nan if math.isnan(value) else value


def fill_of(page: TiffPage) -> Any:
    """Return the value of tiles that the file leaves out: that of pixels without data, else 0."""
    value, dtype = nodata_of(page), np.dtype(page.dtype)
    if value is None or fits(value, str(dtype)) is None:
        return dtype.type(0)
    return dtype.type(value)


def fits(value: float | None, dtype: str) -> float | None:
    """Return the value if pixels of this dtype can have it, else None."""
    kind = np.dtype(dtype).kind
    if value is None or kind == "f":
        return value
    if kind == "b" or not math.isfinite(value) or value != int(value):
        return None
    limits = np.iinfo(dtype)
    return value if limits.min <= value <= limits.max else None


def name_of(value: Any) -> str:
    """Return tifffile's name for the value of a tag, or the number if it has none.

    Of several values, as only a damaged file has, each is named once.
    """
    if isinstance(value, tuple):
        return " and ".join(dict.fromkeys(map(name_of, value))) or "nothing"
    return str(getattr(value, "name", value))


def check_extent(page: TiffPage, size: int) -> None:
    """Check that all strips or tiles lie within the file; tifffile would fill them with zeros.

    A piece with offset and length 0 is left out on purpose: it holds no data.

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
    pieces = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    ends = [offset + length for offset, length in pieces]
    if page.is_contiguous and pieces and pieces[0] != (0, 0):
        # A strip may state more bytes than its pixels have.
        ends = [page.dataoffsets[0] + page.nbytes]
    halves = any((offset == 0) != (length == 0) for offset, length in pieces)
    if halves or len(pieces) < prod(page.chunked) or max(ends, default=0) > size:
        raise EOFError("strips or tiles are missing")


def block_of(page: TiffPage, conversion: Conversion) -> tuple[int, int] | None:
    """Return (rows, columns) of the pieces that can be decoded one by one.

    Returns
    -------
    tuple of int or None
        Of a tile or strip; (1, columns) if single rows can be read. None if the pieces are too
        large, are tiles of a volume, or are not decoded by tifffile.
    """
    if conversion == "ycbcr":
        return None
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


def planes_last(page: TiffPage, pixels: Image, shape: tuple[int, ...]) -> Image:
    """Return decoded samples as (rows, columns, samples), or (rows, columns) for one sample.

    Parameters
    ----------
    page : TiffPage
        The page that the samples are of.
    pixels : ndarray
        As tifffile decodes them.
    shape : tuple of int
        (rows, columns), as stored.
    """
    samples = page.samplesperpixel
    if samples == 1:
        return pixels.reshape(shape)
    if page.planarconfig == 2:
        return np.moveaxis(pixels.reshape(samples, *shape), 0, -1)
    return pixels.reshape(*shape, samples)
