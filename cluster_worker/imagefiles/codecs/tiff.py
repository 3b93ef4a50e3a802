"""TIFF of one page: 1, 8 and 16 bits, floats; gray, RGB, palette, alpha; labels of 32 bits."""

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
    converted,
    described,
    first_page,
    plain,
    refuse_pages,
    resolution_of,
)
from cluster_worker.imagefiles.codecs.tiff_windows import assemble, encode_tiles, read_window

STRIP_BYTES = 1 << 20


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
        profile, dropped = valid_profile(page.iccprofile)
        palette = page.photometric == PALETTE
        return Header(
            name=name,
            format="tiff",
            shape=upright_shape(page.imagelength, page.imagewidth, channels, orientation),
            dtype="uint8" if palette else str(page.dtype),
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
        if plain(page) and stored.flags.c_contiguous:
            # A view of its own, since tifffile reshapes what it is given.
            page.asarray(out=stored.view(np.ndarray), maxworkers=THREADS)
            return
        stored[...] = converted(page, page.asarray(maxworkers=THREADS), stored.shape)


def write(path: Path, image: Image, header: Header) -> tuple[str, ...]:
    """Write a TIFF in the image's own depth: strips, whole numbers as differences.

    They are compressed by zstd if the original was, else by deflate, which every program reads.
    Labels are written in 16 bits if the largest fits.
    """
    image = narrowed(without_channels(image))
    options, notes = described(image.shape, header)
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
    # Two byte orders and two sizes.
    magic=re.compile(rb"II[*+]\0|MM\0[*+]"),
    read_header=read_header,
    read_pixels=read_pixels,
    write=write,
    read_window=read_window,
    encode_tiles=encode_tiles,
    assemble=assemble,
)
