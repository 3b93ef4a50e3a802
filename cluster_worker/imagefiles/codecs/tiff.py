"""TIFF of one page: gray and RGB of 1, 8 and 16 bits and floats, palettes, labels of 32 bits."""

import re
from pathlib import Path

import numpy as np
from tifffile import TiffFile, imwrite

from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    as_stored,
    narrowed,
    upright_shape,
    valid_orientation,
    valid_profile,
    without_channels,
)
from cluster_worker.imagefiles.codecs.threads import THREADS
from cluster_worker.imagefiles.codecs.tiff_page import (
    LEVEL,
    ORIENTATION,
    PALETTE,
    ZSTD,
    ZSTD_NUMBER,
    block_of,
    channels_of,
    check_extent,
    check_tags,
    first_page,
    needs_no_conversion,
    refuse_pages,
    resolution_of,
    to_gray_or_rgb,
    write_options,
)
from cluster_worker.imagefiles.codecs.tiff_windows import assemble, encode_tiles, read_window
from cluster_worker.pixels.header import header_of

STRIP_BYTES = 1 << 20


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
        channels, notes = channels_of(page, name)
        tag = page.tags.get(ORIENTATION)
        orientation = valid_orientation(int(tag.value) if tag else 1)
        profile, dropped = valid_profile(page.iccprofile)
        palette = page.photometric == PALETTE
        return Header(
            name=name,
            format="tiff",
            image=header_of(
                upright_shape(page.imagelength, page.imagewidth, channels, orientation),
                "uint8" if palette else str(page.dtype),
            ),
            orientation=orientation,
            icc_profile=profile,
            resolution=resolution_of(page, orientation),
            notes=notes + dropped,
            block=block_of(page) if orientation == 1 else None,
            compression=ZSTD if page.compression == ZSTD_NUMBER else "",
        )


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
        if needs_no_conversion(page) and stored.flags.c_contiguous:
            # A new view: tifffile changes the shape of the array that it gets.
            page.asarray(out=stored.view(np.ndarray), maxworkers=THREADS)
            return
        stored[...] = to_gray_or_rgb(page, page.asarray(maxworkers=THREADS), stored.shape)


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a TIFF in strips, in the image's own bit depth.

    The strips are compressed by zstd if the original was, else by deflate, which every program
    reads. Integers are stored as differences along the row. Labels are written in 16 bits if the
    largest fits.
    """
    image = narrowed(without_channels(image))
    options, notes = write_options(image.shape, header)
    if image.dtype != bool:
        options["compressionargs"] = {"level": LEVEL}
    imwrite(
        path,
        np.ascontiguousarray(image),
        predictor=image.dtype.kind == "u",
        rowsperstrip=max(1, STRIP_BYTES // max(1, image.nbytes // image.shape[0])),
        maxworkers=THREADS,
        **options,
    )
    return notes


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
)
