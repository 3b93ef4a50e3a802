"""TIFF of one page, in all the kinds that tifffile and imagecodecs decode."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.TiffImagePlugin import TiffImageFile
from tifffile import TiffFile, TiffPage, imwrite

from cluster_worker.imagefiles.codecs import ome
from cluster_worker.imagefiles.codecs.colour_spaces import cmyk_note
from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    as_stored,
    narrowed,
    palette_of,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.items import first_of
from cluster_worker.imagefiles.codecs.threads import THREADS
from cluster_worker.imagefiles.codecs.tiff_colours import palette_colours, to_pixels, white_of
from cluster_worker.imagefiles.codecs.tiff_items import (
    CARRIES,
    LEVEL,
    ZSTD,
    append_directories,
    exif_texts,
    items_of,
    write_options,
)
from cluster_worker.imagefiles.codecs.tiff_page import (
    BITS,
    ORIENTATION,
    ZSTD_NUMBER,
    Samples,
    block_of,
    check_extent,
    check_tags,
    first_page,
    fits,
    imagej_unit,
    nodata_of,
    planes_last,
    refuse_pages,
    resolution_of,
    samples_of,
)
from cluster_worker.imagefiles.codecs.tiff_windows import (
    StoredPieces,
    assemble,
    encode_tiles,
    has_predictor,
    read_window,
)
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.tiling import Span

STRIP_BYTES = 1 << 20
INCH_METRES = 0.0254

SPARE = "a strip of the file is longer than its pixels, or was damaged behind them"


def read_header(path: Path, name: str) -> Header:
    """Read a TIFF's header.

    Raises
    ------
    Rejected
        If the file has several pages, or pixels that this app does not process.
    EOFError
        If the file has no page.
    ValueError
        If an important tag cannot be read.
    """
    with TiffFile(path) as file:
        page = first_page(file)
        check_tags(file, page)
        refuse_pages(file, page, name)
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
        size = described.pixel_size
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
            compression=ZSTD if page.compression == ZSTD_NUMBER else "",
            palette=palette_of(palette_colours(page)) if indexed else b"",
            bits=0 if samples.conversion == "palette" else samples.bits,
            items=items,
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
    with TiffFile(path) as file:
        page = first_page(file)
        check_extent(page, path.stat().st_size)
        samples = samples_of(page, header.name)
        stored = as_stored(out, header.orientation)
        if samples.conversion == "ycbcr":
            stored[...] = by_libtiff(path)
            return ()
        planar = page.planarconfig == 2 and page.samplesperpixel > 1
        straight = samples.conversion in ("", "white", "premultiplied") and not planar
        if straight and stored.flags.c_contiguous:
            # A new view: tifffile changes the shape of the array that it gets.
            notes = decode(page, path, stored.view(np.ndarray))
            if samples.conversion:
                to_pixels(page, samples, stored, stored, indexed=False)
            return notes
        raw = np.empty(page.shape, page.dtype)
        notes = decode(page, path, raw)
        raw = planes_last(page, raw, stored.shape[:2])
        to_pixels(page, samples, raw, stored, header.is_indexed)
        return notes


def decode(page: TiffPage, path: Path, out: Image) -> tuple[str, ...]:
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
        pieces = StoredPieces(path, tolerant=True)
        rows, columns = page.imagelength, page.imagewidth
        whole = out.reshape(rows, columns, page.samplesperpixel)
        pieces.read(Span(0, rows, 0, columns), whole)
        return (SPARE,)
    return ()


def by_libtiff(path: Path) -> Image:
    """Decode colours in YCbCr that are not compressed as JPEG, which libtiff converts to RGB."""
    with path.open("rb") as opened:
        return np.asarray(TiffImageFile(opened).convert("RGB"))


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a TIFF in strips, in the image's own bit depth.

    The strips are compressed by zstd if the original was, else by deflate, which every program
    reads. Integers are stored as differences along the row. Labels are written in 16 bits if the
    largest fits.
    """
    is_labels = header.image.kind == "labels"
    image = without_channels(image)
    image = narrowed(image) if is_labels else image
    header = replace(header, items=header.items + exif_texts(header))
    described = replace_shape(header.image, image)
    options, notes = write_options(described, header)
    bits = header.bits if fits_bits(image, header.bits) else 0
    if bits:
        # Samples that end within a byte are not compressed: tifffile packs them itself.
        options |= {"bitspersample": bits, "compression": None}
    elif image.dtype != bool:
        options["compressionargs"] = {"level": LEVEL}
    if header.bits > 1 and not bits and image.dtype.kind == "u":
        wide = 8 * image.dtype.itemsize
        notes += (f"written with {wide} bits a sample: the values do not fit into {header.bits}",)
    imwrite(
        path,
        np.ascontiguousarray(image),
        predictor=has_predictor(image.dtype.name) and not bits and not header.is_indexed,
        rowsperstrip=max(1, STRIP_BYTES // max(1, image.nbytes // image.shape[0])),
        maxworkers=THREADS,
        **options,
    )
    append_directories(path, header, image.shape)
    return notes


def replace_shape(described: ImageHeader, image: Image) -> ImageHeader:
    """Return the header of a result as it is written."""
    axes = "yx" if image.ndim == 2 else "yxs"
    return described._replace(shape=image.shape, dtype=image.dtype.name, axes=axes)


def fits_bits(image: Image, bits: int) -> bool:
    """Return whether an image can be stored with this number of bits, which is more than 1.

    Its values must fit, and its dtype must be the one that such samples are decoded to.
    """
    known = bits in BITS.get(image.dtype.name, ())
    return bits > 1 and known and image.dtype.kind == "u" and int(image.max(initial=0)) < 1 << bits


PIL.Image.MAX_IMAGE_PIXELS = None

TIFF = Format(
    name="tiff",
    title="TIFF",
    extensions=("tif", "tiff"),
    media_type="image/tiff",
    # Two byte orders; 42 (*) for classic TIFF and 43 (+) for BigTIFF.
    magic=re.compile(rb"II[*+]\0|MM\0[*+]"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    read_window=read_window,
    encode_tiles=encode_tiles,
    assemble=assemble,
    carries=CARRIES,
    holds_bands=True,
)
