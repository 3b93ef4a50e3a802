"""HEIC, the pictures of phones: 8 to 12 bits, with or without alpha; read only.

libheif and libde265 decode, through pi-heif, which holds no encoder; so it takes 4 MB and has no
part under the GPL. They turn the picture upright themselves. Source: ISO/IEC 23008-12.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from cluster_worker.imagefiles.codecs.header import (
    Format,
    Header,
    Image,
    upright_shape,
    valid_profile,
)
from cluster_worker.imagefiles.codecs.items import Item, within_limit
from cluster_worker.imagefiles.codecs.pillow import exif_of, resolution_of
from cluster_worker.lazy import lazily
from cluster_worker.pixels.header import header_of

# It takes a fifth of a second to load, so only children that read HEIC load it.
pi_heif: Any = lazily("pi_heif")

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1, "RGB;16": 3, "RGBA;16": 4}
BYTE_BITS, SHORT_BITS = 8, 16


def picture(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Open a file; return its main picture, not decoded yet, and a note if there are others."""
    file = pi_heif.open_heif(path, convert_hdr_to_8bit=False)
    others = len(file) - 1
    notes = (f"{others} more pictures in the file are not read",) if others else ()
    return file[file.primary_index], notes


def read_header(path: Path, name: str) -> Header:
    """Read a HEIC's header.

    Raises
    ------
    ValueError, KeyError
        If it is damaged.
    """
    found, notes = picture(path)
    columns, rows = found.size
    channels, bits = CHANNELS[found.mode], int(found.info.get("bit_depth", BYTE_BITS))
    exif, items, damaged = exif_of(found.info.get("exif") or b"")
    if found.info.get("xmp"):
        items += (Item("xmp", "", found.info["xmp"]),)
    profile, dropped = valid_profile(found.info.get("icc_profile"))
    items, over = within_limit(items)
    shape = upright_shape(rows, columns, channels, 1)
    deep = bits > BYTE_BITS
    image = header_of(shape, "uint16" if deep else "uint8", alpha=channels in (2, 4))
    if deep and image.colours == 1:
        image = image._replace(kind="intensity")
    return Header(
        name=name,
        format="heic",
        image=image,
        icc_profile=profile,
        resolution=resolution_of(None, exif, 1),
        notes=notes + damaged + dropped + over,
        bits=bits if deep else 0,
        items=items,
    )


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Decode a HEIC into `out`.

    Raises
    ------
    ValueError, OSError
        If the file is damaged, or its pixels are not those of the header.
    """
    found, _ = picture(path)
    pixels = np.asarray(found)
    if pixels.shape != header.shape:
        raise ValueError(f"pixels of {pixels.shape}, not of {header.shape}")
    # The library fills up the 16 bits from below.
    out[...] = pixels >> (SHORT_BITS - header.bits) if header.bits else pixels
    return ()


HEIC = Format(
    name="heic",
    title="HEIC",
    extensions=("heic", "heif"),
    media_type="image/heic",
    magic=re.compile(rb".{4}ftyp(?:heic|heix|heim|heis|mif1)", re.DOTALL),
    read_header=read_header,
    read_pixels=read_pixels,
)
