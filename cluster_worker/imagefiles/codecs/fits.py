"""FITS: the first image of a file, in its planes; read only.

Rows are read in the order of the file, as numpy and astropy have them. Source: FITS standard 4.0,
sections 4.4 (headers) and 5 (data).
"""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Format, Header, Image
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.pixels.stack import Stack, check_count

BLOCK, CARD, CARDS_MAX, AXES_MAX = 2880, 80, 100_000, 999
STORED = {8: "uint8", 16: "int16", 32: "int32", 64: "int64", -32: "float32", -64: "float64"}
# Whole numbers without a sign are stored with half of their range taken off.
UNSIGNED = {("int16", 32_768.0): "uint16", ("int32", 2.0**31): "uint32"}
UNSIGNED |= {("uint8", -128.0): "int8", ("int64", 2.0**63): "uint64"}
# Numbers that float32 would round or overflow.
PRECISE = ("int32", "int64", "float64")
# Keywords of slope and intercept, and what they are if they are not there.
SCALE = (("BSCALE", "1"), ("BZERO", "0"))
VALUE = re.compile(rb"([A-Z0-9_-]{1,8}) *= *('(?:[^']|'')*'|[^/]*)")


class Data(NamedTuple):
    """An image in a file: its axes from the slowest, dtypes, scale, blank value and offset."""

    shape: tuple[int, ...]
    stored: str
    dtype: str
    scale: float
    zero: float
    blank: int | None
    offset: int


def cards_at(path: Path, offset: int) -> tuple[dict[str, str], int]:
    """Return the keywords of the header at an offset, and where its data begins.

    Raises
    ------
    EOFError
        If the file ends within it.
    """
    found: dict[str, str] = {}
    with path.open("rb") as opened:
        opened.seek(offset)
        for _ in range(CARDS_MAX):
            block = opened.read(BLOCK)
            if len(block) < BLOCK:
                break
            for start in range(0, BLOCK, CARD):
                card = block[start : start + CARD]
                if card.startswith(b"END" + b" " * 5):
                    return found, opened.tell()
                match = VALUE.match(card)
                if match:
                    text = match[2].decode("latin-1").strip()
                    found.setdefault(match[1].decode(), text.strip("'").rstrip())
    raise EOFError("the header does not end")


def data_in(path: Path, name: str) -> Data:
    """Return the first image of a file.

    Raises
    ------
    Rejected
        If it has none, or only a compressed one.
    ValueError
        If sizes are negative, or more than the standard allows.
    """
    offset, size = 0, path.stat().st_size
    while offset < size:
        cards, start = cards_at(path, offset)
        naxis = int(cards.get("NAXIS", 0))
        if not 0 <= naxis <= AXES_MAX:
            raise ValueError(f"NAXIS = {naxis}")
        axes = [int(cards.get(f"NAXIS{k}", 0)) for k in range(naxis, 0, -1)]
        if "ZIMAGE" in cards:
            raise Rejected(f"{name}: is a compressed FITS image; unpack it with funpack")
        is_image = cards.get("XTENSION", "IMAGE") == "IMAGE"
        if is_image and len(axes) >= 2 and all(each > 0 for each in axes):
            return data_of(cards, tuple(axes), start)
        bits = abs(int(cards.get("BITPIX", 8)))
        groups = int(cards.get("GCOUNT", 1)), int(cards.get("PCOUNT", 0))
        # The next header would lie before this one.
        if min(*groups, *axes, 0) < 0:
            raise ValueError(f"sizes {axes}, GCOUNT and PCOUNT {groups}")
        count = groups[0] * (groups[1] + math.prod(axes)) if axes else 0
        offset = start + -(-count * bits // 8 // BLOCK) * BLOCK
    raise Rejected(f"{name}: holds no image; export the table in it as TIFF")


def real(text: str) -> float:
    """Return a number, whose exponent may be written with D as FORTRAN does."""
    return float(text.upper().replace("D", "E"))


def data_of(cards: dict[str, str], axes: tuple[int, ...], start: int) -> Data:
    """Return what the keywords say of an image."""
    stored = STORED[int(cards["BITPIX"])]
    scale, zero = (real(cards.get(key, default)) for key, default in SCALE)
    blank = int(cards["BLANK"]) if "BLANK" in cards and not stored.startswith("f") else None
    dtype = UNSIGNED.get((stored, zero), "") if scale == 1 else ""
    if not dtype:
        plain = (scale, zero) == (1.0, 0.0)
        dtype = stored if plain else "float64" if stored in PRECISE else "float32"
    return Data(axes, stored, dtype, scale, zero, blank, start)


def read_header(path: Path, name: str) -> Header:
    """Read a FITS's header."""
    planes = math.prod(data_in(path, name).shape[:-2])
    check_count(planes, name)
    header = read_plane_header(path, name, 0)
    return replace(header, stack=Stack("p", (planes,))) if planes > 1 else header


def read_plane_header(path: Path, name: str, plane: int) -> Header:
    """Read the header of one plane."""
    found = data_in(path, name)
    blank = None
    if found.blank is not None and found.dtype == found.stored:
        blank = float(found.blank)
    elif found.blank is not None and not found.dtype.startswith("f"):
        blank = found.blank + found.zero
    return Header(
        name=name,
        format="fits",
        image=ImageHeader(found.shape[-2:], found.dtype, "yx", "intensity", nodata=blank),
        notes=("keywords of the FITS header dropped: no other format holds them",),
        plane=plane,
    )


def read_pixels(path: Path, header: Header, out: Image) -> tuple[str, ...]:
    """Read a plane into `out`; raises EOFError if the file ends too early."""
    found = data_in(path, header.name)
    big: Any = np.dtype(found.stored).newbyteorder(">")
    count = math.prod(found.shape[-2:])
    offset = found.offset + header.plane * count * big.itemsize
    samples = np.fromfile(path, big, count, offset=offset)
    if samples.size < count:
        raise EOFError("pixels are missing")
    samples = samples.reshape(out.shape)
    if (found.scale, found.zero) == (1.0, 0.0):
        out[...] = samples
    elif found.dtype.startswith("f"):
        out[...] = samples * found.scale + found.zero
        if found.blank is not None:
            out[samples == found.blank] = np.nan
    else:
        # Adding half of the range turns the highest bit.
        native = samples.astype(found.stored)
        half = np.array(1, out.dtype.str.replace("i", "u")) << (8 * out.itemsize - 1)
        out[...] = (native.view(half.dtype) ^ half).view(out.dtype)
    return ()


FITS = Format(
    name="fits",
    title="FITS",
    extensions=("fits", "fit", "fts"),
    media_type="image/fits",
    magic=re.compile(rb"SIMPLE  ="),
    read_header=read_header,
    read_pixels=read_pixels,
    read_plane_header=read_plane_header,
)
